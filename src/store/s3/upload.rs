//! Writing: a small object in one request, a large one in parts of one size.

use super::fault::{Answer, status, uncertain};
use super::host::Host;
use super::object::{head, real_version};
use super::parts::Parts;
use super::sum::Sum;
use crate::error::{Fault, Kind, Result, into_io};
use crate::store::{Creation, Receipt, Upload};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

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

/// Looks first: not every host honours `If-None-Match`, and a taken name should be known before the work.
pub(super) fn refuse_taken(host: &Host, key: &str) -> Result<()> {
    match host.wait(head(host, key, None))? {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(taken(host, key).into()),
        // Who may only write cannot look.
        Err(fault) if fault.kind() == Kind::Denied => Ok(()),
        Err(fault) => Err(fault.into()),
    }
}

pub(super) fn taken(host: &Host, key: &str) -> Fault {
    Fault::new(Kind::Exists, format!("\"{key}\" exists already in {}", host.location()))
}

fn put(host: &Host, key: &str, bytes: Vec<u8>) -> Result<Receipt> {
    let sum = Sum::of(&bytes)?;
    let mut receipt = Receipt { bytes: bytes.len() as u64, etag: Some(sum.hex()), version: None };
    let doing = format!("write \"{key}\"");
    let mut condition = Some("*".to_owned());
    loop {
        let tries = Arc::new(AtomicU32::new(0));
        let sent = host.wait_out(put_object(host, key, &bytes, sum, condition.clone(), &tries))?;
        let error = match sent {
            Ok(answer) => {
                receipt.version = answer.version_id().and_then(real_version);
                return Ok(receipt);
            }
            Err(error) => error,
        };
        if condition.is_some() && status(&error) == Some(501) {
            // A host without conditional writes: looking first has to do.
            condition = None;
            continue;
        }
        let refused = is_taken(&error);
        if (uncertain(&error) || refused && tries.load(Ordering::Relaxed) > 1)
            && let Some(found) = look_up(host, key, &receipt)?
        {
            return Ok(found);
        }
        return Err(if refused { taken(host, key) } else { host.fault(&doing, error) }.into());
    }
}

async fn put_object(
    host: &Host,
    key: &str,
    bytes: &[u8],
    sum: Sum,
    condition: Option<String>,
    tries: &Arc<AtomicU32>,
) -> Answer<PutObjectOutput, PutObjectError> {
    let (headers, tries) = (host.add_headers(), Arc::clone(tries));
    host.client
        .put_object()
        .bucket(host.bucket())
        .key(host.full(key))
        .set_if_none_match(condition)
        .set_content_md5(host.settings.content_md5.then(|| sum.base64()))
        .body(ByteStream::from(bytes.to_vec()))
        .customize()
        .mutate_request(headers)
        .mutate_request(move |_| {
            tries.fetch_add(1, Ordering::Relaxed);
        })
        .send()
        .await
}

/// After an answer that was lost or says that a former try succeeded: whether the object is there and is what was sent.
pub(super) fn look_up(host: &Host, key: &str, sent: &Receipt) -> Result<Option<Receipt>> {
    let found = host.wait_out(head(host, key, None))?;
    Ok(match found {
        Ok(Some(info)) if info.bytes == sent.bytes && info.etag == sent.etag => {
            Some(Receipt { version: info.version, ..sent.clone() })
        }
        _ => None,
    })
}

/// Whether the host says that the key is taken, or is being written by another at this moment.
pub(super) fn is_taken<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    status(error) == Some(412) || error.code() == Some("ConditionalRequestConflict")
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
