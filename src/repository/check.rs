//! Checks that the store has the payload that was sent, before a `.meta` says that it is a backup.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::base::shown::many;
use crate::format::manifest::upload_check::UploadCheck;
use crate::pipeline::checksum::Hasher;
use crate::pipeline::pack::PackResult;
use crate::repository::Repository;
use crate::store::capabilities::Integrity;
use crate::store::{Object, PutResult};
use std::time::Duration;

/// Bytes per read when a payload is read back.
const READ_BACK: u64 = 8 << 20;
/// First pause before a new object is asked for again, because some hosts show it late. Each pause is twice as long: three seconds in all.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_millis(1600);

impl Repository {
    /// Checks a stored payload and returns how that was done; `UploadCheck::No` if the role may not read it.
    pub(crate) fn check(
        &self,
        key: &str,
        receipt: &PutResult,
        packed: &PackResult<()>,
        monitor: &dyn Monitor,
    ) -> Result<UploadCheck> {
        match self.compare(key, receipt, packed) {
            Err(error) if kind(&error) == Kind::Denied => {
                monitor.warn("the store does not allow reading: what was stored is not read back");
                Ok(UploadCheck::No)
            }
            compared => compared,
        }
    }

    /// Opens an object that was just written. Tries again while the host does not show it yet.
    pub(crate) fn open_new(&self, key: &str, receipt: &PutResult) -> Result<Box<dyn Object>> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.store.open(key, receipt.version.as_deref()) {
                Err(error) if kind(&error) == Kind::NotFound && pause <= LAST_PAUSE => std::thread::sleep(pause),
                opened => return opened,
            }
            pause *= 2;
        }
    }

    /// Compares in the cheapest way that proves it: bytes that the store vouches for are not read again.
    fn compare(&self, key: &str, receipt: &PutResult, packed: &PackResult<()>) -> Result<UploadCheck> {
        let object = self.open_new(key, receipt)?;
        let info = object.info();
        if info.bytes != packed.stored.bytes {
            let (found, sent) = (info.bytes, packed.stored.bytes);
            return Err(
                Fault::failed(format!("the store has {} of \"{key}\"; {sent} were sent", many(found, "byte"))).into()
            );
        }
        match self.store.capabilities().integrity {
            Integrity::Synced => return Ok(UploadCheck::Synced),
            Integrity::Etag if receipt.etag.is_some() && receipt.etag == info.etag => return Ok(UploadCheck::Md5),
            Integrity::Etag | Integrity::Unknown => {}
        }
        let mut summer = Hasher::default();
        for start in (0..info.bytes).step_by(READ_BACK as usize) {
            summer.update(&object.read(start..(start + READ_BACK).min(info.bytes))?);
        }
        if summer.finish() == packed.stored {
            return Ok(UploadCheck::ReadBack);
        }
        Err(Fault::failed(format!("the store gives back other bytes of \"{key}\" than were sent")).into())
    }
}
