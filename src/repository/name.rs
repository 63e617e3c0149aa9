//! The name of a new backup, and its place in its series.
//!
//! A name contains a time, and clocks can be wrong. So a name is dated after the newest backup of its series, but not ahead of this host's
//! clock, and the manifest adds a sequence number that comes from no clock.

use crate::base::error::{Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::base::shown::{agree, many};
use crate::format::backup_id::{BackupId, is_ahead};
use crate::format::manifest::lineage::{Claims, Owner};
use crate::format::manifest::origin::Origin;
use crate::repository::Repository;
use crate::repository::adoption::join;
use crate::repository::catalog::{Catalog, CatalogEntry};
use crate::repository::new_backup::{Adoption, NewBackup, Predecessors};
use crate::repository::newest::ServerIdentity;
use crate::repository::walk::{last_of, past, readable};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;

/// Resolution of the time in an id.
const SECOND: Duration = Duration::from_secs(1);
/// A clock that is behind the newest backup by more than this is worth a warning.
const BEHIND: SignedDuration = SignedDuration::from_mins(1);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupName {
    pub id: BackupId,
    pub previous: Option<BackupId>,
    /// Position in the series, from 1 on; 0 if the role may not read the store.
    pub sequence: u64,
    pub adopted: Vec<String>,
}

impl From<BackupId> for BackupName {
    /// Makes the name of a backup of which nothing else is known.
    fn from(id: BackupId) -> BackupName {
        BackupName { id, previous: None, sequence: 0, adopted: Vec::new() }
    }
}

impl Repository {
    /// Returns the name for a backup that begins now. Refuses a backup in plain text if the one before was encrypted.
    pub fn name(&self, taking: &NewBackup, monitor: &dyn Monitor) -> Result<BackupName> {
        let found = self.catalog(Some(&taking.subject)).and_then(|catalog| self.found_name(taking, &catalog, monitor));
        match found {
            // A role that may only write can back up; what a look at the bucket would have told stays unknown.
            Err(error) if kind(&error) == Kind::Denied && *taking.adopt == Adoption::No => {
                monitor.warn(
                    "the store does not allow listing: the previous backup is not recorded, and its key not compared",
                );
                Ok(BackupId::new(taking.subject.clone(), trusted(taking, monitor)).into())
            }
            found => found,
        }
    }

    fn found_name(&self, taking: &NewBackup, catalog: &Catalog, monitor: &dyn Monitor) -> Result<BackupName> {
        let before = match self.newest_before(taking, catalog, monitor) {
            // A role may list and not read: then dates alone tell the order.
            Err(error) if kind(&error) == Kind::Denied && *taking.adopt == Adoption::No => {
                let newest = past(catalog, taking.now).into_iter().next().map(|entry| entry.id);
                Predecessors { id: newest.clone(), newest, ..Predecessors::default() }
            }
            before => before?,
        };
        // An upload must not slip in in plain text beside whatever is there.
        let compared = match taking.origin {
            Origin::Backup => before.id.as_ref().or(before.ahead.as_ref()),
            Origin::Upload => catalog.entries().last().map(|entry| &entry.id),
        };
        self.guard(compared, &before.beside, catalog, monitor)?;
        let dated = dated(taking, before.newest.as_ref(), monitor);
        Ok(BackupName {
            id: free(dated, taking, catalog),
            previous: before.id,
            sequence: before.sequence.map_or(0, |sequence| sequence.saturating_add(1)),
            adopted: before.adopted.into_iter().collect(),
        })
    }

    fn newest_before(&self, taking: &NewBackup, catalog: &Catalog, monitor: &dyn Monitor) -> Result<Predecessors> {
        let own = |owner: &Owner| owns(taking, owner);
        let all = *taking.adopt != Adoption::No || taking.origin == Origin::Upload;
        // One that cannot be read says nothing of the order.
        let (said, found) = match all {
            true => (self.said(past(catalog, taking.now))?, None),
            false => self.walk(catalog, taking.now, own)?,
        };
        let (said, found) = match found {
            Some((_, None)) => (self.said(past(catalog, taking.now))?, None),
            found => (said, found),
        };
        let known = readable(&said);
        let mine: Vec<(&CatalogEntry, &Claims)> = known.iter().filter(|(_, one)| own(&one.owner)).copied().collect();
        let found = match &found {
            Some((entry, Some(claims))) => Some((entry, claims)),
            _ => last_of(&mine),
        };
        let mut before = Predecessors { sequence: Some(0), ..Predecessors::default() };
        if let Some((entry, claims)) = found {
            before.go_on(entry, claims);
        }
        before.newest = mine.iter().map(|(entry, _)| entry.id.clone()).max();
        let ahead = self.ahead(catalog, taking.now, own)?;
        before.ahead = ahead.iter().max_by_key(|(_, one)| one.sequence).map(|(entry, _)| entry.id.clone());
        let all = mine.iter().map(|(_, one)| *one).chain(ahead.iter().map(|(_, one)| one));
        if let Some(last) = all.max_by_key(|one| one.sequence) {
            before.sequence = Some(last.sequence);
            before.adopted = self.carried(last);
        }
        let is_upload = |one: &Claims| one.owner == Owner::Upload;
        let begins = before.id.is_none() && ahead.is_empty();
        let beside = known.iter().copied().filter(|(_, one)| match taking.origin {
            Origin::Backup => begins && is_upload(one),
            Origin::Upload => !is_upload(one),
        });
        before.beside.extend(newest_of_each(beside));
        tell_of_the_future(taking, &ahead, before.id.is_none(), monitor);
        if taking.origin == Origin::Backup {
            join(taking, &known, &mut before, monitor)?;
        }
        Ok(before)
    }

    /// Returns the servers whose series the previous backup continues. Only a valid seal gives the right to remove others' backups.
    fn carried(&self, manifest: &Claims) -> BTreeSet<String> {
        if manifest.adopted.is_empty() {
            return BTreeSet::new();
        }
        let sealed = self.manifest(&manifest.id).map(|(manifest, _)| manifest.adopted);
        sealed.unwrap_or_default().into_iter().collect()
    }
}

/// Returns the newest backup of each owner.
fn newest_of_each<'a>(said: impl Iterator<Item = (&'a CatalogEntry, &'a Claims)>) -> Vec<BackupId> {
    let mut owners: Vec<(&Owner, Vec<(&CatalogEntry, &Claims)>)> = Vec::new();
    for one in said {
        match owners.iter_mut().find(|(owner, _)| **owner == one.1.owner) {
            Some((_, theirs)) => theirs.push(one),
            None => owners.push((&one.1.owner, vec![one])),
        }
    }
    owners.iter().filter_map(|(_, theirs)| last_of(theirs)).map(|(entry, _)| entry.id.clone()).collect()
}

