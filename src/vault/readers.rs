//! Many `.meta` documents looked at, several at a time, within one budget of memory: of each only what is made of it stays.

use super::Vault;
use super::budget::Budget;
use crate::error::Result;
use crate::interrupt;
use crate::manifest::{BackupId, Sealed};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Builder;

/// Documents read at the same time: a host far away answers many as fast as one.
const READERS: usize = 64;
/// What a reader's calls take: as little as it needs, for there are many.
const STACK: usize = 512 << 10;
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
        let (next, broken) = (AtomicUsize::new(0), AtomicBool::new(false));
        let work = || {
            let mut looked = Vec::new();
            while !broken.load(Ordering::Relaxed) {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(id) = ids.get(at) else { break };
                let one = one(id);
                broken.fetch_or(one.is_err(), Ordering::Relaxed);
                looked.push((at, one));
            }
            looked
        };
        let (own, others) = std::thread::scope(|scope| {
            // Where the machine gives no more threads, fewer of them read; this one always does.
            let begin = |_| Builder::new().stack_size(STACK).spawn_scoped(scope, work).ok();
            let others: Vec<_> = (1..READERS.min(ids.len())).map_while(begin).collect();
            (work(), others.into_iter().map(|reader| reader.join()).collect::<Vec<_>>())
        });
        let mut all = own;
        for looked in others {
            all.extend(looked.map_err(|_| anyhow::anyhow!("a reader panicked"))?);
        }
        all.sort_by_key(|(at, _)| *at);
        all.into_iter().map(|(_, one)| one).collect()
    }
}
