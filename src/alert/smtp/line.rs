//! The line to a mail server: how long it stays open, how long each answer may take, and how much may come over it, are fixed when it
//! begins.

use super::super::channel::Patience;
use lettre::transport::smtp::client::AsyncTokioStream;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_native_tls::native_tls::{Error, TlsConnector};
use tokio_native_tls::{TlsConnector as Connector, TlsStream};

/// What a server may send in a conversation, TLS and all. One with a thousand recipients takes a tenth of it.
const MOST: usize = 1 << 20;

/// A server that has said more than that.
#[derive(Debug)]
pub(super) struct Excess;

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it sent more than {} MiB, which no mail server does", MOST >> 20)
    }
}

impl std::error::Error for Excess {}

/// Fails for good once the time is over or the server has said too much.
#[derive(Debug)]
pub(super) struct Line {
    stream: BufReader<TcpStream>,
    /// Runs out when the answer that is due has taken too long, or the whole has.
    timer: Pin<Box<Sleep>>,
    answer: Duration,
    end: Instant,
    /// How many bytes may still come.
    left: usize,
}

impl Line {
    pub fn new(stream: TcpStream, patience: &Patience) -> Line {
        let (answer, end) = (patience.answer, Instant::from_std(patience.end));
        let timer = Box::pin(sleep_until(end.min(Instant::now() + answer)));
        Line { stream: BufReader::new(stream), timer, answer, end, left: MOST }
    }

    /// Begins to wait for an answer to what was said. What comes bit by bit is one answer: only what we say makes room for the next.
    fn spoken(&mut self) {
        self.timer.as_mut().reset(self.end.min(Instant::now() + self.answer));
    }

    /// Fails when the time is over, and sees to it that whoever waits is woken then.
    fn in_time(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        // A server that never pauses gives the timer no turn.
        let over = self.timer.as_mut().poll(cx).is_ready() || self.timer.deadline() <= Instant::now();
        if over { Err(ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Line {
    /// Gives no more than the rest of a line at once. So whoever reads lines never holds any of what lies behind one, and plain text that
    /// came along with the answer to STARTTLS cannot pass for what was said under TLS.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        line.in_time(cx)?;
        let bytes = ready!(Pin::new(&mut line.stream).poll_fill_buf(cx))?;
        let taken = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1).min(into.remaining());
        line.left = line.left.checked_sub(taken).ok_or_else(|| io::Error::other(Excess))?;
        into.put_slice(&bytes[..taken]);
        Pin::new(&mut line.stream).consume(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        line.in_time(cx)?;
        let written = ready!(Pin::new(&mut line.stream).poll_write(cx, bytes))?;
        line.spoken();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for Line {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().peer_addr()
    }
}

/// TLS from the first byte of a line.
#[derive(Debug)]
pub(super) struct Sealed(TlsStream<Line>);

impl Sealed {
    pub async fn open(connector: &TlsConnector, host: &str, line: Line) -> Result<Sealed, Error> {
        Connector::from(connector.clone()).connect(host, line).await.map(Sealed)
    }
}

impl AsyncRead for Sealed {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, into)
    }
}

impl AsyncWrite for Sealed {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for Sealed {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().get_ref().get_ref().peer_addr()
    }
}
