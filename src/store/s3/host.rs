//! Holds the client of a host and the runtime that it works on, and lets everything else wait for it.

use crate::base::cancel::{self, TICK};
use crate::base::error::{Fault, Result};
use crate::store::s3::address::Address;
use crate::store::s3::before_host::BeforeHost;
use crate::store::s3::client::{self, Endpoint};
use crate::store::s3::errors;
use crate::store::s3::settings::S3Settings;
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
pub(crate) const GRACE: Duration = Duration::from_secs(5);

pub(crate) struct Host {
    pub address: Address,
    client: Client,
    /// The client that has the bucket before the host's name, once a host has asked for that.
    by_name: OnceLock<Client>,
    /// The URL for such a client. None: only the SDK knows the address, or the host has no name.
    url: Option<String>,
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
            address: Address { settings, name: endpoint.host, folder },
            client,
            by_name: OnceLock::new(),
            url,
            runtime: Some(runtime),
            handle,
        })
    }

    pub fn client(&self) -> &Client {
        self.by_name.get().unwrap_or(&self.client)
    }

    /// Puts the bucket before the host's name if this refusal asks for that and no setting says otherwise. Returns
    /// whether to ask again.
    pub fn turn(&self, code: Option<&str>) -> bool {
        if code != Some(errors::WANTS_VIRTUAL)
            || self.address.settings.addressing.is_some()
            || self.by_name.get().is_some()
        {
            return false;
        }
        let Some(url) = self.url.clone() else { return false };
        let config = self.client.config().to_builder().endpoint_resolver(BeforeHost { url }).build();
        self.by_name.set(Client::from_conf(config)).is_ok()
    }

    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits for the work. A signal ends the wait with an error.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.until(work, Duration::ZERO)
    }

    /// Waits for the work. A signal leaves it a little time to end, because nobody could know afterwards whether it
    /// had been done.
    pub fn wait_out<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.until(work, GRACE)
    }

    /// Waits for the work whatever signals come, for cleaning up. None: the limit is over.
    pub fn clean_up<T>(&self, work: impl Future<Output = T>, limit: Duration) -> Option<T> {
        self.handle.block_on(async { timeout(limit, work).await.ok() })
    }

    fn until<T>(&self, work: impl Future<Output = T>, grace: Duration) -> Result<T> {
        cancel::check()?;
        self.handle.block_on(async {
            let mut work = pin!(work);
            loop {
                if let Ok(done) = timeout(TICK, &mut work).await {
                    return Ok(done);
                }
                if let Err(interrupted) = cancel::check() {
                    return timeout(grace, work).await.map_err(|_| interrupted);
                }
            }
        })
    }

    /// Returns the error, with what failed, at which host, and why.
    pub fn fault<E>(&self, doing: &str, error: SdkError<E>) -> Fault
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        errors::fault(&self.address, doing, error)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address.location())
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
