//! What is in the store, as it was found by the last look into it and left in `STATE_DIR` for those who may not ask the store.

use crate::document;
use crate::error::Result;
use crate::manifest::BackupId;
use crate::store::Store;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// As many backups, the newest; of the others only how many they are and how large.
const SHOWN: usize = 50;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shelf {
    pub location: String,
    pub looked: Timestamp,
    /// Why the last look failed; what is told then is what an earlier one found.
    pub problem: Option<String>,
    pub databases: BTreeMap<String, Total>,
    /// Newest first.
    pub newest: Vec<Kept>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    pub backups: u64,
    /// Of the payloads.
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub id: BackupId,
    /// None where there is a `.meta` without its payload.
    pub bytes: Option<u64>,
}

impl Shelf {
    /// One request for the list, or as many as its length takes.
    pub fn look(store: &dyn Store, before: Option<Shelf>, now: Timestamp) -> Shelf {
        let location = store.location();
        match backups(store) {
            Ok(all) => Shelf { databases: totals(&all), newest: newest(all), location, looked: now, problem: None },
            Err(error) => {
                let before = before.filter(|before| before.location == location);
                let (databases, newest) = before.map(|before| (before.databases, before.newest)).unwrap_or_default();
                Shelf { location, looked: now, problem: Some(format!("{error:#}")), databases, newest }
            }
        }
    }

    pub fn read(state_dir: &Path) -> Option<Shelf> {
        document::read(&path(state_dir)).ok().map(|found| found.value)
    }

    pub fn write(&self, state_dir: &Path) -> Result<()> {
        document::write(&path(state_dir), self)?;
        Ok(())
    }
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("store.json")
}

fn backups(store: &dyn Store) -> Result<Vec<Kept>> {
    let mut metas = BTreeSet::new();
    let mut payloads = BTreeMap::new();
    for object in store.list("")? {
        if let Some(id) = BackupId::of_meta_key(&object.key) {
            metas.insert(id);
        } else if let Some(id) = BackupId::of_payload_key(&object.key) {
            payloads.insert(id, object.bytes);
        }
    }
    Ok(metas.into_iter().map(|id| Kept { bytes: payloads.get(&id).copied(), id }).collect())
}

fn totals(all: &[Kept]) -> BTreeMap<String, Total> {
    let mut totals: BTreeMap<String, Total> = BTreeMap::new();
    for kept in all {
        let total = totals.entry(kept.id.database().to_owned()).or_default();
        total.backups += 1;
        total.bytes += kept.bytes.unwrap_or_default();
    }
    totals
}

fn newest(mut all: Vec<Kept>) -> Vec<Kept> {
    all.sort_by(|one, other| other.id.taken_at().cmp(&one.id.taken_at()).then_with(|| one.id.cmp(&other.id)));
    all.truncate(SHOWN);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::Memory;
    use crate::store::write_small;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn put(store: &Memory, database: &str, second: i64, bytes: Option<usize>) {
        let id = BackupId::new(database, at(second));
        write_small(store, &id.meta_key(), b"{}").unwrap();
        if let Some(bytes) = bytes {
            write_small(store, &id.object_key("sql.xz"), &vec![0; bytes]).unwrap();
        }
    }

    #[test]
    fn backups_are_counted_by_database_and_the_newest_are_named() {
        let store = Memory::default();
        (0..60).for_each(|second| put(&store, "app", second, Some(10)));
        put(&store, "app_staging", 100, None);
        write_small(&store, "app/notes.txt", b"mine").unwrap();
        write_small(&store, &BackupId::new("app", at(500)).object_key("sql"), b"no .meta yet").unwrap();
        let shelf = Shelf::look(&store, None, at(1000));
        let total = |backups, bytes| Total { backups, bytes };
        assert_eq!(
            shelf.databases.into_iter().collect::<Vec<_>>(),
            [("app".to_owned(), total(60, 600)), ("app_staging".to_owned(), total(1, 0))]
        );
        assert_eq!((shelf.newest.len(), shelf.problem), (SHOWN, None));
        assert_eq!(shelf.newest[0], Kept { id: BackupId::new("app_staging", at(100)), bytes: None });
        assert_eq!(shelf.newest[1], Kept { id: BackupId::new("app", at(59)), bytes: Some(10) });
    }
}
