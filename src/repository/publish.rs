//! The last step of a backup: writes the document that makes a backup of the stored payload.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::format::manifest::{Digest, META_LIMIT, Manifest};
use crate::repository::Repository;
use crate::store::{ObjectKind, PutResult, read_small, write_as};

impl Repository {
    /// Writes the `.meta` of a stored payload. If that fails, removes what was stored.
    pub fn publish(&self, manifest: &Manifest, meta: &[u8], monitor: &dyn Monitor) -> Result<PutResult> {
        let key = manifest.meta_key();
        let written = write_as(self.store.as_ref(), &key, meta, ObjectKind::Meta).and_then(|receipt| {
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

    /// Removes what was stored. Only the bytes of the document under the key show whose it is: two servers may have
    /// databases of one name, and dump them in the same second. While a document that names the payload may be there, the
    /// payload stays. `taken`: the key existed already.
    fn withdraw(&self, manifest: &Manifest, ours: &[u8], taken: bool, monitor: &dyn Monitor) {
        let (key, object) = (manifest.meta_key(), manifest.object.as_str());
        let payload = manifest.payload().keys();
        match read_small(self.store.as_ref(), &key, META_LIMIT) {
            Ok(found) if found != ours && states(&found, &manifest.stored) => {
                monitor.warn(&format!(
                    "another backup is there as \"{key}\", and \"{object}\" is its payload too: it stays"
                ));
            }
            Ok(found) if found != ours => self.rollback(&payload, monitor),
            Err(error) if taken && kind(&error) != Kind::NotFound => {
                monitor.warn(&format!(
                    "\"{key}\" is there, and whose it is could not be seen: \"{object}\" is left behind: {error:#}"
                ));
            }
            // The request may arrive, or have arrived, although its answer did not.
            _ => {
                if self.take_back_meta(&key, monitor) {
                    self.rollback(&payload, monitor);
                }
            }
        }
    }

    /// Removes the document and returns whether it is gone: a backup that cannot be removed keeps its payload.
    fn take_back_meta(&self, key: &str, monitor: &dyn Monitor) -> bool {
        let left = match self.store.remove(key, None) {
            Err(error) => format!("{error:#}"),
            Ok(()) if self.store.open(key, None).is_ok() => "the store was told to and still has it".to_owned(),
            Ok(()) => return true,
        };
        monitor.warn(&format!("\"{key}\" could not be removed, and so its payload stays: {left}"));
        false
    }

    /// Reads a document back: a host, or a proxy before it, may confirm what it does not keep. If it cannot be read
    /// back, the confirmation counts, with a warning.
    fn confirm(&self, key: &str, receipt: &PutResult, sent: &[u8], monitor: &dyn Monitor) -> Result<()> {
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

/// Returns whether a document, whoever wrote it, states a payload with this sum.
fn states(document: &[u8], stored: &Digest) -> bool {
    let sum = hex::encode(stored.blake2b);
    document.windows(sum.len()).any(|window| window == sum.as_bytes())
}
