//! Writes an object: a small one in one request, a large one in parts of one size.

use crate::base::error::{Fault, Result, into_io};
use crate::store::s3::content_md5::ContentMd5;
use crate::store::s3::errors::Answer;
use crate::store::s3::host::Host;
use crate::store::s3::object::real_version;
use crate::store::s3::object_lock::confirm;
use crate::store::s3::parts::Parts;
use crate::store::s3::put_headers::PutHeaders;
use crate::store::s3::put_if_absent::{PutIfAbsent, claim, refuse_taken};
use crate::store::s3::sent::Sent;
use crate::store::s3::settings::{LockUntil, MIB, PART_SIZES};
use crate::store::{IfExists, LockStatus, PutOptions, PutResult, Upload};
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::ByteStream;
use jiff::Timestamp;
use std::io::{self, Write};
use std::sync::Arc;

/// Usual size of a part, in bytes. A smaller one costs more in requests than it gains.
const USUAL_PART: u64 = 8 * MIB;

pub(crate) struct S3Upload {
    host: Arc<Host>,
    key: String,
    part_size: usize,
    /// The part being filled. It is sent once a byte comes that it has no room for, so that no part is ever empty.
    buffer: Vec<u8>,
    bytes: u64,
    parts: Option<Parts>,
    creation: PutOptions,
    /// The lock that was asked for. None: the object is not being made yet, or is not to be locked.
    hold: Option<LockUntil>,
    failed: bool,
}

impl S3Upload {
    pub fn begin(host: &Arc<Host>, key: &str, creation: &PutOptions) -> Result<S3Upload> {
        if creation.taken == IfExists::Refuse {
            refuse_taken(host, key)?;
        }
        let part_size =
            part_size(host.address.settings.part_size, host.address.settings.part_limit, creation.expected) as usize;
        let buffer = Vec::with_capacity(part_size.min(creation.expected as usize));
        let (host, key, creation) = (Arc::clone(host), key.to_owned(), creation.clone());
        Ok(S3Upload { host, key, part_size, buffer, bytes: 0, parts: None, creation, hold: None, failed: false })
    }

    fn send_part(&mut self) -> Result<()> {
        if self.parts.is_none() {
            let making = self.making()?;
            self.parts = Some(Parts::begin(&self.host, &self.key, self.part_size, &making)?);
        }
        let Some(parts) = &mut self.parts else { unreachable!("begun above") };
        // Before a new buffer is asked for, so that a full pipe holds one fewer.
        parts.make_room()?;
        let next = Vec::with_capacity(self.part_size);
        parts.send(std::mem::replace(&mut self.buffer, next))
    }

    /// Returns the headers of the request that makes the object. A lock's days count from here, not from when the dump began.
    fn making(&mut self) -> Result<PutHeaders> {
        let making = PutHeaders::new(&self.host.address.settings, &self.creation, Timestamp::now())?;
        self.hold = making.hold;
        Ok(making)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<usize> {
        if self.failed {
            return Err(Fault::failed(format!("the upload of \"{}\" has failed before", self.key)).into());
        }
        if self.buffer.len() == self.part_size {
            self.send_part()?;
        }
        let taken = bytes.len().min(self.part_size - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        self.bytes += taken as u64;
        Ok(taken)
    }

    fn finish(&mut self) -> Result<PutResult> {
        if self.failed {
            return Err(Fault::failed(format!("the upload of \"{}\" has failed before", self.key)).into());
        }
        let last = std::mem::take(&mut self.buffer);
        let receipt = match &mut self.parts {
            None => {
                let making = self.making()?;
                put(&self.host, &self.key, last, &making)?
            }
            Some(parts) => {
                parts.make_room()?;
                parts.send(last)?;
                parts.complete(self.bytes)?
            }
        };
        let held = match self.hold {
            None => LockStatus::Free,
            Some(hold) => confirm(&self.host, &self.key, receipt.version.as_deref(), hold),
        };
        Ok(PutResult { held, ..receipt })
    }
}

impl Write for S3Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.append(bytes);
        self.failed |= taken.is_err();
        taken.map_err(into_io)
    }

    /// Does nothing: what has been written is sent in whole parts.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for S3Upload {
    fn commit(mut self: Box<Self>) -> Result<PutResult> {
        self.finish()
    }
}

/// Returns the one size for all parts of an object, in bytes, such that four times the expected size still fits.
fn part_size(setting: Option<u64>, limit: u32, expected: u64) -> u64 {
    let needed = expected.saturating_mul(4).div_ceil(u64::from(limit.max(1)));
    setting.unwrap_or_else(|| needed.div_ceil(MIB).saturating_mul(MIB).clamp(USUAL_PART, *PART_SIZES.end()))
}

fn put(host: &Arc<Host>, key: &str, bytes: Vec<u8>, making: &PutHeaders) -> Result<PutResult> {
    let sum = ContentMd5::of(&bytes)?;
    let sent = Sent::whole(&bytes, sum);
    let doing = format!("write \"{key}\"");
    let send = async |claim| put_object(host, key, &bytes, sum, making, claim).await;
    claim(host, key, &doing, making.taken, &sent, send)
}

async fn put_object(
    host: &Host,
    key: &str,
    bytes: &[u8],
    sum: ContentMd5,
    making: &PutHeaders,
    claim: PutIfAbsent,
) -> Answer<Option<String>, PutObjectError> {
    let request = host
        .client()
        .put_object()
        .bucket(host.address.bucket())
        .key(host.address.full(key))
        .set_if_none_match(claim.condition.clone())
        .set_content_md5(host.address.settings.content_md5.then(|| sum.base64()))
        .body(ByteStream::from(bytes.to_vec()))
        .customize()
        .mutate_request(making.headers())
        .mutate_request(claim.tries.count());
    Ok(request.send().await?.version_id().and_then(real_version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_large_as_four_times_the_expected_size_needs() {
        assert_eq!(part_size(None, 10_000, 0), 8 * MIB);
        assert_eq!(part_size(None, 10_000, 20_000 * MIB), 8 * MIB);
        assert_eq!(part_size(None, 10_000, 20_001 * MIB), 9 * MIB);
        assert_eq!(part_size(None, 1_000, 1 << 40), 4195 * MIB);
        assert_eq!(part_size(Some(5 * MIB), 10, 1 << 40), 5 * MIB);
    }
}
