//! Rewrites the literals of a dump that was made with `standard_conforming_strings = off`, for a server that no longer has that
//! setting: there a backslash means itself unless an `E` precedes the literal.

use std::borrow::Cow;

/// Returns the statement with an `E` before each literal that has a backslash, so that it means the same where a backslash does not
/// escape by itself.
pub fn with_escapes(statement: &[u8]) -> Cow<'_, [u8]> {
    if !statement.contains(&b'\\') {
        return Cow::Borrowed(statement);
    }
    let mut written = Vec::with_capacity(statement.len() + 16);
    let mut at = 0;
    while at < statement.len() {
        let rest = &statement[at..];
        let end = at + length(rest, before(statement, at));
        if rest[0] == b'\'' && !is_escaping(statement, at) && statement[at..end].contains(&b'\\') {
            // A blank, so that no word before it gains a letter.
            written.extend_from_slice(b" E");
        }
        written.extend_from_slice(&statement[at..end]);
        at = end;
    }
    Cow::Owned(written)
}

fn before(statement: &[u8], at: usize) -> u8 {
    at.checked_sub(1).map_or(b' ', |at| statement[at])
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

/// Returns whether the literal that begins there has an `E` of its own.
fn is_escaping(statement: &[u8], at: usize) -> bool {
    let letter = matches!(before(statement, at), b'e' | b'E');
    letter && !is_word(before(statement, at.saturating_sub(1)))
}

/// Returns the length of the piece at the beginning of the rest: a literal, a quoted name, a comment, a dollar quote, or one byte.
fn length(rest: &[u8], before: u8) -> usize {
    match rest {
        [b'\'', ..] => quoted(rest, b'\'', true),
        [b'"', ..] => quoted(rest, b'"', false),
        [b'-', b'-', ..] => memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len()),
        [b'/', b'*', ..] => comment(rest),
        [b'$', ..] if !is_word(before) => dollars(rest).unwrap_or(1),
        _ => 1,
    }
}

fn quoted(rest: &[u8], quote: u8, escapes: bool) -> usize {
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        at += match byte {
            b'\\' if escapes => 2,
            byte if *byte == quote && rest.get(at + 1) == Some(&quote) => 2,
            byte if *byte == quote => return at + 1,
            _ => 1,
        };
    }
    rest.len()
}

/// Returns the length of a comment, which may hold comments.
fn comment(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (2, 1);
    while depth > 0 && at < rest.len() {
        at += match &rest[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
    }
    at.min(rest.len())
}

fn dollars(rest: &[u8]) -> Option<usize> {
    let end = 1 + rest[1..].iter().position(|byte| !is_word(*byte) || *byte == b'$')?;
    if rest[end] != b'$' || rest[1].is_ascii_digit() {
        return None;
    }
    let tag = &rest[..=end];
    let close = memchr::memmem::find(&rest[tag.len()..], tag)?;
    Some(close + 2 * tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(statement: &str) -> String {
        String::from_utf8(with_escapes(statement.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn a_literal_with_a_backslash_gains_an_e_and_nothing_else_changes() {
        for (before, after) in [
            (r"INSERT INTO t VALUES ('a\\b', 'it\'s', 'c');", r"INSERT INTO t VALUES ( E'a\\b',  E'it\'s', 'c');"),
            (r"COMMENT ON TABLE t IS '\\';", r"COMMENT ON TABLE t IS  E'\\';"),
            (r"SELECT E'a\\b', e'c\'d', 'e''f\\';", r"SELECT E'a\\b', e'c\'d',  E'e''f\\';"),
            (r"SELECT 'a\\'", r"SELECT  E'a\\'"),
            (r#"SELECT "a\", 'b\\';"#, r#"SELECT "a\",  E'b\\';"#),
            (r"SELECT $$ 'a\b' $$, $f$ '\' $f$, 'c\\';", r"SELECT $$ 'a\b' $$, $f$ '\' $f$,  E'c\\';"),
            ("SELECT 1 -- 'a\\'\n, 'b\\\\' /* '\\ /* ' */ */;", "SELECT 1 -- 'a\\'\n,  E'b\\\\' /* '\\ /* ' */ */;"),
            (r"SELECT the'\\';", r"SELECT the E'\\';"),
            (r"SELECT typee'\\';", r"SELECT typee E'\\';"),
        ] {
            assert_eq!(written(before), after);
        }
        for same in ["SELECT 'a';", "", r"SELECT E'\\';", "SELECT $$\\$$;", "SELECT 'it''s';", "-- \\"] {
            assert_eq!(written(same), same);
        }
    }

    proptest! {
        /// The server reads what was meant: each literal, read by its own rule, is the same before and after.
        #[test]
        fn every_literal_means_the_same_afterwards(texts in proptest::collection::vec("[a-c\\\\' é]{0,8}", 1..5)) {
            let quoted = |text: &String| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
            let before = format!("SELECT {};", texts.iter().map(quoted).collect::<Vec<_>>().join(", "));
            let after = written(&before);
            let expected: Vec<String> = texts
                .iter()
                .map(|text| if text.contains('\\') { format!(" E{}", quoted(text)) } else { quoted(text) })
                .collect();
            prop_assert_eq!(after.clone(), format!("SELECT {};", expected.join(", ")));
            prop_assert_eq!(written(&after), after);
        }

        #[test]
        fn no_statement_makes_it_panic_or_lose_a_byte(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            let after = with_escapes(&text).into_owned();
            prop_assert!(after.len() >= text.len());
        }
    }
}
