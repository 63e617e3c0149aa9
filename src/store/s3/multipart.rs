//! Begins a multipart upload, and aborts those whose id was lost with an answer.

use crate::base::error::{Fault, Result};
use crate::store::network::waiter::ABORT_LIMIT;
use crate::store::s3::attempts::Attempts;
use crate::store::s3::errors::{S3Answer, uncertain};
use crate::store::s3::host::Host;
use crate::store::s3::listing;
use crate::store::s3::overload::patiently;
use crate::store::s3::put_headers::PutHeaders;
use aws_sdk_s3::operation::abort_multipart_upload::AbortMultipartUploadError;
use jiff::{SignedDuration, Timestamp};

/// How far the host's clock may be off ours: it refuses requests whose time is further off.
const MOST_SKEW: SignedDuration = SignedDuration::from_mins(15);

/// Begins an upload and returns its id.
pub(crate) fn begin(host: &Host, key: &str, making: &PutHeaders) -> Result<String> {
    let (since, tries) = (Timestamp::now(), Attempts::default());
    let send = async || {
        let request = host
            .client()
            .create_multipart_upload()
            .bucket(host.address.bucket())
            .key(host.address.full(key))
            .customize();
        request.mutate_request(making.headers()).mutate_request(tries.count()).send().await
    };
    // Not cut short by a signal at once: whether it was begun would not be known.
    let answer = host.waiter.wait_out(patiently(host, send)).inspect_err(|_| abort_lost(host, key, since, None))?;
    if tries.several() || answer.as_ref().is_err_and(uncertain) {
        abort_lost(host, key, since, answer.as_ref().ok().and_then(|begun| begun.upload_id()));
    }
    let begun = answer.map_err(|error| host.fault(&format!("begin the upload of \"{key}\""), error))?;
    begun
        .upload_id
        .filter(|id| !id.is_empty())
        .ok_or_else(|| Fault::failed(format!("{} gave no id for the upload of \"{key}\"", host.address.name)).into())
}

/// Aborts the uploads of this very key that were begun since, but not `ours`. A key names a database and a second, so
/// that anybody else who writes it now could not succeed either. What the host does not list or abort is left to
/// `doctor --clean`.
fn abort_lost(host: &Host, key: &str, since: Timestamp, ours: Option<&str>) {
    let since = since.saturating_sub(MOST_SKEW).unwrap_or(Timestamp::MIN);
    host.waiter.clean_up(
        async {
            for lost in listing::unfinished(host, key).await.unwrap_or_default() {
                let recent = lost.started.is_none_or(|started| started >= since);
                if lost.key == key && recent && ours != Some(lost.token.as_str()) {
                    abort(host, key, &lost.token).await.ok();
                }
            }
        },
        ABORT_LIMIT,
    );
}

pub(crate) async fn abort(host: &Host, key: &str, id: &str) -> S3Answer<(), AbortMultipartUploadError> {
    let request =
        host.client().abort_multipart_upload().bucket(host.address.bucket()).key(host.address.full(key)).upload_id(id);
    request.send().await.map(|_| ())
}
