//! Keeps what a server says last before it ends a session.
//!
//! The driver reports a failed write, or the end of the stream, before the message that came ahead of it, if both are there at the
//! same time. Then the stream reports this message instead.

use crate::postgres::connect::transport::cause;
use std::fmt;

/// Most bytes of a message that are looked at: the text stands near the beginning.
const LONGEST: usize = 8 << 10;

/// Holds what a server said when it ended the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastWord {
    pub message: String,
    pub sqlstate: String,
}

impl LastWord {
    /// Returns the last word that caused an error; `None` if another thing did, or the server ended the session without one.
    pub fn of<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a LastWord> {
        cause::carried(error)
    }

    /// Reads the fields of an error or a notice. Returns `None` if the session goes on behind it.
    fn read(body: &[u8]) -> Option<LastWord> {
        let fields = || body.split(|byte| *byte == 0);
        let field = |kind: u8| fields().find_map(|field| field.strip_prefix(&[kind]));
        // 'V' is the severity in English, since PostgreSQL 9.6. 57P02 is a warning, which a crash elsewhere in the server sends, and
        // 57P01 may be one where the server is stopped at once.
        let ends = matches!(field(b'V')?, b"FATAL" | b"PANIC") || matches!(field(b'C')?, b"57P01" | b"57P02");
        let text = |kind: u8| Some(String::from_utf8_lossy(field(kind)?).into_owned());
        ends.then_some(())?;
        Some(LastWord { message: text(b'M')?, sqlstate: text(b'C')? })
    }
}

impl fmt::Display for LastWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for LastWord {}

/// Collects the errors and notices of one connection as they pass, and keeps the one that ends the session.
#[derive(Default)]
pub(crate) struct LastWordListener {
    body: Vec<u8>,
    word: Option<LastWord>,
}

impl LastWordListener {
    pub fn begin(&mut self) {
        self.body.clear();
    }

    /// Takes the next piece of a message's body; `complete` with the last one.
    pub fn take(&mut self, piece: &[u8], complete: bool) {
        let room = LONGEST - self.body.len();
        self.body.extend_from_slice(&piece[..piece.len().min(room)]);
        if complete && let Some(word) = LastWord::read(&self.body) {
            self.word = Some(word);
        }
    }

    pub fn word(&self) -> Option<&LastWord> {
        self.word.as_ref()
    }
}