fn owns(taking: &NewBackup, owner: &Owner) -> bool {
    match taking.origin {
        Origin::Upload => *owner == Owner::Upload,
        Origin::Backup => ServerIdentity::of(taking.server.map(str::to_owned)).owns(owner),
    }
}

/// Returns the name that the clocks give: dated after the newest backup of the series, not ahead of this host. If the server's clock is
/// behind that backup and the host's is not, the host's clock gives the date, by which retention counts.
fn dated(taking: &NewBackup, newest: Option<&BackupId>, monitor: &dyn Monitor) -> BackupId {
    let time = trusted(taking, monitor);
    let id = BackupId::new(taking.subject.clone(), time);
    let Some(newest) = newest.filter(|newest| **newest >= id) else { return id };
    let host = BackupId::new(taking.subject.clone(), taking.now);
    let (named, how) = match host > *newest {
        true => (host.clone(), "the backup is named by this host's clock"),
        false => (next(newest), "the order is taken from the series, not from the clock"),
    };
    if newest.taken_at().duration_since(time) > BEHIND {
        monitor.warn(&format!("the clock says {time:.0}, which lies before the newest backup, {newest}: {how}"));
    }
    // What is dated ahead is not believed; the sequence tells the order all the same.
    if named.is_from_the_future(taking.now) { host } else { named }
}

/// Returns the given name, or that of the next free second if it is taken. If that would be dated ahead,
/// the search starts again at this host's time.
fn free(dated: BackupId, taking: &NewBackup, catalog: &Catalog) -> BackupId {
    let first_free = |mut id: BackupId| {
        while catalog.entries().iter().any(|entry| entry.id == id) {
            id = next(&id);
        }
        id
    };
    let id = first_free(dated);
    if id.is_from_the_future(taking.now) { first_free(BackupId::new(taking.subject.clone(), taking.now)) } else { id }
}

fn next(id: &BackupId) -> BackupId {
    BackupId::new(id.subject().clone(), id.taken_at() + SECOND)
}

/// Returns the server's time, or this host's if the server's is more than an hour ahead of it.
fn trusted(taking: &NewBackup, monitor: &dyn Monitor) -> Timestamp {
    let NewBackup { taken_at, now, .. } = taking;
    if !is_ahead(*taken_at, *now) {
        return *taken_at;
    }
    monitor.warn(&format!(
        "the server's clock says {taken_at:.0}, this host's {now:.0}: one of them is wrong, and the backup is named by this host's"
    ));
    *now
}

fn tell_of_the_future(taking: &NewBackup, ahead: &[(CatalogEntry, Claims)], alone: bool, monitor: &dyn Monitor) {
    let Some((newest, _)) = ahead.iter().max_by_key(|(entry, _)| entry.id.taken_at()) else { return };
    let (are, they_do) = (agree(&ahead.len(), "is", "are"), agree(&ahead.len(), "it does", "they do"));
    let text = format!(
        "{} of \"{}\" {are} dated ahead of this host's clock, which says {:.0}, up to {}: {they_do} not count as the newest",
        many(ahead.len(), "backup"),
        taking.subject,
        taking.now,
        newest.id
    );
    // Where there is no other, it is this host's clock that fell back.
    if alone { monitor.warn(&format!("{text}; look at the clock of this host")) } else { monitor.info(&text) }
}
