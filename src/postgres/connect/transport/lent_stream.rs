//! Lends the stream below the driver. The driver logs in on it by all of pgbk's rules; then its owner takes the stream and speaks a
//! protocol that the driver does not know, that of replication.

use crate::postgres::connect::transport::bounded_stream::BoundedStream;
use crate::postgres::connect::transport::stream_layer::StreamLayer;
use postgres::tls::{ChannelBinding, TlsStream};
use std::io::{self, ErrorKind};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The parameter that makes a connection one for replication, which also runs SQL in its database. The driver cannot send it.
const REPLICATION: &[u8] = b"replication\0database\0";
/// Bytes that the first packet of a connection has at least: its length and the version of the protocol.
const SHORTEST: usize = 8;

/// Shares the stream of one connection between the driver and the owner who takes it.
#[derive(Clone, Default)]
pub(crate) struct StreamSlot(Arc<Mutex<Option<BoundedStream>>>);

impl StreamSlot {
    /// Takes the stream away from the driver, for which the connection is closed from then on. `None`: there is none.
    pub fn take(&self) -> Option<BoundedStream> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<BoundedStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StreamLayer for StreamSlot {
    type Stream = LentStream;

    fn over(self, stream: BoundedStream) -> LentStream {
        *self.lock() = Some(stream);
        LentStream { slot: self, startup: StartupPacket::Coming(Vec::new()) }
    }
}

/// Passes everything between the driver and the stream while the stream is there, and adds to the first packet what makes the
/// connection one for replication.
pub(crate) struct LentStream {
    slot: StreamSlot,
    startup: StartupPacket,
}

/// Holds the first packet of a connection, which says who comes to which database.
enum StartupPacket {
    /// The bytes that the driver has written of it.
    Coming(Vec<u8>),
    /// The bytes that are to be sent, and how many of them have been.
    Going(Vec<u8>, usize),
    Gone,
}

/// Returns a first packet with the parameter for replication. `None`: it has not come whole.
fn for_replication(packet: &[u8]) -> Option<Vec<u8>> {
    let length = u32::from_be_bytes(*packet.first_chunk()?);
    let last = usize::try_from(length).ok()?.max(SHORTEST) - 1;
    // A zero ends the list of parameters.
    let (rest, end) = (packet.get(4..last)?, packet.get(last..).filter(|end| !end.is_empty())?);
    let longer = length.saturating_add(REPLICATION.len() as u32);
    Some([&longer.to_be_bytes(), rest, REPLICATION, end].concat())
}

impl LentStream {
    /// Calls this with the stream, if it has not been taken.
    fn with<T>(&self, call: impl FnOnce(Pin<&mut BoundedStream>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match self.slot.lock().as_mut() {
            Some(stream) => call(Pin::new(stream)),
            None => Poll::Ready(Err(io::Error::new(ErrorKind::NotConnected, "the stream has been taken"))),
        }
    }

    /// Sends the first packet, as soon as it is there.
    fn poll_startup(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let StartupPacket::Coming(packet) = &self.startup {
            let Some(packet) = for_replication(packet) else { return Poll::Ready(Ok(())) };
            self.startup = StartupPacket::Going(packet, 0);
        }
        while let StartupPacket::Going(packet, sent) = &self.startup {
            let written = ready!(self.with(|stream| stream.poll_write(cx, &packet[*sent..])))?;
            let (sent, whole) = (sent + written, packet.len());
            self.startup = match mem::replace(&mut self.startup, StartupPacket::Gone) {
                StartupPacket::Going(packet, _) if sent < whole => StartupPacket::Going(packet, sent),
                _ => StartupPacket::Gone,
            };
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for LentStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_startup(cx))?;
        self.with(|stream| stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for LentStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let StartupPacket::Coming(packet) = &mut self.startup {
            packet.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(self.poll_startup(cx))?;
        self.with(|stream| stream.poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_startup(cx))?;
        self.with(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(cx))
    }
}

impl TlsStream for LentStream {
    fn channel_binding(&self) -> ChannelBinding {
        self.slot.lock().as_ref().map_or_else(ChannelBinding::none, BoundedStream::channel_binding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_packet_gets_the_parameter_for_replication_once_it_is_whole() {
        let packet = b"\0\0\0\x10\0\x03\0\0user\0u\0\0";
        for cut in 0..packet.len() - 1 {
            assert_eq!(for_replication(&packet[..cut]), None, "{cut}");
        }
        let longer = for_replication(b"\0\0\0\x10\0\x03\0\0user\0u\0\0").unwrap();
        assert_eq!(longer, b"\0\0\0\x25\0\x03\0\0user\0u\0replication\0database\0\0");
        assert_eq!(longer.len(), 0x25);
    }
}
