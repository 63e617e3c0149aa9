//! A stream to a server that measures the server's messages as they pass.

use crate::postgres::connect::transport::gauge::Gauge;
use postgres::Socket;
use postgres::tls::{ChannelBinding, TlsStream};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket, or TLS on one.
pub(crate) trait Line: AsyncRead + AsyncWrite + Send + Unpin {
    fn binding(&self) -> ChannelBinding;
}

impl Line for Socket {
    fn binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl Line for postgres_openssl::TlsStream<Socket> {
    fn binding(&self) -> ChannelBinding {
        self.channel_binding()
    }
}

/// Ends with an error as soon as the server begins to send more than it may.
pub(crate) struct Bounded {
    line: Box<dyn Line>,
    gauge: Gauge,
}

impl Bounded {
    pub(crate) fn new(line: impl Line + 'static, gauge: Gauge) -> Bounded {
        Bounded { line: Box::new(line), gauge }
    }
}

impl AsyncRead for Bounded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.gauge.check()?;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.line).poll_read(cx, buffer))?;
        self.gauge.heard(&buffer.filled()[before..]);
        Poll::Ready(self.gauge.check())
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.line).poll_write(cx, bytes))?;
        self.gauge.said(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_shutdown(cx)
    }
}

impl TlsStream for Bounded {
    fn channel_binding(&self) -> ChannelBinding {
        self.line.binding()
    }
}
