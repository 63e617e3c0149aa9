//! The certificate authorities that alerts trust.

use crate::base::certificates;
use crate::base::error::Result;
use lettre::transport::smtp::client as smtp;
use std::path::Path;
use std::sync::Arc;
use tokio_native_tls::native_tls::{self, Protocol, TlsConnector};
use ureq::tls::{Certificate, RootCerts};

/// The system's authorities, and additional ones from a file.
#[derive(Debug, Clone, Default)]
pub struct TlsRoots {
    /// The additional certificates, in DER.
    own: Arc<Vec<Vec<u8>>>,
}

impl TlsRoots {
    pub fn with(file: &Path, setting: &str) -> Result<TlsRoots> {
        let found = certificates::read(file, setting)?;
        let own = found.iter().map(|certificate| certificate.to_der()).collect::<std::result::Result<_, _>>()?;
        Ok(TlsRoots { own: Arc::new(own) })
    }

    pub(crate) fn for_http(&self) -> RootCerts {
        if self.own.is_empty() {
            return RootCerts::PlatformVerifier;
        }
        let system = rustls_native_certs::load_native_certs().certs;
        let own = self.own.iter().map(|der| Certificate::from_der(der).to_owned());
        RootCerts::from(system.iter().map(|der| Certificate::from_der(der).to_owned()).chain(own))
    }

    /// Returns the connector for TLS from the first byte.
    pub(crate) fn for_tls(&self) -> std::result::Result<TlsConnector, native_tls::Error> {
        let mut builder = TlsConnector::builder();
        // As lettre has it for STARTTLS.
        builder.min_protocol_version(Some(Protocol::Tlsv12));
        for der in self.own.iter() {
            builder.add_root_certificate(native_tls::Certificate::from_der(der)?);
        }
        builder.build()
    }

    /// Returns the TLS parameters for STARTTLS.
    pub(crate) fn for_smtp(
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
