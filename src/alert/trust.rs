//! Whose certificates count.

use crate::certificates;
use crate::error::Result;
use lettre::transport::smtp::client as smtp;
use std::path::Path;
use std::sync::Arc;
use tokio_native_tls::native_tls::{self, Protocol, TlsConnector};
use ureq::tls::{Certificate, RootCerts};

/// The system's authorities, and those of a file beside them.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// DER.
    own: Arc<Vec<Vec<u8>>>,
}

impl Trust {
    pub fn with(file: &Path, setting: &str) -> Result<Trust> {
        let found = certificates::read(file, setting)?;
        let own = found.iter().map(|certificate| certificate.to_der()).collect::<std::result::Result<_, _>>()?;
        Ok(Trust { own: Arc::new(own) })
    }

    pub(super) fn for_http(&self) -> RootCerts {
        if self.own.is_empty() {
            return RootCerts::PlatformVerifier;
        }
        let system = rustls_native_certs::load_native_certs().certs;
        let own = self.own.iter().map(|der| Certificate::from_der(der).to_owned());
        RootCerts::from(system.iter().map(|der| Certificate::from_der(der).to_owned()).chain(own))
    }

    /// Of TLS from the first byte.
    pub(super) fn for_tls(&self) -> std::result::Result<TlsConnector, native_tls::Error> {
        let mut builder = TlsConnector::builder();
        // As lettre has it for STARTTLS.
        builder.min_protocol_version(Some(Protocol::Tlsv12));
        for der in self.own.iter() {
            builder.add_root_certificate(native_tls::Certificate::from_der(der)?);
        }
        builder.build()
    }

    /// Of STARTTLS.
    pub(super) fn for_smtp(
        &self,
        host: &str,
    ) -> std::result::Result<smtp::TlsParameters, lettre::transport::smtp::Error> {
        let mut parameters = smtp::TlsParameters::builder(host.to_owned());
        for der in self.own.iter() {
            parameters = parameters.add_root_certificate(smtp::Certificate::from_der(der.clone())?);
        }
        parameters.build()
    }
}
