//! Logs in for replication. The driver does all of it, with the preamble; then the stream is taken from it.

use crate::postgres::connect::driver::Driver;
use crate::postgres::connect::transport::Connector;
use crate::postgres::connect::transport::lent_stream::StreamSlot;
use crate::postgres::connect::transport::stream_layer::{ServerLine, open};
use crate::postgres::connect::transport::wire_session::WireSession;
use postgres::SimpleQueryMessage;
use postgres::error::Error;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Config};

/// Opens sessions for replication on a runtime of its own, which their users' threads drive.
#[derive(Clone)]
pub(crate) struct ReplicationDriver {
    runtime: Arc<Runtime>,
}

/// A session for replication while the driver still has it.
pub(crate) struct ReplicationLogin {
    runtime: Arc<Runtime>,
    client: Client,
    line: ServerLine,
    slot: StreamSlot,
}

impl ReplicationDriver {
    pub fn new() -> io::Result<ReplicationDriver> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(ReplicationDriver { runtime: Arc::new(runtime) })
    }
}

impl Driver for ReplicationDriver {
    type Session = ReplicationLogin;

    fn connect(&self, config: &Config, connector: &Connector) -> Result<ReplicationLogin, Error> {
        let slot = StreamSlot::default();
        let (client, line) = self.runtime.block_on(open(config, connector, slot.clone()))?;
        Ok(ReplicationLogin { runtime: Arc::clone(&self.runtime), client, line, slot })
    }

    fn simple_query(session: &mut ReplicationLogin, text: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
        let ReplicationLogin { runtime, client, line, .. } = session;
        runtime.block_on(async {
            let (mut answer, mut lost) = (pin!(client.simple_query(text)), None);
            poll_fn(|cx| {
                if lost.is_none()
                    && let Poll::Ready(end) = line.as_mut().poll(cx)
                {
                    lost = Some(end.err());
                }
                answer.as_mut().poll(cx).map(|answer| match answer {
                    // To the query it is only that the connection is closed.
                    Err(error) if error.is_closed() => Err(lost.take().flatten().unwrap_or(error)),
                    answer => answer,
                })
            })
            .await
        })
    }
}

impl ReplicationLogin {
    /// Takes the stream from the driver.
    pub fn into_wire(self) -> io::Result<WireSession> {
        let stream = self.slot.take().ok_or(ErrorKind::NotConnected)?;
        WireSession::new(self.runtime, stream)
    }
}
