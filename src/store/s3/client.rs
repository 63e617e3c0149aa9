//! The SDK's client, set up so that it works with every host and never waits for ever.

use crate::base::certificates;
use crate::base::error::{Fault, Result};
use crate::store::s3::answer_limit::CappedClient;
use crate::store::s3::resolver::Resolver;
use crate::store::s3::settings::Addressing;
use crate::store::s3::settings::{Keys, S3Settings};
use crate::store::s3::virtual_host::HostResolver;
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
use hyper_util::client::proxy::matcher::Matcher;
use std::time::Duration;

/// Time for a TCP and TLS handshake, retries not counted.
const CONNECT: Duration = Duration::from_secs(10);

/// The address that requests go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct S3Endpoint {
    /// None: AWS, whose address the SDK makes of the region.
    pub url: Option<String>,
    pub region: Option<String>,
    /// The host as messages show it, without the path.
    pub host: String,
    pub addressing: Addressing,
}

impl S3Endpoint {
    /// Reads the address from the settings: `S3_HOST_BASE` is nothing, a bare host (https), or a URL, with a path if
    /// the service has one.
    pub fn of(settings: &S3Settings) -> Result<S3Endpoint> {
        let endpoint = S3Endpoint::parse(settings.endpoint.as_deref(), settings.region.as_deref())?;
        let path = endpoint.url.as_deref().and_then(|url| url.rsplit_once('/')).map(|(_, last)| last);
        if path == Some(settings.bucket.as_str()) && endpoint.host != settings.bucket {
            return Err(Fault::usage("S3_HOST_BASE ends with the name of the bucket")
                .hint("S3_BUCKET names the bucket: take it out of S3_HOST_BASE")
                .into());
        }
        let addressing = settings.addressing.unwrap_or(endpoint.addressing);
        if addressing == Addressing::Virtual && endpoint.url.is_some() && is_address(&endpoint.host) {
            return Err(Fault::usage(
                "S3_ADDRESSING=virtual puts the bucket before the host, and S3_HOST_BASE has no name but an IP address",
            )
            .hint("give the host's name, or S3_ADDRESSING=path")
            .into());
        }
        Ok(S3Endpoint { addressing, ..endpoint })
    }

    fn parse(base: Option<&str>, region: Option<&str>) -> Result<S3Endpoint> {
        let region = region.map(str::to_owned);
        let aws = |region, host| S3Endpoint { url: None, region, host, addressing: Addressing::Virtual };
        let Some(base) = base.map(|base| base.trim().trim_end_matches('/')).filter(|base| !base.is_empty()) else {
            return Ok(aws(region, "AWS".to_owned()));
        };
        let (scheme, rest) = base.split_once("://").unwrap_or(("https", base));
        let scheme = scheme.to_ascii_lowercase();
        let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
        if !["http", "https"].contains(&scheme.as_str()) || !is_host(host) || !path.is_none_or(is_path) {
            return Err(Fault::usage("S3_HOST_BASE is neither a host nor an http:// or https:// URL of one")
                .hint("give a host such as s3.eu-central-1.amazonaws.com, or http://127.0.0.1:9000")
                .into());
        }
        if let Some(of_host) = aws_region(host) {
            if path.is_some() {
                return Err(Fault::usage("S3_HOST_BASE has a path, and AWS has none")
                    .hint("the bucket goes to S3_BUCKET, a folder in it to S3_FOLDER")
                    .into());
            }
            return Ok(aws(region.or(of_host), host.to_owned()));
        }
        // Every signature has a region in it; hosts of one region take any.
        Ok(S3Endpoint {
            url: Some(format!("{scheme}://{rest}")),
            region: region.or_else(|| Some("us-east-1".to_owned())),
            host: host.to_owned(),
            addressing: if is_virtual_only(host) { Addressing::Virtual } else { Addressing::Path },
        })
    }
}

/// Returns whether this host answers only if the bucket is before its name, and not in the path.
fn is_virtual_only(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
    name.ends_with(".aliyuncs.com") || name.starts_with("s3-accelerate.") && name.ends_with(".amazonaws.com")
}

pub(crate) fn is_address(host: &str) -> bool {
    host.starts_with('[') || host.rsplit_once(':').map_or(host, |(name, _)| name).parse::<std::net::IpAddr>().is_ok()
}

