//! A conversation with a mail server, which comes to an end whatever the server does: in time, and in how much it may say.

mod failure;
mod hello;
mod line;

pub(super) use failure::Failure;

use super::trust::Trust;
use crate::secret::Secret;
use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::Noop;
use lettre::transport::smtp::response::Response;
use line::{Line, Sealed};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::Builder;
use tokio::time::{Instant, timeout, timeout_at};

#[derive(Debug, Clone)]
pub struct Server {
    pub host: String,
    pub port: u16,
    pub security: Security,
    pub login: Option<Login>,
    pub trust: Trust,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Plain at first; a server that does not offer TLS is refused.
    StartTls,
    /// TLS from the first byte.
    Tls,
    None,
}

#[derive(Debug, Clone)]
pub struct Login {
    pub user: String,
    pub password: Secret,
}

impl Server {
    /// Hands a mail over. Succeeds once the server has accepted it.
    pub(super) fn send(&self, own: &str, to: &Envelope, mail: &[u8], limit: Duration) -> Result<(), Failure> {
        self.converse(own, limit, async |connection| connection.send(to, mail).await)
    }

    /// Goes as far as the login.
    pub(super) fn reach(&self, own: &str, limit: Duration) -> Result<(), Failure> {
        self.converse(own, limit, async |connection| connection.command(Noop).await)
    }

    /// Introduces itself by that name of its own, asks, and says goodbye, all of it within the limit.
    fn converse(
        &self,
        own: &str,
        limit: Duration,
        ask: impl AsyncFnOnce(&mut AsyncSmtpConnection) -> Result<Response, Error>,
    ) -> Result<(), Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let outcome = runtime.block_on(async {
            let mut connection = self.open(own, Instant::now() + limit).await?;
            let answer = ask(&mut connection).await;
            // Nothing depends on what is said to a goodbye: a mail that was accepted is not sent again for it.
            connection.abort().await;
            Ok(answer.map(drop)?)
        });
        // Waits for nothing: the lookup of a name goes on for as long as the system's resolver likes.
        runtime.shutdown_background();
        outcome
    }

    async fn open(&self, own: &str, end: Instant) -> Result<AsyncSmtpConnection, Failure> {
        let stream = self.dial(end).await?;
        let own = &hello::hello(own, stream.local_addr().ok().map(|address| address.ip()));
        let line = Line::new(stream, end);
        let stream: Box<dyn AsyncTokioStream> = match self.security {
            Security::Tls => Box::new(Sealed::open(&self.trust.for_tls()?, &self.host, line).await?),
            Security::StartTls | Security::None => Box::new(line),
        };
        let mut connection = AsyncSmtpConnection::connect_with_transport(stream, own).await?;
        if self.security == Security::StartTls {
            // An error where the server does not offer it.
            connection.starttls(self.trust.for_smtp(&self.host)?, own).await?;
        }
        if let Some(Login { user, password }) = &self.login {
            let credentials = Credentials::new(user.clone(), password.reveal().to_owned());
            connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        Ok(connection)
    }

    /// Connects to the first of its addresses that answers. Each has its share of the time, so that one which swallows everything leaves
    /// some to the next.
    async fn dial(&self, end: Instant) -> io::Result<TcpStream> {
        let addresses: Vec<SocketAddr> =
            timeout_at(end, lookup_host((self.host.as_str(), self.port))).await??.collect();
        let mut failed = io::Error::new(ErrorKind::NotFound, "the host has no address");
        for (address, left) in addresses.iter().zip((1..=addresses.len() as u32).rev()) {
            let share = end.saturating_duration_since(Instant::now()) / left;
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failed = error,
                Err(late) => failed = late.into(),
            }
        }
        Err(failed)
    }
}
