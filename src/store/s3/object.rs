//! Reads an object, pinned by its ETag and version, in ranges. Each range comes whole or not at all.

use crate::base::error::{Fault, Result};
use crate::base::random;
use crate::base::shown::many;
use crate::store::keys::check_range;
use crate::store::network::patience::OverloadLimit;
use crate::store::s3::errors::{S3Answer, no_bucket, root, status};
use crate::store::s3::host::Host;
use crate::store::s3::overload::{is_busy, patiently};
use crate::store::{Info, Object};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::{HeadObjectError, HeadObjectOutput};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use jiff::Timestamp;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

pub(crate) struct S3Object {
    host: Arc<Host>,
    key: String,
    info: Info,
}

/// The reason why a range did not come.
pub(crate) enum RangeError {
    /// The answer broke off; the same request may succeed.
    Broken(String),
    /// The host is overloaded now.
    Busy(Fault),
    Final(Fault),
}

impl S3Object {
    pub fn open(host: &Arc<Host>, key: &str, version: Option<&str>) -> Result<S3Object> {
        let info = match host.waiter.wait(head_in_time(host, key, version))?? {
            Some(info) => info,
            None => {
                // HEAD says 404 for a missing bucket too, and does not say which.
                host.waiter.wait(bucket_exists(host))??;
                let version = version.map(|version| format!(" in version \"{version}\"")).unwrap_or_default();
                let text = format!("\"{key}\" does not exist{version} in {}", host.address.location());
                return Err(Fault::not_found(text).into());
            }
        };
        Ok(S3Object { host: Arc::clone(host), key: key.to_owned(), info })
    }

    /// Returns an object of which everything that HEAD would say is known already.
    pub fn known(host: &Arc<Host>, key: &str, info: Info) -> S3Object {
        S3Object { host: Arc::clone(host), key: key.to_owned(), info }
    }

    async fn get(&self, range: &Range<u64>) -> std::result::Result<Vec<u8>, RangeError> {
        let request = self
            .host
            .client()
            .get_object()
            .bucket(self.host.address.bucket())
            .key(self.host.address.full(&self.key))
            .set_version_id(self.info.version.clone())
            .set_if_match(self.info.etag.as_deref().map(|etag| format!("\"{}\"", strong(etag))))
            .range(format!("bytes={}-{}", range.start, range.end - 1));
        let answer = request.send().await.map_err(|error| match status(&error) {
            Some(412) => RangeError::Final(self.changed()),
            Some(status) if is_busy(status) => {
                RangeError::Busy(self.host.fault(&format!("read \"{}\"", self.key), error))
            }
            _ => RangeError::Final(self.host.fault(&format!("read \"{}\"", self.key), error)),
        })?;
        self.check(&answer, range)?;
        collect(answer.body, (range.end - range.start) as usize).await
    }

    /// Checks that the answer is this range of the pinned object. Hosts that do not know If-Match or ranges answer
    /// with something else.
    fn check(&self, answer: &GetObjectOutput, range: &Range<u64>) -> std::result::Result<(), RangeError> {
        let expected = format!("bytes {}-{}/{}", range.start, range.end - 1, self.info.bytes);
        let etag = answer.e_tag().map(unquoted);
        if etag.is_some() && etag.as_deref().map(strong) != self.info.etag.as_deref().map(strong) {
            return Err(RangeError::Final(self.changed()));
        }
        match answer.content_range() {
            Some(found) if found == expected => Ok(()),
            Some(found) if !found.ends_with(&format!("/{}", self.info.bytes)) => Err(RangeError::Final(self.changed())),
            found => Err(RangeError::Final(Fault::failed(format!(
                "cannot read \"{}\": {} was asked for \"{expected}\" and answered with \"{}\"",
                self.key,
                self.host.address.name,
                found.unwrap_or("no range")
            )))),
        }
    }

    fn changed(&self) -> Fault {
        Fault::damaged(format!("\"{}\" changed while being read", self.key)).hint("another program writes this key")
    }
}

impl Object for S3Object {
    fn info(&self) -> &Info {
        &self.info
    }

    fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        check_range(&self.key, &range, self.info.bytes)?;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let limit = self.host.address.settings.timeout;
        let mut attempt = 1;
        let mut patience = OverloadLimit::start(self.host.address.settings.timeout);
        loop {
            // The SDK's limits and retries end where the body begins.
            let trouble = match self.host.waiter.wait(async { timeout(limit, self.get(&range)).await })? {
                Ok(Ok(bytes)) => return Ok(bytes),
                Ok(Err(RangeError::Final(fault))) => return Err(fault.into()),
                Ok(Err(RangeError::Busy(fault))) => match self.host.waiter.wait(patience.lasts(true))? {
                    true => continue,
                    false => return Err(fault.into()),
                },
                Ok(Err(RangeError::Broken(why))) => why,
                Err(_) => format!("no more came within {}", many(limit.as_secs_f32(), "second")),
            };
            if attempt >= self.host.address.settings.attempts {
                let text = format!(
                    "cannot read \"{}\": the answer of {} broke off: {trouble}",
                    self.key, self.host.address.name
                );
                return Err(Fault::failed(text).into());
            }
            self.host.waiter.wait(async { sleep(pause(attempt)).await })?;
            attempt += 1;
        }
    }
}

pub(crate) async fn collect(mut body: ByteStream, expected: usize) -> std::result::Result<Vec<u8>, RangeError> {
    let mut bytes = Vec::with_capacity(expected);
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece.map_err(|error| RangeError::Broken(root(&error)))?);
        if bytes.len() > expected {
            break;
        }
    }
    if bytes.len() != expected {
        return Err(RangeError::Broken(format!("{} came where {expected} were asked for", many(bytes.len(), "byte"))));
    }
    Ok(bytes)
}

/// Returns what the host knows of the object. None: it is not there. Waits for a host that is overloaded.
pub(crate) async fn head_in_time(
    host: &Host,
    key: &str,
    version: Option<&str>,
) -> std::result::Result<Option<Info>, Fault> {
    told(host, key, patiently(host, async || ask(host, key, version).await).await)
}

async fn ask(host: &Host, key: &str, version: Option<&str>) -> S3Answer<HeadObjectOutput, HeadObjectError> {
    let request = host
        .client()
        .head_object()
        .bucket(host.address.bucket())
        .key(host.address.full(key))
        .set_version_id(version.map(str::to_owned));
    request.send().await
}

fn told(
    host: &Host,
    key: &str,
    answer: S3Answer<HeadObjectOutput, HeadObjectError>,
) -> std::result::Result<Option<Info>, Fault> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if status(&error) == Some(404) => return Ok(None),
        Err(error) => return Err(host.fault(&format!("look up \"{key}\""), error)),
    };
    match info(answer.content_length(), answer.e_tag(), answer.version_id(), answer.last_modified()) {
        None => Err(Fault::failed(format!("cannot look up \"{key}\": {} does not tell its size", host.address.name))),
        known => Ok(known),
    }
}

/// Returns what an answer's headers say of an object. None: its size is missing.
pub(crate) fn info(
    bytes: Option<i64>,
    etag: Option<&str>,
    version: Option<&str>,
    modified: Option<&DateTime>,
) -> Option<Info> {
    Some(Info {
        bytes: bytes.and_then(|bytes| u64::try_from(bytes).ok())?,
        etag: etag.map(unquoted),
        version: version.and_then(real_version),
        modified: modified.and_then(timestamp),
    })
}

async fn bucket_exists(host: &Host) -> std::result::Result<(), Fault> {
    match host.client().head_bucket().bucket(host.address.bucket()).send().await {
        Err(error) if status(&error) == Some(404) => Err(no_bucket(&host.address)),
        // Whoever may not ask for the bucket learns only that the object is not there.
        _ => Ok(()),
    }
}

/// Returns the version. None: it is empty or "null", as hosts call the version of an object in a bucket without versions.
pub(crate) fn real_version(id: &str) -> Option<String> {
    (!id.is_empty() && id != "null").then(|| id.to_owned())
}

/// Returns an ETag without quotes; a weak one keeps its `W/`.
pub(crate) fn unquoted(etag: &str) -> String {
    match etag.strip_prefix("W/") {
        Some(weak) => format!("W/{}", weak.trim_matches('"')),
        None => etag.trim_matches('"').to_owned(),
    }
}

/// Returns an ETag without `W/`. A proxy before a host may make its ETags weak in one answer and leave them in another.
fn strong(etag: &str) -> &str {
    etag.trim_start_matches("W/")
}

pub(crate) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), time.subsec_nanos() as i32).ok()
}

/// Returns the pause before the next attempt. It doubles from 100 ms to 5 s, with a random half, so that many readers
/// do not come back at once.
fn pause(attempt: u32) -> Duration {
    let full = Duration::from_millis(100).saturating_mul(1 << attempt.clamp(1, 10)).min(Duration::from_secs(5)) / 2;
    let [part] = random::bytes().unwrap_or_default();
    full + full.mul_f32(f32::from(part) / 255.0)
}
