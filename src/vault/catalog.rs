//! What is stored, as one listing shows it, and what the documents in it say of themselves.

use super::{Vault, doubletake};
use crate::error::Result;
use crate::manifest::id::folder;
use crate::manifest::{BackupId, Claims};
use crate::store::Listed;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Holds the backups that one listing shows, oldest first.
#[derive(Debug, Default)]
pub struct Catalog {
    entries: Vec<Entry>,
    /// Every object in it, backup or not, by key.
    objects: Vec<Listed>,
}

#[derive(Debug, Clone)]
pub struct Entry {
    pub id: BackupId,
    /// When its document was written, by the store's clock; None where the store does not tell.
    pub modified: Option<Timestamp>,
    /// Whether no rule may remove it.
    pub pinned: bool,
}

impl Vault {
    /// Lists the backups of one database, or of all. A command lists once; what needs a listing is given one.
    pub fn catalog(&self, database: Option<&str>) -> Result<Catalog> {
        Ok(Catalog::of(self.store.list(&database.map(folder).unwrap_or_default())?))
    }

    /// Returns the backups of one database or of all, oldest first by their names.
    pub fn ids(&self, database: Option<&str>) -> Result<Vec<BackupId>> {
        Ok(self.catalog(database)?.entries.into_iter().map(|entry| entry.id).collect())
    }

    /// Reads of each `.meta` whose it says it is, several at a time, in the same order. Nothing here is authenticated.
    pub fn claims(&self, ids: &[BackupId]) -> Result<Vec<Result<Claims>>> {
        self.each(ids, |_, sealed| sealed.and_then(|sealed| sealed.claims()).map(|manifest| Claims::of(&manifest)))
    }
}

impl Catalog {
    /// Returns what these objects are as backups.
    pub fn of(mut objects: Vec<Listed>) -> Catalog {
        objects.sort_by(|one, other| one.key.cmp(&other.key));
        let pins: BTreeSet<BackupId> = objects.iter().filter_map(|object| BackupId::of_pin_key(&object.key)).collect();
        let mut entries: Vec<Entry> = objects
            .iter()
            .filter_map(|object| {
                let id = BackupId::of_meta_key(&object.key)?;
                Some(Entry { modified: object.modified, pinned: pins.contains(&id), id })
            })
            .collect();
        entries.sort_by_key(|entry| (entry.id.taken_at(), entry.id.database().to_owned()));
        Catalog { entries, objects }
    }

    /// Returns what it shows of one database.
    pub fn of_database(&self, database: &str) -> Catalog {
        let folder = folder(database);
        Catalog::of(self.objects.iter().filter(|object| object.key.starts_with(&folder)).cloned().collect())
    }

    /// Returns everything that was there, by key.
    pub fn objects(&self) -> &[Listed] {
        &self.objects
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the size of an object. None: it was not there.
    pub fn bytes(&self, key: &str) -> Option<u64> {
        let at = self.objects.binary_search_by(|object| object.key.as_str().cmp(key)).ok()?;
        self.objects.get(at).map(|object| object.bytes)
    }

    /// Returns the keys of all objects, backup or not.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.objects.iter().map(|object| object.key.as_str())
    }

    /// Returns the keys that are called as backups of Doubletake are: beside the folders of databases, which is where it wrote them.
    pub fn old_backups(&self) -> Vec<&str> {
        self.keys().filter(|key| !key.contains('/') && doubletake::is_called_so(key)).collect()
    }

    /// Returns the databases that have backups here, each once.
    pub fn databases(&self) -> BTreeSet<&str> {
        self.entries.iter().map(|entry| entry.id.database()).collect()
    }
}
