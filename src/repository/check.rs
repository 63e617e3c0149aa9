//! Checks that the store has the payload that was sent, before a `.meta` says that it is a backup.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::base::shown::many;
use crate::format::manifest::upload_check::UploadCheck;
use crate::pipeline::checksum::Hasher;
use crate::pipeline::pack::PackResult;
use crate::repository::Repository;
use crate::repository::payload::stored_payload::StoredPayload;
use crate::store::capabilities::Integrity;
use crate::store::{Info, Object, PutResult};
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
        stored: &StoredPayload,
        packed: &PackResult<()>,
        monitor: &dyn Monitor,
    ) -> Result<UploadCheck> {
        match self.compare(stored, packed) {
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
    fn compare(&self, stored: &StoredPayload, packed: &PackResult<()>) -> Result<UploadCheck> {
        let integrity = self.store.capabilities().integrity;
        let mut vouched = true;
        let mut objects = Vec::new();
        for (key, receipt) in &stored.objects {
            let object = self.open_written(key, receipt)?;
            vouched &= integrity == Integrity::Etag && has_etag(object.info(), receipt);
            // An object of a directory is an open file, of which a process may not have many.
            if integrity != Integrity::Synced {
                objects.push(object);
            }
        }
        match integrity {
            Integrity::Synced => return Ok(UploadCheck::Synced),
            Integrity::Etag if vouched => return Ok(UploadCheck::Md5),
            Integrity::Etag | Integrity::Unknown => {}
        }
        let mut summer = Hasher::default();
        for object in &objects {
            let bytes = object.info().bytes;
            for start in (0..bytes).step_by(READ_BACK as usize) {
                summer.update(&object.read(start..(start + READ_BACK).min(bytes))?);
            }
        }
        if summer.finish() == packed.stored {
            return Ok(UploadCheck::ReadBack);
        }
        let names = stored.keys().iter().map(|key| format!("\"{key}\"")).collect::<Vec<_>>().join(", ");
        Err(Fault::failed(format!("the store gives back other bytes of {names} than were sent")).into())
    }

    /// Opens an object that was just written. It is an error if it is not as large as what was sent.
    fn open_written(&self, key: &str, receipt: &PutResult) -> Result<Box<dyn Object>> {
        let object = self.open_new(key, receipt)?;
        let (found, sent) = (object.info().bytes, receipt.bytes);
        match found == sent {
            true => Ok(object),
            false => {
                Err(Fault::failed(format!("the store has {} of \"{key}\"; {sent} were sent", many(found, "byte")))
                    .into())
            }
        }
    }
}

/// Returns whether the host has hashed the very bytes that were sent.
fn has_etag(info: &Info, receipt: &PutResult) -> bool {
    receipt.etag.is_some() && receipt.etag == info.etag
}
