//! Takes the rows of COPY out of a stream, so that they do not pass through the driver. To the driver, a query with several
//! `COPY … TO STDOUT` is one whose statements return nothing.

use crate::postgres::connect::transport::bounded_stream::BoundedStream;
use crate::postgres::connect::transport::copied_rows::{CopiedRows, CopyBuffer};
use postgres::tls::{ChannelBinding, TlsStream};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes of one read.
const READ: usize = 256 << 10;
/// Bytes of a message's header: type and length.
const HEAD: usize = 5;

/// Passes all messages from the server on, except those that make up the rows of COPY.
pub(crate) struct CopyTap {
    stream: BoundedStream,
    copied: CopiedRows,
    read: Box<[u8]>,
    /// Where in `read` that begins which has come and was not dealt with.
    begin: usize,
    end: usize,
    part: MessagePart,
    /// Bytes of the part that are still to come.
    rest: usize,
}

/// Says where the bytes of a message go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessagePart {
    ToDriver,
    Row,
    Nowhere,
}

/// Says what is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextAction {
    ReadMore,
    /// The driver has what it asked for.
    Return,
    /// Rows are to be taken first.
    Wait,
}

impl CopyTap {
    pub fn new(stream: BoundedStream, copied: CopiedRows) -> CopyTap {
        let read = vec![0; READ].into_boxed_slice();
        CopyTap { stream, copied, read, begin: 0, end: 0, part: MessagePart::Nowhere, rest: 0 }
    }

    /// Deals with what has been read, as far as the driver and the reader of the rows can take it.
    fn distribute(&mut self, copied: &mut CopyBuffer, driver: &mut ReadBuf<'_>) -> NextAction {
        let before = driver.filled().len();
        let enough = |driver: &ReadBuf<'_>, other| {
            if driver.filled().len() > before { NextAction::Return } else { other }
        };
        loop {
            if copied.is_full() {
                return enough(driver, NextAction::Wait);
            }
            if self.rest == 0 && !self.head(copied) {
                return enough(driver, NextAction::ReadMore);
            }
            let mut here = self.rest.min(self.end - self.begin);
            if self.part == MessagePart::ToDriver {
                here = here.min(driver.remaining());
            }
            if here == 0 && self.rest > 0 {
                return enough(driver, NextAction::ReadMore);
            }
            let piece = &self.read[self.begin..self.begin + here];
            match self.part {
                MessagePart::ToDriver => driver.put_slice(piece),
                MessagePart::Row => copied.put(piece),
                MessagePart::Nowhere => {}
            }
            (self.begin, self.rest) = (self.begin + here, self.rest - here);
            if self.rest == 0 && self.part == MessagePart::Row {
                copied.end_row();
            }
        }
    }

    /// Begins the next message. Returns false if its header has not come whole.
    fn head(&mut self, copied: &mut CopyBuffer) -> bool {
        let Some([kind, length @ ..]) = self.read[self.begin..self.end].first_chunk::<HEAD>() else { return false };
        // The length counts itself. A shorter one ends the stream before it gets here.
        let length = u32::from_be_bytes(*length) as usize;
        self.part = match kind {
            b'd' if copied.expected => MessagePart::Row,
            b'H' | b'c' if copied.expected => MessagePart::Nowhere,
            _ => MessagePart::ToDriver,
        };
        if copied.expected && *kind == b'c' {
            copied.end();
        }
        match self.part {
            MessagePart::ToDriver => self.rest = 1 + length,
            MessagePart::Row | MessagePart::Nowhere => {
                self.begin += HEAD;
                self.rest = length.saturating_sub(HEAD - 1);
            }
        }
        true
    }

    /// Reads from the server, and returns how many bytes; 0 at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.read.copy_within(self.begin..self.end, 0);
        (self.begin, self.end) = (0, self.end - self.begin);
        let mut buffer = ReadBuf::new(&mut self.read[self.end..]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        let heard = buffer.filled().len();
        self.end += heard;
        Poll::Ready(Ok(heard))
    }
}

impl AsyncRead for CopyTap {
    /// Reads what is for the driver. While rows have to be taken, this waits without being woken: whoever takes them polls again.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let tap = self.get_mut();
        let copied = tap.copied.clone();
        let mut copied = copied.lock();
        tap.stream.take_rows(copied.expected);
        loop {
            match tap.distribute(&mut copied, buffer) {
                NextAction::Return => return Poll::Ready(Ok(())),
                NextAction::Wait => return Poll::Pending,
                NextAction::ReadMore => match ready!(tap.poll_fill(cx))? {
                    0 => return Poll::Ready(Ok(())),
                    heard => copied.heard += heard as u64,
                },
            }
        }
    }
}

impl AsyncWrite for CopyTap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl TlsStream for CopyTap {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

#[cfg(test)]
mod tests;
