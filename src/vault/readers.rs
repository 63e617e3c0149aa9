//! Many `.meta` documents looked at, several at a time, within one budget of memory: of each only what is made of it stays.

use super::Vault;
use super::budget::Budget;
use crate::error::Result;
use crate::interrupt;
use crate::manifest::{BackupId, Sealed};
use crate::threads;

/// Documents read at the same time: a host far away answers many as fast as one.
const READERS: usize = 64;
/// What documents, and what is parsed of them, may take together.
const MEMORY: u64 = 64 << 20;

impl Vault {
    /// Reads the document of each of these backups, and gives what is made of it, in the same order. A document that cannot be
    /// read is for `look` to judge; a signal ends the whole.
    pub fn each<T: Send>(
        &self,
        ids: &[BackupId],
        look: impl Fn(&BackupId, Result<Sealed>) -> T + Sync,
    ) -> Result<Vec<T>> {
        let budget = Budget::new(MEMORY);
        let one = |id: &BackupId| {
            interrupt::check()?;
            let object = self.of_meta(id, self.store.open_small(&id.meta_key()));
            // Twice: the bytes, and what they are parsed into.
            let _share = object.as_ref().map(|object| budget.take(2 * object.info().bytes)).ok();
            Ok(look(id, object.and_then(|object| self.read_meta(id, object.as_ref()))))
        };
        threads::each(ids, READERS, one)
    }
}
