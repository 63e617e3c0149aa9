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
            opened => {
                opened?;
                remove_for_good(self.store.as_ref(), &id.pin_key(), None).map(|()| true)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::made_backups::{put, repository};
    use crate::store::Store;
    use crate::store::memory::Memory;
    use crate::store::refusing_store::RefusingStore;
    use std::sync::Arc;

    #[test]
    fn a_pin_is_put_and_removed_once_and_one_that_is_out_of_reach_is_not_said_to_be_gone() {
        let memory = Memory::default();
        let plain = repository(&memory);
        let id = put(&plain, "app", 1, None, &[]).id;
        assert!(!plain.unpin(&id).unwrap());
        assert_eq!([plain.pin(&id).unwrap(), plain.pin(&id).unwrap()], [true, false]);
        for refusal in [Kind::Denied, Kind::Failed] {
            let store = RefusingStore { memory: memory.clone(), end: id.pin_key(), open: Some(refusal), remove: None };
            let away = Repository { store: Arc::new(store), ..plain.clone() };
            assert_eq!(kind(&away.unpin(&id).unwrap_err()), refusal);
        }
        assert!(memory.open(&id.pin_key(), None).is_ok());
        assert_eq!([plain.unpin(&id).unwrap(), plain.unpin(&id).unwrap()], [true, false]);
    }
}
