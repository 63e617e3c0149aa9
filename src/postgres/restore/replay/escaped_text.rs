//! Writes statements of a database without an encoding as text: what is no UTF-8 becomes escapes, of which the server makes the same bytes.

use crate::format::sql::literal::quoted_end;
use std::fmt::Write;

/// Returns statements in which each literal that is no UTF-8 is written with escapes. `None`: a name is none, or what stands between.
pub(super) fn escaped(text: &[u8]) -> Option<String> {
    let mut all = String::with_capacity(2 * text.len());
    let (mut at, mut begun) = (0, 0);
    while at < text.len() {
        match text[at] {
            b'"' => at = quoted_end(text, at, false),
            b'\'' => {
                let is_escaped = at > begun && text[at - 1] == b'E';
                let after = quoted_end(text, at, is_escaped);
                let literal = &text[at..after];
                if std::str::from_utf8(literal).is_err() {
                    let before = if is_escaped { at - 1 } else { at };
                    all.push_str(std::str::from_utf8(&text[begun..before]).ok()?);
                    write(&mut all, literal, is_escaped);
                    begun = after;
                }
                at = after;
            }
            _ => at += 1,
        }
    }
    all.push_str(std::str::from_utf8(&text[begun..]).ok()?);
    Some(all)
}

fn write(all: &mut String, literal: &[u8], is_escaped: bool) {
    all.push('E');
    for byte in literal {
        match *byte {
            b'\\' if !is_escaped => all.push_str("\\\\"),
            byte if byte.is_ascii() => all.push(byte.into()),
            // Writing to a string does not fail.
            byte => drop(write!(all, "\\x{byte:02x}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_literals_that_are_no_utf8_are_written_anew() {
        for (text, due) in [
            (
                &b"INSERT INTO \"t'\" VALUES ('a''b', '\xc3\xa4');\n"[..],
                "INSERT INTO \"t'\" VALUES ('a''b', '\u{e4}');\n",
            ),
            (b"UPDATE \"t\" SET \"v\"='\xff''\\x'", r#"UPDATE "t" SET "v"=E'\xff''\\x'"#),
            (b"VALUES ('1',E'\\n\\'\xe4\\\\','x')", r"VALUES ('1',E'\n\'\xe4\\','x')"),
            (b"VALUES ('\xe41','\xff')", r"VALUES (E'\xe41',E'\xff')"),
        ] {
            assert_eq!(escaped(text).as_deref(), Some(due));
        }
        assert_eq!(escaped(b"DELETE FROM \"\xe4\""), None);
        for cut in [&b"'\xff"[..], b"E'\xff\\", b"\""] {
            assert!(escaped(cut).is_some());
        }
    }
}
