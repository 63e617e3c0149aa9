//! Chooses which documents to read to find the backup of a series that was made last.
//!
//! Names are dates, and clocks can be wrong, so the newest date does not settle it. An object store reports by its own clock when it
//! received a document. File times in a folder may come from the very clock that was wrong, so there all documents are read.

use crate::base::error::{Kind, Result, kind};
use crate::format::backup_id::BackupId;
use crate::format::manifest::lineage::{Claims, Owner};
use crate::format::manifest::order::places;
use crate::repository::Repository;
use crate::repository::catalog::{Catalog, CatalogEntry};
use crate::store::capabilities::Medium;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Number of documents read at once if the first was not the wanted one.
const BATCH: usize = 8;

/// A backup with the claims of its document, or with the reason why it is damaged.
pub(crate) type ClaimedBackup = (CatalogEntry, Result<Claims>);
/// The backup that was looked for, with its claims; `None` if they cannot be read.
pub(crate) type FoundBackup = (CatalogEntry, Option<Claims>);

impl Repository {
    /// Reads documents from the newest date downwards until one is wanted, then those that may have been made after it. Returns
    /// all that was read, and the wanted backup that was made last; `None` if there is none. An unreadable document that comes
    /// first may be the wanted one, and is taken for it.
    pub(crate) fn walk(
        &self,
        catalog: &Catalog,
        now: Timestamp,
        wanted: impl Fn(&Owner) -> bool,
    ) -> Result<(Vec<ClaimedBackup>, Option<FoundBackup>)> {
        let entries = past(catalog, now);
        let mut said: Vec<ClaimedBackup> = Vec::new();
        let mut rest = entries.as_slice();
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(rest.len().min(if said.is_empty() { 1 } else { BATCH }));
            rest = after;
            let from = said.len();
            said.extend(self.said(batch.to_vec())?);
            let found = said[from..].iter().find(|(_, claims)| match claims {
                Ok(claims) => wanted(&claims.owner),
                Err(_) => true,
            });
            match found.map(|(entry, claims)| (entry.clone(), claims.is_ok())) {
                Some((first, true)) => return self.made_last(&first, &entries, said, wanted),
                Some((unreadable, false)) => return Ok((said, Some((unreadable, None)))),
                None => {}
            }
        }
        Ok((said, None))
    }

    /// Returns the backup of the series that was made last. `first` has its newest date; another one has a higher
    /// sequence if the clock fell back before it was made.
    fn made_last(
        &self,
        first: &CatalogEntry,
        entries: &[CatalogEntry],
        mut said: Vec<ClaimedBackup>,
        wanted: impl Fn(&Owner) -> bool,
    ) -> Result<(Vec<ClaimedBackup>, Option<FoundBackup>)> {
        let read: BTreeSet<&BackupId> = said.iter().map(|(entry, _)| &entry.id).collect();
        let has_a_clock = self.store.capabilities().medium != Medium::Folder;
        let later = entries.iter().filter(|entry| !has_a_clock || entry.document.modified > first.document.modified);
        let later: Vec<CatalogEntry> = later.filter(|entry| !read.contains(&entry.id)).cloned().collect();
        said.extend(self.said(later)?);
        let own: Vec<(&CatalogEntry, &Claims)> =
            readable(&said).into_iter().filter(|(_, claims)| wanted(&claims.owner)).collect();
        let found = last_of(&own).map(|(entry, claims)| (entry.clone(), Some(claims.clone())));
        Ok((said, found))
    }

    /// Returns the wanted backups among those that are dated ahead of now. Unreadable ones are left out.
    pub(crate) fn ahead(
        &self,
        catalog: &Catalog,
        now: Timestamp,
        wanted: impl Fn(&Owner) -> bool,
    ) -> Result<Vec<(CatalogEntry, Claims)>> {
        let entries = catalog.entries().iter().filter(|entry| entry.id.is_from_the_future(now)).cloned().collect();
        let said = self.said(entries)?.into_iter();
        let known = said.filter_map(|(entry, claims)| Some((entry, claims.ok()?)));
        Ok(known.filter(|(_, claims)| wanted(&claims.owner)).collect())
    }

    /// Reads the claims of these backups. A backup that is gone meanwhile is left out, a damaged one is
    /// returned as such, and any other failure is an error.
    pub(crate) fn said(&self, entries: Vec<CatalogEntry>) -> Result<Vec<ClaimedBackup>> {
        let claims = self.claims(&entries.iter().collect::<Vec<_>>())?;
        let mut said = Vec::with_capacity(entries.len());
        for (entry, claims) in entries.into_iter().zip(claims) {
            match claims {
                Err(error) if kind(&error) == Kind::NotFound => {}
                Err(error) if kind(&error) != Kind::Damaged => return Err(error),
                claims => said.push((entry, claims)),
            }
        }
        Ok(said)
    }
}

/// Returns the backups that are not dated ahead of now, newest date first.
pub(crate) fn past(catalog: &Catalog, now: Timestamp) -> Vec<CatalogEntry> {
    catalog.entries().iter().rev().filter(|entry| !entry.id.is_from_the_future(now)).cloned().collect()
}

/// Returns the backups whose document could be read.
pub(crate) fn readable(said: &[ClaimedBackup]) -> Vec<(&CatalogEntry, &Claims)> {
    said.iter().filter_map(|(entry, claims)| Some((entry, claims.as_ref().ok()?))).collect()
}

/// Returns the backup that was made last; `None` if there is none.
pub(crate) fn last_of<'a>(said: &[(&'a CatalogEntry, &'a Claims)]) -> Option<(&'a CatalogEntry, &'a Claims)> {
    let dated: Vec<(Timestamp, u64)> =
        said.iter().map(|(entry, claims)| (entry.id.taken_at(), claims.sequence)).collect();
    let places = places(&dated);
    (0..said.len()).max_by_key(|at| places[*at]).map(|at| said[at])
}
