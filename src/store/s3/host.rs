//! Holds the client of a host, and all that its requests share.

use crate::base::error::{Fault, Result};
use crate::store::network::buffers::Buffers;
use crate::store::network::waiter::Waiter;
use crate::store::s3::address::Address;
use crate::store::s3::client::{self, S3Endpoint};
use crate::store::s3::errors;
use crate::store::s3::settings::S3Settings;
use crate::store::s3::virtual_host::HostResolver;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::fmt;
use std::sync::OnceLock;

pub(crate) struct Host {
    pub address: Address,
    client: Client,
    /// The client that has the bucket before the host's name, once a host has asked for that.
    by_name: OnceLock<Client>,
    /// The URL for such a client. None: only the SDK knows the address, or the host has no name.
    url: Option<String>,
    pub waiter: Waiter,
    pub buffers: Buffers,
}

impl Host {
    pub fn open(settings: S3Settings) -> Result<Host> {
        let endpoint = S3Endpoint::of(&settings)?;
        let waiter = Waiter::start("s3")?;
        let client = waiter.handle().block_on(client::build(&settings, &endpoint))?;
        let url = endpoint.url.filter(|_| !client::is_address(&endpoint.host));
        let folder = settings.folder.trim_matches('/').to_owned();
        Ok(Host {
            address: Address { settings, name: endpoint.host, folder },
            client,
            by_name: OnceLock::new(),
            url,
            waiter,
            buffers: Buffers::new(),
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
        let Some(url) = &self.url else { return false };
        let resolver = HostResolver::of(url, self.address.bucket());
        let config = self.client.config().to_builder().endpoint_resolver(resolver).build();
        self.by_name.set(Client::from_conf(config)).is_ok()
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
