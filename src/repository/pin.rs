//! Pins: a small object next to a backup that keeps rules from removing it.
//!
//! A pin has no seal. Whoever may write to the store can make more backups stay, and whoever may
//! delete there could delete the backup itself.

use crate::base::error::{Kind, Result, kind};
use crate::format::backup_id::BackupId;
use crate::repository::Repository;
use crate::store::{remove_for_good, write_small};

const TEXT: &[u8] = b"No rule of pgbk's removes the backup of this name while this is here: pgbk unpin\n";

impl Repository {
    /// Pins a backup, which must exist. Returns false if it was pinned already.
    pub fn pin(&self, id: &BackupId) -> Result<bool> {
        // Says what is missing where it is not.
        self.sealed(id)?;
        match write_small(self.store.as_ref(), &id.pin_key(), TEXT) {
            Err(error) if kind(&error) == Kind::Exists => Ok(false),
            written => written.map(|_| true),
        }
    }

    /// Removes the pin, even if the backup is gone. Returns false if there was none.
    pub fn unpin(&self, id: &BackupId) -> Result<bool> {
        match self.store.open(&id.pin_key(), None) {
            Err(error) if kind(&error) == Kind::NotFound => Ok(false),
            Err(error) => Err(error),
            Ok(_) => remove_for_good(self.store.as_ref(), &id.pin_key(), None).map(|()| true),
        }
    }
}
