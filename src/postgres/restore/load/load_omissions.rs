//! Says what a restore leaves out: because a person wants it so, or because the server does not have it.

use crate::format::sql::tokens::{Token, Tokens};
use crate::postgres::restore::load::requirements_check::UnavailableObjects;
use crate::postgres::restore::load::skipped_statements::AsideScope;
use crate::postgres::session::quote::literal;
use std::collections::BTreeSet;

/// Holds what is left out, besides owners and privileges. The default leaves out nothing.
#[derive(Debug, Clone, Default)]
pub struct LoadOmissions {
    /// Whether `COMMENT ON` is left out.
    pub comments: bool,
    /// Whether `SET default_tablespace` is left out, so that everything is in the database's own tablespace.
    pub tablespaces: bool,
    /// Extensions that are left out: `CREATE EXTENSION`, `COMMENT ON EXTENSION`, and the rows and privileges of what belongs to
    /// them.
    pub extensions: BTreeSet<String>,
    /// Whether statements that the server refuses are left out and all else is restored.
    pub skip_failed: bool,
    /// Schemas in which names are looked up; `None`: those that the dump sets, which is none.
    pub search_path: Option<String>,
    /// Tablespaces that the server does not have: what the dump puts there goes to the database's own.
    pub missing_tablespaces: BTreeSet<String>,
}

impl LoadOmissions {
    /// Returns this with what the server does not have for the database.
    pub fn and(&self, unavailable: &UnavailableObjects) -> LoadOmissions {
        let mut leave = self.clone();
        leave.extensions.extend(unavailable.extensions.keys().cloned());
        leave.missing_tablespaces.extend(unavailable.tablespaces.iter().cloned());
        leave
    }

    /// Returns the statement that sets the search path for the script.
    pub(crate) fn begin(&self) -> String {
        match &self.search_path {
            Some(path) => set_path(path),
            None => "RESET search_path".to_owned(),
        }
    }

    /// Returns which failing statements are set aside; `None` if the first failure ends the restore.
    pub(crate) fn scope(&self) -> Option<AsideScope> {
        match (self.skip_failed, self.extensions.is_empty()) {
            (true, _) => Some(AsideScope::Refused),
            (false, false) => Some(AsideScope::Absent),
            (false, true) => None,
        }
    }

    /// Returns whether this statement is left out.
    pub(crate) fn leaves_out(&self, text: &[u8]) -> bool {
        let mut tokens = Tokens::new(text);
        if tokens.accept(&["comment", "on"]) {
            return self.comments || tokens.accept(&["extension"]) && self.is_excluded(&mut tokens);
        }
        if tokens.accept(&["create", "extension"]) {
            tokens.accept(&["if", "not", "exists"]);
            return self.is_excluded(&mut tokens);
        }
        if tokens.accept(&["set", "default_tablespace"]) {
            return self.tablespaces;
        }
        self.search_path.is_some() && empties_path(tokens)
    }

    /// Returns the missing tablespace that this statement would use; `None` for any other statement.
    pub(crate) fn missing_tablespace(&self, text: &[u8]) -> Option<String> {
        let mut tokens = Tokens::new(text);
        let sets = tokens.accept(&["set", "default_tablespace"]);
        let name = tokens.nth(1).filter(|_| sets).as_ref().and_then(Token::name)?;
        self.missing_tablespaces.contains(&name).then_some(name)
    }

    fn is_excluded(&self, tokens: &mut Tokens<'_>) -> bool {
        tokens.next().as_ref().and_then(Token::name).is_some_and(|name| self.extensions.contains(&name))
    }
}

/// Returns the statement that sets the search path of the session.
pub(crate) fn set_path(path: &str) -> String {
    format!("SELECT pg_catalog.set_config('search_path', {}, false)", literal(path))
}

/// Returns the statement that sets the search path up to the end of the transaction.
pub(crate) fn set_path_here(path: &str) -> String {
    format!("SELECT pg_catalog.set_config('search_path', {}, true)", literal(path))
}

/// Returns whether this is how `pg_dump` empties the path: `SELECT pg_catalog.set_config('search_path', '', false);`
fn empties_path(mut tokens: Tokens<'_>) -> bool {
    let is = |token: Option<Token<'_>>, text: &[u8]| token == Some(Token::Literal(text));
    tokens.accept(&["select"])
        && tokens.take_name().is_some_and(|name| matches!(name, b"pg_catalog.set_config" | b"set_config"))
        && tokens.next() == Some(Token::Mark(b'('))
        && is(tokens.next(), b"search_path")
        && tokens.next() == Some(Token::Mark(b','))
        && is(tokens.next(), b"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statement_that_a_flag_leaves_out_is_left_out_by_that_flag_alone() {
        let flags = [
            LoadOmissions { comments: true, ..LoadOmissions::default() },
            LoadOmissions { tablespaces: true, ..LoadOmissions::default() },
            LoadOmissions { extensions: BTreeSet::from(["uuid-ossp".to_owned()]), ..LoadOmissions::default() },
            LoadOmissions { search_path: Some("public".into()), ..LoadOmissions::default() },
            LoadOmissions { skip_failed: true, ..LoadOmissions::default() },
            LoadOmissions::default(),
        ];
        for (text, left_out_by) in [
            ("COMMENT ON TABLE public.t IS 'x';", &[0][..]),
            ("COMMENT ON EXTENSION \"uuid-ossp\" IS 'x';", &[0, 2]),
            ("COMMENT ON EXTENSION hstore IS 'x';", &[0]),
            ("SET default_tablespace = fast;", &[1]),
            ("SET default_tablespace = '';", &[1]),
            ("SET default_table_access_method = heap;", &[]),
            ("CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\" WITH SCHEMA public;", &[2]),
            ("CREATE EXTENSION hstore;", &[]),
            ("SELECT pg_catalog.set_config('search_path', '', false);", &[3]),
            ("SELECT pg_catalog.set_config('search_path', 'a', false);", &[]),
            ("SELECT pg_catalog.setval('public.s', 1, true);", &[]),
            ("CREATE TABLE public.comment ();", &[]),
        ] {
            let by: Vec<usize> = (0..flags.len()).filter(|flag| flags[*flag].leaves_out(text.as_bytes())).collect();
            assert_eq!(by, left_out_by, "{text}");
        }
    }
}
