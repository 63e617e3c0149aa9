//! Reads the script in large pieces, and checks for signals between them.

use crate::base::cancel;
use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::format::sql::splitter::{Ending, ScriptEvent, Splitter, StatementLimit};
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const PIECE: usize = 1 << 20;
/// Longest statement in bytes; the server takes no longer message either.
const LONGEST_STATEMENT: usize = 1 << 30;

pub(crate) struct Script<'a> {
    source: &'a mut dyn Read,
    monitor: &'a dyn Monitor,
    splitter: Splitter,
    buffer: Vec<u8>,
    taken: usize,
    /// Whether the source has come to an end, or to where it pauses, and nobody was told.
    ended: bool,
}

impl<'a> Script<'a> {
    /// Returns a reader of the script. `escapes` says what a backslash means in literals, see [`Splitter::led`].
    pub fn new(source: &'a mut dyn Read, monitor: &'a dyn Monitor, escapes: Arc<AtomicBool>) -> Self {
        let splitter = Splitter::led(StatementLimit::Whole { limit: LONGEST_STATEMENT }, escapes);
        Script { source, monitor, splitter, buffer: Vec::with_capacity(PIECE), taken: 0, ended: false }
    }

    /// Passes the next events to `sink`, at most up to where rows begin or end. Returns false at the end of the script, and each time that
    /// its source pauses.
    pub fn feed(&mut self, sink: &mut dyn FnMut(ScriptEvent<'_>) -> Result<()>) -> Result<bool> {
        if self.taken == self.buffer.len() && !self.fill()? {
            return Ok(false);
        }
        self.taken += self.splitter.feed(&self.buffer[self.taken..], sink)?;
        Ok(true)
    }

    /// Passes the missing line break of a last line to `sink`.
    pub fn end_line(&mut self, sink: &mut dyn FnMut(ScriptEvent<'_>) -> Result<()>) -> Result<()> {
        self.splitter.feed(b"\n", sink).map(drop)
    }

    pub fn finish(self, sink: &mut dyn FnMut(ScriptEvent<'_>) -> Result<()>) -> Result<Ending> {
        self.splitter.finish(sink)
    }

    /// Returns whether no statement, comment or rows have begun without an end.
    pub fn is_between(&self) -> bool {
        self.splitter.is_between()
    }

    /// Counts lines of the script that are not among what comes here.
    pub fn skip_lines(&mut self, lines: u64) {
        self.splitter.skip_lines(lines);
    }

    fn fill(&mut self) -> Result<bool> {
        cancel::check()?;
        self.taken = 0;
        if std::mem::take(&mut self.ended) {
            self.buffer.clear();
            return Ok(false);
        }
        self.buffer.resize(PIECE, 0);
        let mut filled = 0;
        while filled < PIECE {
            match self.source.read(&mut self.buffer[filled..]) {
                Ok(0) => {
                    self.ended = filled > 0;
                    break;
                }
                Ok(more) => filled += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => cancel::check()?,
                Err(error) => return Err(error.into()),
            }
        }
        self.buffer.truncate(filled);
        self.monitor.advance(filled as u64);
        Ok(filled > 0)
    }
}
