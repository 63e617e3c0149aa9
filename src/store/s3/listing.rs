//! What is in the bucket, page by page.

use super::fault::Answer;
use super::host::Host;
use super::object::timestamp;
use super::pages::Pages;
use crate::error::{Fault, Kind, Result};
use crate::store::{Listed, Unfinished};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::list_objects_v2::{ListObjectsV2Error, ListObjectsV2Output as Page};

pub(super) fn objects(host: &Host, prefix: &str) -> Result<Vec<Listed>> {
    let mut found = Vec::new();
    let mut next: Option<String> = None;
    let mut pages = Pages::new(&host.name, "list the objects", prefix);
    loop {
        let page = objects_page(host, prefix, next.as_deref())?.map_err(|error| refusal(host, pages.doing(), error))?;
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

/// A host that takes a listing for an object that is not there has none: who asks for one may not have it, as where the right is missing.
fn refusal(host: &Host, doing: &str, error: SdkError<ListObjectsV2Error>) -> Fault {
    let is_no_listing = error.code() == Some("NoSuchKey");
    let fault = host.fault(doing, error);
    if !is_no_listing {
        return fault;
    }
    Fault::new(Kind::Denied, fault.to_string())
        .hint("the host has no listing at this address: check S3_HOST_BASE, S3_ADDRESSING and S3_BUCKET")
}

/// Asks for one page. This is what most commands begin with, and so where a host says that it wants the bucket before its name.
fn objects_page(host: &Host, prefix: &str, next: Option<&str>) -> Result<Answer<Page, ListObjectsV2Error>> {
    loop {
        let request = host
            .client()
            .list_objects_v2()
            .bucket(host.bucket())
            .prefix(host.full(prefix))
            .set_continuation_token(next.map(str::to_owned));
        match host.wait(request.send())? {
            Err(error) if host.turn(error.code()) => {}
            answer => return Ok(answer),
        }
    }
}

pub(super) async fn unfinished(host: &Host, prefix: &str) -> Result<Vec<Unfinished>> {
    let mut found = Vec::new();
    let mut next: (Option<String>, Option<String>) = (None, None);
    let mut pages = Pages::new(&host.name, "list the unfinished uploads", prefix);
    loop {
        let request = host
            .client()
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
