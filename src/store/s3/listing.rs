//! What is in the bucket, page by page.

use super::host::Host;
use super::object::timestamp;
use super::pages::Pages;
use crate::error::Result;
use crate::store::{Listed, Unfinished};

pub(super) fn objects(host: &Host, prefix: &str) -> Result<Vec<Listed>> {
    let mut found = Vec::new();
    let mut next: Option<String> = None;
    let mut pages = Pages::new(&host.name, "list the objects", prefix);
    loop {
        let request = host
            .client
            .list_objects_v2()
            .bucket(host.bucket())
            .prefix(host.full(prefix))
            .set_continuation_token(next.clone());
        let page = host.wait(request.send())?.map_err(|error| host.fault(pages.doing(), error))?;
        pages.count(page.contents().iter().map(|object| (object.key(), None)))?;
        for object in page.contents() {
            let Some(key) = object.key().and_then(|full| host.key(full)).filter(|key| key.starts_with(prefix)) else {
                continue;
            };
            // Some hosts and consoles show a folder as an empty object of that name.
            if key.ends_with('/') || key.is_empty() {
                continue;
            }
            found.push(Listed {
                key: key.to_owned(),
                bytes: object.size().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
                modified: object.last_modified().and_then(timestamp),
            });
        }
        let token = page.next_continuation_token;
        if page.is_truncated != Some(true) {
            break;
        }
        if token.is_none() || token == next {
            return Err(pages.endless().into());
        }
        next = token;
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(found)
}

pub(super) async fn unfinished(host: &Host, prefix: &str) -> Result<Vec<Unfinished>> {
    let mut found = Vec::new();
    let mut next: (Option<String>, Option<String>) = (None, None);
    let mut pages = Pages::new(&host.name, "list the unfinished uploads", prefix);
    loop {
        let request = host
            .client
            .list_multipart_uploads()
            .bucket(host.bucket())
            .prefix(host.full(prefix))
            .set_key_marker(next.0.clone())
            .set_upload_id_marker(next.1.clone());
        let page = request.send().await.map_err(|error| host.fault(pages.doing(), error))?;
        pages.count(page.uploads().iter().map(|upload| (upload.key(), upload.upload_id())))?;
        for upload in page.uploads() {
            let key = upload.key().and_then(|full| host.key(full)).filter(|key| key.starts_with(prefix));
            let (Some(key), Some(id)) = (key, upload.upload_id()) else { continue };
            found.push(Unfinished {
                key: key.to_owned(),
                token: id.to_owned(),
                started: upload.initiated().and_then(timestamp),
            });
        }
        let marker = (page.next_key_marker, page.next_upload_id_marker);
        if page.is_truncated != Some(true) {
            break;
        }
        if marker.0.is_none() || marker == next {
            return Err(pages.endless().into());
        }
        next = marker;
    }
    found.sort_by(|a, b| (&a.key, &a.token).cmp(&(&b.key, &b.token)));
    Ok(found)
}
