//! The encoding that a script is written in, and how its text reaches a connection that speaks UTF-8.

use crate::base::error::{Fault, Result};
use crate::postgres::restore::load::failure;
use crate::postgres::restore::load::header::Header;
use crate::postgres::session::command;
use postgres::Transaction;
use postgres::error::SqlState;
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::str;

/// Encodings in which a backslash or quote may be half of a character, so that a script cannot be split byte by byte. No database
/// is stored in them; a dump is only if somebody asked `pg_dump` for it.
const CLIENT_ONLY: [&str; 16] = [
    "SJIS",
    "SHIFTJIS",
    "MSKANJI",
    "WIN932",
    "WINDOWS932",
    "SHIFTJIS2004",
    "BIG5",
    "WIN950",
    "WINDOWS950",
    "GBK",
    "WIN936",
    "WINDOWS936",
    "UHC",
    "WIN949",
    "GB18030",
    "JOHAB",
];

/// Encoding of the script from here on; `None` is UTF-8.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScriptEncoding(Option<String>);

impl ScriptEncoding {
    /// Returns the encoding of this name, which the statement at `line` sets.
    pub fn named(name: &str, line: u64) -> Result<Self> {
        let canonical: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_uppercase();
        if CLIENT_ONLY.contains(&canonical.as_str()) {
            let fault =
                Fault::refused(format!("the dump is written in {name} (line {line}), which pgbk cannot restore"));
            return Err(fault.hint("dump the database with --encoding=UTF8").into());
        }
        let utf8 = matches!(canonical.as_str(), "UTF8" | "UNICODE");
        let plain = name.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '-'));
        if !utf8 && !plain {
            return Err(Fault::refused(format!("line {line}: \"{name}\" is no encoding")).into());
        }
        Ok(ScriptEncoding((!utf8).then(|| name.to_owned())))
    }

    /// Runs the one statement in this text. Text with several is an error.
    pub fn run(
        &self,
        transaction: &mut Transaction<'_>,
        in_utf8: bool,
        text: &[u8],
    ) -> std::result::Result<(), postgres::Error> {
        match (str::from_utf8(text), &self.0) {
            (Ok(plain), None) => command::run(transaction, plain),
            (Ok(plain), Some(_)) if plain.is_ascii() => command::run(transaction, plain),
            // What the database holds can be had here.
            _ if in_utf8 => {
                let decoded = self.decoded(transaction, text)?;
                command::run(transaction, &decoded)
            }
            _ => {
                one_command(transaction, text)?;
                let within = format!("DO 'BEGIN EXECUTE {}; END'", self.converted(text).replace('\'', "''"));
                command::run(transaction, &within)
            }
        }
    }

    /// Returns the query that begins this COPY. The rows are sent after it as they are in the script. `freezes` has the server write them
    /// as if they had been there for long, which it does only in the transaction that has made or emptied the table.
    pub fn copy(&self, transaction: &mut Transaction<'_>, header: &Header, freezes: bool) -> Result<String> {
        let text = match (str::from_utf8(&header.text), &self.0) {
            (Ok(plain), None) => plain.to_owned(),
            (Ok(plain), Some(_)) if plain.is_ascii() => plain.to_owned(),
            _ => self
                .decoded(transaction, &header.text)
                .map_err(|error| failure::of_statement(header.line, &header.text, &error))?,
        };
        let Some(encoding) = &self.0 else {
            let frozen = || format!("{} WITH (FREEZE)", bare(&text));
            return Ok(if freezes && Self::takes_options(&text) { frozen() } else { text });
        };
        if !Self::takes_options(&text) {
            let message = format!("line {}: the COPY has options, which pgbk cannot join with {encoding}", header.line);
            return Err(Fault::refused(message).hint("dump the database with --encoding=UTF8").into());
        }
        let freeze = if freezes { ", FREEZE" } else { "" };
        Ok(format!("{} WITH (ENCODING '{encoding}'{freeze})", bare(&text)))
    }

    /// Returns whether options can be added to this COPY, which has none.
    pub fn takes_options(copy: &str) -> bool {
        let bare = bare(copy).to_ascii_lowercase();
        // One that has been given the encoding is made anew with more.
        bare.ends_with("stdin") || bare.contains(" stdin with (encoding '")
    }

    /// Returns the text as UTF-8, converted by the server.
    fn decoded(&self, transaction: &mut Transaction<'_>, text: &[u8]) -> std::result::Result<String, postgres::Error> {
        let query = format!("SELECT {}", self.converted(text));
        transaction.query_typed_one(&query, &[]).and_then(|row| row.try_get(0))
    }

    /// Returns an SQL expression for the text in the database's own encoding. It is right for either meaning of a backslash in
    /// quotes.
    fn converted(&self, text: &[u8]) -> String {
        let mut hex = String::with_capacity(2 * text.len() + 80);
        hex.push_str("pg_catalog.convert_from(pg_catalog.decode('");
        for byte in text {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex.push_str("', 'hex'), '");
        hex.push_str(self.0.as_deref().unwrap_or("UTF8"));
        hex.push_str("')");
        hex
    }
}

/// Returns a COPY without what ends it.
fn bare(copy: &str) -> &str {
    copy.trim_end_matches([';', ' ', '\n', '\r'])
}

/// Asks the server whether this is one command, without running it. Text that cannot be sent as UTF-8 is run from within the
/// server, where several commands would be accepted. Each byte beyond ASCII is replaced by letters, so that the server splits the
/// text in the same places.
fn one_command(transaction: &mut Transaction<'_>, text: &[u8]) -> std::result::Result<(), postgres::Error> {
    // No text can hold these letters by intent.
    let nonce = RandomState::new().hash_one(text);
    let mut masked = String::with_capacity(2 * text.len());
    for byte in text {
        match byte.is_ascii() {
            true => masked.push(char::from(*byte)),
            // Writing to a string does not fail.
            false => drop(write!(masked, "z{nonce:x}z{byte:02x}")),
        }
    }
    transaction.batch_execute("SAVEPOINT pgbk_one_command")?;
    let parsed = transaction.prepare(&masked);
    transaction.batch_execute("ROLLBACK TO SAVEPOINT pgbk_one_command; RELEASE SAVEPOINT pgbk_one_command")?;
    match parsed {
        // A name that is not there is one that was masked.
        Err(error) if error.code() != Some(&SqlState::SYNTAX_ERROR) && error.as_db_error().is_some() => Ok(()),
        parsed => parsed.map(drop),
    }
}
