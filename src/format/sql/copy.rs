//! COPY blocks: their header and where their rows end.

use crate::format::sql::tokens::{Token, Tokens};
use memchr::memmem;

/// Returns the table that the rows after this statement belong to, as the script writes it: `public."My Table"`. `None`: no rows
/// follow.
pub(crate) fn table(statement: &[u8]) -> Option<String> {
    if !statement.get(..4)?.eq_ignore_ascii_case(b"copy") {
        return None;
    }
    let mut tokens = Tokens::new(statement);
    tokens.next();
    let name = tokens.take_name()?;
    let mut depth = 0;
    while let Some(token) = tokens.next() {
        match token {
            Token::Mark(b'(') => depth += 1,
            Token::Mark(b')') => depth -= 1,
            _ if depth == 0 && token.is("from") => {
                let from_client = tokens.next().is_some_and(|token| token.is("stdin"));
                return from_client.then(|| String::from_utf8_lossy(name).into_owned());
            }
            _ => {}
        }
    }
    None
}

/// The result of [`Marker::scan`] for the first bytes of a piece.
pub(crate) struct Rows<'a> {
    /// Bytes of an earlier piece that could have begun the end marker, but did not.
    pub held: &'static [u8],
    pub data: &'a [u8],
    /// How many bytes of the piece are done.
    pub taken: usize,
    pub ended: bool,
}

/// Searches for the line `\.`, also across pieces.
pub(crate) struct Marker {
    seen: Seen,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Seen {
    Nothing,
    LineStart,
    Backslash,
    Dot,
    Return,
}

impl Marker {
    pub fn new() -> Self {
        Marker { seen: Seen::LineStart }
    }

    /// Returns whether the text may end here as if the line were complete.
    pub fn is_whole(&self) -> bool {
        matches!(self.seen, Seen::Dot | Seen::Return)
    }

    pub fn scan<'a>(&mut self, bytes: &'a [u8]) -> Rows<'a> {
        let rows = |held, taken, ended| Rows { held, data: &bytes[..0], taken, ended };
        let Some(byte) = bytes.first() else { return rows(b"", 0, false) };
        let (next, held): (Seen, &'static [u8]) = match (self.seen, byte) {
            (Seen::Nothing, _) => return self.search(bytes),
            (Seen::LineStart, b'\\') => (Seen::Backslash, b""),
            (Seen::Backslash, b'.') => (Seen::Dot, b""),
            (Seen::Dot, b'\r') => (Seen::Return, b""),
            (Seen::Dot | Seen::Return, b'\n') => return rows(b"", 1, true),
            (Seen::LineStart, _) => (Seen::Nothing, b""),
            (Seen::Backslash, _) => (Seen::Nothing, b"\\"),
            (Seen::Dot, _) => (Seen::Nothing, b"\\."),
            (Seen::Return, _) => (Seen::Nothing, b"\\.\r"),
        };
        self.seen = next;
        rows(held, usize::from(next != Seen::Nothing), false)
    }

    fn search<'a>(&mut self, bytes: &'a [u8]) -> Rows<'a> {
        let (end, taken, seen) = match memmem::find(bytes, b"\n\\.") {
            Some(found) => (found + 1, found + 3, Seen::Dot),
            None if bytes.ends_with(b"\n\\") => (bytes.len() - 1, bytes.len(), Seen::Backslash),
            None if bytes.ends_with(b"\n") => (bytes.len(), bytes.len(), Seen::LineStart),
            None => (bytes.len(), bytes.len(), Seen::Nothing),
        };
        self.seen = seen;
        Rows { held: b"", data: &bytes[..end], taken, ended: false }
    }
}
