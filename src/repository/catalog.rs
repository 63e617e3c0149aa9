//! The backups that one listing of the store shows, and the claims that their `.meta` documents make.

use crate::base::error::Result;
use crate::base::subject::Subject;
use crate::base::variant::Variant;
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
    entries: Vec<CatalogEntry>,
    /// All listed objects, backup or not, sorted by key.
    objects: Vec<ObjectInfo>,
    /// Other variants that the listing showed backups of.
    others: BTreeSet<Variant>,
}

#[derive(Debug, Clone)]
pub struct CatalogEntry {
    pub id: BackupId,
    /// Its `.meta`, as the store listed it.
    pub document: ObjectInfo,
    /// Says whether a pin keeps retention from removing it.
    pub pinned: bool,
}

impl Repository {
    /// Lists the backups of one subject; `None`: of all, in the repository's variant. A command should list once and hand the catalog on.
    pub fn catalog(&self, subject: Option<&Subject>) -> Result<Catalog> {
        Ok(Catalog::of(self.store.list(&subject.map(folder).unwrap_or_default())?).in_variant(self.variant))
    }

    /// Reads from each `.meta` whose backup it claims to be, several at a time, in the order of `entries`. Nothing here is authenticated.
    pub fn claims(&self, entries: &[&CatalogEntry]) -> Result<Vec<Result<Claims>>> {
        self.each(entries, |_, sealed| sealed.and_then(|sealed| sealed.claims()).map(|manifest| Claims::of(&manifest)))
    }
}

impl Catalog {
    /// Builds the catalog of a listing.
    pub fn of(mut objects: Vec<ObjectInfo>) -> Catalog {
        objects.sort_by(|one, other| one.key.cmp(&other.key));
        let pins: BTreeSet<BackupId> = objects.iter().filter_map(|object| BackupId::of_pin_key(&object.key)).collect();
        let mut entries: Vec<CatalogEntry> = objects
            .iter()
            .filter_map(|object| {
                let id = BackupId::of_meta_key(&object.key)?;
                Some(CatalogEntry { document: object.clone(), pinned: pins.contains(&id), id })
            })
            .collect();
        entries.sort_by(|one, other| when(&one.id).cmp(&when(&other.id)));
        Catalog { entries, objects, others: BTreeSet::new() }
    }

    /// Returns the part of the catalog that belongs to one variant. What belongs to no database stays with the plain one.
    pub fn in_variant(self, variant: Variant) -> Catalog {
        let own = |object: &ObjectInfo| {
            let folder = object.key.split_once('/').and_then(|(folder, _)| Subject::of_series(folder));
            folder.map_or(Variant::Plain, |subject| subject.variant()) == variant
        };
        let Catalog { mut entries, mut objects, .. } = self;
        let mut others: BTreeSet<Variant> = entries.iter().map(|entry| entry.id.subject().variant()).collect();
        others.remove(&variant);
        entries.retain(|entry| entry.id.subject().variant() == variant);
        objects.retain(own);
        Catalog { entries, objects, others }
    }

    /// Returns how to see the backups of other variants that were listed; `None` if there are none.
    pub fn how_to_see_others(&self) -> Option<String> {
        let told: Vec<String> = self.others.iter().map(|other| format!("--variant {}", other.name())).collect();
        (!told.is_empty()).then(|| format!("there are backups of another variant: {}", told.join(" or ")))
    }

    /// Returns the part of the catalog that belongs to one subject.
    pub fn of_subject(&self, subject: &Subject) -> Catalog {
        let folder = folder(subject);
        Catalog::of(self.objects.iter().filter(|object| object.key.starts_with(&folder)).cloned().collect())
    }

    /// Returns all listed objects, backup or not, sorted by key.
    pub fn objects(&self) -> &[ObjectInfo] {
        &self.objects
    }

    pub fn entries(&self) -> &[CatalogEntry] {
        &self.entries
    }

