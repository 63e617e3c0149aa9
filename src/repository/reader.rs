//! Reads a backup: its manifest, authenticated, and its payload.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::format::archive::contents::DumpContents;
use crate::format::backup_id::BackupId;
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::manifest::properties::Properties;
use crate::format::manifest::seal::SealedManifest;
use crate::format::manifest::{META_LIMIT, Manifest};
use crate::pipeline::pack::unpack;
use crate::repository::Repository;
use crate::repository::catalog::{Catalog, CatalogEntry};
use crate::store::{Object, read_whole};
use std::io::Read;

/// An authenticated backup whose payload is there in its full size.
pub struct BackupReader {
    pub manifest: Manifest,
    pub derived_keys: Option<DerivedKeys>,
    pub object: Box<dyn Object>,
}

impl BackupReader {
    /// Returns the properties of the database itself; `None` if the backup holds none.
    pub fn properties(&self) -> Result<Option<Properties>> {
        self.manifest.properties.as_ref().map(|kept| kept.open(self.derived_keys.as_ref())).transpose()
    }

    /// Returns the table of contents of the dump; `None` if the backup holds none.
    pub(crate) fn contents(&self) -> Result<Option<DumpContents>> {
        let Some(stored) = &self.manifest.contents else { return Ok(None) };
        let read = DumpContents::read(&mut stored.open(self.derived_keys.as_ref())?.as_slice());
        read.map(Some)
            .map_err(|error| Fault::damaged(format!("the table of contents of {}: {error:#}", self.manifest.id)).into())
    }

    /// Returns the dump, verified as it is read.
    pub fn plain(self) -> Result<Box<dyn Read + Send>> {
        unpack(self.object, &self.manifest, self.derived_keys.as_ref())
    }
}

impl Repository {
    /// Reads the `.meta` without authenticating it.
    pub fn sealed(&self, id: &BackupId) -> Result<SealedManifest> {
        self.read_meta(id, self.meta(id)?.as_ref())
    }

    /// Returns the manifest as the listed document states it, without authenticating it. `NotFound` if there is none in the listing.
    pub(crate) fn listed_manifest(&self, catalog: &Catalog, id: &BackupId) -> Result<Manifest> {
        let entry = catalog.get(id).ok_or_else(|| self.missing(id))?;
        self.read_meta(id, self.listed_document(entry)?.as_ref())?.claims()
    }

    /// Opens the document of a listed backup. A copy of that very object on this host will do.
    pub(crate) fn listed_document(&self, entry: &CatalogEntry) -> Result<Box<dyn Object>> {
        self.of_meta(&entry.id, self.store.open_listed(&entry.document))
    }

    pub(crate) fn meta(&self, id: &BackupId) -> Result<Box<dyn Object>> {
        self.of_meta(id, self.store.open(&id.meta_key(), None))
    }

    fn of_meta(&self, id: &BackupId, opened: Result<Box<dyn Object>>) -> Result<Box<dyn Object>> {
        opened.map_err(|error| match kind(&error) {
            Kind::NotFound => self.missing(id).into(),
            _ => error,
        })
    }

    pub(crate) fn missing(&self, id: &BackupId) -> Fault {
        Fault::not_found(format!("there is no backup {id} in {}", self.store.location()))
            .hint("\"pgbk list\" shows what is stored")
    }

    pub(crate) fn read_meta(&self, id: &BackupId, object: &dyn Object) -> Result<SealedManifest> {
        let key = id.meta_key();
        Ok(SealedManifest::parse(&key, read_whole(object, &key, META_LIMIT)?)?.of(id))
    }

    pub fn manifest(&self, id: &BackupId) -> Result<(Manifest, Option<DerivedKeys>)> {
        self.sealed(id)?.authenticate(self.key.as_ref(), self.allow_unauthenticated)
    }

    pub fn open(&self, id: &BackupId) -> Result<BackupReader> {
        let (manifest, derived_keys) = self.manifest(id)?;
        let object = self.payload(&manifest)?;
        Ok(BackupReader { manifest, derived_keys, object })
    }
}
