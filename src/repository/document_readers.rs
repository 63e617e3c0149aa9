//! Reads many `.meta` documents, several at a time, within one memory budget. Only the caller's result of each stays in memory.

use crate::base::error::Result;
use crate::base::{cancel, threads};
use crate::format::backup_id::BackupId;
use crate::format::manifest::seal::SealedManifest;
use crate::repository::Repository;
use crate::repository::budget::Budget;
use crate::repository::catalog::CatalogEntry;

/// Documents read at the same time: a host far away answers many as fast as one.
const READERS: usize = 64;
/// Most bytes that the documents and their parsed forms may take together.
const MEMORY: u64 = 64 << 20;

impl Repository {
    /// Reads the document of each backup and returns what `look` makes of it, in the order of `entries`. A document that cannot be read is
    /// passed to `look` as an error; a signal ends the whole call with one.
    pub fn each<T: Send>(
        &self,
        entries: &[&CatalogEntry],
        look: impl Fn(&BackupId, Result<SealedManifest>) -> T + Sync,
    ) -> Result<Vec<T>> {
        let budget = Budget::new(MEMORY);
        let one = |entry: &&CatalogEntry| {
            cancel::check()?;
            let object = self.listed_document(entry);
            // Twice: the bytes, and what they are parsed into.
            let _share = object.as_ref().map(|object| budget.take(2 * object.info().bytes)).ok();
            Ok(look(&entry.id, object.and_then(|object| self.read_meta(&entry.id, object.as_ref()))))
        };
        threads::each(entries, READERS, one)
    }
}
