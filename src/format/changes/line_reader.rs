//! Reads lines one after the other, and none that is longer than a limit.

use crate::base::error::{Fault, Result};
use std::io::BufRead;

/// The lines of a delta, with the number of the last one.
#[derive(Debug)]
pub(crate) struct LineReader<R> {
    from: R,
    limit: usize,
    /// The number of the line that was read last, from 1 on; 0 before the first.
    pub number: u64,
}

impl<R: BufRead> LineReader<R> {
    /// Reads lines of up to `limit` bytes.
    pub fn new(from: R, limit: usize) -> LineReader<R> {
        LineReader { from, limit, number: 0 }
    }

    /// Appends the next line without its end. It is an error if there is none, if it has no end, or if it is longer than the limit.
    pub fn append(&mut self, to: &mut Vec<u8>) -> Result<()> {
        self.number += 1;
        let begin = to.len();
        loop {
            let there = self.from.fill_buf()?;
            if there.is_empty() {
                return Err(self.fault("the script ends here, and it is not whole"));
            }
            let end = memchr::memchr(b'\n', there);
            let part = end.map_or(there, |end| &there[..end]);
            if to.len() - begin + part.len() > self.limit {
                let limit = self.limit;
                return Err(self.fault(&format!("it is longer than {limit} bytes, and no server takes it")));
            }
            to.extend_from_slice(part);
            let taken = part.len() + usize::from(end.is_some());
            self.from.consume(taken);
            if end.is_some() {
                return Ok(());
            }
        }
    }

    /// Fails unless there is nothing behind the last line.
    pub fn ends(&mut self) -> Result<()> {
        match self.from.fill_buf()?.is_empty() {
            true => Ok(()),
            false => Err(self.fault("something follows the last line of the script")),
        }
    }

    /// Returns the error of the line that was read last.
    pub fn fault(&self, why: &str) -> anyhow::Error {
        Fault::damaged(format!("line {} of the delta is not what pgbk writes: {why}", self.number)).into()
    }
}
