//! Holds back what a script does behind its rows, so that changes can be replayed in between: only what finds single rows, primary keys
//! and the indexes of replica identities, is made before them.
//!
//! Foreign keys, triggers and rules would act on changes that have had their effects already, and every other index would be kept up to
//! date for each change.

use crate::base::error::{Fault, Result};
use crate::format::sql::tokens::Tokens;
use crate::postgres::restore::load::build_statement::{BuildStatement, beside};
use crate::postgres::restore::load::setting_statement::changes_session;
use std::collections::BTreeSet;

/// Most bytes of statements that are held back.
const MOST: usize = 256 << 20;

/// A statement of the script.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HeldStatement {
    line: u64,
    text: Vec<u8>,
}

/// The statements behind the rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeldStatements {
    /// Settings of the script before the first statement that is held.
    session: Vec<u8>,
    held: Vec<HeldStatement>,
    bytes: usize,
}

/// The statements that were held back, by what is done with them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct DividedStatements {
    /// Statements that are run before the changes, with the lines of the script.
    pub now: Vec<(u64, Vec<u8>)>,
    /// The script of all that is done behind them, with all settings that it needs.
    pub later: Vec<u8>,
}

impl HeldStatements {
    /// Takes a statement. Returns false if it is to be run in its place: it comes before all that is held back.
    pub fn take(&mut self, line: u64, text: &[u8]) -> Result<bool> {
        if self.held.is_empty() && !begins(text) {
            if changes_session(text) {
                self.session.extend_from_slice(text);
                self.session.push(b'\n');
            }
            return Ok(false);
        }
        self.bytes += text.len();
        if self.bytes > MOST {
            let message = format!(
                "line {line}: what the dump defines behind its rows has more than {} MiB, and cannot be held back until the changes are replayed",
                MOST >> 20
            );
            return Err(Fault::failed(message).hint("restore the backup as it is: leave out --at").into());
        }
        self.held.push(HeldStatement { line, text: text.to_vec() });
        Ok(true)
    }

    /// Divides what was held back. What changes the session belongs to both parts.
    pub fn divided(self) -> DividedStatements {
        let identities: BTreeSet<String> = self.held.iter().filter_map(|held| identity(&held.text)).collect();
        let mut divided = DividedStatements { now: Vec::new(), later: self.session };
        for HeldStatement { line, text } in self.held {
            let sets = changes_session(&text);
            let is_key = finds_rows(&text, &identities);
            if sets || !is_key {
                divided.later.extend_from_slice(&text);
                divided.later.push(b'\n');
            }
            if sets || is_key {
                divided.now.push((line, text));
            }
        }
        divided
    }
}

/// Returns whether a statement is one that comes behind the rows in what pg_dump writes.
fn begins(text: &[u8]) -> bool {
    const BEHIND: [&[&str]; 9] = [
        &["create", "trigger"],
        &["create", "constraint", "trigger"],
        &["create", "event", "trigger"],
        &["create", "rule"],
        &["create", "policy"],
        &["create", "publication"],
        &["create", "subscription"],
        &["create", "statistics"],
        &["refresh", "materialized", "view"],
    ];
    let of_table = |build| !matches!(build, BuildStatement::OfTable { .. } | BuildStatement::OfIndex { .. });
    BEHIND.iter().any(|words| Tokens::new(text).accept(words)) || BuildStatement::of(text).is_some_and(of_table)
}

/// Returns whether single rows are found by what this statement makes.
fn finds_rows(text: &[u8], identities: &BTreeSet<String>) -> bool {
    match BuildStatement::of(text) {
        Some(BuildStatement::Key { index, .. }) => identities.contains(&index) || is_primary(text),
        Some(BuildStatement::Index { index, .. }) => identities.contains(&index),
        _ => identity(text).is_some(),
    }
}

