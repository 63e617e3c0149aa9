//! Connects to a server: tries every host, address and kind of transport that libpq would try, in its order.

pub(crate) mod copy_connection;
pub(crate) mod driver;
pub(crate) mod endpoint;
pub(crate) mod errors;
pub(crate) mod keepalive;
pub(crate) mod parameters;
pub(crate) mod passfile;
pub(crate) mod plan;
pub mod preamble;
pub(crate) mod service_file;
pub mod settings;
pub(crate) mod several;
pub(crate) mod time_limits;
pub(crate) mod tls;
pub mod transport;
pub(crate) mod variables;

use crate::base::error::Result;
use driver::ClientDriver;
use plan::{ConnectPlan, OpenSession};
use postgres::Client;
use settings::ConnectionSettings;
use std::sync::Arc;
use tls::{TlsMode, TlsSetup};
use transport::{Connector, Transport};

/// Asks the server to cancel the statement of a connection.
pub(crate) type Canceller = Arc<dyn Fn() + Send + Sync>;

/// A connection on which the preamble has run.
pub(crate) type OpenConnection = OpenSession<Client>;

fn connect(settings: &ConnectionSettings, application: &str) -> Result<OpenConnection> {
    plan::by(&ConnectPlan::of(settings, application, ClientDriver)?)
}

/// Connects although a signal may have arrived already, and waits for each address for at most three seconds.
fn connect_to_clear_up(settings: &ConnectionSettings, application: &str) -> Result<OpenConnection> {
    plan::by(&ConnectPlan::of(settings, application, ClientDriver)?.for_clearing_up())
}

impl ConnectionSettings {
    /// Connects to the first server that answers and fits. The error lists what was tried and what to change.
    pub fn connect(&self, application: &str) -> Result<postgres::Client> {
        connect(self, application).map(|opened| opened.client)
    }

    /// Connects, and returns the connection with the settings of this one server. A list of hosts, or a name with several
    /// addresses, might lead a second connection to another one.
    pub fn connect_pinned(&self, application: &str) -> Result<(postgres::Client, ConnectionSettings)> {
        let opened = self.open(application)?;
        let settings = self.at(&opened.endpoint);
        Ok((opened.client, settings))
    }

    /// Connects, and returns the connection with the server's address and the state of the session before the preamble.
    pub(crate) fn open(&self, application: &str) -> Result<OpenConnection> {
        connect(self, application)
    }

    /// Connects for clearing up, also after a signal: waits for each address for at most three seconds.
    pub(crate) fn connect_to_clear_up(&self, application: &str) -> Result<postgres::Client> {
        connect_to_clear_up(self, application).map(|opened| opened.client)
    }

    /// Returns a closure that asks the server to cancel the statement of this connection. A failure of it is ignored.
    pub(crate) fn canceller(&self, client: &postgres::Client) -> Result<Canceller> {
        let tls = TlsSetup::of(&self.parameters, self.home())?;
        let transport = match tls::mode(&self.parameters)? {
            TlsMode::Disable | TlsMode::Allow => Transport::Plain,
            TlsMode::Prefer => Transport::Prefer,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => Transport::Tls,
        };
        let (direct, taken) = (tls::is_direct(&self.parameters)?, Arc::default());
        let connector = Connector { tls, transport, direct, at: self.describe(), taken };
        let token = client.cancel_token();
        Ok(Arc::new(move || {
            // A server that does not hear it cannot be told otherwise.
            let _ = token.cancel_query(connector.clone());
        }))
    }
}
