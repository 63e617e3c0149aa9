//! Tells an overloaded host from one that refuses, and waits for it.

use crate::store::network::patience;
use crate::store::s3::errors::{S3Answer, status};
use crate::store::s3::host::Host;
use aws_sdk_s3::error::SdkError;

/// The statuses of an overloaded host: too many requests, and "slow down".
const BUSY: [u16; 2] = [429, 503];

/// Returns whether this is the status of an overloaded host.
pub(crate) fn is_busy(status: u16) -> bool {
    BUSY.contains(&status)
}

/// Returns whether the host is overloaded by its answer.
pub(crate) fn says_busy<E>(error: &SdkError<E>) -> bool {
    status(error).is_some_and(is_busy)
}

/// Sends a request, with all its attempts, again and again until the host is no longer busy or `S3_TIMEOUT` is over.
pub(crate) async fn patiently<T, E>(host: &Host, send: impl AsyncFn() -> S3Answer<T, E>) -> S3Answer<T, E> {
    patience::patiently(host.address.settings.timeout, says_busy, send).await
}
