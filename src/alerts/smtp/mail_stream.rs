//! The connection to a mail server. How long it stays open, how long each answer may take, and how much the server may send are
//! fixed when it begins.

use crate::alerts::delivery::DeliveryLimits;
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

/// How many bytes a server may send in a conversation, TLS included. One with a thousand recipients takes a tenth of it.
const MOST: usize = 1 << 20;

/// The error of a server that has sent more than that.
#[derive(Debug)]
pub(crate) struct AnswerExcess;

impl fmt::Display for AnswerExcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it sent more than {} MiB, which no mail server does", MOST >> 20)
    }
}

impl std::error::Error for AnswerExcess {}

/// A connection that fails for good once its time is over or the server has sent too much.
#[derive(Debug)]
pub(crate) struct MailStream {
    stream: BufReader<TcpStream>,
    /// Expires when the answer that is due, or the whole conversation, has taken too long.
    timer: Pin<Box<Sleep>>,
    answer: Duration,
    end: Instant,
    /// How many bytes may still come.
    left: usize,
}

impl MailStream {
    pub fn new(stream: TcpStream, patience: &DeliveryLimits) -> MailStream {
        let (answer, end) = (patience.answer, Instant::from_std(patience.end));
        let timer = Box::pin(sleep_until(end.min(Instant::now() + answer)));
        MailStream { stream: BufReader::new(stream), timer, answer, end, left: MOST }
    }

    /// Starts the time limit of the next answer, after something was sent. An answer that comes bit by bit is one answer: only what
    /// we send makes room for the next.
    fn spoken(&mut self) {
        self.timer.as_mut().reset(self.end.min(Instant::now() + self.answer));
    }

    /// Fails once the time is over, and has the waiting task woken then.
    fn in_time(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        // A server that never pauses gives the timer no turn.
        let over = self.timer.as_mut().poll(cx).is_ready() || self.timer.deadline() <= Instant::now();
        if over { Err(ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl AsyncRead for MailStream {
    /// Reads no more than the rest of a line at once. So a reader of lines never holds anything that follows one, and plain text
    /// that came along with the answer to STARTTLS cannot pass for text sent under TLS.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        line.in_time(cx)?;
        let bytes = ready!(Pin::new(&mut line.stream).poll_fill_buf(cx))?;
        let taken = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1).min(into.remaining());
        line.left = line.left.checked_sub(taken).ok_or_else(|| io::Error::other(AnswerExcess))?;
        into.put_slice(&bytes[..taken]);
        Pin::new(&mut line.stream).consume(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MailStream {
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

impl AsyncTokioStream for MailStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().peer_addr()
    }
}

/// A connection with TLS from the first byte.
#[derive(Debug)]
pub(crate) struct TlsMailStream(TlsStream<MailStream>);

impl TlsMailStream {
    pub async fn open(connector: &TlsConnector, host: &str, line: MailStream) -> Result<TlsMailStream, Error> {
        Connector::from(connector.clone()).connect(host, line).await.map(TlsMailStream)
    }
}

impl AsyncRead for TlsMailStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, into)
    }
}

impl AsyncWrite for TlsMailStream {
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

impl AsyncTokioStream for TlsMailStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().get_ref().get_ref().peer_addr()
    }
}
