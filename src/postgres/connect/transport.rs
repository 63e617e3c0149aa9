//! Makes the stream between the driver and the server: a socket, TLS on it if it is wanted and offered, and over both a gauge that
//! limits what the server may send.
//!
//! The driver calls a TLS connector at once if a connection is to begin with TLS. pgbk sets every connection to that, and this
//! connector does what the driver would have done: it asks the server for TLS, or begins with it, or does without.

pub(crate) mod bounded_stream;
pub(crate) mod cause;
pub(crate) mod copied_rows;
pub(crate) mod copy_driver;
pub(crate) mod copy_session;
pub(crate) mod copy_tap;
pub(crate) mod gauge;
pub(crate) mod last_word;
pub(crate) mod lent_stream;
pub(crate) mod message_buffer;
pub(crate) mod replication_driver;
pub(crate) mod stream_layer;
pub mod wire_error;
pub(crate) mod wire_session;

use crate::postgres::connect::tls::TlsSetup;
use bounded_stream::BoundedStream;
use gauge::Gauge;
use gauge::MessageExcess;
use postgres::Socket;
use postgres::config::{SslMode, SslNegotiation};
use postgres::tls::{MakeTlsConnect, TlsConnect};
use std::convert::Infallible;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Whether a connection has TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Plain,
    /// TLS if the server offers it.
    Prefer,
    Tls,
}

/// Makes the streams of connections.
#[derive(Clone)]
pub(crate) struct Connector {
    pub tls: TlsSetup,
    pub transport: Transport,
    /// Whether TLS begins without asking the server for it.
    pub direct: bool,
    /// The server, for messages.
    pub at: String,
    /// Set once a host has accepted the connection.
    pub taken: Arc<AtomicBool>,
}

impl Connector {
    /// Has the driver leave TLS to this connector. A connection by socket has no TLS, and the driver calls no connector for it.
    pub fn take_over(config: &mut tokio_postgres::Config) {
        config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
    }
}

impl MakeTlsConnect<Socket> for Connector {
    type Stream = BoundedStream;
    type TlsConnect = StreamOpener;
    type Error = Infallible;

    fn make_tls_connect(&mut self, host: &str) -> Result<StreamOpener, Infallible> {
        // The driver asks for this when the connection is there.
        self.taken.store(true, Ordering::Relaxed);
        let Connector { tls, transport, direct, at, .. } = self.clone();
        Ok(StreamOpener { tls, host: host.to_owned(), transport, direct, at })
    }
}

/// Makes one stream.
pub(crate) struct StreamOpener {
    tls: TlsSetup,
    /// The server's name, for TLS.
    host: String,
    transport: Transport,
    direct: bool,
    at: String,
}

type TransportError = Box<dyn Error + Send + Sync>;

impl TlsConnect<Socket> for StreamOpener {
    type Stream = BoundedStream;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<BoundedStream, TransportError>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(self.open(socket))
    }
}

impl StreamOpener {
    async fn open(self, mut socket: Socket) -> Result<BoundedStream, TransportError> {
        let encrypted = match self.transport {
            Transport::Plain => false,
            Transport::Prefer if self.direct => {
                return Err(
                    "weak sslmode \"prefer\" may not be used with sslnegotiation=direct (use \"require\")".into()
                );
            }
            Transport::Tls if self.direct => true,
            Transport::Prefer => offers_tls(&mut socket, &self.at).await?,
            Transport::Tls if offers_tls(&mut socket, &self.at).await? => true,
            Transport::Tls => return Err("server does not support TLS".into()),
        };
        let gauge = Gauge::new(self.at);
        Ok(match encrypted {
            true => {
                let mut tls = self.tls.connector()?;
                let connector = MakeTlsConnect::<Socket>::make_tls_connect(&mut tls, &self.host)?;
                BoundedStream::new(connector.connect(socket).await?, gauge)
            }
            false => BoundedStream::new(socket, gauge),
        })
    }
}

/// Bytes of an SSLRequest: its length and its code.
const REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Asks the server for TLS and returns whether it offers it. Reads the one byte of the answer and no more: bytes behind it came
/// without TLS, and must not be taken for encrypted ones.
async fn offers_tls(socket: &mut Socket, at: &str) -> io::Result<bool> {
    socket.write_all(&REQUEST).await?;
    match socket.read_u8().await? {
        b'S' => Ok(true),
        b'N' => Ok(false),
        other => Err(io::Error::new(ErrorKind::InvalidData, MessageExcess::no_answer_about_tls(at, other))),
    }
}
