//! The last step of a backup: the document that makes one of what is stored.

use super::Vault;
use crate::error::{Fault, Kind, Result, kind};
use crate::manifest::{META_LIMIT, Manifest};
use crate::monitor::Monitor;
use crate::store::{Purpose, Receipt, read_small, write_as};

impl Vault {
    /// Writes the document that makes a backup of what is stored, or takes back all of it.
    pub(super) fn publish(&self, manifest: &Manifest, meta: &[u8], monitor: &dyn Monitor) -> Result<Receipt> {
        let (key, object) = (manifest.meta_key(), manifest.object.as_str());
        let written = write_as(self.store.as_ref(), &key, meta, Purpose::Meta).and_then(|receipt| {
            // Who may not read the payload may not read this either.
            if manifest.verified {
                self.confirm(&key, &receipt, meta, monitor)?;
            }
            Ok(receipt)
        });
        written.map_err(|error| {
            if kind(&error) == Kind::Exists || self.is_anothers(&key, meta) {
                self.take_back(&[object], monitor);
            } else {
                // The request may have arrived although its answer did not: the .meta goes first, so that no backup is left without payload.
                self.take_back(&[&key, object], monitor);
            }
            error.context(format!("write the .meta of {}", manifest.id))
        })
    }

    /// Whether somebody else's document is there: two servers may have databases of one name, and dump them in one second.
    fn is_anothers(&self, key: &str, ours: &[u8]) -> bool {
        read_small(self.store.as_ref(), key, META_LIMIT).is_ok_and(|found| found != ours)
    }

    /// Reads a document back: a host, or what stands before it, may say yes to what it does not keep. One that cannot be asked has
    /// said yes all the same.
    fn confirm(&self, key: &str, receipt: &Receipt, sent: &[u8], monitor: &dyn Monitor) -> Result<()> {
        let limit = sent.len() as u64;
        let found = self.store.open(key, receipt.version.as_deref()).and_then(|object| match object.info().bytes {
            bytes if bytes == limit => object.read(0..limit),
            _ => Ok(Vec::new()),
        });
        match found {
            Ok(bytes) if bytes == sent => Ok(()),
            Ok(_) => Err(Fault::failed(format!("the store gives back another \"{key}\" than was sent")).into()),
            Err(error) if kind(&error) == Kind::NotFound => {
                Err(Fault::failed(format!("the store took \"{key}\" and does not have it")).into())
            }
            Err(error) => {
                monitor.warn(&format!("\"{key}\" was written and could not be read back: {error:#}"));
                Ok(())
            }
        }
    }
}
