//! Compresses by xz into a writer.
//!
//! The library's own writer ends its stream when it is dropped. That compresses everything that it holds, tens of megabytes, which takes
//! many seconds after a run was told to stop. This one compresses nothing more.

use std::io::{self, Write};
use xz2::stream::{Action, Status, Stream};

/// Bytes that are passed on at a time, at most.
const BUFFER: usize = 64 << 10;

pub(crate) struct XzWriter<W> {
    inner: W,
    stream: Stream,
    out: Vec<u8>,
}

impl<W: Write> XzWriter<W> {
    pub fn new(inner: W, stream: Stream) -> Self {
        XzWriter { inner, stream, out: Vec::with_capacity(BUFFER) }
    }

    /// Ends the stream, and returns the inner writer.
    pub fn finish(mut self) -> io::Result<W> {
        loop {
            let status = self.stream.process_vec(&[], &mut self.out, Action::Finish)?;
            self.pass_on()?;
            if status == Status::StreamEnd {
                return Ok(self.inner);
            }
        }
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.inner.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }
}

impl<W: Write> Write for XzWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let begun = self.stream.total_in();
        let taken = |stream: &Stream| usize::try_from(stream.total_in() - begun).unwrap_or(bytes.len());
        while taken(&self.stream) < bytes.len() {
            let rest = &bytes[taken(&self.stream)..];
            self.stream.process_vec(rest, &mut self.out, Action::Run)?;
            self.pass_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
