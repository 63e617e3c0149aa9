//! The last step of a backup: the document that makes one of what is stored.

use super::Vault;
use crate::error::{Fault, Kind, Result, kind};
use crate::manifest::{META_LIMIT, Manifest, Sum};
use crate::monitor::Monitor;
use crate::store::{Purpose, Receipt, read_small, write_as};

impl Vault {
    /// Writes the document that makes a backup of what is stored, or takes back all of it.
    pub fn publish(&self, manifest: &Manifest, meta: &[u8], monitor: &dyn Monitor) -> Result<Receipt> {
        let key = manifest.meta_key();
        let written = write_as(self.store.as_ref(), &key, meta, Purpose::Meta).and_then(|receipt| {
            // Who may not read the payload may not read this either.
            if manifest.verified.is_checked() {
                self.confirm(&key, &receipt, meta, monitor)?;
            }
            Ok(receipt)
        });
        written.map_err(|error| {
            self.withdraw(manifest, meta, kind(&error) == Kind::Exists, monitor);
            error.context(format!("write the .meta of {}", manifest.id))
        })
    }

    /// Takes back what was stored. Whose the document under the key is, its bytes tell: two servers may have databases of one
    /// name, and dump them in one second. As long as one may be there that speaks of the payload, the payload stays.
    fn withdraw(&self, manifest: &Manifest, ours: &[u8], taken: bool, monitor: &dyn Monitor) {
        let (key, object) = (manifest.meta_key(), manifest.object.as_str());
        match read_small(self.store.as_ref(), &key, META_LIMIT) {
            Ok(found) if found != ours && states(&found, &manifest.stored) => {
                monitor.warn(&format!(
                    "another backup is there as \"{key}\", and \"{object}\" is its payload too: it stays"
                ));
            }
            Ok(found) if found != ours => self.take_back(object, monitor),
            Err(error) if taken && kind(&error) != Kind::NotFound => {
                monitor.warn(&format!(
                    "\"{key}\" is there, and whose it is could not be seen: \"{object}\" is left behind: {error:#}"
                ));
            }
            // The request may arrive, or have arrived, although its answer did not.
            _ => {
                if self.take_back_meta(&key, monitor) {
                    self.take_back(object, monitor);
                }
            }
        }
    }

    /// Removes the document, and says whether it is gone: a backup that cannot be removed keeps its payload.
    fn take_back_meta(&self, key: &str, monitor: &dyn Monitor) -> bool {
        let left = match self.store.remove(key, None) {
            Err(error) => format!("{error:#}"),
            Ok(()) if self.store.open(key, None).is_ok() => "the store was told to and still has it".to_owned(),
            Ok(()) => return true,
        };
        monitor.warn(&format!("\"{key}\" could not be removed, and so its payload stays: {left}"));
        false
    }

    pub(super) fn take_back(&self, key: &str, monitor: &dyn Monitor) {
        if let Err(error) = self.store.remove(key, None) {
            monitor.warn(&format!("\"{key}\" is left behind and could not be removed: {error:#}"));
        }
    }

    /// Reads a document back: a host, or what stands before it, may say yes to what it does not keep. One that cannot be asked has
    /// said yes all the same.
    fn confirm(&self, key: &str, receipt: &Receipt, sent: &[u8], monitor: &dyn Monitor) -> Result<()> {
        let limit = sent.len() as u64;
        let found = self.open_new(key, receipt).and_then(|object| match object.info().bytes {
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

/// Whether a document, whoever wrote it, states a payload of this sum.
fn states(document: &[u8], stored: &Sum) -> bool {
    let sum = hex::encode(stored.blake2b);
    document.windows(sum.len()).any(|window| window == sum.as_bytes())
}