/// Returns whether a statement that adds a constraint adds a primary key.
fn is_primary(text: &[u8]) -> bool {
    let mut tokens = Tokens::new(text);
    tokens.accept(&["alter", "table"]);
    tokens.accept(&["only"]);
    tokens.take_name();
    tokens.accept(&["add", "constraint"]);
    tokens.take_name();
    tokens.accept(&["primary"])
}

/// Returns the index by which a table's rows are identified from this statement on, with the schema. `None`: it says nothing of that.
fn identity(text: &[u8]) -> Option<String> {
    let mut tokens = Tokens::new(text);
    if !tokens.accept(&["alter", "table"]) {
        return None;
    }
    tokens.accept(&["only"]);
    let table = String::from_utf8_lossy(tokens.take_name()?).into_owned();
    if !tokens.accept(&["replica", "identity", "using", "index"]) {
        return None;
    }
    Some(beside(&table, &String::from_utf8_lossy(tokens.take_name()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{hints, kind};

    #[test]
    fn keys_come_before_the_changes_and_all_else_behind_them_each_with_its_settings() {
        let mut held = HeldStatements::default();
        let set = "SET search_path = '';";
        for (line, text) in (1..).zip([set, "CREATE TABLE public.t (id int);", "SELECT pg_catalog.setval('s', 1);"]) {
            assert!(!held.take(line, text.as_bytes()).unwrap(), "{text}");
        }
        let tablespace = "SET default_tablespace = fast;";
        let primary = "ALTER TABLE ONLY public.t\n    ADD CONSTRAINT t_pkey PRIMARY KEY (id);";
        let unique = "ALTER TABLE ONLY public.t ADD CONSTRAINT \"primary\" UNIQUE (a);";
        let index = "CREATE UNIQUE INDEX i ON public.u USING btree (a);";
        let other = "CREATE INDEX j ON other.u USING btree (a);";
        let identity = "ALTER TABLE ONLY public.u REPLICA IDENTITY USING INDEX i;";
        let trigger = "CREATE TRIGGER g AFTER INSERT ON public.t EXECUTE FUNCTION f();";
        let foreign = "ALTER TABLE ONLY public.t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES public.u(a);";
        for (line, text) in (4..).zip([unique, tablespace, primary, index, other, identity, trigger, foreign]) {
            assert!(held.take(line, text.as_bytes()).unwrap(), "{text}");
        }
        let DividedStatements { now, later } = held.divided();
        let now: Vec<(u64, &str)> = now.iter().map(|(line, text)| (*line, str::from_utf8(text).unwrap())).collect();
        assert_eq!(now, [(5, tablespace), (6, primary), (7, index), (9, identity)]);
        let later = String::from_utf8(later).unwrap();
        assert_eq!(later, [set, unique, tablespace, other, trigger, foreign].map(|text| format!("{text}\n")).concat());
    }

    #[test]
    fn definitions_without_end_are_refused_before_they_fill_the_memory() {
        let full = HeldStatements { bytes: MOST, ..HeldStatements::default() };
        let error = full.clone().take(7, b"CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING;").unwrap_err();
        assert!(
            format!("{error:#}").starts_with("line 7: what the dump defines behind its rows has more than 256 MiB")
        );
        assert_eq!((kind(&error).exit_code(), hints(&error)[0]), (1, "restore the backup as it is: leave out --at"));
        assert!(!full.clone().take(7, b"SELECT 1;").unwrap(), "what is not held back has no limit");
    }

    #[test]
    fn a_dump_without_keys_holds_its_triggers_and_rules_back_all_the_same() {
        for text in [
            "CREATE TRIGGER g AFTER INSERT ON public.t EXECUTE FUNCTION f();",
            "CREATE RULE r AS ON INSERT TO public.t DO INSTEAD NOTHING;",
            "CREATE CONSTRAINT TRIGGER g AFTER INSERT ON public.t EXECUTE FUNCTION f();",
            "CREATE INDEX i ON public.t USING btree (a);",
        ] {
            assert!(HeldStatements::default().take(1, text.as_bytes()).unwrap(), "{text}");
        }
    }
}
