//! Whether the key that is set is the one that the newest backups were made with.

use super::Finding;
use crate::error::Result;
use crate::manifest::{BackupId, Manifest};
use crate::vault::{Vault, guard};
use std::collections::BTreeMap;

/// So many series are looked at; deriving a key from a password takes its time.
const MOST: usize = 20;

/// Compares it with the newest backup of each series. `ids` are all that are stored; None where they could not be listed.
pub fn look_at_keys(vault: &Vault, ids: Option<Vec<BackupId>>) -> Vec<Finding> {
    let Some(ids) = ids else {
        let detail = "not compared: the store could not be listed";
        return vec![Finding::note("key: newest backups", detail, "the role may not list")];
    };
    let newest = newest(ids);
    let mut findings: Vec<Finding> =
        newest.iter().take(MOST).filter_map(|id| look(vault, id).transpose()).map(told).collect();
    if findings.is_empty() && !newest.is_empty() {
        findings.push(Finding::ok("key: newest backups", "were made as the next one will be"));
    }
    findings
}

fn newest(mut ids: Vec<BackupId>) -> Vec<BackupId> {
    // Oldest first: what comes last is the newest.
    ids.sort_by_key(BackupId::taken_at);
    let by_database: BTreeMap<String, BackupId> = ids.into_iter().map(|id| (id.database().to_owned(), id)).collect();
    by_database.into_values().collect()
}

fn told(found: Result<Finding>) -> Finding {
    found.unwrap_or_else(|error| {
        Finding::note("key: newest backups", format!("not compared: {error:#}"), "look at that backup with pgbk verify")
    })
}

/// Returns what is wrong; None where nothing is.
fn look(vault: &Vault, id: &BackupId) -> Result<Option<Finding>> {
    let manifest = vault.sealed(id)?.claims()?;
    if vault.encrypt && vault.key.is_none() && manifest.encryption.is_some() {
        return Ok(Some(Finding::fail(
            "key: newest backups",
            format!("{id} is encrypted with {}, and no key is set: the next backup will be refused", of(&manifest)),
            "set the key, or say NO_ENCRYPT=1 if backups are to be plain text",
        )));
    }
    let Some(key) = vault.key.as_ref().filter(|_| manifest.key.is_some()) else { return Ok(None) };
    if vault.opens(&manifest)? {
        return Ok(None);
    }
    let detail = format!("{id} was made with {}, and yours is {}", of(&manifest), guard::own_name(key)?);
    Ok(Some(Finding::note(
        "key: newest backups",
        detail,
        "whoever restores needs both keys; set the one that was in force, if that is not meant",
    )))
}

fn of(manifest: &Manifest) -> String {
    manifest.key.as_ref().map_or("a key".to_owned(), guard::name)
}
