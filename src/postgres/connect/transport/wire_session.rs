//! Exchanges messages with a server without the driver: simple queries, and COPY in both directions.
//!
//! Nothing happens between the calls: while nobody waits for a message, nothing is read.

use crate::postgres::connect::transport::bounded_stream::BoundedStream;
use crate::postgres::connect::transport::message_buffer::MessageBuffer;
use crate::postgres::connect::transport::wire_error::WireError;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// Longest wait for a message whose beginning the driver has read, and for the connection to close.
const SHORT: Duration = Duration::from_secs(2);
/// Most bytes that wait to be sent: some thousand answers to a server that reads none.
const WAITING: usize = 256 << 10;

pub(crate) struct WireSession {
    runtime: Arc<Runtime>,
    stream: BoundedStream,
    incoming: MessageBuffer,
    /// Bytes that are to be sent.
    outgoing: Vec<u8>,
    /// When the last bytes came.
    heard: Instant,
    /// Whether the connection is broken.
    lost: bool,
}

impl WireSession {
    /// Goes on with a stream on which the server waits for a command. What has begun to come meanwhile, such as the news of a setting,
    /// is read to its end.
    pub fn new(runtime: Arc<Runtime>, mut stream: BoundedStream) -> io::Result<WireSession> {
        let rest = async {
            let mut piece = [0; 4096];
            while let unread @ 1.. = stream.unread() {
                let here = piece.len().min(usize::try_from(unread).unwrap_or(piece.len()));
                stream.read_exact(&mut piece[..here]).await?;
            }
            Ok::<(), io::Error>(())
        };
        runtime.block_on(async { timeout(SHORT, rest).await.unwrap_or(Err(ErrorKind::TimedOut.into())) })?;
        let (incoming, outgoing) = (MessageBuffer::new(), Vec::new());
        Ok(WireSession { runtime, stream, incoming, outgoing, heard: Instant::now(), lost: false })
    }

    /// Lets the server send changes in COPY messages from now on, which do not count as an answer.
    pub fn take_changes(&mut self) {
        self.stream.take_changes();
    }

    /// Sends a message; what cannot be sent at once is sent while a message is waited for.
    pub fn send(&mut self, kind: u8, body: &[u8]) -> Result<(), WireError> {
        if self.outgoing.len() + body.len() > WAITING && !self.outgoing.is_empty() {
            return Err(io::Error::new(ErrorKind::TimedOut, "the server takes nothing that is sent to it").into());
        }
        self.outgoing.push(kind);
        // No text that pgbk sends here is as long as a length can be.
        self.outgoing.extend((body.len() as u32 + 4).to_be_bytes());
        self.outgoing.extend_from_slice(body);
        let WireSession { runtime, stream, outgoing, .. } = self;
        Ok(runtime.block_on(poll_fn(|cx| {
            Poll::Ready(match poll_write(stream, outgoing, cx) {
                Poll::Ready(written) => written,
                Poll::Pending => Ok(()),
            })
        }))?)
    }

    /// Returns the type of a message that is here already and the place of its body. `None`: there is none.
    pub fn received(&mut self) -> Option<(u8, Range<usize>)> {
        self.incoming.next()
    }

    /// Waits for a message, and returns its type and the place of its body. `None`: none has come whole within this time.
    pub fn receive(&mut self, time: Duration) -> Result<Option<(u8, Range<usize>)>, WireError> {
        let until = Instant::now() + time;
        loop {
            if let Some(message) = self.received() {
                return Ok(Some(message));
            }
            let left = until.saturating_duration_since(Instant::now());
            let WireSession { runtime, stream, incoming, outgoing, .. } = self;
            let read =
                runtime.block_on(async { timeout(left, poll_fn(|cx| poll(stream, outgoing, incoming, cx))).await });
            match read {
                Ok(Ok(())) => self.heard = Instant::now(),
                Ok(Err(error)) => {
                    self.lost = true;
                    return Err(error.into());
                }
                Err(_) => return Ok(None),
            }
        }
    }

    /// Returns the body of the message that was received last.
    pub fn body(&self, place: Range<usize>) -> &[u8] {
        self.incoming.body(place)
    }

    /// Returns how long ago the last bytes came.
    pub fn silence(&self) -> Duration {
        self.heard.elapsed()
    }
}

/// Sends what is to be sent, and reads what has come.
fn poll(
    stream: &mut BoundedStream,
    outgoing: &mut Vec<u8>,
    incoming: &mut MessageBuffer,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    if let Poll::Ready(Err(error)) = poll_write(stream, outgoing, cx) {
        return Poll::Ready(Err(error));
    }
    let mut room = ReadBuf::new(incoming.space());
    ready!(Pin::new(stream).poll_read(cx, &mut room))?;
    match room.filled().len() {
        0 => Poll::Ready(Err(ErrorKind::UnexpectedEof.into())),
        read => {
            incoming.filled(read);
            Poll::Ready(Ok(()))
        }
    }
}

fn poll_write(stream: &mut BoundedStream, outgoing: &mut Vec<u8>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    while !outgoing.is_empty() {
        let written = ready!(Pin::new(&mut *stream).poll_write(cx, outgoing))?;
        outgoing.drain(..written);
    }
    Pin::new(stream).poll_flush(cx)
}

impl Drop for WireSession {
    /// Tells the server that the session is over; who does not hear it notices that the connection is closed.
    fn drop(&mut self) {
        if self.lost || self.send(b'X', &[]).is_err() {
            return;
        }
        let WireSession { runtime, stream, outgoing, .. } = self;
        let leave = poll_fn(|cx| {
            ready!(poll_write(stream, outgoing, cx))?;
            Pin::new(&mut *stream).poll_shutdown(cx)
        });
        let _ = runtime.block_on(async { timeout(SHORT, leave).await });
    }
}
