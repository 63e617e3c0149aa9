//! Whether the store has the payload that was sent, before anything says that it is a backup.

use super::Vault;
use crate::error::{Fault, Kind, Result, kind};
use crate::manifest::Verified;
use crate::monitor::Monitor;
use crate::store::{Object, Receipt, Vouches};
use crate::stream::Packed;
use crate::stream::tally::Summer;
use std::time::Duration;

/// What a read-back asks for at a time.
const READ_BACK: u64 = 8 << 20;
/// Between looks for what a host does not show yet, each time twice as long: three seconds in all.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_millis(1600);

impl Vault {
    /// Says how the store was seen to have what was written; `No` where it may not be looked at.
    pub(super) fn check(
        &self,
        key: &str,
        receipt: &Receipt,
        packed: &Packed<()>,
        monitor: &dyn Monitor,
    ) -> Result<Verified> {
        match self.compare(key, receipt, packed) {
            Err(error) if kind(&error) == Kind::Denied => {
                monitor.warn("the store does not allow reading: what was stored is not read back");
                Ok(Verified::No)
            }
            compared => compared,
        }
    }

    /// Opens what has just been written: there are hosts that show it a moment later.
    pub(super) fn open_new(&self, key: &str, receipt: &Receipt) -> Result<Box<dyn Object>> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.store.open(key, receipt.version.as_deref()) {
                Err(error) if kind(&error) == Kind::NotFound && pause <= LAST_PAUSE => std::thread::sleep(pause),
                opened => return opened,
            }
            pause *= 2;
        }
    }

    /// Compares in the cheapest way that tells: what the store vouches for is not read again.
    fn compare(&self, key: &str, receipt: &Receipt, packed: &Packed<()>) -> Result<Verified> {
        let object = self.open_new(key, receipt)?;
        let info = object.info();
        if info.bytes != packed.stored.bytes {
            let (found, sent) = (info.bytes, packed.stored.bytes);
            return Err(Fault::failed(format!("the store has {found} bytes of \"{key}\"; {sent} were sent")).into());
        }
        match self.store.vouches() {
            Vouches::BySync => return Ok(Verified::Synced),
            Vouches::BySum if receipt.etag.is_some() && receipt.etag == info.etag => return Ok(Verified::Md5),
            Vouches::BySum => {}
        }
        let mut summer = Summer::default();
        for start in (0..info.bytes).step_by(READ_BACK as usize) {
            summer.update(&object.read(start..(start + READ_BACK).min(info.bytes))?);
        }
        if summer.finish() == packed.stored {
            return Ok(Verified::ReadBack);
        }
        Err(Fault::failed(format!("the store gives back other bytes of \"{key}\" than were sent")).into())
    }
}
