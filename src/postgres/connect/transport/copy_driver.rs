//! Opens sessions out of which the rows of COPY are taken before the driver sees them.

use crate::postgres::connect::driver::Driver;
use crate::postgres::connect::transport::Connector;
use crate::postgres::connect::transport::bounded_stream::BoundedStream;
use crate::postgres::connect::transport::copied_rows::CopiedRows;
use crate::postgres::connect::transport::copy_session::CopySession;
use crate::postgres::connect::transport::copy_tap::CopyTap;
use crate::postgres::connect::transport::stream_layer::{StreamLayer, open};
use postgres::SimpleQueryMessage;
use postgres::error::Error;
use std::io;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::Config;

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
        let (client, line) = self.runtime.block_on(open(config, connector, copied.clone()))?;
        Ok(CopySession::new(Arc::clone(&self.runtime), client, line, copied))
    }

    fn simple_query(session: &mut CopySession, text: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
        session.simple_query(text)
    }
}

/// Takes the rows of COPY out of the stream.
impl StreamLayer for CopiedRows {
    type Stream = CopyTap;

    fn over(self, stream: BoundedStream) -> CopyTap {
        CopyTap::new(stream, self)
    }
}
