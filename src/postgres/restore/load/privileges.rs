//! Removes privileges that an older server than the source does not know.

use crate::format::sql::tokens::{Token, Tokens};

/// The privilege that servers have since version 17.
const MAINTAIN: &str = "maintain";
pub(crate) const MAINTAIN_SINCE: u32 = 170_000;

/// The rest of a statement without MAINTAIN.
#[derive(Debug, PartialEq)]
pub(crate) enum StatementRest {
    /// The statement does not name it.
    Whole,
    Part(Vec<u8>),
    /// The statement names no other privilege.
    Nothing,
}

/// Removes MAINTAIN from `GRANT`, `REVOKE` and `ALTER DEFAULT PRIVILEGES`, as `pg_dump` writes them.
pub(crate) fn without_maintain(text: &[u8]) -> StatementRest {
    let Some(list) = list(text) else { return StatementRest::Whole };
    let (before, listed, after) = (&text[..list.0], &text[list.0..list.1], &text[list.1..]);
    let all: Vec<&[u8]> = parts(listed).into_iter().map(<[u8]>::trim_ascii).collect();
    let kept: Vec<&[u8]> = all.iter().copied().filter(|part| !part.eq_ignore_ascii_case(MAINTAIN.as_bytes())).collect();
    match (kept.len(), kept.len() == all.len()) {
        (_, true) => StatementRest::Whole,
        (0, false) => StatementRest::Nothing,
        (_, false) => StatementRest::Part([before, b" ", &kept.join(&b","[..]), after].concat()),
    }
}

/// Returns the positions of the list of privileges and of the `ON` behind it; `None` if the statement has no such list.
fn list(text: &[u8]) -> Option<(usize, usize)> {
    let mut tokens = Tokens::new(text);
    let at = |tokens: &Tokens<'_>| text.len() - tokens.rest().len();
    let is_verb = |token: &Token<'_>| token.is("grant") || token.is("revoke");
    let first = tokens.next()?;
    if first.is("alter") && tokens.accept(&["default", "privileges"]) {
        tokens.by_ref().find(is_verb)?;
    } else if !is_verb(&first) {
        return None;
    }
    tokens.accept(&["grant", "option", "for"]);
    let begin = at(&tokens);
    let mut depth = 0;
    loop {
        let end = at(&tokens);
        match tokens.next()? {
            Token::Mark(b'(') => depth += 1,
            Token::Mark(b')') => depth -= 1,
            token if depth == 0 && token.is("on") => return Some((begin, end)),
            _ => {}
        }
    }
}

/// Splits a list at the commas that are in no parentheses.
fn parts(listed: &[u8]) -> Vec<&[u8]> {
    let mut depth = 0;
    listed
        .split(|byte| {
            depth += i32::from(*byte == b'(') - i32::from(*byte == b')');
            depth == 0 && *byte == b','
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maintain_is_taken_out_of_whatever_grants_or_revokes_it_and_nothing_else_is_touched() {
        for (text, left) in [
            ("GRANT SELECT,MAINTAIN ON TABLE public.t TO a;", Some("GRANT SELECT ON TABLE public.t TO a;")),
            (
                "GRANT MAINTAIN,UPDATE ON TABLE t TO a WITH GRANT OPTION;",
                Some("GRANT UPDATE ON TABLE t TO a WITH GRANT OPTION;"),
            ),
            (
                "REVOKE GRANT OPTION FOR SELECT,MAINTAIN ON TABLE t FROM a;",
                Some("REVOKE GRANT OPTION FOR SELECT ON TABLE t FROM a;"),
            ),
            ("GRANT MAINTAIN ON TABLE t TO a;", Some("")),
            (
                "ALTER DEFAULT PRIVILEGES FOR ROLE r IN SCHEMA s GRANT SELECT(a, b),MAINTAIN ON TABLES TO a;",
                Some("ALTER DEFAULT PRIVILEGES FOR ROLE r IN SCHEMA s GRANT SELECT(a, b) ON TABLES TO a;"),
            ),
            ("ALTER DEFAULT PRIVILEGES FOR ROLE r GRANT MAINTAIN ON TABLES TO a;", Some("")),
            ("GRANT SELECT ON TABLE maintain TO maintain;", None),
            ("GRANT SELECT(maintain) ON TABLE t TO a;", None),
            ("GRANT ALL ON TABLE t TO a;", None),
            ("GRANT maintain TO a;", None),
            ("CREATE TABLE maintain ();", None),
        ] {
            let expected = match left {
                None => StatementRest::Whole,
                Some("") => StatementRest::Nothing,
                Some(left) => StatementRest::Part(left.as_bytes().to_vec()),
            };
            assert_eq!(without_maintain(text.as_bytes()), expected, "{text}");
        }
    }
}
