//! Lists the bucket, page by page.

use crate::base::error::{Fault, Kind, Result};
use crate::store::s3::errors::{S3Answer, status};
use crate::store::s3::host::Host;
use crate::store::s3::object::{timestamp, unquoted};
use crate::store::s3::overload::patiently;
use crate::store::s3::pages::Pages;
use crate::store::s3::spelling::{Spelling, SpellingEvidence};
use crate::store::{ObjectInfo, PendingUpload};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::list_objects::ListObjectsError;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Error;
use aws_sdk_s3::types::Object;

/// One page of objects, in whichever version of the listing.
struct ListingPage {
    objects: Vec<Object>,
    encoding: Option<String>,
    goes_on: bool,
    /// In version 2, the token of the next page.
    token: Option<String>,
}

/// Where a page begins.
#[derive(Clone, PartialEq)]
enum PageStart {
    Start,
    Token(String),
    /// After this key, in version 1, which is the only one that some hosts have.
    Key(String),
}

pub(crate) fn objects(host: &Host, prefix: &str) -> Result<Vec<ObjectInfo>> {
    let mut found = Vec::new();
    let mut from = PageStart::Start;
    let mut pages = Pages::new(&host.address.name, "list the objects", prefix);
    let full = host.address.full(prefix);
    loop {
        let page = page(host, &full, &from, pages.doing())?;
        pages.count(page.objects.iter().map(|object| (object.key(), None)))?;
        let keys: Vec<&str> = page.objects.iter().filter_map(Object::key).collect();
        let spelling = spelling(host, page.encoding.as_deref(), &keys, prefix)?;
        found.extend(page.objects.iter().filter_map(|object| listed(host, object, spelling, prefix)));
        if !page.goes_on {
            break;
        }
        let last = keys.last().and_then(|key| spelling.read(key));
        let next = page.token.map(PageStart::Token).or(last.map(|key| PageStart::Key(key.into_owned())));
        from = next.filter(|next| *next != from).ok_or_else(|| pages.endless())?;
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(found)
}

/// Returns the entry of an object. None: it is not below the prefix, or it is the empty object by which some hosts
/// and consoles show a folder.
fn listed(host: &Host, object: &Object, spelling: Spelling, prefix: &str) -> Option<ObjectInfo> {
    let full = spelling.read(object.key()?)?;
    let key =
        host.address.key(&full).filter(|key| key.starts_with(prefix) && !key.ends_with('/') && !key.is_empty())?;
    Some(ObjectInfo {
        key: key.to_owned(),
        bytes: object.size().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
        modified: object.last_modified().and_then(timestamp),
        etag: object.e_tag().map(unquoted),
    })
}

/// Returns how the keys of a page are spelt. If the keys do not show it, the host is asked for one of them.
pub(crate) fn spelling(host: &Host, declared: Option<&str>, keys: &[&str], prefix: &str) -> Result<Spelling> {
    let key = match Spelling::seen(declared, keys, &host.address.full(prefix)) {
        SpellingEvidence::It(spelling) => return Ok(spelling),
        SpellingEvidence::Either(key) => key,
    };
    let found = page(host, key, &PageStart::Start, "list the objects")?.objects;
    Ok(if found.is_empty() { Spelling::Percent } else { Spelling::AsIs })
}

/// Asks for one page of what begins with the full prefix. A host that does not know version 2 of the listing, or does
/// not say in it where it goes on, is asked by version 1.
fn page(host: &Host, full: &str, from: &PageStart, doing: &str) -> Result<ListingPage> {
    let token = match from {
        PageStart::Key(key) => {
            return first_version(host, full, Some(key))?.map_err(|error| host.fault(doing, error).into());
        }
        PageStart::Start => None,
        PageStart::Token(token) => Some(token.as_str()),
    };
    let error = match second_version(host, full, token)? {
        Ok(page) => return Ok(page),
        Err(error) => error,
    };
    let is_unknown =
        *from == PageStart::Start && status(&error).is_some_and(|status| [400, 405, 501].contains(&status));
    let refusal = refusal(host, doing, error);
    if is_unknown && refusal.kind() == Kind::Failed {
        return first_version(host, full, None)?.map_err(|_| refusal.into());
    }
    Err(refusal.into())
}

/// Returns the error of a refused listing. A host that answers as for a missing object has no listing here: that
/// counts as a missing right.
fn refusal(host: &Host, doing: &str, error: SdkError<ListObjectsV2Error>) -> Fault {
    let is_no_listing = error.code() == Some("NoSuchKey");
    let fault = host.fault(doing, error);
    if !is_no_listing {
        return fault;
    }
    Fault::new(Kind::Denied, fault.to_string())
        .hint("the host has no listing at this address: check S3_HOST_BASE, S3_ADDRESSING and S3_BUCKET")
}

/// Asks for a page by version 2. Most commands begin with this, so that a host says here that it wants the bucket
/// before its name.
fn second_version(host: &Host, full: &str, token: Option<&str>) -> Result<S3Answer<ListingPage, ListObjectsV2Error>> {
    loop {
        let send = async || {
            let request = host.client().list_objects_v2().bucket(host.address.bucket()).prefix(full);
            request.set_continuation_token(token.map(str::to_owned)).send().await
        };
        match host.waiter.wait(patiently(host, send))? {
            Err(error) if host.turn(error.code()) => {}
            answer => {
                return Ok(answer.map(|answer| ListingPage {
                    encoding: answer.encoding_type.map(|encoding| encoding.as_str().to_owned()),
                    goes_on: answer.is_truncated == Some(true),
                    token: answer.next_continuation_token,
                    objects: answer.contents.unwrap_or_default(),
                }));
            }
        }
    }
}

fn first_version(host: &Host, full: &str, after: Option<&str>) -> Result<S3Answer<ListingPage, ListObjectsError>> {
    let send = async || {
        let request = host.client().list_objects().bucket(host.address.bucket()).prefix(full);
        request.set_marker(after.map(str::to_owned)).send().await
    };
    let answer = host.waiter.wait(patiently(host, send))?;
    Ok(answer.map(|answer| ListingPage {
        encoding: answer.encoding_type.map(|encoding| encoding.as_str().to_owned()),
        goes_on: answer.is_truncated == Some(true),
        token: None,
        objects: answer.contents.unwrap_or_default(),
    }))
}

pub(crate) async fn unfinished(host: &Host, prefix: &str) -> Result<Vec<PendingUpload>> {
    let mut found = Vec::new();
    let mut next: (Option<String>, Option<String>) = (None, None);
    let mut pages = Pages::new(&host.address.name, "list the unfinished uploads", prefix);
    loop {
        let send = async || {
            let request =
                host.client().list_multipart_uploads().bucket(host.address.bucket()).prefix(host.address.full(prefix));
            request.set_key_marker(next.0.clone()).set_upload_id_marker(next.1.clone()).send().await
        };
        let page = patiently(host, send).await.map_err(|error| host.fault(pages.doing(), error))?;
        pages.count(page.uploads().iter().map(|upload| (upload.key(), upload.upload_id())))?;
        let keys: Vec<&str> = page.uploads().iter().filter_map(|upload| upload.key()).collect();
        let encoding = page.encoding_type().map(|encoding| encoding.as_str());
        let spelling = match Spelling::seen(encoding, &keys, &host.address.full(prefix)) {
            SpellingEvidence::It(spelling) => spelling,
            // An upload has no key yet that could be asked for.
            SpellingEvidence::Either(_) => Spelling::AsIs,
        };
        for upload in page.uploads() {
            let full = upload.key().and_then(|key| spelling.read(key));
            let key = full.as_deref().and_then(|full| host.address.key(full)).filter(|key| key.starts_with(prefix));
            let (Some(key), Some(id)) = (key, upload.upload_id()) else { continue };
            found.push(PendingUpload {
                key: key.to_owned(),
                token: id.to_owned(),
                started: upload.initiated().and_then(timestamp),
            });
        }
        let at = page.next_key_marker().and_then(|key| spelling.read(key)).map(|key| key.into_owned());
        let marker = (at, page.next_upload_id_marker);
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