    /// Returns the backup with this id; `None` if it was not listed.
    pub fn get(&self, id: &BackupId) -> Option<&CatalogEntry> {
        let at = self.entries.binary_search_by(|entry| when(&entry.id).cmp(&when(id))).ok()?;
        self.entries.get(at)
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

    /// Returns the subjects that have backups here, each once.
    pub fn subjects(&self) -> BTreeSet<&Subject> {
        self.entries.iter().map(|entry| entry.id.subject()).collect()
    }
}

/// Returns what to tell of databases that have payloads in a listing and not one `.meta`; `None` if there is no such database. A killed run
/// leaves a payload alone only until the next run; a database without any document has lost them.
pub(crate) fn lost_documents(catalog: &Catalog) -> Option<String> {
    let (with, payloads) =
        (catalog.subjects(), catalog.keys().filter_map(BackupId::of_any_payload_key).collect::<Vec<_>>());
    let lost: BTreeSet<&Subject> = payloads.iter().map(BackupId::subject).filter(|name| !with.contains(name)).collect();
    let names = lost.into_iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| {
        format!(
            "no backup of {names} can be read: the store holds payloads without any .meta; \"pgbk doctor\" names them"
        )
    })
}

/// Returns by what backups are ordered: their time, then the subject.
fn when(id: &BackupId) -> (Timestamp, &Subject) {
    (id.taken_at(), id.subject())
}

/// Returns whether a key looks like one that Doubletake wrote: it ends in `.sql` or `.dump`, packed or not.
fn is_called_so(key: &str) -> bool {
    let (bare, ..) = unpacked(key);
    bare.strip_suffix(".sql").or_else(|| bare.strip_suffix(".dump")).is_some_and(|stem| !stem.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(key: &str, bytes: u64) -> ObjectInfo {
        ObjectInfo { key: key.to_owned(), bytes, modified: None, etag: Some(format!("e{bytes}")) }
    }

    #[test]
    fn no_variant_has_the_objects_of_another() {
        let keys = [
            "shop/shop-20260822T031500Z.meta",
            "shop@anonymised/shop@anonymised-20260822T031500Z.meta",
            "shop@anonymised/shop@anonymised-20260823T031500Z.sql",
            "shop@custom/shop@custom-20260822T031500Z.meta",
            "@files/@files-20260822T031500Z.meta",
            "backup.sql",
            "shop@other/note",
        ];
        let all = || Catalog::of(keys.iter().map(|key| listed(key, 1)).collect());
        let of = |variant| {
            let catalog = all().in_variant(variant);
            let ids = catalog.entries().iter().map(|entry| entry.id.to_string()).collect::<Vec<_>>().join(" ");
            (ids, catalog.keys().count())
        };
        assert_eq!(of(Variant::Plain), ("@files-20260822T031500Z shop-20260822T031500Z".to_owned(), 4));
        assert_eq!(of(Variant::Anonymised), ("shop@anonymised-20260822T031500Z".to_owned(), 2));
        assert_eq!(of(Variant::Custom), ("shop@custom-20260822T031500Z".to_owned(), 1));
        assert_eq!(all().entries().len(), 4);
    }

    #[test]
    fn a_backup_is_found_by_its_id_with_the_document_that_was_listed() {
        let keys = [
            "shop/shop-20260822T031500Z.meta",
            "shop/shop-20260821T031500Z.meta",
            "crm/crm-20260822T031500Z.meta",
            "@files/@files-20260822T031500Z.meta",
            "shop/shop-20260823T031500Z.sql",
            "shop/shop-20260822T031500Z.pin",
        ];
        let catalog = Catalog::of((1..).zip(keys).map(|(bytes, key)| listed(key, bytes)).collect());
        for (bytes, key) in (1..).zip(&keys[..4]) {
            let entry = catalog.get(&BackupId::of_meta_key(key).unwrap()).unwrap();
            assert_eq!((&entry.document, entry.pinned), (&listed(key, bytes), bytes == 1), "{key}");
        }
        for other in ["shop-20260823T031500Z", "shop-20260822T031501Z", "shop2-20260822T031500Z"] {
            assert!(catalog.get(&other.parse().unwrap()).is_none(), "{other}");
        }
    }
}
