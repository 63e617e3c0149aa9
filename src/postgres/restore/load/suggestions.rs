//! Suggests the next command after the server refused a statement.

use crate::format::sql::requirements::owner;
use crate::format::sql::tokens::Tokens;
use postgres::error::SqlState;

/// Returns a suggestion for this statement and this SQLSTATE; `None` if there is nothing to do but to read the server's message.
pub(crate) fn next_step(code: &SqlState, text: &[u8]) -> Option<String> {
    if !may_be_refused(code) {
        return None;
    }
    let may_not = *code == SqlState::INSUFFICIENT_PRIVILEGE;
    match instead(text) {
        Some(option) if may_not => {
            return Some(format!("connect as a role that may (DB_USER), or restore with {option}"));
        }
        Some(option) => return Some(format!("restore with {option}")),
        // An owner whom the policies of his own tables bind; who restores may not be bound.
        None if may_not && Tokens::new(text).accept(&["refresh"]) => {
            return Some("connect as a role that may (DB_USER), or restore with --no-owner".to_owned());
        }
        None => {}
    }
    if Tokens::new(text).accept(&["set", "default_tablespace"]) {
        return Some(
            "\"pgbk restore latest --database @globals\" makes the tablespace, --no-tablespaces does without".into(),
        );
    }
    if let Some(name) = extension(text) {
        return Some(format!(
            "let an administrator make the extension in the target first, leave it out with --exclude-extension {name}, or restore all else with --skip-failed"
        ));
    }
    if *code == SqlState::FOREIGN_KEY_VIOLATION && Tokens::new(text).accept(&["copy"]) {
        return Some(
            "the rows that these refer to must be there first: choose those tables as well (--table for each), and they are loaded before".into(),
        );
    }
    let step = NEXT.iter().find(|(begins, _)| begins.iter().any(|begin| code.code().starts_with(begin)));
    step.map(|(_, step)| (*step).to_owned())
}

/// Returns the extension that a statement creates; `None` if it creates none.
fn extension(text: &[u8]) -> Option<String> {
    let mut tokens = Tokens::new(text);
    let makes = tokens.accept(&["create", "extension"]);
    tokens.accept(&["if", "not", "exists"]);
    tokens.next().filter(|_| makes)?.name()
}

/// Suggestions by the beginning of the SQLSTATE; the first that fits counts.
const NEXT: &[(&[&str], &str)] = &[
    (&["42501"], "connect as a role that may (DB_USER), or restore all else with --skip-failed"),
    (
        &["42883", "42P01", "42704", "3F000"],
        "a dump finds names in no schema by itself: name the schemas of the source that hold them (--search-path public,ext), or restore all else with --skip-failed",
    ),
    (
        &["0A", "22023", "42601", "P0001"],
        "this server or its version may lack what the source had: restore all else with --skip-failed",
    ),
    (&["2BP01"], "choose what needs it as well (--table for each), or drop that yourself first"),
    (&["22", "23"], "restore all else with --skip-failed, which leaves out what is refused and names it"),
];

/// Returns the option of a restore that leaves out such a statement, if it sets an owner or privileges.
fn instead(text: &[u8]) -> Option<&'static str> {
    let mut tokens = Tokens::new(text);
    match tokens.next()? {
        verb if verb.is("grant") || verb.is("revoke") => Some("--no-privileges"),
        verb if verb.is("alter") && tokens.accept(&["default", "privileges"]) => Some("--no-privileges"),
        verb if verb.is("alter") => owner(tokens).map(|_| "--no-owner"),
        _ => None,
    }
}

/// Returns whether the statement may be the reason for the error. A server that stops, has no room or was interrupted would refuse
/// every statement from here on.
pub(crate) fn may_be_refused(code: &SqlState) -> bool {
    let of_the_moment = ["08", "25", "40", "53", "55P", "57", "58", "F0", "XX"];
    !of_the_moment.iter().any(|class| code.code().starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_next_command() {
        for (code, text, command) in [
            ("42501", "ALTER TABLE public.t OWNER TO a;", Some("--no-owner")),
            ("42501", "GRANT SELECT ON public.t TO a;", Some("--no-privileges")),
            ("42501", "ALTER EVENT TRIGGER e OWNER TO a;", Some("--no-owner")),
            ("0LP01", "REVOKE ALL ON TABLE public.prod_history FROM a;", Some("--no-privileges")),
            ("P0001", "ALTER TABLE public.t OWNER TO a;", Some("--no-owner")),
            ("42501", "REFRESH MATERIALIZED VIEW public.v;", Some("--no-owner")),
            ("42501", "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f();", Some("--skip-failed")),
            ("42704", "SET default_tablespace = fast;", Some("--database @globals")),
            ("42883", "CREATE TRIGGER t;", Some("--search-path public")),
            ("23503", "COPY public.t (i) FROM stdin;", Some("--table for each")),
            (
                "23503",
                "ALTER TABLE ONLY public.t ADD CONSTRAINT k FOREIGN KEY (i) REFERENCES u(i);",
                Some("--skip-failed"),
            ),
            ("2BP01", "DROP TABLE IF EXISTS public.t;", Some("--table for each")),
            ("23514", "COPY public.t (i) FROM stdin;", Some("--skip-failed")),
            ("P0001", "CREATE EXTENSION IF NOT EXISTS pg_cron WITH SCHEMA x;", Some("--exclude-extension pg_cron")),
            ("42704", "CREATE EXTENSION pg_cron;", Some("--exclude-extension pg_cron")),
            ("53100", "CREATE EXTENSION pg_cron;", None),
            ("53100", "COPY public.t (i) FROM stdin;", None),
        ] {
            let step = next_step(&SqlState::from_code(code), text.as_bytes());
            assert_eq!(
                step.as_deref().is_some_and(|step| command.is_some_and(|command| step.contains(command))),
                command.is_some(),
                "{code}"
            );
        }
    }
}
