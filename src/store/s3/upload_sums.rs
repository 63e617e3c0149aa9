//! Describes what was sent as one object: its size, and the MD5 of its parts. They show whether an object that is found is ours.

use crate::base::error::{Kind, Result, kind};
use crate::store::s3::content_md5::ContentMd5;
use crate::store::s3::host::Host;
use crate::store::s3::object::S3Object;
use crate::store::{Info, Object, PutResult};
use std::sync::Arc;

pub(crate) struct UploadSums {
    bytes: u64,
    /// Size of every part but the last, which may be shorter, in bytes.
    part_size: u64,
    sums: Vec<ContentMd5>,
    /// The ETag of such an object on a host whose ETags are MD5.
    etag: String,
}

impl UploadSums {
    /// Describes an object that was sent in one request.
    pub fn whole(bytes: &[u8], sum: ContentMd5) -> UploadSums {
        let length = bytes.len() as u64;
        UploadSums { bytes: length, part_size: length, sums: vec![sum], etag: sum.hex() }
    }

    /// Describes an object that was sent in parts.
    pub fn in_parts(bytes: u64, part_size: u64, sums: Vec<ContentMd5>) -> Result<UploadSums> {
        let etag = ContentMd5::of_parts(&sums)?;
        Ok(UploadSums { bytes, part_size, sums, etag })
    }

    pub fn receipt(&self, version: Option<String>) -> PutResult {
        PutResult { bytes: self.bytes, etag: Some(self.etag.clone()), version, ..PutResult::default() }
    }

    /// Returns what the host knows of the object under the key if its bytes are those that were sent. None: nothing is there, or
    /// something else is. An error: the host did not let it be seen.
    pub fn find(&self, host: &Arc<Host>, key: &str) -> Result<Option<Info>> {
        let found = match S3Object::open(host, key, None) {
            Ok(found) => found,
            Err(error) if kind(&error) == Kind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let info = found.info().clone();
        if info.bytes != self.bytes {
            return Ok(None);
        }
        // Only an ETag that is the MD5 of these bytes tells anything. One that is another may be no MD5 at all: of a host that
        // encrypts, of a proxy, of parts of another size.
        let is_ours = info.etag.as_ref() == Some(&self.etag) || self.reads_back(&found)?;
        Ok(is_ours.then_some(info))
    }

    fn reads_back(&self, found: &S3Object) -> Result<bool> {
        let mut start = 0_u64;
        for sum in &self.sums {
            let end = start.saturating_add(self.part_size).min(self.bytes);
            if ContentMd5::read(start..end, |range| found.read(range))? != *sum {
                return Ok(false);
            }
            start = end;
        }
        Ok(start == self.bytes)
    }
}
