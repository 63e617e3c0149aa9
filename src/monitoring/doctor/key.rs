//! Checks whether the key that is set is the one that the newest backups were made with.

use crate::base::error::Result;
use crate::base::subject::Subject;
use crate::format::backup_id::BackupId;
use crate::format::manifest::Manifest;
use crate::monitoring::doctor::DoctorFinding;
use crate::repository::catalog::Catalog;
use crate::repository::{Repository, guard};
use std::collections::BTreeMap;

/// Number of subjects whose newest backup is checked at most: deriving a key from a password takes time.
const MOST: usize = 20;

/// Compares the key with the newest backup of each subject. `catalog` is that of the whole store; None: it could not be listed.
pub fn look_at_keys(repository: &Repository, catalog: Option<&Catalog>) -> Vec<DoctorFinding> {
    let Some(catalog) = catalog else {
        let detail = "not compared: the store could not be listed";
        return vec![DoctorFinding::note("key: newest backups", detail, "what says so above comes first")];
    };
    let newest = newest(catalog);
    let mut findings: Vec<DoctorFinding> =
        newest.iter().take(MOST).filter_map(|id| look(repository, catalog, id).transpose()).map(told).collect();
    if findings.is_empty() && !newest.is_empty() {
        findings.push(DoctorFinding::ok("key: newest backups", "were made as the next one will be"));
    }
    findings
}

fn newest(catalog: &Catalog) -> Vec<&BackupId> {
    // Oldest first: what comes last is the newest.
    let ids = catalog.entries().iter().map(|entry| &entry.id);
    let by_subject: BTreeMap<&Subject, &BackupId> = ids.map(|id| (id.subject(), id)).collect();
    by_subject.into_values().collect()
}

fn told(found: Result<DoctorFinding>) -> DoctorFinding {
    found.unwrap_or_else(|error| {
        DoctorFinding::note(
            "key: newest backups",
            format!("not compared: {error:#}"),
            "look at that backup with pgbk verify",
        )
    })
}

/// Returns what is wrong with the key for this backup. None: nothing.
fn look(repository: &Repository, catalog: &Catalog, id: &BackupId) -> Result<Option<DoctorFinding>> {
    let manifest = repository.listed_manifest(catalog, id)?;
    if repository.encrypt && repository.key.is_none() && manifest.encryption.is_some() {
        return Ok(Some(DoctorFinding::fail(
            "key: newest backups",
            format!("{id} is encrypted with {}, and no key is set: the next backup will be refused", of(&manifest)),
            "set the key, or say NO_ENCRYPT=1 if backups are to be plain text",
        )));
    }
    let Some(key) = repository.key.as_ref().filter(|_| manifest.key.is_some()) else { return Ok(None) };
    if repository.opens(&manifest)? {
        return Ok(None);
    }
    let detail = format!("{id} was made with {}, and yours is {}", of(&manifest), guard::own_name(key)?);
    Ok(Some(DoctorFinding::note(
        "key: newest backups",
        detail,
        "whoever restores needs both keys; set the one that was in force, if that is not meant",
    )))
}

fn of(manifest: &Manifest) -> String {
    manifest.key.as_ref().map_or("a key".to_owned(), guard::name)
}
