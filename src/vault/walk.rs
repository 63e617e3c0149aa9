//! Which documents are read to find the one of a series that was made last.
//!
//! Names are dates, and clocks go wrong, so the newest date does not settle it. A host says by its own clock when it took a document
//! in. The times in a folder may be by the very clock that was wrong, so there all documents are read.

use super::Vault;
use super::catalog::{Catalog, Entry};
use crate::error::{Kind, Result, kind};
use crate::manifest::order::places;
use crate::manifest::{BackupId, Claims, Owner};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Documents that are read at once where the first was none of ours.
const BATCH: usize = 8;

/// A backup and what its document says.
pub(super) type Said = (Entry, Result<Claims>);
/// The same of the one that was looked for; None where it cannot be read.
pub(super) type Found = (Entry, Option<Claims>);

impl Vault {
    /// Reads documents from the newest date downward until one is wanted, then those that may have been made after it, and returns all
    /// that was read with the one that was made last. Where the newest cannot be read it may be the wanted one, and is taken for it.
    pub(super) fn walk(
        &self,
        catalog: &Catalog,
        now: Timestamp,
        wanted: impl Fn(&Owner) -> bool,
    ) -> Result<(Vec<Said>, Option<Found>)> {
        let entries = past(catalog, now);
        let mut said: Vec<Said> = Vec::new();
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

    /// Returns which one of the series was made last. `first` has its newest date: another one has a higher sequence where the clock
    /// fell back before it was made.
    fn made_last(
        &self,
        first: &Entry,
        entries: &[Entry],
        mut said: Vec<Said>,
        wanted: impl Fn(&Owner) -> bool,
    ) -> Result<(Vec<Said>, Option<Found>)> {
        let read: BTreeSet<&BackupId> = said.iter().map(|(entry, _)| &entry.id).collect();
        let has_a_clock = !self.store.is_folder();
        let later = entries.iter().filter(|entry| !has_a_clock || entry.modified > first.modified);
        let later: Vec<Entry> = later.filter(|entry| !read.contains(&entry.id)).cloned().collect();
        said.extend(self.said(later)?);
        let own: Vec<(&Entry, &Claims)> =
            readable(&said).into_iter().filter(|(_, claims)| wanted(&claims.owner)).collect();
        let found = last_of(&own).map(|(entry, claims)| (entry.clone(), Some(claims.clone())));
        Ok((said, found))
    }

    /// Returns what is wanted of those that are dated ahead of now.
    pub(super) fn ahead(
        &self,
        catalog: &Catalog,
        now: Timestamp,
        wanted: impl Fn(&Owner) -> bool,
    ) -> Result<Vec<(Entry, Claims)>> {
        let entries = catalog.entries().iter().filter(|entry| entry.id.is_from_the_future(now)).cloned().collect();
        let said = self.said(entries)?.into_iter();
        let known = said.filter_map(|(entry, claims)| Some((entry, claims.ok()?)));
        Ok(known.filter(|(_, claims)| wanted(&claims.owner)).collect())
    }

    /// Reads what these say. One that is gone meanwhile is left out; what keeps others from being read is an error.
    pub(super) fn said(&self, entries: Vec<Entry>) -> Result<Vec<Said>> {
        let ids: Vec<BackupId> = entries.iter().map(|entry| entry.id.clone()).collect();
        let mut said = Vec::with_capacity(entries.len());
        for (entry, claims) in entries.into_iter().zip(self.claims(&ids)?) {
            match claims {
                Err(error) if kind(&error) == Kind::NotFound => {}
                Err(error) if kind(&error) != Kind::Damaged => return Err(error),
                claims => said.push((entry, claims)),
            }
        }
        Ok(said)
    }
}

/// Returns those that are not dated ahead of now, the newest date first.
pub(super) fn past(catalog: &Catalog, now: Timestamp) -> Vec<Entry> {
    catalog.entries().iter().rev().filter(|entry| !entry.id.is_from_the_future(now)).cloned().collect()
}

/// Returns those whose document could be read.
pub(super) fn readable(said: &[Said]) -> Vec<(&Entry, &Claims)> {
    said.iter().filter_map(|(entry, claims)| Some((entry, claims.as_ref().ok()?))).collect()
}

/// Returns the one that was made last.
pub(super) fn last_of<'a>(said: &[(&'a Entry, &'a Claims)]) -> Option<(&'a Entry, &'a Claims)> {
    let dated: Vec<(Timestamp, u64)> =
        said.iter().map(|(entry, claims)| (entry.id.taken_at(), claims.sequence)).collect();
    let places = places(&dated);
    (0..said.len()).max_by_key(|at| places[*at]).map(|at| said[at])
}
