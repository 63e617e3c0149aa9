//! Lays a layer over the stream between the driver and the server: one that takes something out of it, or lends it to somebody else.

use crate::postgres::connect::transport::bounded_stream::BoundedStream;
use crate::postgres::connect::transport::gauge::Gauge;
use crate::postgres::connect::transport::{Connector, StreamOpener, TransportError};
use postgres::Socket;
use postgres::error::Error;
use postgres::tls::{MakeTlsConnect, TlsConnect, TlsStream};
use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncRead, AsyncWrite, Empty};
use tokio::net::UnixStream;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config};

/// The driver's side of a connection, which reads and writes while it is polled.
pub(crate) type ServerLine = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// Makes the layer of one connection.
pub(crate) trait StreamLayer: Clone + Send + 'static {
    type Stream: AsyncRead + AsyncWrite + TlsStream + Send + Unpin + 'static;

    fn over(self, stream: BoundedStream) -> Self::Stream;
}

/// Connects to the one address that is set, with this layer between the driver and the stream.
pub(crate) async fn open<L: StreamLayer>(
    config: &Config,
    connector: &Connector,
    layer: L,
) -> Result<(Client, ServerLine), Error> {
    let Some(path) = socket(config) else {
        let (client, line) = config.connect(LayeredConnector { connector: connector.clone(), layer }).await?;
        return Ok((client, Box::pin(line)));
    };
    let mut config = config.clone();
    Connector::take_over(&mut config);
    let Connector { at, taken, .. } = connector.clone();
    let (client, line) = config.connect_raw(tokio::io::empty(), SocketOpener { path, at, taken, layer }).await?;
    Ok((client, Box::pin(line)))
}

/// Returns the socket of the server; `None` if it is reached by TCP.
fn socket(config: &Config) -> Option<PathBuf> {
    match (config.get_hosts(), config.get_hostaddrs(), config.get_ports()) {
        ([Host::Unix(folder)], [], [port]) => Some(folder.join(format!(".s.PGSQL.{port}"))),
        _ => None,
    }
}

/// Makes the streams of connections by TCP.
struct LayeredConnector<L> {
    connector: Connector,
    layer: L,
}

impl<L: StreamLayer> MakeTlsConnect<Socket> for LayeredConnector<L> {
    type Stream = L::Stream;
    type TlsConnect = LayeredOpener<L>;
    type Error = Infallible;

    fn make_tls_connect(&mut self, host: &str) -> Result<LayeredOpener<L>, Infallible> {
        let opener = self.connector.make_tls_connect(host)?;
        Ok(LayeredOpener { opener, layer: self.layer.clone() })
    }
}

/// Makes one stream over TCP.
struct LayeredOpener<L> {
    opener: StreamOpener,
    layer: L,
}

type Opening<S> = Pin<Box<dyn Future<Output = Result<S, TransportError>> + Send>>;

impl<L: StreamLayer> TlsConnect<Socket> for LayeredOpener<L> {
    type Stream = L::Stream;
    type Error = TransportError;
    type Future = Opening<L::Stream>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move { Ok(self.layer.over(self.opener.open(socket).await?)) })
    }
}

/// Makes one stream over a Unix socket. The driver gives none of its own sockets of this kind to a connector. So the connector
/// connects by itself, which also makes a failure an error of the driver's like any other.
struct SocketOpener<L> {
    path: PathBuf,
    at: String,
    taken: Arc<AtomicBool>,
    layer: L,
}

impl<L: StreamLayer> TlsConnect<Empty> for SocketOpener<L> {
    type Stream = L::Stream;
    type Error = TransportError;
    type Future = Opening<L::Stream>;

    fn connect(self, _: Empty) -> Self::Future {
        Box::pin(async move {
            let socket = UnixStream::connect(self.path).await?;
            self.taken.store(true, Ordering::Relaxed);
            Ok(self.layer.over(BoundedStream::new(socket, Gauge::new(self.at))))
        })
    }
}
