//! Runs commands from a script, and lets the server decide where each one ends.
//!
//! A message of the extended protocol takes exactly one command, and the server refuses a second one before it runs the first. So a
//! script cannot hide a second command in a literal, a comment or a function's body: every command that runs has been checked.

use postgres::{Error, GenericClient};

/// Functions with which `pg_dump` restores sequences, settings and large objects. The driver asks for results in binary only, and
/// theirs can be had so.
const KNOWN: [&str; 7] = ["setval", "set_config", "lo_create", "lo_open", "lowrite", "lo_close", "binary_upgrade"];

/// Runs the one command in this text. A second command is an error (SQLSTATE 42601), and nothing of the text has run then.
pub(crate) fn run(session: &mut impl GenericClient, text: &str) -> Result<(), Error> {
    if !selects_anything(text) {
        return session.execute_typed(text, &[]).map(drop);
    }
    // Results of some types cannot be had in binary. The simple protocol gives all of them as text, and takes any number of commands;
    // so the server first says that there is one.
    session.prepare(text)?;
    session.batch_execute(text)
}

/// Returns whether the command returns rows whose types are not known beforehand.
fn selects_anything(text: &str) -> bool {
    let starts = |keyword: &str| text.get(..keyword.len()).is_some_and(|start| start.eq_ignore_ascii_case(keyword));
    if !["select", "values", "with", "table", "("].iter().any(|keyword| starts(keyword)) {
        return false;
    }
    let called = text.strip_prefix("SELECT pg_catalog.").unwrap_or_default();
    !KNOWN.iter().any(|function| called.starts_with(function))
}

#[cfg(test)]
mod tests {
    use super::selects_anything;

    #[test]
    fn rows_of_any_type_are_told_from_what_a_dump_calls() {
        for (text, anything) in [
            ("SELECT pg_catalog.setval('s', 1, false);", false),
            ("SELECT pg_catalog.lowrite(0, '\\x00');", false),
            ("select f();", true),
            ("WITH a AS (SELECT 1) SELECT * FROM a;", true),
            ("(SELECT 1);", true),
            ("CREATE TABLE t (a int);", false),
            ("INSERT INTO t VALUES (1);", false),
        ] {
            assert_eq!(selects_anything(text), anything, "{text}");
        }
    }
}
