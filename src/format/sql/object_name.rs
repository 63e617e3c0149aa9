//! Names of tables and columns as a server gives them, and their one spelling in scripts and documents.
//!
//! A name is always quoted. One with controls becomes a `U&"…"`, so that it stays on one line. In comments and documents, which are text,
//! bytes that are no UTF-8 are written as `\DC80` to `\DCFF`, which stand for nothing else; in statements they stand as they are.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest name in bytes: servers allow 63, and some are built to allow more.
const LONGEST_NAME: usize = 1023;

/// Holds a name in the server's encoding: at least one byte, none of them zero.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(Box<[u8]>);

impl ObjectName {
    /// Takes the bytes of a name. `None`: no server has such a name.
    pub fn new(bytes: &[u8]) -> Option<ObjectName> {
        let fits = (1..=LONGEST_NAME).contains(&bytes.len()) && !bytes.contains(&0);
        fits.then(|| ObjectName(bytes.into()))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Appends the name as it stands in a statement.
    pub(crate) fn push_quoted(&self, to: &mut Vec<u8>) {
        push(&self.0, to, |invalid, to| to.extend_from_slice(invalid), self.0.iter().any(u8::is_ascii_control));
    }

    /// Appends the name as it stands in comments and documents.
    pub(crate) fn push_text(&self, to: &mut Vec<u8>) {
        let escapes = self.0.iter().any(u8::is_ascii_control) || std::str::from_utf8(&self.0).is_err();
        let escape = |invalid: &[u8], to: &mut Vec<u8>| {
            invalid.iter().for_each(|byte| to.extend_from_slice(format!("\\DC{byte:02X}").as_bytes()));
        };
        push(&self.0, to, escape, escapes);
    }

    /// Takes a quoted name from the beginning of a text, and returns it with the rest. `None`: none is there. The spelling is not checked.
    pub(crate) fn take(text: &[u8]) -> Option<(ObjectName, &[u8])> {
        let (escapes, inner) = match text {
            [b'"', inner @ ..] => (false, inner),
            [b'U', b'&', b'"', inner @ ..] => (true, inner),
            _ => return None,
        };
        let (mut name, mut at) = (Vec::new(), 0);
        loop {
            match &inner[at..] {
                [b'"', b'"', ..] => (name.push(b'"'), at += 2),
                [b'"', rest @ ..] => return Some((ObjectName::new(&name)?, rest)),
                [b'\\', b'\\', ..] if escapes => (name.push(b'\\'), at += 2),
                [b'\\', digits @ ..] if escapes => (name.push(escaped(digits.get(..4)?)?), at += 5),
                [byte, ..] if name.len() <= LONGEST_NAME => (name.push(*byte), at += 1),
                _ => return None,
            };
        }
    }
}

fn push(name: &[u8], to: &mut Vec<u8>, invalid: impl Fn(&[u8], &mut Vec<u8>), escapes: bool) {
    to.extend_from_slice(if escapes { b"U&\"" } else { b"\"" });
    for chunk in name.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'"' => to.extend_from_slice(b"\"\""),
                b'\\' if escapes => to.extend_from_slice(b"\\\\"),
                control if control.is_ascii_control() => to.extend_from_slice(format!("\\{control:04x}").as_bytes()),
                byte => to.push(byte),
            }
        }
        invalid(chunk.invalid(), to);
    }
    to.push(b'"');
}

/// Returns the byte that four digits stand for. `None`: they are not those of a control, or of a byte that is no UTF-8.
fn escaped(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
    match u16::from_str_radix(digits, 16).ok()? {
        code @ (0x01..=0x1F | 0x7F) => Some(code as u8),
        code @ 0xDC80..=0xDCFF => Some(code as u8),
        _ => None,
    }
}

/// Holds the full name of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    pub schema: ObjectName,
    pub name: ObjectName,
}

