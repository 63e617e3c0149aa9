//! A stream to a server that measures the server's messages as they pass.

use crate::postgres::connect::transport::gauge::Gauge;
use postgres::Socket;
use postgres::tls::{ChannelBinding, TlsStream};
use std::io::{self, ErrorKind};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::{Sleep, sleep};

/// A socket, or TLS on one.
pub(crate) trait ServerStream: AsyncRead + AsyncWrite + Send + Unpin {
    fn binding(&self) -> ChannelBinding;
}

impl ServerStream for Socket {
    fn binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl ServerStream for UnixStream {
    fn binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl ServerStream for postgres_openssl::TlsStream<Socket> {
    fn binding(&self) -> ChannelBinding {
        self.channel_binding()
    }
}

/// How long what the server has sent may take to come once nothing can be written to it.
const REST: Duration = Duration::from_secs(2);

/// Ends with an error as soon as the server begins to send more than it may. Where the connection ends, the error is what the server
/// said last, if it said anything.
pub(crate) struct BoundedStream {
    line: Box<dyn ServerStream>,
    gauge: Gauge,
    /// Why nothing can be written any more. What the server has sent before that is still to be read.
    broken: Option<io::Error>,
    /// The time in which that has to come. `None`: nothing is broken.
    rest: Option<Pin<Box<Sleep>>>,
    /// Whether the end of what the server sends has been reached.
    over: bool,
}

impl BoundedStream {
    pub(crate) fn new(line: impl ServerStream + 'static, gauge: Gauge) -> BoundedStream {
        BoundedStream { line: Box::new(line), gauge, broken: None, rest: None, over: false }
    }

    /// Says whether the rows of COPY are taken out of the stream from now on.
    pub(crate) fn take_rows(&mut self, taken: bool) {
        self.gauge.take_rows(taken);
    }

    /// Lets the server send changes for as long as the connection lasts.
    pub(crate) fn take_changes(&mut self) {
        self.gauge.take_changes();
    }

    /// Returns how many bytes are sure to follow of the message that has come last; 0 between two messages.
    pub(crate) fn unread(&self) -> u64 {
        self.gauge.unread()
    }

    /// Ends the stream. If the server said why, this is ready only when called again: the driver reports the end of the stream
    /// before an answer that came with it, unless it has to wait in between.
    fn end(&mut self, cx: &Context<'_>, end: io::Result<()>) -> Poll<io::Result<()>> {
        let Some(word) = self.gauge.last_word() else { return Poll::Ready(self.broken.take().map_or(end, Err)) };
        if !mem::replace(&mut self.over, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Err(io::Error::new(ErrorKind::ConnectionAborted, word.clone())))
    }

    /// Takes a failed write for one that was done, and has the stream read: the next read ends it.
    fn breaks(&mut self, cx: &Context<'_>, error: io::Error) {
        self.broken.get_or_insert(error);
        self.rest.get_or_insert_with(|| Box::pin(sleep(REST)));
        cx.waker().wake_by_ref();
    }
}

impl AsyncRead for BoundedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.gauge.check()?;
        let before = buffer.filled().len();
        match Pin::new(&mut self.line).poll_read(cx, buffer) {
            Poll::Pending if self.over => self.end(cx, Ok(())),
            // What came before the connection broke may be there and not be noticed yet.
            Poll::Pending => match &mut self.rest {
                Some(rest) => match rest.as_mut().poll(cx) {
                    Poll::Ready(()) => self.end(cx, Ok(())),
                    Poll::Pending => Poll::Pending,
                },
                None => Poll::Pending,
            },
            Poll::Ready(Err(error)) => self.end(cx, Err(error)),
            Poll::Ready(Ok(())) if buffer.filled().len() == before => self.end(cx, Ok(())),
            Poll::Ready(Ok(())) => {
                self.gauge.heard(&buffer.filled()[before..]);
                Poll::Ready(self.gauge.check())
            }
        }
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.broken.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        match ready!(Pin::new(&mut self.line).poll_write(cx, bytes)) {
            Ok(written) => {
                self.gauge.said(written);
                Poll::Ready(Ok(written))
            }
            Err(error) => {
                self.breaks(cx, error);
                Poll::Ready(Ok(bytes.len()))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken.is_some() {
            return Poll::Ready(Ok(()));
        }
        if let Err(error) = ready!(Pin::new(&mut self.line).poll_flush(cx)) {
            self.breaks(cx, error);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_shutdown(cx)
    }
}

impl TlsStream for BoundedStream {
    fn channel_binding(&self) -> ChannelBinding {
        self.line.binding()
    }
}
