//! Sets aside statements that a load can do without: they are left out, and named.
//!
//! A role that was made for a restore test owns what it makes and has no other right. It may not run what only a superuser may;
//! such statements are set aside, and those that depend on them. In a restore, a person may choose to set aside everything that the
//! server refuses, or everything that belongs to an extension which is left out.

use crate::format::sql::inserted;
use crate::format::sql::tokens::{Token, Tokens};
use crate::postgres::restore::load::failure::{is_about_a_name, is_lacking, is_refusal};
use postgres::error::SqlState;
use std::collections::{BTreeMap, BTreeSet};

const LONGEST_QUOTE: usize = 100;

/// Objects that a role with more rights has made before the script is loaded.
#[derive(Debug, Clone, Default)]
pub struct PreparedObjects {
    /// Schemas that were made for the extensions in them.
    pub schemas: BTreeSet<String>,
    /// Tables of extensions, named as in a script. Their rows may make an extension run code, and as some role.
    pub tables: BTreeSet<String>,
    /// Extensions that the server does not create, with its reasons.
    pub refused: BTreeMap<String, String>,
    /// Statements of an earlier part of the script that were set aside.
    pub aside: UntriedStatements,
}

/// Statements and rows that were set aside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UntriedStatements {
    /// Beginnings of statements, each with the reason.
    pub statements: Vec<String>,
    /// Tables whose rows were left out: those of extensions, and those that do not exist.
    pub tables: BTreeSet<String>,
    /// Tables that the script itself creates, and that could not be created.
    pub unmade: BTreeSet<String>,
}

impl UntriedStatements {
    /// Returns one line for each statement and each table without rows; `reason` is that of the tables.
    pub fn lines(&self, reason: &str) -> Vec<String> {
        let rows = self.tables.iter().map(|table| format!("rows of {table}: {reason}"));
        self.statements.iter().cloned().chain(rows).collect()
    }
}

/// Says which failures are set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AsideScope {
    /// Statements that a role made for a restore test may not run, and those that fail in consequence.
    Role,
    /// Every statement that the server refuses.
    Refused,
    /// Rows, privileges and the like of missing objects whose extension is left out. The script creates all other objects that it
    /// names.
    Absent,
    /// Privileges on missing objects: in another major version a function of an extension may have other arguments.
    Privileges,
}

/// Decides what is set aside while a script runs.
pub(crate) struct Bounds {
    prepared: PreparedObjects,
    scope: AsideScope,
    pub untried: UntriedStatements,
}

impl Bounds {
    pub fn new(scope: AsideScope) -> Bounds {
        Bounds { prepared: PreparedObjects::default(), scope, untried: UntriedStatements::default() }
    }

    pub fn of(mut prepared: PreparedObjects) -> Bounds {
        let untried = std::mem::take(&mut prepared.aside);
        Bounds { prepared, untried, ..Bounds::new(AsideScope::Role) }
    }

    /// Returns whether what is set aside is no failure, and only noted.
    pub fn is_meant(&self) -> bool {
        matches!(self.scope, AsideScope::Absent | AsideScope::Privileges)
    }

    /// Returns whether the statement is not to be run at all.
    pub fn leaves_out(&mut self, text: &[u8]) -> bool {
        if self.scope != AsideScope::Role {
            return false;
        }
        let mut tokens = Tokens::new(text);
        if tokens.accept(&["comment", "on", "extension"]) {
            return true;
        }
        if tokens.accept(&["create", "schema"]) {
            return name(&mut tokens).is_some_and(|name| self.prepared.schemas.contains(&name));
        }
        if tokens.accept(&["set", "default_tablespace"]) {
            let value = tokens.nth(1).as_ref().and_then(Token::name).unwrap_or_default();
            return !value.is_empty() && self.note(text, "where files lie is left to the server");
        }
        if let Some(table) = inserted::into(text).map(String::from_utf8_lossy) {
            let is_extensions = self.prepared.tables.contains(&*table);
            if is_extensions {
                self.passed_over(&table, inserted::rows(text));
            }
            return is_extensions;
        }
        if tokens.accept(&["create", "extension"]) {
            tokens.accept(&["if", "not", "exists"]);
            let refusal = name(&mut tokens).and_then(|name| self.prepared.refused.get(&name).cloned());
            return refusal.is_some_and(|reason| self.note(text, &reason));
        }
        is_forced_security(tokens) && self.note(text, "the rows are read by their owner")
    }

