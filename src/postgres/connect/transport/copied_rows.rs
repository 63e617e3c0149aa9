//! Holds the rows of COPY on their way from the stream to their reader. There are few at a time: the stream is read no further
//! until they have been taken.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of whole rows at which nothing more is read before they have been taken.
pub(crate) const ENOUGH: usize = 256 << 10;
/// Most bytes that stay reserved for rows. A long row needs more, and only once.
const RESERVED: usize = 4 * ENOUGH;

/// Shares the rows between the stream, which puts them in, and their reader.
#[derive(Clone, Default)]
pub(crate) struct CopiedRows(Arc<Mutex<CopyBuffer>>);

/// The rows of one statement that have come and have not been taken.
#[derive(Default)]
pub(crate) struct CopyBuffer {
    /// Whether rows are expected. Those that nobody has asked for are left to the driver, which refuses them.
    pub expected: bool,
    /// Bytes that have come from the server.
    pub heard: u64,
    bytes: Vec<u8>,
    /// Bytes of the whole rows. Behind them is the beginning of one.
    whole: usize,
    /// Whether no more rows of the statement come.
    ended: bool,
}

/// Tells what was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TakenRows {
    /// Whole rows of one statement.
    Rows,
    /// The end of the rows of one statement.
    End,
}

impl CopiedRows {
    pub fn lock(&self) -> MutexGuard<'_, CopyBuffer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CopyBuffer {
    /// Forgets the rows of another query, and says whether the new one has rows.
    pub fn expect(&mut self, expected: bool) {
        *self = CopyBuffer { expected, heard: self.heard, ..CopyBuffer::default() };
    }

    /// Returns whether something has to be taken before more is put in.
    pub fn is_full(&self) -> bool {
        self.ended || self.whole > 0 && self.bytes.len() >= ENOUGH
    }

    /// Adds a piece of a row.
    pub fn put(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
    }

    /// Ends a row.
    pub fn end_row(&mut self) {
        self.whole = self.bytes.len();
    }

    /// Ends the rows of one statement.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Appends the whole rows to `rows`, or takes the end behind them. `None`: there is neither.
    pub fn take(&mut self, rows: &mut Vec<u8>) -> Option<TakenRows> {
        if self.whole == 0 {
            return mem::take(&mut self.ended).then_some(TakenRows::End);
        }
        if rows.is_empty() {
            mem::swap(&mut self.bytes, rows);
            self.bytes.shrink_to(RESERVED);
            self.bytes.extend_from_slice(&rows[self.whole..]);
            rows.truncate(self.whole);
        } else {
            rows.extend(self.bytes.drain(..self.whole));
        }
        self.whole = 0;
        Some(TakenRows::Rows)
    }
}
