//! Lists the versions that a bucket keeps.

use crate::base::error::{Kind, Result};
use crate::store::capabilities::Version;
use crate::store::s3::errors::status;
use crate::store::s3::host::Host;
use crate::store::s3::listing::spelling;
use crate::store::s3::object::{real_version, timestamp};
use crate::store::s3::overload::patiently;
use crate::store::s3::pages::Pages;

/// Returns whether what is overwritten stays as an older version.
pub(crate) fn are_kept(host: &Host) -> Result<bool> {
    match host.waiter.wait(host.client().get_bucket_versioning().bucket(host.address.bucket()).send())? {
        Ok(answer) => Ok(answer.status.is_some_and(|status| status.as_str() == "Enabled")),
        Err(error) if matches!(status(&error), Some(405 | 501)) => Ok(false),
        Err(error) => {
            let fault = host.fault("ask whether the bucket keeps versions", error);
            Err(match fault.kind() {
                Kind::Denied => fault.hint("allow the role s3:GetBucketVersioning on the bucket"),
                _ => fault,
            }
            .into())
        }
    }
}

/// Returns all versions of the objects whose key begins with `prefix`, those of one key newest first.
pub(crate) fn all(host: &Host, prefix: &str) -> Result<Vec<Version>> {
    let mut found = Vec::new();
    let mut next: (Option<String>, Option<String>) = (None, None);
    let mut pages = Pages::new(&host.address.name, "list the versions", prefix);
    loop {
        let send = async || {
            let request =
                host.client().list_object_versions().bucket(host.address.bucket()).prefix(host.address.full(prefix));
            request.set_key_marker(next.0.clone()).set_version_id_marker(next.1.clone()).send().await
        };
        let page = host.waiter.wait(patiently(host, send))?.map_err(|error| host.fault(pages.doing(), error))?;
        let marks = page.delete_markers().iter().map(|mark| (mark.key(), mark.version_id()));
        pages.count(page.versions().iter().map(|version| (version.key(), version.version_id())).chain(marks))?;
        let keys: Vec<&str> = page.versions().iter().filter_map(|version| version.key()).collect();
        let spelling = spelling(host, page.encoding_type().map(|encoding| encoding.as_str()), &keys, prefix)?;
        for version in page.versions() {
            let full = version.key().and_then(|key| spelling.read(key));
            let key = full.as_deref().and_then(|full| host.address.key(full)).filter(|key| key.starts_with(prefix));
            let (Some(key), Some(id)) = (key, version.version_id().and_then(real_version)) else { continue };
            found.push(Version {
                key: key.to_owned(),
                version: id,
                bytes: version.size().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
                modified: version.last_modified().and_then(timestamp),
            });
        }
        let at = page.next_key_marker().and_then(|key| spelling.read(key)).map(|key| key.into_owned());
        let marker = (at, page.next_version_id_marker);
        if page.is_truncated != Some(true) {
            return Ok(found);
        }
        if marker.0.is_none() || marker == next {
            return Err(pages.endless().into());
        }
        next = marker;
    }
}
