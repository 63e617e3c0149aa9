//! Beginning a multipart upload, such that none is left behind whose id was lost with an answer.

use super::fault::uncertain;
use super::host::Host;
use super::listing;
use super::making::Making;
use super::parts::{ABORT_LIMIT, abort};
use super::patience::patiently;
use super::tries::Tries;
use crate::error::{Fault, Result};
use jiff::{SignedDuration, Timestamp};

/// How far the host's clock may be off ours: it refuses requests whose time is further off.
const MOST_SKEW: SignedDuration = SignedDuration::from_mins(15);

/// The id of a new upload.
pub(super) fn begin(host: &Host, key: &str, making: &Making) -> Result<String> {
    let (since, tries) = (Timestamp::now(), Tries::default());
    let send = async || {
        let request = host.client().create_multipart_upload().bucket(host.bucket()).key(host.full(key)).customize();
        request.mutate_request(making.headers()).mutate_request(tries.count()).send().await
    };
    // Not cut short by a signal at once: whether it was begun would not be known.
    let answer = host.wait_out(patiently(host, send)).inspect_err(|_| abort_lost(host, key, since, None))?;
    if tries.several() || answer.as_ref().is_err_and(uncertain) {
        abort_lost(host, key, since, answer.as_ref().ok().and_then(|begun| begun.upload_id()));
    }
    let begun = answer.map_err(|error| host.fault(&format!("begin the upload of \"{key}\""), error))?;
    begun
        .upload_id
        .filter(|id| !id.is_empty())
        .ok_or_else(|| Fault::failed(format!("{} gave no id for the upload of \"{key}\"", host.name)).into())
}

/// Aborts the uploads of this very key that were begun since, but not `ours`. A key tells a database and a second, so whoever
/// else writes it just now could not end well either. What the host does not list or abort is left to `doctor --clean`.
fn abort_lost(host: &Host, key: &str, since: Timestamp, ours: Option<&str>) {
    let since = since.saturating_sub(MOST_SKEW).unwrap_or(Timestamp::MIN);
    host.clean_up(
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
