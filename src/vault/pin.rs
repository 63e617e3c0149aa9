//! Pins: a small object beside a backup that keeps rules from removing it.
//!
//! Nothing seals it. Who may write to the store can make more stay, and who may delete there could delete the backup itself.

use super::Vault;
use crate::error::{Kind, Result, kind};
use crate::manifest::BackupId;
use crate::store::{remove_for_good, write_small};

const TEXT: &[u8] = b"No rule of pgbk's removes the backup of this name while this is here: pgbk unpin\n";

impl Vault {
    /// Pins a backup that is there. Returns false where it was pinned already.
    pub fn pin(&self, id: &BackupId) -> Result<bool> {
        // Says what is missing where it is not.
        self.sealed(id)?;
        match write_small(self.store.as_ref(), &id.pin_key(), TEXT) {
            Err(error) if kind(&error) == Kind::Exists => Ok(false),
            written => written.map(|_| true),
        }
    }

    /// Takes the pin away, also where the backup is gone. Returns false where there was none.
    pub fn unpin(&self, id: &BackupId) -> Result<bool> {
        match self.store.open(&id.pin_key(), None) {
            Err(error) if kind(&error) == Kind::NotFound => Ok(false),
            Err(error) => Err(error),
            Ok(_) => remove_for_good(self.store.as_ref(), &id.pin_key(), None).map(|()| true),
        }
    }
}