    /// Returns whether the script goes on without a statement that failed, and notes the statement then. Once something is missing,
    /// everything that depends on it fails too.
    pub fn sets_aside(&mut self, text: &[u8], error: &postgres::Error) -> bool {
        let Some(answer) = error.as_db_error() else { return false };
        let is_missing = is_about_a_name(error);
        let aside = match self.scope {
            AsideScope::Refused => is_refusal(error),
            AsideScope::Absent => is_missing && is_about_another(text),
            AsideScope::Privileges => is_missing && gives(text),
            AsideScope::Role => {
                let of_the_role = *answer.code() == SqlState::INSUFFICIENT_PRIVILEGE;
                let follows = is_missing && !self.untried.statements.is_empty();
                of_the_role || follows || is_lacking(text, answer.code())
            }
        };
        aside && self.note(text, answer.message())
    }

    /// Returns whether the script goes on without the rows of a table that the server refused, and notes the table then.
    pub fn sets_rows_aside(&mut self, table: &str, error: &anyhow::Error) -> bool {
        let aside = self.scope == AsideScope::Refused;
        if aside {
            self.untried.statements.push(format!("all rows of {table}: {error:#}"));
        }
        aside
    }

    /// Returns whether the rows of this table are not sent; `is_there` asks the server whether the table exists.
    pub fn skips<E>(&self, table: &str, is_there: impl FnOnce() -> Result<bool, E>) -> Result<bool, E> {
        if self.prepared.tables.contains(table) {
            return Ok(true);
        }
        let may_be_missing = self.scope == AsideScope::Absent || !self.untried.statements.is_empty();
        Ok(may_be_missing && !is_there()?)
    }

    /// Notes rows that were not sent. Without rows in the script, it notes only a table that could not be created in a restore
    /// test: nothing is missing from any other.
    pub fn passed_over(&mut self, table: &str, rows: u64) {
        let unmade = self.scope == AsideScope::Role && !self.prepared.tables.contains(table);
        if rows > 0 || unmade {
            self.untried.tables.insert(table.to_owned());
        }
    }

    fn note(&mut self, text: &[u8], reason: &str) -> bool {
        let mut tokens = Tokens::new(text);
        if tokens.accept(&["create"]) {
            tokens.accept(&["unlogged"]);
            if tokens.accept(&["table"]) {
                self.untried.unmade.extend(tokens.take_name().map(|name| String::from_utf8_lossy(name).into_owned()));
            }
        }
        self.untried.statements.push(format!("{}: {reason}", quote(text)));
        true
    }
}

