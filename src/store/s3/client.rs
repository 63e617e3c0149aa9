//! The SDK's client, set up so that it works with every host and never waits for ever.

use super::S3Settings;
use super::capped::Capped;
use crate::certificates;
use crate::error::{Fault, Result};
use aws_config::BehaviorVersion;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedCredentialsProvider,
    SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder as HttpBuilder, Connector};
use std::path::Path;
use std::time::Duration;

/// Time for a TCP and TLS handshake, retries not counted.
const CONNECT: Duration = Duration::from_secs(10);

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// None: AWS, whose address the SDK makes of the region.
    pub url: Option<String>,
    pub region: Option<String>,
    /// For messages.
    pub host: String,
}

impl Endpoint {
    /// Reads `S3_HOST_BASE`: nothing, a bare host (https), or a URL.
    pub fn parse(base: Option<&str>, region: Option<&str>) -> Result<Endpoint> {
        let region = region.map(str::to_owned);
        let Some(base) = base.map(|base| base.trim().trim_end_matches('/')).filter(|base| !base.is_empty()) else {
            return Ok(Endpoint { url: None, region, host: "AWS".to_owned() });
        };
        let url = if base.contains("://") { base.to_owned() } else { format!("https://{base}") };
        let host = url.split_once("://").map_or("", |(_, host)| host).to_owned();
        if !(url.starts_with("http://") || url.starts_with("https://")) || !is_host(&host) {
            return Err(Fault::usage("S3_HOST_BASE is neither a host nor an http:// or https:// URL of one")
                .hint("give a host such as s3.eu-central-1.amazonaws.com, or http://127.0.0.1:9000")
                .into());
        }
        if let Some(of_host) = aws_region(&host) {
            return Ok(Endpoint { url: None, region: region.or(of_host), host });
        }
        // Every signature has a region in it; hosts of one region take any.
        Ok(Endpoint { url: Some(url), region: region.or_else(|| Some("us-east-1".to_owned())), host })
    }
}

/// A host with an optional port; a path, a user or a query have no meaning here and could hold a secret.
fn is_host(host: &str) -> bool {
    !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c))
}

/// `Some` for AWS's own hosts, with the region where the name tells it.
fn aws_region(host: &str) -> Option<Option<String>> {
    let region = host.strip_prefix("s3")?.strip_suffix("amazonaws.com")?;
    match region.trim_matches(['.', '-']) {
        "" => Some(None),
        region if region.contains('.') => None,
        region => Some(Some(region.to_owned())),
    }
}

/// Builds the client; asks the AWS chain for what the settings leave out.
pub(super) async fn build(settings: &S3Settings, endpoint: &Endpoint) -> Result<Client> {
    let http = http_client(settings.ca_file.as_deref())?;
    let mut config = match credentials(settings) {
        Some(keys) => Builder::new()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .credentials_provider(keys)
            .region(Region::new(endpoint.region.clone().unwrap_or_else(|| "us-east-1".to_owned()))),
        None => chain(settings, endpoint, &http).await,
    };
    if let Some(url) = &endpoint.url {
        config = config.endpoint_url(url).force_path_style(true);
    }
    Ok(Client::from_conf(
        config
            .http_client(http)
            // Checksums that only some hosts know are left out; Content-MD5, which all know, is set per request.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            // A reader that waits for a slow server behind it must not lose its download.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(timeouts(settings))
            .retry_config(RetryConfig::standard().with_max_attempts(settings.attempts.max(1)))
            .build(),
    ))
}

fn credentials(settings: &S3Settings) -> Option<SharedCredentialsProvider> {
    let (access, secret) = settings.access_key.as_ref().zip(settings.secret_key.as_ref())?;
    let token = settings.session_token.as_ref().map(|token| token.reveal().to_owned());
    Some(SharedCredentialsProvider::new(Credentials::new(access, secret.reveal(), token, None, "settings")))
}

/// Profile, web identity, container or instance role, as every AWS tool looks for them.
async fn chain(settings: &S3Settings, endpoint: &Endpoint, http: &SharedHttpClient) -> Builder {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http.clone())
        .timeout_config(timeouts(settings));
    if let Some(region) = &endpoint.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let found = loader.load().await;
    let mut config = Builder::from(&found);
    if found.region().is_none() {
        config = config.region(Region::new("us-east-1"));
    }
    config
}

/// The operation's limit covers all tries of a call. An attempt may take half of it, for on a slow line a part takes long,
/// and a connection that died silently must still leave time for another.
fn timeouts(settings: &S3Settings) -> TimeoutConfig {
    let attempt = settings.timeout / 2;
    TimeoutConfig::builder()
        .connect_timeout(CONNECT.min(attempt))
        .read_timeout(attempt)
        .operation_attempt_timeout(attempt)
        .operation_timeout(settings.timeout)
        .build()
}

fn http_client(ca_file: Option<&Path>) -> Result<SharedHttpClient> {
    let mut trusted = TrustStore::default();
    if let Some(path) = ca_file {
        // One at a time: the trust store reads no bundles, and panics on what is none.
        for certificate in certificates::read(path, "S3_CA_FILE")? {
            trusted.add_pem_certificate(certificate.to_pem()?);
        }
    }
    let context = TlsContext::builder().with_trust_store(trusted).build()?;
    // The plain builder has no proxies; HTTPS_PROXY and NO_PROXY are how many networks let a backup out.
    let proxy = ProxyConfig::from_env();
    let client = HttpBuilder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(context.clone())
            .proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build()
    });
    Ok(SharedHttpClient::new(Capped(client)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_base_is_a_host_or_a_url_and_aws_is_known_by_name() -> Result<()> {
        let parse = |base| Endpoint::parse(Some(base), None);
        assert_eq!(parse("minio.example:9000")?.url.as_deref(), Some("https://minio.example:9000"));
        assert_eq!(parse("http://127.0.0.1:1/")?.url.as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(parse("minio.example")?.region.as_deref(), Some("us-east-1"));
        for (base, region) in [
            ("s3.amazonaws.com", None),
            ("https://s3.eu-central-1.amazonaws.com", Some("eu-central-1")),
            ("s3-eu-west-1.amazonaws.com", Some("eu-west-1")),
        ] {
            let endpoint = parse(base)?;
            assert_eq!((endpoint.url, endpoint.region.as_deref()), (None, region), "{base}");
        }
        assert_eq!(Endpoint::parse(None, None)?.url, None);
        Ok(())
    }

    #[test]
    fn a_host_base_with_more_than_a_host_is_refused_without_being_shown() {
        for base in ["https://user:secret@host", "https://host/secret", "ftp://secret", "host?secret"] {
            let error = Endpoint::parse(Some(base), None).map(|_| ()).unwrap_err();
            assert!(!format!("{error:#}").contains("secret"), "{base}");
        }
    }
}