impl TableName {
    /// Returns the name as it stands in comments and documents, such as `"public"."My Table"`.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        self.schema.push_text(&mut text);
        text.push(b'.');
        self.name.push_text(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Appends the name as it stands in a statement.
    pub(crate) fn push_quoted(&self, to: &mut Vec<u8>) {
        self.schema.push_quoted(to);
        to.push(b'.');
        self.name.push_quoted(to);
    }

    /// Returns the name as it stands in a statement.
    pub fn quoted(&self) -> Vec<u8> {
        let mut quoted = Vec::new();
        self.push_quoted(&mut quoted);
        quoted
    }

    /// Takes a full name from the beginning of a text, and returns it with the rest. `None`: none is there.
    pub(crate) fn take(text: &[u8]) -> Option<(TableName, &[u8])> {
        let (schema, rest) = ObjectName::take(text)?;
        let (name, rest) = ObjectName::take(rest.strip_prefix(b".")?)?;
        Some((TableName { schema, name }, rest))
    }

    /// Reads what [`text`](Self::text) writes. `None`: it would not write this.
    pub fn of_text(text: &str) -> Option<TableName> {
        let (table, rest) = TableName::take(text.as_bytes())?;
        (rest.is_empty() && table.text() == text).then_some(table)
    }
}

impl Serialize for TableName {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for TableName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        TableName::of_text(&text).ok_or_else(|| de::Error::custom("no name of a table as pgbk writes it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(schema: &[u8], name: &[u8]) -> TableName {
        TableName { schema: ObjectName::new(schema).unwrap(), name: ObjectName::new(name).unwrap() }
    }

    #[test]
    fn a_name_is_quoted_and_stays_on_one_line() {
        for (name, statement, text) in [
            (&b"plain"[..], &br#""S"."plain""#[..], r#""S"."plain""#),
            (b"we\"ird\\", br#""S"."we""ird\""#, r#""S"."we""ird\""#),
            (b"a\nb\\c\"", br#""S".U&"a\000ab\\c""""#, r#""S".U&"a\000ab\\c""""#),
            (b"caf\xe9", b"\"S\".\"caf\xe9\"", r#""S".U&"caf\DCE9""#),
            ("größe".as_bytes(), "\"S\".\"größe\"".as_bytes(), "\"S\".\"größe\""),
        ] {
            let table = table(b"S", name);
            assert_eq!((table.quoted().as_slice(), table.text().as_str()), (statement, text));
        }
    }

    #[test]
    fn what_no_server_has_or_pgbk_would_not_write_is_no_name() {
        for name in [&b""[..], b"a\0b", &[b'x'; 1024]] {
            assert_eq!(ObjectName::new(name), None);
        }
        for text in [
            "",
            "a",
            r#""a""#,
            r#""a"."#,
            r#""a".b"#,
            r#""a"."b"."#,
            r#""a"."b" "#,
            r#""a".U&"b""#,
            r#""a".U&"b\0041""#,
            r#""a".U&"b\000A""#,
            r#""a".U&"b\0000""#,
            r#""a".U&"b\dce9""#,
            r#""a".U&"b\DCC3\DCA9""#,
            r#""a".U&"b\00"#,
            "\"a\".\"b\n\"",
            r#""a"."b"#,
            r#"""."b""#,
        ] {
            assert_eq!(TableName::of_text(text), None, "{text}");
        }
        assert_eq!(TableName::of_text(&format!("\"a\".\"{}\"", "x".repeat(1024))), None);
    }

    proptest! {
        #[test]
        fn any_name_comes_back_from_both_spellings(
            name in proptest::collection::vec(prop_oneof![1u8..=255, Just(b'"'), Just(b'\\'), Just(b'\n')], 1..40)
        ) {
            let table = table(&name, &name);
            prop_assert_eq!(TableName::of_text(&table.text()), Some(table.clone()));
            let quoted = table.quoted();
            prop_assert_eq!(TableName::take(&quoted), Some((table, &b""[..])));
            prop_assert!(!quoted.iter().any(u8::is_ascii_control));
        }

        #[test]
        fn no_text_makes_the_reader_of_names_panic(text in "[\"U&\\\\.a0-9DC\n]{0,24}") {
            if let Some(table) = TableName::of_text(&text) {
                prop_assert_eq!(table.text(), text);
            }
        }
    }
}
