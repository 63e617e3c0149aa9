//! Turns the SDK's errors into ours: what, on what, why, and what to do next. Nothing here shows a secret or a signed
//! URL: the SDK's own texts are used only if they come from the host's answer or from the network.

use crate::base::error::{Fault, Kind};
use crate::base::shown::many;
use crate::store::s3::address::Address;
use crate::store::s3::listing_times::LONGEST;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;

/// The text of `http_body_util::LengthLimitError`.
const TOO_LONG: &str = "length limit exceeded";

/// Error code of hosts that want the bucket before their name and have got it in the path.
pub(crate) const WANTS_VIRTUAL: &str = "SecondLevelDomainForbidden";

/// Error codes that mean that the keys are wrong or have expired, whatever the request. All other answers of 401 and
/// 403 are about a right.
const BAD_KEYS: [&str; 16] = [
    "InvalidAccessKeyId",
    "InvalidAccessKey",
    "AccessKeyDisabled",
    "InvalidToken",
    "InvalidSecurity",
    "InvalidSecurityToken",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "ExpiredToken",
    "ExpiredTokenException",
    "TokenRefreshRequired",
    "RequestExpired",
    "NotSignedUp",
    "AccountProblem",
    "InvalidPayer",
    "MissingAuthenticationToken",
];

/// The result of a request.
pub(crate) type S3Answer<T, E> = std::result::Result<T, SdkError<E>>;

pub(crate) fn fault<E>(at: &Address, doing: &str, error: SdkError<E>) -> Fault
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let why = match &error {
        SdkError::ServiceError(answer) if !answer.raw().status().is_success() => {
            let code = answer.err().code().unwrap_or_default();
            let fault = answered(at, doing, code, answer.err().message(), answer.raw().status().as_u16());
            return match region(answer.raw().headers().get("x-amz-bucket-region")) {
                Some(region)
                    if Some(region) != at.settings.region.as_deref()
                        && [301, 307, 400].contains(&answer.raw().status().as_u16()) =>
                {
                    fault.hint(format!("the bucket is in another region: set S3_REGION={region}"))
                }
                _ => fault,
            };
        }
        SdkError::TimeoutError(_) => {
            let limit = many(at.settings.timeout.as_secs_f32(), "second");
            return Fault::failed(format!("cannot {doing}: {} gave no answer within {limit}", at.name))
                .hint("check the network, or whether S3_HOST_BASE names the right host");
        }
        SdkError::ServiceError(_) | SdkError::ResponseError(_) => {
            let status = status(&error).unwrap_or_default();
            let why = match root(&error) {
                why if why == TOO_LONG => format!("it is longer than {} MiB", LONGEST >> 20),
                why => without_internals(&why).to_owned(),
            };
            format!("{} answered {status} with something that is not S3's: {why}", at.name)
        }
        _ => {
            let ours = matches!(&error, SdkError::DispatchFailure(failure) if failure.is_user());
            return unreachable(at, doing, &error, ours);
        }
    };
    Fault::failed(format!("cannot {doing}: {why}")).hint("check that S3_HOST_BASE names an S3 host, not its console")
}

/// Returns what the SDK says of an answer, without the values of its parser that it ends with.
fn without_internals(why: &str) -> &str {
    [" but got StartEl {", ". This is likely a bug in the SDK"]
        .iter()
        .fold(why, |why, end| why.split(end).next().unwrap_or(why))
}

