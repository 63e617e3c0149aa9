//! The host: the client, the runtime it works on, and how everything else waits for it.

use super::before_host::BeforeHost;
use super::client::{self, Endpoint};
use super::{S3Settings, fault};
use crate::error::{Fault, Result};
use crate::interrupt::{self, TICK};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};
use tokio::time::timeout;

/// How long a request that must not be cut in two may go on after a signal, and how long parts may take to end before an
/// abort.
pub(super) const GRACE: Duration = Duration::from_secs(5);

pub(super) struct Host {
    pub settings: S3Settings,
    client: Client,
    /// The client that has the bucket before the host's name, once a host has asked for that.
    by_name: OnceLock<Client>,
    /// Where it may be asked so; None where only the SDK knows the address, or where the host has no name.
    url: Option<String>,
    pub name: String,
    folder: String,
    /// Taken only by `drop`.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Host {
    pub fn open(settings: S3Settings) -> Result<Host> {
        let endpoint = Endpoint::of(&settings)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("s3").enable_all().build()?;
        let client = runtime.block_on(client::build(&settings, &endpoint))?;
        let url = endpoint.url.filter(|_| !client::is_address(&endpoint.host));
        let folder = settings.folder.trim_matches('/').to_owned();
        let handle = runtime.handle().clone();
        Ok(Host {
            settings,
            client,
            by_name: OnceLock::new(),
            url,
            name: endpoint.host,
            folder,
            runtime: Some(runtime),
            handle,
        })
    }

    pub fn client(&self) -> &Client {
        self.by_name.get().unwrap_or(&self.client)
    }

    /// Takes the bucket out of the path where this refusal asks for that and no setting says otherwise. Returns whether to ask again.
    pub fn turn(&self, code: Option<&str>) -> bool {
        if code != Some(fault::WANTS_VIRTUAL) || self.settings.addressing.is_some() || self.by_name.get().is_some() {
            return false;
        }
        let Some(url) = self.url.clone() else { return false };
        let config = self.client.config().to_builder().endpoint_resolver(BeforeHost { url }).build();
        self.by_name.set(Client::from_conf(config)).is_ok()
    }

    pub fn bucket(&self) -> &str {
        &self.settings.bucket
    }

    /// The name that the host knows a key by.
    pub fn full(&self, key: &str) -> String {
        if self.folder.is_empty() { key.to_owned() } else { format!("{}/{key}", self.folder) }
    }

    /// The key of one of the host's names; None when that is not in the folder.
    pub fn key<'a>(&self, full: &'a str) -> Option<&'a str> {
        if self.folder.is_empty() { Some(full) } else { full.strip_prefix(&self.folder)?.strip_prefix('/') }
    }

    /// Whether it is asked without TLS.
    pub fn is_plain(&self) -> bool {
        self.settings.endpoint.as_deref().is_some_and(|base| base.trim().starts_with("http://"))
    }

    pub fn location(&self) -> String {
        format!("s3://{}/{} on {}", self.bucket(), self.folder, self.name)
    }

    /// As the AWS tools want it, and then the host.
    pub fn place(&self, key: &str) -> String {
        format!("s3://{}/{} ({})", self.bucket(), self.full(key), self.name)
    }

    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits, but not beyond a signal.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.until(work, Duration::ZERO)
    }

    /// Waits; a signal leaves the work a little time to end, because nobody could tell afterwards whether it had been done.
    pub fn wait_out<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.until(work, GRACE)
    }

    /// Waits, whatever signals come: for cleaning up, with a limit of its own.
    pub fn clean_up<T>(&self, work: impl Future<Output = T>, limit: Duration) -> Option<T> {
        self.handle.block_on(async { timeout(limit, work).await.ok() })
    }

    fn until<T>(&self, work: impl Future<Output = T>, grace: Duration) -> Result<T> {
        interrupt::check()?;
        self.handle.block_on(async {
            let mut work = pin!(work);
            loop {
                if let Ok(done) = timeout(TICK, &mut work).await {
                    return Ok(done);
                }
                if let Err(interrupted) = interrupt::check() {
                    return timeout(grace, work).await.map_err(|_| interrupted);
                }
            }
        })
    }

    /// Tells what failed, at which host, and why.
    pub fn fault<E>(&self, doing: &str, error: SdkError<E>) -> Fault
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        fault::fault(self, doing, error)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.location())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A name that takes long to look up must not hold up the exit.
            runtime.shutdown_background();
        }
    }
}
