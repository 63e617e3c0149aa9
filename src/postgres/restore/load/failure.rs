//! Turns the server's errors into pgbk's, with the place in the script.

use crate::base::error::{Fault, Kind};
use crate::format::sql::tokens::Tokens;
use crate::postgres::connect::errors;
use crate::postgres::connect::transport::last_word::LastWord;
use crate::postgres::restore::load::header::Header;
use crate::postgres::restore::load::suggestions::may_be_refused;
use crate::postgres::restore::load::suggestions::next_step;
use crate::postgres::tools::lock_limit;
use postgres::error::{DbError, ErrorPosition, SqlState};
use std::error::Error;
use std::io;

const LONGEST_QUOTE: usize = 80;

/// Returns an error that has no place in the script.
pub(crate) fn plain(what: &str, error: &postgres::Error) -> anyhow::Error {
    fault(what.into(), error.as_db_error(), false, error).into()
}

pub(crate) fn of_statement(line: u64, text: &[u8], error: &postgres::Error) -> anyhow::Error {
    in_statement(line, text, error.as_db_error(), error)
}

/// Returns the error of a COPY's rows. The driver wraps the server's error in an I/O error.
pub(crate) fn of_rows(line: u64, text: &[u8], error: &io::Error) -> anyhow::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<postgres::Error>());
    in_statement(line, text, inner.and_then(postgres::Error::as_db_error), error)
}

fn in_statement(line: u64, text: &[u8], server: Option<&DbError>, error: &(dyn Error + 'static)) -> anyhow::Error {
    let text = String::from_utf8_lossy(text);
    let place = match line {
        Header::UNKNOWN => String::new(),
        line => format!("line {}, ", line + lines_before(&text, server)),
    };
    let lacking = server.is_some_and(|server| is_lacking(text.as_bytes(), server.code()));
    let mut first: String = text.lines().next().unwrap_or_default().chars().take(LONGEST_QUOTE).collect();
    if first.len() < text.len() {
        first.push('…');
    }
    let fault = fault(format!("{place}{first}"), server, lacking, error);
    let placed = |server: &&DbError| *server.code() != SqlState::SYNTAX_ERROR || server.position().is_some();
    match server.filter(placed).and_then(|server| Some((server, next_step(server.code(), text.as_bytes())?))) {
        // What the server advises comes first: it has seen more.
        // CASCADE is none: no restore drops what it was not told to.
        Some((server, step)) => {
            match server.hint().filter(|_| *server.code() != SqlState::DEPENDENT_OBJECTS_STILL_EXIST) {
                Some(hint) => fault.hint(format!("{}; {step}", hint.trim_end_matches('.'))),
                None => fault.hint(step),
            }
        }
        None => fault,
    }
    .into()
}

/// Returns the number of lines before the error's position, which the server counts in characters from 1; 0 if it gives none, as
/// for errors that it finds late.
fn lines_before(text: &str, server: Option<&DbError>) -> u64 {
    let Some(ErrorPosition::Original(position)) = server.and_then(DbError::position) else {
        return 0;
    };
    text.chars().take((*position as usize).saturating_sub(1)).filter(|character| *character == '\n').count() as u64
}

/// Returns whether the statement names something that this server was set up without: a provider of labels, a locale of the
/// system's, a table access method. Its code alone would mean a wrong value.
pub(crate) fn is_lacking(text: &[u8], code: &SqlState) -> bool {
    let of: [&[&str]; 3] = [&["security", "label"], &["create", "collation"], &["set", "default_table_access_method"]];
    *code == SqlState::INVALID_PARAMETER_VALUE && of.iter().any(|words| Tokens::new(text).accept(words))
}

/// Returns the error with the server's text, or the driver's if there is none. If `lacking`, the server lacks something and nothing
/// is wrong with the dump.
fn fault(what: String, server: Option<&DbError>, lacking: bool, error: &(dyn Error + 'static)) -> Fault {
    let Some(server) = server else {
        return match LastWord::of(error) {
            Some(word) => {
                Fault::failed(format!("{what}: {word} (SQLSTATE {})", word.sqlstate)).with_sqlstate(&word.sqlstate)
            }
            None => Fault::failed(format!("{what}: {}", errors::chain(error))),
        };
    };
    let mut message = format!("{what}: {} (SQLSTATE {})", server.message(), server.code().code());
    for more in [server.detail(), server.where_()].into_iter().flatten() {
        message.push_str("; ");
        message.push_str(more);
    }
    let kind = if !lacking && is_of_the_dump(server.code()) { Kind::Refused } else { Kind::Failed };
    let fault = Fault::new(kind, message).with_sqlstate(server.code().code());
    // Of syntax errors the one that has no place in the text.
    if *server.code() == SqlState::SYNTAX_ERROR && server.position().is_none() {
        return fault.hint("the server reads more than one command here, and takes none: look for what hides it");
    }
    match server.hint() {
        Some(hint) => fault.hint(lock_limit::of_restore(hint)),
        None => fault,
    }
}

/// Returns whether the error is the dump's. It is not if the role lacks a right, or the server was built without something, has no
/// room, is being stopped or broke down.
fn is_of_the_dump(code: &SqlState) -> bool {
    let of_the_server = ["08", "0A", "42501", "53", "55P", "57", "58", "F0", "XX"];
    !of_the_server.iter().any(|class| code.code().starts_with(class))
}

/// Returns whether the server did not find something that a statement names.
pub(crate) fn is_about_a_name(error: &postgres::Error) -> bool {
    let codes = [
        SqlState::UNDEFINED_FUNCTION,
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_OBJECT,
        SqlState::INVALID_SCHEMA_NAME,
    ];
    error.code().is_some_and(|code| codes.contains(code))
}

/// Returns whether the server refused a statement for its content.
pub(crate) fn is_refusal(error: &postgres::Error) -> bool {
    error.code().is_some_and(may_be_refused)
}