/// Returns the beginning of a statement on one line.
pub(crate) fn quote(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let line: Vec<&str> = text.trim_end_matches(';').split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Returns whether a statement grants or revokes privileges.
fn gives(text: &[u8]) -> bool {
    Tokens::new(text).next().is_some_and(|verb| verb.is("grant") || verb.is("revoke"))
}

/// Returns whether a statement is about an object that another one has made, and makes nothing itself.
fn is_about_another(text: &[u8]) -> bool {
    let about = ["select", "grant", "revoke", "comment", "security"];
    Tokens::new(text).next().is_some_and(|verb| about.iter().any(|word| verb.is(word)))
}

fn name(tokens: &mut Tokens<'_>) -> Option<String> {
    tokens.next().as_ref().and_then(Token::name)
}

/// Returns whether this subjects a table's owner to its policies, so that the owner could not read all rows.
fn is_forced_security(mut tokens: Tokens<'_>) -> bool {
    if !tokens.accept(&["alter", "table"]) {
        return false;
    }
    tokens.accept(&["only"]);
    tokens.take_name().is_some() && tokens.accept(&["force", "row", "level", "security"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds() -> Bounds {
        Bounds::of(PreparedObjects {
            schemas: BTreeSet::from(["A b".to_owned()]),
            tables: BTreeSet::from(["public.spatial_ref_sys".to_owned()]),
            refused: BTreeMap::from([("pg_cron".to_owned(), "not here".to_owned())]),
            ..PreparedObjects::default()
        })
    }

    #[test]
    fn what_is_there_already_is_left_out_without_a_word() {
        for text in ["COMMENT ON EXTENSION hstore IS 'x';", "CREATE SCHEMA \"A b\";", "create schema \"A b\" ;"] {
            let mut bounds = bounds();
            assert!(bounds.leaves_out(text.as_bytes()) && bounds.untried == UntriedStatements::default(), "{text}");
        }
        for text in [
            "COMMENT ON TABLE extension IS 'x';",
            "CREATE SCHEMA a;",
            "SET default_tablespace = '';",
            "CREATE EXTENSION hstore;",
            "ALTER TABLE ONLY public.t ENABLE ROW LEVEL SECURITY;",
            "ALTER TABLE ONLY public.t NO FORCE ROW LEVEL SECURITY;",
        ] {
            assert!(!bounds().leaves_out(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn rows_of_an_extension_s_table_are_left_out_as_statements_too() {
        let mut bounds = bounds();
        assert!(bounds.leaves_out(b"INSERT INTO public.spatial_ref_sys VALUES (1);"));
        assert!(!bounds.leaves_out(b"INSERT INTO public.t VALUES (1);"));
        assert_eq!(bounds.untried.lines("x"), ["rows of public.spatial_ref_sys: x"]);
    }

    #[test]
    fn what_is_left_out_of_the_proof_is_named_with_the_reason() {
        for (text, named) in [
            ("SET default_tablespace = fast;", "SET default_tablespace = fast: where files lie"),
            ("CREATE EXTENSION IF NOT EXISTS pg_cron WITH SCHEMA x;", "pg_cron WITH SCHEMA x: not here"),
            ("ALTER TABLE ONLY \"s t\".t FORCE ROW LEVEL SECURITY;", "FORCE ROW LEVEL SECURITY: the rows"),
        ] {
            let mut bounds = bounds();
            assert!(bounds.leaves_out(text.as_bytes()), "{text}");
            assert!(bounds.untried.statements[0].contains(named), "{:?}", bounds.untried);
        }
    }

    #[test]
    fn a_long_statement_is_named_by_its_beginning_and_a_table_that_is_not_made_is_remembered() {
        let mut bounds = bounds();
        bounds.note(format!("CREATE UNLOGGED TABLE public.\"T\" (\n  {}\n);", "x int, ".repeat(99)).as_bytes(), "why");
        let UntriedStatements { statements, unmade, .. } = bounds.untried;
        assert!(statements[0].starts_with("CREATE UNLOGGED TABLE public.\"T\" ( x int,") && statements[0].len() < 120);
        assert_eq!(unmade, BTreeSet::from(["public.\"T\"".to_owned()]));
    }

    #[test]
    fn rows_are_skipped_for_tables_of_extensions_and_where_the_table_is_missing() {
        let asked = |bounds: &Bounds, table, there| bounds.skips::<()>(table, || Ok(there)).unwrap();
        let mut bounds = bounds();
        assert!(asked(&bounds, "public.spatial_ref_sys", true) && !asked(&bounds, "public.t", false));
        bounds.note(b"CREATE TYPE x;", "why");
        assert!(asked(&bounds, "public.t", false) && !asked(&bounds, "public.t", true));
        let bounds = Bounds::new(AsideScope::Absent);
        assert!(asked(&bounds, "cron.job", false) && !asked(&bounds, "cron.job", true));
    }

    #[test]
    fn without_an_extension_nothing_is_left_out_that_would_make_something() {
        for text in [
            "SELECT pg_catalog.setval('cron.s', 1);",
            "GRANT USAGE ON SCHEMA cron TO a;",
            "COMMENT ON TABLE cron.job IS 'x';",
        ] {
            assert!(is_about_another(text.as_bytes()), "{text}");
        }
        for text in ["CREATE TABLE t (h hstore);", "ALTER TABLE t ADD CHECK (f(i));", "REFRESH MATERIALIZED VIEW v;"] {
            assert!(!is_about_another(text.as_bytes()), "{text}");
        }
    }
}
