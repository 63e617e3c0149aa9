//! Sends requests to addresses that are secrets, because knowing one is enough to use it.

use crate::alerts::delivery::DeliveryFailure;
use crate::alerts::tls_roots::TlsRoots;
use crate::base::error::{Fault, Result};
use crate::base::secret::Secret;
use std::time::Duration;
use ureq::http::{Method, Request, StatusCode, Uri};
use ureq::tls::{TlsConfig, TlsProvider};
use ureq::{Agent, Error};

/// Answers that may mean that the message is too long; most receivers are no more exact.
const TOO_LONG: [StatusCode; 5] = [
    StatusCode::BAD_REQUEST,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::URI_TOO_LONG,
    StatusCode::UNPROCESSABLE_ENTITY,
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
];

/// A URL, of which only the host is ever shown.
#[derive(Debug, Clone)]
pub struct SecretUrl {
    url: Secret,
    host: String,
    /// Scheme and host, without name and password.
    root: String,
}

impl SecretUrl {
    pub fn parse(variable: &str, url: &Secret) -> Result<SecretUrl> {
        let wrong = || {
            Fault::usage(format!("{variable} is not an http:// or https:// URL"))
                .hint("it is a secret, and so it is not shown; look for blanks and for a missing https://")
        };
        let text = url.reveal().trim();
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let (Some(scheme @ ("http" | "https")), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return Err(wrong().into());
        };
        if host.is_empty() {
            return Err(wrong().into());
        }
        let host = uri.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(SecretUrl { url: Secret::new(text), root: format!("{scheme}://{host}/"), host })
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn url(&self) -> &str {
        self.url.reveal()
    }
}

/// Posts the body. Any answer but 2xx is an error.
pub fn post(
    url: &str,
    content_type: &str,
    body: String,
    trust: &TlsRoots,
    limit: Duration,
) -> std::result::Result<(), DeliveryFailure> {
    let request = Request::builder().method(Method::POST).uri(url).header("content-type", content_type);
    let request = request.body(body).map_err(|_| DeliveryFailure::lasting("the address is no URL"))?;
    let answer = agent(trust, limit).run(request).map_err(|error| undelivered(&error))?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status if status.is_redirection() => Err(DeliveryFailure::lasting(format!(
            "it answered {status}, and an alert is not sent on to another address"
        ))),
        // Of the answer's text nothing is shown: many servers quote the address in it.
        status => Err(DeliveryFailure {
            why: format!("it answered {status}"),
            passing: passing(status),
            shorter: TOO_LONG.contains(&status),
        }),
    }
}

/// Requests only the host's front page and accepts any answer: even one request to a secret address may count as use.
pub fn reach(address: &SecretUrl, trust: &TlsRoots, limit: Duration) -> std::result::Result<(), DeliveryFailure> {
    let request = Request::builder().method(Method::HEAD).uri(&address.root);
    let request = request.body(()).map_err(|_| DeliveryFailure::lasting("the address is no URL"))?;
    agent(trust, limit).run(request).map(|_| ()).map_err(|error| undelivered(&error))
}

fn agent(trust: &TlsRoots, limit: Duration) -> Agent {
    let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(trust.for_http()).build();
    Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(limit))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("pgbk/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

fn passing(status: StatusCode) -> bool {
    status.is_server_error()
        || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS].contains(&status)
}

/// Returns the reason of a failed request. Quotes only errors whose text cannot hold the address.
fn undelivered(error: &Error) -> DeliveryFailure {
    match error {
        Error::Timeout(_) => DeliveryFailure::passing("it did not answer in time"),
        Error::HostNotFound => DeliveryFailure::passing("the host is not known"),
        Error::Io(error) => DeliveryFailure::passing(error.to_string()),
        Error::NativeTls(error) => DeliveryFailure::passing(format!("TLS: {error}")),
        Error::ConnectProxyFailed(_) | Error::InvalidProxyUrl => DeliveryFailure::passing("the proxy refuses"),
        Error::ConnectionFailed => DeliveryFailure::passing("cannot connect"),
        _ => DeliveryFailure::passing("the answer is no HTTP"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_the_host_is_shown() {
        let url = Secret::new(" https://me:secret@hooks.example:8443/services/secret?token=secret\n");
        let address = SecretUrl::parse("WEBHOOK_URL", &url).unwrap();
        assert_eq!(address.host(), "hooks.example:8443");
        assert_eq!(address.root, "https://hooks.example:8443/");
        assert!(!format!("{address:?}").contains("secret"));
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_shown() {
        for wrong in
            ["secret", "ftp://secret", "https://", "https:///secret", "https://a b/secret", "/secret", "hooks.secret/x"]
        {
            let error = SecretUrl::parse("WEBHOOK_URL", &Secret::new(wrong)).unwrap_err();
            let text = format!("{error:#} {:?}", crate::base::error::hints(&error));
            assert!(
                text.contains("WEBHOOK_URL") && !text.contains("hooks.secret") && !text.contains("/secret"),
                "{text}"
            );
        }
    }
}
