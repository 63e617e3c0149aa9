//! Talks to a mail server. The conversation ends whatever the server does: its time and the amount of text it may send are limited.

pub(crate) mod ehlo_name;
pub(crate) mod failure;
pub(crate) mod letter;
pub(crate) mod mail_stream;

use crate::alerts::delivery::{DeliveryLimits, RecipientRefusal};
use crate::alerts::tls_roots::TlsRoots;
use crate::base::secret::Secret;
use failure::MailFailure;
use letter::Letter;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::Noop;
use mail_stream::{MailStream, TlsMailStream};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::Builder;
use tokio::time::{Instant, timeout, timeout_at};

#[derive(Debug, Clone)]
pub struct MailServer {
    pub host: String,
    pub port: u16,
    pub security: Security,
    pub login: Option<MailLogin>,
    pub trust: TlsRoots,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Plain at first; a server that does not offer TLS is an error.
    StartTls,
    /// TLS from the first byte.
    Tls,
    None,
}

#[derive(Debug, Clone)]
pub struct MailLogin {
    pub user: String,
    pub password: Secret,
}

/// Longest wait for the answer to a goodbye, on which nothing depends: a mail that was accepted is not sent again because of it.
const GOODBYE: Duration = Duration::from_secs(1);

impl MailServer {
    /// Sends a mail, and succeeds once the server has answered for every recipient. Returns those whom it refuses; if that is all
    /// of them, the mail was not sent.
    pub(crate) fn send(
        &self,
        own: &str,
        letter: &Letter<'_>,
        patience: &DeliveryLimits,
    ) -> Result<Vec<RecipientRefusal>, MailFailure> {
        self.converse(own, patience, async |connection| letter.hand_over(connection).await)
    }

    /// Connects and logs in, but sends nothing.
    pub(crate) fn reach(&self, own: &str, patience: &DeliveryLimits) -> Result<(), MailFailure> {
        self.converse(own, patience, async |connection| Ok(connection.command(Noop).await.map(drop)?))
    }

    /// Introduces itself by the name `own`, runs `ask`, and says goodbye.
    fn converse<T>(
        &self,
        own: &str,
        patience: &DeliveryLimits,
        ask: impl AsyncFnOnce(&mut AsyncSmtpConnection) -> Result<T, MailFailure>,
    ) -> Result<T, MailFailure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let outcome = runtime.block_on(async {
            let mut connection = self.open(own, patience).await?;
            let answer = ask(&mut connection).await;
            timeout(GOODBYE, connection.abort()).await.ok();
            answer
        });
        // Waits for nothing: the lookup of a name goes on for as long as the system's resolver likes.
        runtime.shutdown_background();
        outcome
    }

    async fn open(&self, own: &str, patience: &DeliveryLimits) -> Result<AsyncSmtpConnection, MailFailure> {
        let stream = self.dial(patience).await?;
        let own = &ehlo_name::hello(own, stream.local_addr().ok().map(|address| address.ip()));
        let line = MailStream::new(stream, patience);
        let stream: Box<dyn AsyncTokioStream> = match self.security {
            Security::Tls => Box::new(TlsMailStream::open(&self.trust.for_tls()?, &self.host, line).await?),
            Security::StartTls | Security::None => Box::new(line),
        };
        let mut connection = AsyncSmtpConnection::connect_with_transport(stream, own).await?;
        if self.security == Security::StartTls {
            // An error where the server does not offer it.
            connection.starttls(self.trust.for_smtp(&self.host)?, own).await?;
        }
        if let Some(MailLogin { user, password }) = &self.login {
            let credentials = Credentials::new(user.clone(), password.reveal().to_owned());
            connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        Ok(connection)
    }

    /// Connects to the first of the host's addresses that answers, in the time that one answer may take. Each address gets a share
    /// of that time, so that one which drops everything leaves some to the next.
    async fn dial(&self, patience: &DeliveryLimits) -> io::Result<TcpStream> {
        let end = Instant::now() + patience.answer.min(patience.left());
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
