//! Writes values as SQL literals and as the rows of COPY. Both stay on one line, whatever the value holds.

/// Appends a value as a literal that reads the same under `standard_conforming_strings = on`. One with controls becomes an `E'…'`, in which
/// they are escaped.
pub(crate) fn push_literal(value: &[u8], to: &mut Vec<u8>) {
    let escapes = value.iter().any(u8::is_ascii_control);
    to.extend_from_slice(if escapes { b"E'" } else { b"'" });
    let mut rest = value;
    while let Some(at) = rest.iter().position(|byte| is_special(*byte, escapes)) {
        to.extend_from_slice(&rest[..at]);
        push_special(rest[at], to);
        rest = &rest[at + 1..];
    }
    to.extend_from_slice(rest);
    to.push(b'\'');
}

fn is_special(byte: u8, escapes: bool) -> bool {
    byte == b'\'' || escapes && (byte == b'\\' || byte.is_ascii_control())
}

fn push_special(byte: u8, to: &mut Vec<u8>) {
    match byte {
        b'\'' => to.extend_from_slice(b"''"),
        b'\\' => to.extend_from_slice(b"\\\\"),
        b'\n' => to.extend_from_slice(b"\\n"),
        b'\r' => to.extend_from_slice(b"\\r"),
        b'\t' => to.extend_from_slice(b"\\t"),
        control => {
            to.extend_from_slice(b"\\x");
            to.extend_from_slice(hex::encode([control]).as_bytes());
        }
    }
}

/// Returns where a literal or a name ends whose opening quote is here; the end of the text if it does not end. A doubled quote does not end
/// it. `has_escapes`: nor does one behind a backslash.
pub(crate) fn quoted_end(text: &[u8], begin: usize, has_escapes: bool) -> usize {
    let Some(quote) = text.get(begin) else { return text.len() };
    let mut at = begin + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' if has_escapes => at += 2,
            byte if byte == quote && text.get(at + 1) == Some(quote) => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// Appends a value as a column of a row of COPY in text format, as `COPY … TO` writes it.
pub(crate) fn push_copy_value(value: &[u8], to: &mut Vec<u8>) {
    let mut rest = value;
    while let Some(at) = rest.iter().position(|byte| copy_escape(*byte).is_some()) {
        to.extend_from_slice(&rest[..at]);
        to.push(b'\\');
        to.extend(copy_escape(rest[at]));
        rest = &rest[at + 1..];
    }
    to.extend_from_slice(rest);
}

/// Returns what COPY writes behind a backslash for this byte. `None`: the byte stands for itself.
fn copy_escape(byte: u8) -> Option<u8> {
    match byte {
        b'\\' => Some(b'\\'),
        0x08 => Some(b'b'),
        b'\t' => Some(b't'),
        b'\n' => Some(b'n'),
        0x0B => Some(b'v'),
        0x0C => Some(b'f'),
        b'\r' => Some(b'r'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn literal(value: &[u8]) -> Vec<u8> {
        let mut written = Vec::new();
        push_literal(value, &mut written);
        written
    }

    /// Reads a literal as a server with `standard_conforming_strings = on` does.
    fn read(literal: &[u8]) -> Vec<u8> {
        let (escapes, inner) = match literal {
            [b'E', b'\'', inner @ .., b'\''] => (true, inner),
            [b'\'', inner @ .., b'\''] => (false, inner),
            other => panic!("{other:?}"),
        };
        let (mut value, mut at) = (Vec::new(), 0);
        while at < inner.len() {
            let (byte, length) = match &inner[at..] {
                [b'\'', b'\'', ..] => (b'\'', 2),
                [b'\'', ..] => panic!("the literal ends early: {literal:?}"),
                [b'\\', b'n', ..] if escapes => (b'\n', 2),
                [b'\\', b'r', ..] if escapes => (b'\r', 2),
                [b'\\', b't', ..] if escapes => (b'\t', 2),
                [b'\\', b'x', high, low, ..] if escapes => (hex::decode([*high, *low]).unwrap()[0], 4),
                [b'\\', other, ..] if escapes => (*other, 2),
                [byte, ..] => (*byte, 1),
                [] => unreachable!(),
            };
            value.push(byte);
            at += length;
        }
        value
    }

    #[test]
    fn a_value_is_quoted_plainly_unless_it_has_controls() {
        for (value, written) in [
            ("", "''"),
            ("it's", "'it''s'"),
            (r"a\b", r"'a\b'"),
            ("a\nb\\'", r"E'a\nb\\'''"),
            ("\u{1}\r\t\u{7f}", r"E'\x01\r\t\x7f'"),
            ("ü€", "'ü€'"),
        ] {
            assert_eq!(String::from_utf8(literal(value.as_bytes())).unwrap(), written);
        }
    }

    #[test]
    fn a_row_of_copy_is_escaped_as_the_server_escapes_it() {
        let mut written = Vec::new();
        push_copy_value(b"a\tb\nc\\d\re\x08\x0B\x0C\x01\\.", &mut written);
        assert_eq!(written, b"a\\tb\\nc\\\\d\\re\\b\\v\\f\x01\\\\.");
    }

    proptest! {
        #[test]
        fn any_value_comes_back_from_its_literal_on_one_line(
            value in proptest::collection::vec(prop_oneof![1u8..=255, Just(b'\''), Just(b'\\'), Just(b'\n')], 0..60)
        ) {
            let written = literal(&value);
            prop_assert_eq!(read(&written), value);
            prop_assert!(!written.iter().any(u8::is_ascii_control));
        }
    }
}
