//! Opens sessions on an address. A session is the driver's client, or one whose rows of COPY do not pass through the driver.

use crate::postgres::connect::transport::Connector;
use postgres::error::Error;
use postgres::{Client, SimpleQueryMessage};
use tokio_postgres::Config;

/// Opens sessions of one kind.
pub(crate) trait Driver: Clone + Send + 'static {
    type Session: Send + 'static;

    /// Connects to the one address that is set.
    fn connect(&self, config: &Config, connector: &Connector) -> Result<Self::Session, Error>;

    /// Runs the statements in this text and returns the answers to all of them. Waits without a limit.
    fn simple_query(session: &mut Self::Session, text: &str) -> Result<Vec<SimpleQueryMessage>, Error>;
}

/// Opens ordinary sessions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientDriver;

impl Driver for ClientDriver {
    type Session = Client;

    fn connect(&self, config: &Config, connector: &Connector) -> Result<Client, Error> {
        postgres::Config::from(config.clone()).notice_callback(|_| {}).connect(connector.clone())
    }

    fn simple_query(session: &mut Client, text: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
        session.simple_query(text)
    }
}
