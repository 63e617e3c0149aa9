//! Decides for each statement of a script whether it is sent, left out or refused.

use crate::base::error::{Fault, Result};
use crate::format::sql::requirements::owner;
use crate::format::sql::tokens::{Token, Tokens};
use crate::postgres::restore::load::existing_objects::ScriptObject;
use crate::postgres::restore::load::options::LoadOptions;

#[derive(Debug, PartialEq)]
pub(crate) enum StatementAction {
    Send,
    Drop,
    /// Sends `SET name = …`, which is left out if the server does not know the setting.
    Setting(String),
    /// Changes the encoding of the script.
    Encoding(String),
    /// `BEGIN;`: `pg_dump` puts this and `COMMIT;` around every large object.
    Begin,
    Commit,
    /// Grants or revokes privileges, of which the server may not know all.
    Privileges,
    /// Puts what follows into a tablespace that the server does not have.
    MissingTablespace(String),
    /// Creates or comments on an object that the target may have already.
    Present(ScriptObject),
    Refuse(StatementRefusal),
}

#[derive(Debug, PartialEq)]
pub(crate) enum StatementRefusal {
    Database,
    Transaction,
    Copy,
}

impl StatementRefusal {
    pub fn at(&self, line: u64) -> anyhow::Error {
        match self {
            StatementRefusal::Database => {
                Fault::refused(format!("the dump creates or changes a database at line {line}"))
                    .hint("a backup holds one database: dump it without --create")
            }
            StatementRefusal::Transaction => {
                Fault::refused(format!("the dump begins or ends a transaction of its own at line {line}"))
                    .hint("pgbk restores in one transaction: remove BEGIN, COMMIT and their like from the dump")
            }
            StatementRefusal::Copy => {
                Fault::refused(format!("the COPY at line {line} is none that pg_dump writes, and pgbk cannot feed it"))
                    .hint("write it as COPY table (columns) FROM stdin; with its rows from the next line on")
            }
        }
        .into()
    }
}

pub(crate) fn of(statement: &[u8], options: &LoadOptions) -> StatementAction {
    let mut tokens = Tokens::new(statement);
    let Some(Token::Word(verb)) = tokens.next() else { return StatementAction::Send };
    if options.leave.leaves_out(statement) {
        return StatementAction::Drop;
    }
    match verb.to_ascii_lowercase().as_slice() {
        b"set" if let Some(name) = options.leave.missing_tablespace(statement) => {
            StatementAction::MissingTablespace(name)
        }
        b"set" => set(tokens, options),
        b"grant" | b"revoke" => privileges(options),
        b"alter" if tokens.accept(&["default", "privileges"]) => privileges(options),
        b"create" | b"comment" if let Some(object) = ScriptObject::of(statement) => StatementAction::Present(object),
        b"create" | b"alter" | b"drop" if tokens.accept(&["database"]) => {
            StatementAction::Refuse(StatementRefusal::Database)
        }
        b"alter" if is_version_of_column(tokens.clone()) => StatementAction::Setting(ATTVER.to_owned()),
        b"alter" if options.no_owner && owner(tokens.clone()).is_some() => StatementAction::Drop,
        b"begin" if tokens.next() == Some(Token::Mark(b';')) => StatementAction::Begin,
        b"commit" if tokens.next() == Some(Token::Mark(b';')) => StatementAction::Commit,
        b"begin" | b"start" | b"commit" | b"end" | b"rollback" | b"abort" | b"savepoint" | b"release" => {
            StatementAction::Refuse(StatementRefusal::Transaction)
        }
        b"prepare" if tokens.accept(&["transaction"]) => StatementAction::Refuse(StatementRefusal::Transaction),
        // The server would wait for rows, or send some, where nobody looks for them.
        b"copy" if tokens.any(|token| token.is("stdin") || token.is("stdout")) => {
            StatementAction::Refuse(StatementRefusal::Copy)
        }
        _ => StatementAction::Send,
    }
}

/// Attribute that 15.20 sets at every column, for itself. Its own pg_dump leaves it out, and one of an earlier release does not.
const ATTVER: &str = "pg_attver";

/// Returns whether this is the rest of `ALTER TABLE … ALTER COLUMN … SET (pg_attver=…);`
fn is_version_of_column(mut tokens: Tokens<'_>) -> bool {
    if !tokens.accept(&["table"]) {
        return false;
    }
    tokens.accept(&["only"]);
    let column = tokens.take_name().is_some() && tokens.accept(&["alter", "column"]) && tokens.take_name().is_some();
    column && tokens.accept(&["set"]) && tokens.next() == Some(Token::Mark(b'(')) && tokens.accept(&[ATTVER])
}

fn privileges(options: &LoadOptions) -> StatementAction {
    if options.no_privileges { StatementAction::Drop } else { StatementAction::Privileges }
}

fn set(mut tokens: Tokens<'_>, options: &LoadOptions) -> StatementAction {
    if tokens.accept(&["session", "authorization"]) {
        return if options.no_owner { StatementAction::Drop } else { StatementAction::Send };
    }
    if !tokens.accept(&["session"]) {
        tokens.accept(&["local"]);
    }
    if tokens.accept(&["names"]) {
        return tokens.next().as_ref().and_then(Token::name).map_or(StatementAction::Send, StatementAction::Encoding);
    }
    let Some(name) = tokens.take_name() else { return StatementAction::Send };
    let name = String::from_utf8_lossy(name).to_lowercase().replace('"', "");
    let assigns = tokens.next().is_some_and(|token| token == Token::Mark(b'=') || token.is("to"));
    match (assigns, tokens.next()) {
        (true, Some(value)) if name == "client_encoding" => {
            value.name().map_or(StatementAction::Send, StatementAction::Encoding)
        }
        (true, _) => StatementAction::Setting(name),
        // `SET TIME ZONE`, `SET TRANSACTION` and others that are no settings by name.
        (false, _) => StatementAction::Send,
    }
}

/// Refuses meta-commands, except `\restrict` and `\unrestrict` with a key, which concern `psql` alone.
pub(crate) fn check_meta(line: u64, text: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(text);
    let mut words = text.split_ascii_whitespace();
    let command = words.next().unwrap_or_default();
    let mut keys = words;
    let key = keys.next().is_some_and(|key| key.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if matches!(command, "\\restrict" | "\\unrestrict") && key && keys.next().is_none() {
        return Ok(());
    }
    let fault = Fault::refused(format!(
        "the dump holds the psql meta-command \"{command}\" at line {line}, which pgbk never runs"
    ));
    Err(match command {
        "\\connect" | "\\c" => fault.hint("a backup holds one database: dump it without --create"),
        _ => fault.hint("no dump that pg_dump wrote holds it: find out who changed the file"),
    }
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_column_is_a_setting_that_no_other_server_knows() {
        let of = |text: &str| of(text.as_bytes(), &LoadOptions::default());
        for text in [
            "ALTER TABLE ONLY public.a ALTER COLUMN x SET (pg_attver=1);",
            "alter table \"A b\" alter column \"X\" set (pg_attver=12);",
        ] {
            assert_eq!(of(text), StatementAction::Setting(ATTVER.into()), "{text}");
        }
        for text in [
            "ALTER TABLE ONLY public.a ALTER COLUMN x SET (n_distinct=1);",
            "ALTER TABLE public.a ALTER COLUMN x SET STORAGE external;",
            "ALTER TABLE public.pg_attver ALTER COLUMN pg_attver SET DEFAULT 1;",
        ] {
            assert_eq!(of(text), StatementAction::Send, "{text}");
        }
    }
}
