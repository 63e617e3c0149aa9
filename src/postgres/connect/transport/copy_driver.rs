//! Opens sessions out of which the rows of COPY are taken before the driver sees them.

use crate::postgres::connect::driver::Driver;
use crate::postgres::connect::transport::bounded_stream::BoundedStream;
use crate::postgres::connect::transport::copied_rows::CopiedRows;
use crate::postgres::connect::transport::copy_session::{CopySession, ServerLine};
use crate::postgres::connect::transport::copy_tap::CopyTap;
use crate::postgres::connect::transport::gauge::Gauge;
use crate::postgres::connect::transport::{Connector, StreamOpener, TransportError};
use postgres::error::Error;
use postgres::tls::{MakeTlsConnect, TlsConnect};
use postgres::{SimpleQueryMessage, Socket};
use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::Empty;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config};

/// Opens sessions on a runtime of its own, which their users' threads drive.
#[derive(Clone)]
pub(crate) struct CopyDriver {
    runtime: Arc<Runtime>,
}

impl CopyDriver {
    pub fn new() -> io::Result<CopyDriver> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(CopyDriver { runtime: Arc::new(runtime) })
    }
}

impl Driver for CopyDriver {
    type Session = CopySession;

    fn connect(&self, config: &Config, connector: &Connector) -> Result<CopySession, Error> {
        let copied = CopiedRows::default();
        let (client, line) = self.runtime.block_on(open(config, connector, &copied))?;
        Ok(CopySession::new(Arc::clone(&self.runtime), client, line, copied))
    }

    fn simple_query(session: &mut CopySession, text: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
        session.simple_query(text)
    }
}

async fn open(config: &Config, connector: &Connector, copied: &CopiedRows) -> Result<(Client, ServerLine), Error> {
    let copied = copied.clone();
    let Some(path) = socket(config) else {
        let (client, line) = config.connect(CopyConnector { connector: connector.clone(), copied }).await?;
        return Ok((client, Box::pin(line)));
    };
    let mut config = config.clone();
    Connector::take_over(&mut config);
    let Connector { at, taken, .. } = connector.clone();
    let (client, line) = config.connect_raw(tokio::io::empty(), SocketOpener { path, at, taken, copied }).await?;
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
struct CopyConnector {
    connector: Connector,
    copied: CopiedRows,
}

impl MakeTlsConnect<Socket> for CopyConnector {
    type Stream = CopyTap;
    type TlsConnect = TapOpener;
    type Error = Infallible;

    fn make_tls_connect(&mut self, host: &str) -> Result<TapOpener, Infallible> {
        let opener = self.connector.make_tls_connect(host)?;
        Ok(TapOpener { opener, copied: self.copied.clone() })
    }
}

/// Makes one stream over TCP.
struct TapOpener {
    opener: StreamOpener,
    copied: CopiedRows,
}

type Opening = Pin<Box<dyn Future<Output = Result<CopyTap, TransportError>> + Send>>;

impl TlsConnect<Socket> for TapOpener {
    type Stream = CopyTap;
    type Error = TransportError;
    type Future = Opening;

    fn connect(self, socket: Socket) -> Opening {
        Box::pin(async move { Ok(CopyTap::new(self.opener.open(socket).await?, self.copied)) })
    }
}

/// Makes one stream over a Unix socket. The driver gives none of its own sockets of this kind to a connector. So the connector
/// connects by itself, which also makes a failure an error of the driver's like any other.
struct SocketOpener {
    path: PathBuf,
    at: String,
    taken: Arc<AtomicBool>,
    copied: CopiedRows,
}

impl TlsConnect<Empty> for SocketOpener {
    type Stream = CopyTap;
    type Error = TransportError;
    type Future = Opening;

    fn connect(self, _: Empty) -> Opening {
        Box::pin(async move {
            let socket = UnixStream::connect(self.path).await?;
            self.taken.store(true, Ordering::Relaxed);
            Ok(CopyTap::new(BoundedStream::new(socket, Gauge::new(self.at)), self.copied))
        })
    }
}
