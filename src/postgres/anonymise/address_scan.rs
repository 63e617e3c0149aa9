//! Looks for e-mail addresses in rows on their way to an anonymised backup.
//!
//! It finds no more than the default for columns without a rule replaces: see [`address_pattern`](super::address_pattern).

use memchr::memchr;
use memchr::memmem::Finder;

/// The domain of the addresses that pgbk makes.
const OWN: &[u8] = b"example.com";
/// An `@` as it is, and as the address of a link has it.
const AT: u8 = b'@';
const LINK_AT: &[u8] = b"%40";

/// Says which columns of a table must hold no addresses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AddressScan {
    /// The table, for messages.
    pub table: String,
    pub columns: Vec<ScannedColumn>,
}

/// A column, in the order of the table's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ScannedColumn {
    pub name: String,
    /// Whether the rules say that it may hold addresses.
    pub may_hold_any: bool,
}

/// Counts the rows of one statement, and keeps the first address that must not be there.
#[derive(Debug, Default)]
pub(crate) struct ScannedRows {
    rows: u64,
    /// Says where it stands; never what it is.
    pub found: Option<String>,
}

impl ScannedRows {
    /// Looks at whole rows of COPY's text, each with its line end.
    pub fn look(&mut self, scan: &AddressScan, text: &[u8]) {
        if self.found.is_some() || !may_hold_one(text) {
            // Few have any.
            self.rows += memchr::memchr_iter(b'\n', text).count() as u64;
            return;
        }
        for row in text.split_inclusive(|byte| *byte == b'\n') {
            self.rows += 1;
            let fields = row.strip_suffix(b"\n").unwrap_or(row).split(|byte| *byte == b'\t');
            for (number, field) in fields.enumerate() {
                let column = scan.columns.get(number);
                if column.is_none_or(|column| !column.may_hold_any) && holds_address(field) {
                    let name = column.map_or("?", |column| column.name.as_str());
                    self.found = Some(format!("column \"{name}\" of {}, row {} as it was read", scan.table, self.rows));
                    return;
                }
            }
        }
    }
}

fn may_hold_one(text: &[u8]) -> bool {
    memchr(AT, text).is_some() || Finder::new(LINK_AT).find(text).is_some()
}

/// Returns whether a text holds what looks like an e-mail address, other than those that pgbk makes. In COPY's text a backslash begins
/// a sign that is escaped.
pub(crate) fn holds_address(text: &[u8]) -> bool {
    let (mut at, mut taken) = (0, 0);
    while let Some((place, length)) = next_at(text, at) {
        let behind = place + length;
        if place > taken && is_local_end(text, place) {
            match domain(&text[behind..]) {
                Some(found) if !text[behind..behind + found].eq_ignore_ascii_case(OWN) => return true,
                // What belongs to one address is in no other.
                Some(found) => taken = behind + found,
                None => {}
            }
        }
        at = behind;
    }
    false
}

/// Returns the place and the length of the next `@`.
fn next_at(text: &[u8], from: usize) -> Option<(usize, usize)> {
    let rest = &text[from..];
    let plain = memchr(AT, rest).map(|at| (from + at, 1));
    let link = Finder::new(LINK_AT).find(&rest[..plain.map_or(rest.len(), |(at, _)| at - from)]);
    link.map(|at| (from + at, LINK_AT.len())).or(plain)
}

/// Returns whether the part before an `@` can end here.
fn is_local_end(text: &[u8], at: usize) -> bool {
    let before = &text[..at];
    let Some((last, rest)) = before.split_last() else { return false };
    // A letter behind a backslash is a line break or the like.
    let slashes = rest.iter().rev().take_while(|byte| **byte == b'\\').count();
    is_sign(*last) && slashes % 2 == 0
}

/// Returns the length of a domain at the beginning of the text: names with dots between them, the last of two signs or more, of which
/// the first is no digit. `None`: there is none.
fn domain(text: &[u8]) -> Option<usize> {
    let end = text.iter().position(|byte| !is_sign(*byte)).unwrap_or(text.len());
    let (mut begin, mut found) = (0, None);
    for (number, name) in text[..end].split(|byte| *byte == b'.').enumerate() {
        if name.is_empty() {
            break;
        }
        if number > 0 && name.len() > 1 && !name[0].is_ascii_digit() {
            found = Some(begin + name.len());
        }
        begin += name.len() + 1;
    }
    found
}

/// Returns whether an address may hold this sign.
fn is_sign(byte: u8) -> bool {
    !matches!(
        byte,
        b'\t'
            ..=b'\r'
                | b' '
                | b']'
                | b'@'
                | b'<'
                | b'>'
                | b'('
                | b')'
                | b'{'
                | b'}'
                | b'"'
                | b','
                | b':'
                | b';'
                | b'|'
                | b'\''
                | b'\\'
                | b'&'
                | b'='
                | b'?'
                | b'/'
                | b'['
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_an_address_is_found_wherever_it_stands_and_pgbk_s_own_are_none() {
        for text in [
            "a@b.de",
            "write to Anna.P+x@mail.example.org, or",
            "{\"a\": \"x@y.de\"}",
            "{a@b.de,none}",
            "mailto:anna%40b.org",
            "line\\nanna@b.org",
            "müller@straße.de",
            "x@example.com.au",
            "nobody@example.com, and x@y.de",
            "a@1.2.de",
            "a@b.cc1",
            "\\\\na@b.de",
        ] {
            assert!(holds_address(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "@",
            "a@b",
            "a@b.c",
            "@b.de",
            " @b.de",
            "left-pad@1.3.10",
            "nobody@example.com",
            "x%40EXAMPLE.com.",
            "nobody@example.com@b.de",
            "\\n@john.doe",
            "say\\t@john.doe",
            "a@.b.de",
            "100%4050.99",
            "nobody@example.com.1",
        ] {
            assert!(!holds_address(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn the_place_of_the_first_is_told_and_columns_that_may_hold_any_are_passed_over() {
        let column = |name: &str, may_hold_any| ScannedColumn { name: name.to_owned(), may_hold_any };
        let scan = AddressScan {
            table: "public.t".to_owned(),
            columns: vec![column("kept", true), column("id", false), column("note", false)],
        };
        let mut rows = ScannedRows::default();
        rows.look(&scan, b"a@b.de\t1\tx\n\\N\t2\ty\n");
        rows.look(&scan, b"\t3\tno\n");
        assert_eq!((rows.rows, rows.found.as_ref()), (3, None));
        rows.look(&scan, b"a@b.de\t4\tx\na@b.de\t5\tsecret@b.de\n");
        rows.look(&scan, b"x\tsecret@b.de\t\n");
        assert_eq!(rows.found.as_deref(), Some("column \"note\" of public.t, row 5 as it was read"));
    }
}