/// Returns the region that the host names. None: it is not the name of a region. It is checked because people are
/// shown it and are to type it.
fn region(named: Option<&str>) -> Option<&str> {
    named.filter(|name| (1..=32).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
}

/// Returns the error for an answer that refuses the request. Answers to HEAD requests have a status only.
fn answered(at: &Address, doing: &str, code: &str, message: Option<&str>, status: u16) -> Fault {
    let name = &at.name;
    let said = match (code, message) {
        ("", _) => format!("{name} answered {status}"),
        (code, None | Some("")) => format!("{name} answered {status} {code}"),
        (code, Some(message)) => format!("{name} answered {status} {code}: {}", message.trim_end_matches('.')),
    };
    let text = format!("cannot {doing}: {said}");
    match (code, status) {
        ("NoSuchBucket", _) => no_bucket(at),
        ("RequestTimeTooSkewed", _) => {
            Fault::new(Kind::Unauthenticated, text).hint("this machine's clock and the host's differ: set the clock (NTP)")
        }
        ("SignatureDoesNotMatch", _) => {
            Fault::new(Kind::Unauthenticated, text).hint("check S3_SECRET_ACCESS_KEY, and S3_REGION where the host has several")
        }
        (code, _) if BAD_KEYS.contains(&code) => Fault::new(Kind::Unauthenticated, text)
            .hint("check S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, and S3_SESSION_TOKEN, which expires"),
        (WANTS_VIRTUAL, _) => Fault::failed(text).hint("the host wants the bucket before its name: set S3_ADDRESSING=virtual"),
        ("AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException", _)
        | (_, 301 | 307) => Fault::failed(text).hint("the bucket is in another region: set S3_REGION to it"),
        ("PreconditionFailed" | "ConditionalRequestConflict", _) | (_, 412) => Fault::new(Kind::Exists, text),
        (_, 401 | 403) => Fault::new(Kind::Denied, text).hint(format!(
            "the key of S3_ACCESS_KEY_ID needs the right to {doing}, or is not the key that {name} knows"
        )),
        (_, 404) => Fault::not_found(text),
        // Go's and nginx's answer to who speaks no TLS.
        ("", 400) if at.is_plain() => Fault::failed(text).hint(by_https(at)),
        (_, 400 | 500 | 501) if at.settings.asks_for_more() => Fault::failed(text).hint(
            "it may not know what S3_STORAGE_CLASS, S3_SSE, S3_OBJECT_LOCK_MODE or S3_REQUEST_HEADERS ask for, or the bucket does not have it",
        ),
        (_, 500 | 502 | 503 | 504 | 429) => {
            Fault::failed(text).hint("the host is in trouble or overloaded; it was asked several times")
        }
        _ => Fault::failed(text),
    }
}

fn by_https(at: &Address) -> String {
    format!("the host seems to speak https: try S3_HOST_BASE=https://{}", at.name)
}

pub(crate) fn no_bucket(at: &Address) -> Fault {
    Fault::not_found(format!("bucket \"{}\" does not exist on {}", at.bucket(), at.name))
        .hint("check S3_BUCKET and S3_REGION; pgbk does not make buckets")
}

/// Returns the error for a request without an answer: nobody answers, or nothing was sent for want of credentials.
fn unreachable(at: &Address, doing: &str, error: &(dyn Error + 'static), ours: bool) -> Fault {
    let (name, why) = (&at.name, root(error));
    if lacks_credentials(error) {
        return Fault::new(Kind::Unauthenticated, format!("cannot {doing}: no S3 credentials were found: {why}"))
            .hint("set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, or run where AWS gives a role");
    }
    let fault = Fault::failed(format!("cannot {doing}: cannot reach {name}: {why}"));
    let said = why.to_ascii_lowercase();
    let https = !at.is_plain();
    if said.contains("unknownissuer") || said.contains("certificate") {
        fault.hint("if the host has a certificate of its own authority, set S3_CA_FILE to that authority's certificate")
    } else if https && ["corrupt message", "invalid message", "handshake eof"].iter().any(|sign| said.contains(sign)) {
        fault.hint(format!("the host seems to speak http: try S3_HOST_BASE=http://{name}"))
    } else if !https && (said.contains("parse") || said.contains("version")) {
        fault.hint(by_https(at))
    } else if ours {
        fault
    } else {
        fault.hint("check S3_HOST_BASE (http:// or https://, and the port) and the network")
    }
}

/// Returns whether credentials are missing. The SDK has no kind of its own for that, and the last cause may be no
/// more than a time limit: its texts have to do.
fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    anyhow::Chain::new(error).any(|cause| {
        let said = cause.to_string().to_ascii_lowercase();
        said.contains("credential") || said.contains("identity resolver")
    })
}

/// Returns the last cause that has a text: the outer ones are "dispatch failure", "client error (Connect)" and the like.
pub(crate) fn root(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    let mut text = error.to_string();
    while let Some(next) = last.source() {
        let said = next.to_string();
        if !said.is_empty() {
            text = said;
        }
        last = next;
    }
    text.trim_end_matches('.').to_owned()
}

/// Whether it is unknown if the host did what was asked: the answer was lost, or is not a valid one.
pub(crate) fn uncertain<E>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ServiceError(answer) => answer.raw().status().is_server_error(),
        SdkError::ConstructionFailure(_) => false,
        _ => true,
    }
}

/// Returns the status of the host's answer. None: there was no answer.
pub(crate) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|answer| answer.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_do_not_read_the_values_of_the_sdks_parser() {
        for (said, expected) in [
            (
                "error parsing XML: encountered invalid XML root: expected VersioningConfiguration but got StartEl { name: Name { prefix: \"\" } }. This is likely a bug in the SDK",
                "error parsing XML: encountered invalid XML root: expected VersioningConfiguration",
            ),
            ("error parsing XML. This is likely a bug in the SDK", "error parsing XML"),
            ("unexpected EOF", "unexpected EOF"),
        ] {
            assert_eq!(without_internals(said), expected);
        }
    }
}
