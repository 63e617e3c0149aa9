//! Checks whose backups are in the store, which are dated ahead of this host's clock, and which are missing.

use crate::base::error::Result;
use crate::base::shown::agree;
use crate::base::subject::Subject;
use crate::format::backup_id::BackupId;
use crate::format::manifest::lineage::{Claims, Owner};
use crate::format::run_record::Record;
use crate::monitoring::doctor::DoctorFinding;
use crate::repository::Repository;
use crate::repository::catalog::{Catalog, CatalogEntry};
use crate::repository::newest::{ServerIdentity, server_of};
use crate::runs::history::History;
use crate::runs::missing_backups::watch::{MissingWatch, SeriesName};
use crate::runs::missing_backups::{MissingBackup, REMEDY, describe};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Number of names that are listed at most.
const LISTED: usize = 10;
/// Number of documents of a database that are read at most, newest first.
const MOST: usize = 500;

/// Reports the backups that are dated ahead of this host's clock. None: there are none.
pub fn look_ahead(catalog: &Catalog, now: Timestamp) -> Option<DoctorFinding> {
    let ahead: Vec<&BackupId> =
        catalog.entries().iter().map(|entry| &entry.id).filter(|id| id.is_from_the_future(now)).collect();
    let first = ahead.first()?;
    let detail = format!("{} dated ahead of this host's clock, which says {now:.0}: {}", ahead.len(), names(&ahead));
    let remedy = format!(
        "a clock was wrong: such a backup is never \"latest\", counts for no rule and is not removed; look at the clock, restore it by its id ({first}) where it is wanted"
    );
    Some(DoctorFinding::note("backups from the future", detail, remedy))
}

/// Reports the other servers that have backups of the same databases in the store. If no server could be asked,
/// reports all servers of each database that has several.
pub fn look_beside(repository: &Repository, catalog: &Catalog, server: &ServerIdentity) -> Result<Vec<DoctorFinding>> {
    let mut findings = Vec::new();
    for subject in catalog.subjects() {
        let of_it = catalog.entries().iter().rev().filter(|entry| entry.id.subject() == subject);
        let entries: Vec<&CatalogEntry> = of_it.take(MOST).collect();
        let claims: Vec<Claims> = repository.claims(&entries)?.into_iter().flatten().collect();
        let adopted: Vec<&String> =
            claims.iter().filter(|one| server.owns(&one.owner)).flat_map(|one| &one.adopted).collect();
        let mut others: BTreeMap<Option<&str>, Vec<&BackupId>> = BTreeMap::new();
        for one in &claims {
            let is_other = match &one.owner {
                Owner::Server(other) => !server.owns(&one.owner) && !adopted.contains(&other),
                Owner::Unnamed => !server.owns(&one.owner),
                Owner::Anyone | Owner::Upload => false,
            };
            if is_other {
                others.entry(one.system_identifier()).or_default().push(&one.id);
            }
        }
        if others.is_empty() || *server == ServerIdentity::Unasked && others.len() == 1 {
            continue;
        }
        let told = others.into_iter().map(|(server, ids)| {
            let newest = ids.first().map(ToString::to_string).unwrap_or_default();
            format!("{} of {}, the newest is {newest}", ids.len(), server_of(server))
        });
        let detail = format!("\"{subject}\": {}", told.collect::<Vec<_>>().join("; "));
        let remedy = "they are left alone: not \"latest\", not removed; after a move or pg_upgrade \"pgbk backup --adopt\" goes on with them";
        findings.push(DoctorFinding::note("other servers' backups", detail, remedy));
    }
    Ok(findings)
}

/// Compares the history with the catalog, to find missing backups.
pub struct MissingBackupCheck<'a> {
    pub watch: &'a MissingWatch,
    pub repository: &'a Repository,
    pub catalog: &'a Catalog,
    pub records: &'a [Record],
    pub server: &'a ServerIdentity,
    pub now: Timestamp,
    /// Whether backups that are missing now are to be reported no more.
    pub forget: bool,
}

impl MissingBackupCheck<'_> {
    /// Reports the missing backups of every database that these records, which are split by series, name.
    pub fn look(&self) -> Result<Vec<DoctorFinding>> {
        let location = self.repository.store.location();
        let stored = self.records.iter().filter_map(|record| record.backup.as_ref());
        let mut subjects: Vec<&Subject> =
            stored.filter(|one| one.location == location).map(|one| one.id.subject()).collect();
        subjects.retain(|subject| subject.variant() == self.repository.variant);
        subjects.sort_unstable();
        subjects.dedup();
        let mut findings = Vec::new();
        for subject in subjects {
            let of = SeriesName { subject, server: self.server_of(subject) };
            let missed = self.watch.glance(self.repository, self.catalog, of, self.records, self.now)?;
            let Some(detail) = describe(&missed, &location) else { continue };
            findings.push(match self.forget {
                false => DoctorFinding::note("missing backups", detail, REMEDY),
                true => self.forget(of, &missed, &self.watch.history)?,
            });
        }
        Ok(findings)
    }

    fn server_of(&self, subject: &Subject) -> Option<&str> {
        let newest =
            || self.records.iter().filter_map(|record| record.backup.as_ref()).find(|one| one.id.subject() == subject);
        match self.server {
            ServerIdentity::Named(identifier) => Some(identifier),
            ServerIdentity::Unnamed => None,
            ServerIdentity::Unasked => newest()?.server.as_deref(),
        }
    }

    fn forget(&self, of: SeriesName, missed: &[MissingBackup], history: &History) -> Result<DoctorFinding> {
        let ids: Vec<BackupId> = missed.iter().map(|one| one.id.clone()).collect();
        history.note_removed(&self.repository.store.location(), &ids)?;
        // For who asks next how backups go.
        self.watch.look_at(self.repository, self.catalog, of, self.records, self.now)?;
        let names = names(&ids.iter().collect::<Vec<_>>());
        Ok(DoctorFinding::ok(
            "missing backups",
            format!("{} {} missed no longer: {names}", ids.len(), agree(&ids.len(), "is", "are")),
        ))
    }
}

fn names(ids: &[&BackupId]) -> String {
    let mut names: Vec<String> = ids.iter().take(LISTED).map(ToString::to_string).collect();
    if ids.len() > LISTED {
        names.push(format!("and {} more", ids.len() - LISTED));
    }
    names.join(", ")
}
