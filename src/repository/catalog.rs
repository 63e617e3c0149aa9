//! The backups that one listing of the store shows, and the claims that their `.meta` documents make.

use crate::base::error::Result;
use crate::format::backup_id::{BackupId, folder};
use crate::format::manifest::lineage::Claims;
use crate::format::manifest::unpacked;
use crate::repository::Repository;
use crate::store::ObjectInfo;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Holds the backups that one listing shows, oldest first.
#[derive(Debug, Default)]
pub struct Catalog {
    entries: Vec<Entry>,
    /// All listed objects, backup or not, sorted by key.
    objects: Vec<ObjectInfo>,
}

#[derive(Debug, Clone)]
pub struct Entry {
    pub id: BackupId,
    /// Time at which its `.meta` was written, by the store's clock; `None` if the store does not report it.
    pub modified: Option<Timestamp>,
    /// Says whether a pin keeps retention from removing it.
    pub pinned: bool,
}

impl Repository {
    /// Lists the backups of one database; `None`: of all. A command should list once and hand the catalog on.
    pub fn catalog(&self, database: Option<&str>) -> Result<Catalog> {
        Ok(Catalog::of(self.store.list(&database.map(folder).unwrap_or_default())?))
    }

    /// Lists the ids of the backups of one database; `None`: of all. Oldest first by their names.
    pub fn ids(&self, database: Option<&str>) -> Result<Vec<BackupId>> {
        Ok(self.catalog(database)?.ids())
    }

    /// Reads from each `.meta` whose backup it claims to be, several at a time, in the order of `ids`. Nothing here is authenticated.
    pub fn claims(&self, ids: &[BackupId]) -> Result<Vec<Result<Claims>>> {
        self.each(ids, |_, sealed| sealed.and_then(|sealed| sealed.claims()).map(|manifest| Claims::of(&manifest)))
    }
}

impl Catalog {
    /// Builds the catalog of a listing.
    pub fn of(mut objects: Vec<ObjectInfo>) -> Catalog {
        objects.sort_by(|one, other| one.key.cmp(&other.key));
        let pins: BTreeSet<BackupId> = objects.iter().filter_map(|object| BackupId::of_pin_key(&object.key)).collect();
        let mut entries: Vec<Entry> = objects
            .iter()
            .filter_map(|object| {
                let id = BackupId::of_meta_key(&object.key)?;
                Some(Entry { modified: object.modified, pinned: pins.contains(&id), id })
            })
            .collect();
        entries.sort_by(|one, other| when(&one.id).cmp(&when(&other.id)));
        Catalog { entries, objects }
    }

    /// Returns the part of the catalog that belongs to one database.
    pub fn of_database(&self, database: &str) -> Catalog {
        let folder = folder(database);
        Catalog::of(self.objects.iter().filter(|object| object.key.starts_with(&folder)).cloned().collect())
    }

    /// Returns all listed objects, backup or not, sorted by key.
    pub fn objects(&self) -> &[ObjectInfo] {
        &self.objects
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the ids of the backups, oldest first.
    pub fn ids(&self) -> Vec<BackupId> {
        self.entries.iter().map(|entry| entry.id.clone()).collect()
    }

    /// Returns the size of an object in bytes; `None` if it was not listed.
    pub fn bytes(&self, key: &str) -> Option<u64> {
        let at = self.objects.binary_search_by(|object| object.key.as_str().cmp(key)).ok()?;
        self.objects.get(at).map(|object| object.bytes)
    }

    /// Returns the keys of all objects, backup or not.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.objects.iter().map(|object| object.key.as_str())
    }

    /// Returns the keys that look like backups of Doubletake. It wrote no folders, so only keys without a slash count.
    pub fn old_backups(&self) -> Vec<&str> {
        self.keys().filter(|key| !key.contains('/') && is_called_so(key)).collect()
    }

    /// Returns the databases that have backups here, each once.
    pub fn databases(&self) -> BTreeSet<&str> {
        self.entries.iter().map(|entry| entry.id.database()).collect()
    }
}

/// Returns what to tell of databases that have payloads in a listing and not one `.meta`; `None` if there is no such database. A killed run
/// leaves a payload alone only until the next run; a database without any document has lost them.
pub(crate) fn lost_documents(catalog: &Catalog) -> Option<String> {
    let (with, payloads) =
        (catalog.databases(), catalog.keys().filter_map(BackupId::of_payload_key).collect::<Vec<_>>());
    let lost: BTreeSet<&str> = payloads.iter().map(BackupId::database).filter(|name| !with.contains(name)).collect();
    let names = lost.into_iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| {
        format!(
            "no backup of {names} can be read: the store holds payloads without any .meta; \"pgbk doctor\" names them"
        )
    })
}

/// Returns by what backups are ordered: their time, then the database.
fn when(id: &BackupId) -> (Timestamp, &str) {
    (id.taken_at(), id.database())
}

/// Returns whether a key looks like one that Doubletake wrote: it ends in `.sql` or `.dump`, packed or not.
fn is_called_so(key: &str) -> bool {
    let (bare, ..) = unpacked(key);
    bare.strip_suffix(".sql").or_else(|| bare.strip_suffix(".dump")).is_some_and(|stem| !stem.is_empty())
}
