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
pub(crate) struct CopyRows<'a> {
    /// Bytes of an earlier piece that could have begun the end marker, but did not.
    pub held: &'static [u8],
    pub data: &'a [u8],
    /// How many bytes of the piece are done.
    pub taken: usize,
    pub ended: bool,
}

/// Searches for the line `\.`, also across pieces.
pub(crate) struct Marker {
    seen: MarkerState,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum MarkerState {
    Nothing,
    LineStart,
    Backslash,
    Dot,
    Return,
}

impl Marker {
    pub fn new() -> Self {
        Marker { seen: MarkerState::LineStart }
    }

    /// Returns whether the text may end here as if the line were complete.
    pub fn is_whole(&self) -> bool {
        matches!(self.seen, MarkerState::Dot | MarkerState::Return)
    }

    pub fn scan<'a>(&mut self, bytes: &'a [u8]) -> CopyRows<'a> {
        let rows = |held, taken, ended| CopyRows { held, data: &bytes[..0], taken, ended };
        let Some(byte) = bytes.first() else { return rows(b"", 0, false) };
        let (next, held): (MarkerState, &'static [u8]) = match (self.seen, byte) {
            (MarkerState::Nothing, _) => return self.search(bytes),
            (MarkerState::LineStart, b'\\') => (MarkerState::Backslash, b""),
            (MarkerState::Backslash, b'.') => (MarkerState::Dot, b""),
            (MarkerState::Dot, b'\r') => (MarkerState::Return, b""),
            (MarkerState::Dot | MarkerState::Return, b'\n') => return rows(b"", 1, true),
            (MarkerState::LineStart, _) => (MarkerState::Nothing, b""),
            (MarkerState::Backslash, _) => (MarkerState::Nothing, b"\\"),
            (MarkerState::Dot, _) => (MarkerState::Nothing, b"\\."),
            (MarkerState::Return, _) => (MarkerState::Nothing, b"\\.\r"),
        };
        self.seen = next;
        rows(held, usize::from(next != MarkerState::Nothing), false)
    }

    fn search<'a>(&mut self, bytes: &'a [u8]) -> CopyRows<'a> {
        let (end, taken, seen) = match memmem::find(bytes, b"\n\\.") {
            Some(found) => (found + 1, found + 3, MarkerState::Dot),
            None if bytes.ends_with(b"\n\\") => (bytes.len() - 1, bytes.len(), MarkerState::Backslash),
            None if bytes.ends_with(b"\n") => (bytes.len(), bytes.len(), MarkerState::LineStart),
            None => (bytes.len(), bytes.len(), MarkerState::Nothing),
        };
        self.seen = seen;
        CopyRows { held: b"", data: &bytes[..end], taken, ended: false }
    }
}