/// Returns whether this is a plain path. Some services have their S3 below one.
fn is_path(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && path.chars().all(|c| c.is_ascii_alphanumeric() || "-._~/".contains(c))
}

/// Returns whether this is a host with an optional port. A user or a query has no meaning here and could hold a secret.
fn is_host(host: &str) -> bool {
    !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c))
}

/// Returns `Some` for AWS's own hosts, with the region if the name has one. None: it is another host.
fn aws_region(host: &str) -> Option<Option<String>> {
    let region = host.strip_prefix("s3")?.strip_suffix("amazonaws.com")?;
    match region.trim_matches(['.', '-']) {
        "" => Some(None),
        // Names of doors, not of regions.
        "external-1" => Some(Some("us-east-1".to_owned())),
        "accelerate" => None,
        region if region.contains('.') => None,
        region => Some(Some(region.to_owned())),
    }
}

/// Builds the client; asks the AWS chain for what the settings leave out.
pub(crate) async fn build(settings: &S3Settings, endpoint: &S3Endpoint) -> Result<Client> {
    let http = http_client(trusted(settings, endpoint)?)?;
    let mut config = match credentials(settings) {
        Some(keys) => Builder::new()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .credentials_provider(keys)
            .region(Region::new(endpoint.region.clone().unwrap_or_else(|| "us-east-1".to_owned()))),
        None => chain(settings, endpoint, &http).await,
    };
    config = match (&endpoint.url, endpoint.addressing) {
        (Some(url), Addressing::Virtual) => config.endpoint_resolver(HostResolver::of(url, &settings.bucket)),
        // To the SDK the last part of a path without a slash behind it is none to put the bucket below.
        (Some(url), Addressing::Path) => config.endpoint_url(format!("{url}/")).force_path_style(true),
        (None, Addressing::Path) => config.force_path_style(true),
        (None, Addressing::Virtual) => config,
    };
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

/// Finds the credentials as every AWS tool does: profile, web identity, container or instance role.
async fn chain(settings: &S3Settings, endpoint: &S3Endpoint, http: &SharedHttpClient) -> Builder {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http.clone())
        .timeout_config(timeouts(settings));
    if let Some(region) = endpoint.region.as_ref().or(settings.chain.region.as_ref()) {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &settings.chain.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(Keys { access, secret, token }) = &settings.chain.keys {
        let token = token.as_ref().map(|token| token.reveal().to_owned());
        loader =
            loader.credentials_provider(Credentials::new(access.reveal(), secret.reveal(), token, None, "variables"));
    }
    let found = loader.load().await;
    let mut config = Builder::from(&found);
    if found.region().is_none() {
        config = config.region(Region::new("us-east-1"));
    }
    config
}

/// Returns the time limits. The operation's limit covers all attempts of a call. One attempt may take half of it: on
/// a slow line a part takes long, and a connection that died silently must still leave time for another.
fn timeouts(settings: &S3Settings) -> TimeoutConfig {
    let attempt = settings.timeout / 2;
    TimeoutConfig::builder()
        .connect_timeout(CONNECT.min(attempt))
        .read_timeout(attempt)
        .operation_attempt_timeout(attempt)
        .operation_timeout(settings.timeout)
        .build()
}

/// Returns the authorities that the client trusts: those of the system, where a certificate may be shown to it, and those of
/// `S3_CA_FILE`.
fn trusted(settings: &S3Settings, endpoint: &S3Endpoint) -> Result<TrustStore> {
    // To read those of the system takes longer than a start of pgbk.
    let mut trusted = TrustStore::empty().with_native_roots(may_need_tls(settings, endpoint));
    if let Some(path) = &settings.ca_file {
        // One at a time: the trust store reads no bundles, and panics on what is none.
        for certificate in certificates::read(path, "S3_CA_FILE")? {
            trusted.add_pem_certificate(certificate.to_pem()?);
        }
    }
    Ok(trusted)
}

/// Returns whether anything that the client asks may be reached by TLS. What the AWS chain asks has addresses of its own, and so has a
/// proxy.
fn may_need_tls(settings: &S3Settings, endpoint: &S3Endpoint) -> bool {
    let plain = endpoint.url.as_ref().filter(|url| url.starts_with("http://"));
    match plain.and_then(|url| url.parse().ok()) {
        Some(url) => credentials(settings).is_none() || Matcher::from_env().intercept(&url).is_some(),
        None => true,
    }
}

fn http_client(trusted: TrustStore) -> Result<SharedHttpClient> {
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
        connector.build_with_resolver(Resolver)
    });
    Ok(SharedHttpClient::new(CappedClient(client)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;

    #[test]
    fn a_host_base_is_a_host_or_a_url_and_aws_is_known_by_name() -> Result<()> {
        let parse = |base| S3Endpoint::parse(Some(base), None);
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
        assert_eq!(S3Endpoint::parse(None, None)?.url, None);
        Ok(())
    }

    #[test]
    fn the_systems_authorities_are_read_where_tls_may_be_needed() -> Result<()> {
        let (access_key, secret_key) = (Some("access".to_owned()), Some(Secret::new("secret")));
        let with_keys = S3Settings { access_key, secret_key, ..S3Settings::default() };
        for (base, settings, expected) in [
            ("http://127.0.0.1:9000", &with_keys, false),
            ("http://127.0.0.1:9000", &S3Settings::default(), true),
            ("https://minio.example", &with_keys, true),
            ("minio.example", &with_keys, true),
            ("s3.amazonaws.com", &with_keys, true),
        ] {
            assert_eq!(may_need_tls(settings, &S3Endpoint::parse(Some(base), None)?), expected, "{base}");
        }
        Ok(())
    }

    /// Returns the endpoint for a bucket "b", and whether the bucket is in the path.
    fn of(base: &str, addressing: Option<Addressing>) -> Result<(Option<String>, bool)> {
        let endpoint = Some(base.to_owned());
        let found =
            S3Endpoint::of(&S3Settings { endpoint, addressing, bucket: "b".to_owned(), ..S3Settings::default() })?;
        Ok((found.url, found.addressing == Addressing::Path))
    }

    #[test]
    fn the_bucket_stands_where_the_host_looks_for_it_or_where_a_setting_says() -> Result<()> {
        for (base, url, in_path) in [
            ("minio.example:9000", Some("https://minio.example:9000"), true),
            ("HTTP://minio.example", Some("http://minio.example"), true),
            ("https://x.supabase.co/storage/v1/s3/", Some("https://x.supabase.co/storage/v1/s3"), true),
            ("host/deep/path", Some("https://host/deep/path"), true),
            ("oss-cn-hangzhou.aliyuncs.com", Some("https://oss-cn-hangzhou.aliyuncs.com"), false),
            ("oss-cn-hangzhou.aliyuncs.com:443", Some("https://oss-cn-hangzhou.aliyuncs.com:443"), false),
            ("s3-accelerate.amazonaws.com", Some("https://s3-accelerate.amazonaws.com"), false),
            ("s3.dualstack.eu-west-1.amazonaws.com", Some("https://s3.dualstack.eu-west-1.amazonaws.com"), true),
            ("s3-external-1.amazonaws.com", None, false),
            ("s3.eu-west-1.amazonaws.com", None, false),
            ("127.0.0.1:9000", Some("https://127.0.0.1:9000"), true),
        ] {
            let url = url.map(str::to_owned);
            assert_eq!(of(base, None)?, (url.clone(), in_path), "{base}");
            assert_eq!(of(base, Some(Addressing::Path))?, (url.clone(), true), "{base}");
            let by_name = of(base, Some(Addressing::Virtual));
            match is_address("127.0.0.1") && base.starts_with("127") {
                true => assert!(by_name.unwrap_err().to_string().contains("S3_ADDRESSING=virtual")),
                false => assert_eq!(by_name?, (url, false), "{base}"),
            }
        }
        assert_eq!(S3Endpoint::parse(Some("s3-external-1.amazonaws.com"), None)?.region.as_deref(), Some("us-east-1"));
        assert!(of("https://host/b", None).unwrap_err().to_string().contains("the name of the bucket"));
        Ok(())
    }

    #[test]
    fn a_host_base_with_more_than_a_host_is_refused_without_being_shown() {
        for base in [
            "https://user:secret@host",
            "https://host/secret?secret",
            "https://host/../secret",
            "https://host//secret",
            "https://host/secret%2f",
            "https://s3.amazonaws.com/secret",
            "ftp://secret",
            "host?secret",
        ] {
            let error = S3Endpoint::parse(Some(base), None).map(|_| ()).unwrap_err();
            assert!(!format!("{error:#}").contains("secret"), "{base}");
        }
    }
}
