//! Writing: a small object in one request, a large one in parts of one size.

use super::claim::{Claim, claim, refuse_taken};
use super::fault::Answer;
use super::host::Host;
use super::object::real_version;
use super::parts::Parts;
use super::sum::Sum;
use crate::error::{Fault, Result, into_io};
use crate::store::{Creation, Receipt, Upload};
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::ByteStream;
use std::io::{self, Write};
use std::sync::Arc;

const MIB: u64 = 1 << 20;
/// Below this a part costs more in requests than it gains.
const USUAL_PART: u64 = 8 * MIB;
/// What every host accepts as the smallest and the largest part.
pub(super) const PART_SIZES: std::ops::RangeInclusive<u64> = 5 * MIB..=5120 * MIB;

pub(super) struct S3Upload {
    host: Arc<Host>,
    key: String,
    part_size: usize,
    /// The part being filled. It is sent once a byte comes that it has no room for, so that no part is ever empty.
    buffer: Vec<u8>,
    bytes: u64,
    parts: Option<Parts>,
    failed: bool,
}

impl S3Upload {
    pub fn begin(host: &Arc<Host>, key: &str, creation: &Creation) -> Result<S3Upload> {
        refuse_taken(host, key)?;
        let part_size = part_size(host.settings.part_size, host.settings.part_limit, creation.expected) as usize;
        let buffer = Vec::with_capacity(part_size.min(creation.expected as usize));
        let (host, key) = (Arc::clone(host), key.to_owned());
        Ok(S3Upload { host, key, part_size, buffer, bytes: 0, parts: None, failed: false })
    }

    fn send_part(&mut self) -> Result<()> {
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => none.insert(Parts::begin(&self.host, &self.key, self.part_size)?),
        };
        // Before a new buffer is asked for, so that a full pipe holds one fewer.
        parts.make_room()?;
        let next = Vec::with_capacity(self.part_size);
        parts.send(std::mem::replace(&mut self.buffer, next))
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

    fn finish(&mut self) -> Result<Receipt> {
        if self.failed {
            return Err(Fault::failed(format!("the upload of \"{}\" has failed before", self.key)).into());
        }
        let last = std::mem::take(&mut self.buffer);
        match &mut self.parts {
            None => put(&self.host, &self.key, last),
            Some(parts) => {
                parts.make_room()?;
                parts.send(last)?;
                parts.complete(self.bytes)
            }
        }
    }
}

impl Write for S3Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.append(bytes);
        self.failed |= taken.is_err();
        taken.map_err(into_io)
    }

    /// Nothing: what has been written is sent in whole parts.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for S3Upload {
    fn commit(mut self: Box<Self>) -> Result<Receipt> {
        self.finish()
    }
}

/// One size for all parts of an object, such that four times the expected size still fits.
fn part_size(setting: Option<u64>, limit: u32, expected: u64) -> u64 {
    let needed = expected.saturating_mul(4).div_ceil(u64::from(limit.max(1)));
    setting.unwrap_or_else(|| needed.div_ceil(MIB).saturating_mul(MIB).clamp(USUAL_PART, *PART_SIZES.end()))
}

fn put(host: &Host, key: &str, bytes: Vec<u8>) -> Result<Receipt> {
    let sum = Sum::of(&bytes)?;
    let sent = Receipt { bytes: bytes.len() as u64, etag: Some(sum.hex()), version: None };
    claim(host, key, &format!("write \"{key}\""), sent, async |claim| put_object(host, key, &bytes, sum, claim).await)
}

async fn put_object(
    host: &Host,
    key: &str,
    bytes: &[u8],
    sum: Sum,
    claim: Claim,
) -> Answer<Option<String>, PutObjectError> {
    let request = host
        .client
        .put_object()
        .bucket(host.bucket())
        .key(host.full(key))
        .set_if_none_match(claim.condition.clone())
        .set_content_md5(host.settings.content_md5.then(|| sum.base64()))
        .body(ByteStream::from(bytes.to_vec()))
        .customize()
        .mutate_request(host.add_headers())
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
