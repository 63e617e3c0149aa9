//! Statements of a script that change the session, and nothing else.

use crate::format::sql::tokens::{Token, Tokens};

/// Returns whether a statement says in which tablespace what comes next is.
pub(crate) fn sets_tablespace(text: &[u8]) -> bool {
    Tokens::new(text).accept(&["set", "default_tablespace"])
}

/// Returns whether a statement changes the session that it runs in.
pub(crate) fn changes_session(text: &[u8]) -> bool {
    let mut tokens = Tokens::new(text);
    match tokens.next() {
        Some(verb) if verb.is("set") || verb.is("reset") => true,
        Some(verb) if verb.is("select") => {
            tokens.any(|token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(b"set_config")))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_the_session_is_known_and_the_tablespace_apart() {
        for text in [
            "SET check_function_bodies = false;",
            "RESET ALL;",
            "SELECT pg_catalog.set_config('search_path', '', false);",
            "SET SESSION AUTHORIZATION 'a';",
        ] {
            assert!(changes_session(text.as_bytes()) && !sets_tablespace(text.as_bytes()), "{text}");
        }
        for text in ["SELECT pg_catalog.setval('public.s', 1, true);", "CREATE TABLE set_config ();"] {
            assert!(!changes_session(text.as_bytes()), "{text}");
        }
        assert!(sets_tablespace(b"SET default_tablespace = '';"));
    }
}
