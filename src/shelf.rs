//! What is in the store, as it was found by the last look into it and left in `STATE_DIR` for those who may not ask the store.

mod owners;

use crate::document;
use crate::error::Result;
use crate::manifest::BackupId;
use crate::vault::{Catalog, Server, Vault};
use jiff::Timestamp;
use owners::Owners;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// As many backups, the newest; of the others only how many they are and how large.
const SHOWN: usize = 50;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shelf {
    pub location: String,
    pub looked: Timestamp,
    /// Why the last look failed; what is told then is what an earlier one found.
    pub problem: Option<String>,
    /// The system identifier of the server whose backups are counted; None where it does not tell, or was never asked.
    #[serde(default)]
    pub server: Option<String>,
    /// Of this server's series.
    pub databases: BTreeMap<String, Total>,
    /// Of what lies beside them: other servers' backups, uploads, and what cannot be read.
    #[serde(default)]
    pub others: BTreeMap<String, Total>,
    /// Of this server's series, newest first.
    pub newest: Vec<Kept>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    pub backups: u64,
    /// Of the payloads.
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub id: BackupId,
    /// None where there is a `.meta` without its payload.
    pub bytes: Option<u64>,
}

impl Shelf {
    /// Sorts what was listed by whose it is. Documents that no look before has read are read; the server that cannot be asked now is
    /// the one that was asked last.
    pub fn look(vault: &Vault, catalog: &Result<Catalog>, server: &Server, state_dir: &Path, now: Timestamp) -> Shelf {
        let location = vault.store.location();
        let before = Shelf::read(state_dir).filter(|before| before.location == location);
        let remembered = before.as_ref().and_then(|before| before.server.clone());
        let server = match server {
            Server::Unasked => remembered.map_or(Server::Unasked, Server::Named),
            asked => asked.clone(),
        };
        let mut shelf = Shelf { problem: None, looked: now, ..before.unwrap_or_else(|| Shelf::empty(location, now)) };
        if let Server::Named(identifier) = &server {
            shelf.server = Some(identifier.clone());
        }
        let sorted = catalog.as_ref().map_err(|error| format!("{error:#}")).and_then(|catalog| {
            let mut owners = Owners::read(state_dir, &shelf.location);
            let sorted = owners.sort(vault, catalog, &server).map_err(|error| format!("{error:#}"));
            // It will be read again.
            owners.write(state_dir).ok();
            sorted.map(|own| (all(catalog), own))
        });
        match sorted {
            Err(problem) => shelf.problem = Some(problem),
            Ok((all, own)) => {
                let (own, others): (Vec<Kept>, Vec<Kept>) = all.into_iter().partition(|kept| own.contains(&kept.id));
                (shelf.databases, shelf.others, shelf.newest) = (totals(&own), totals(&others), newest(own));
            }
        }
        shelf
    }

    fn empty(location: String, now: Timestamp) -> Shelf {
        let (databases, others) = (BTreeMap::new(), BTreeMap::new());
        Shelf { location, looked: now, problem: None, server: None, databases, others, newest: Vec::new() }
    }

    pub fn read(state_dir: &Path) -> Option<Shelf> {
        document::read(&path(state_dir)).ok().map(|found| found.value)
    }

    pub fn write(&self, state_dir: &Path) -> Result<()> {
        document::write(&path(state_dir), self)?;
        Ok(())
    }
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("store.json")
}

fn all(catalog: &Catalog) -> Vec<Kept> {
    let payload = |key: &str| Some((BackupId::of_payload_key(key)?, catalog.bytes(key)?));
    let payloads: BTreeMap<BackupId, u64> = catalog.keys().filter_map(payload).collect();
    let ids = catalog.entries().iter().map(|entry| entry.id.clone());
    ids.map(|id| Kept { bytes: payloads.get(&id).copied(), id }).collect()
}

fn totals(all: &[Kept]) -> BTreeMap<String, Total> {
    let mut totals: BTreeMap<String, Total> = BTreeMap::new();
    for kept in all {
        let total = totals.entry(kept.id.database().to_owned()).or_default();
        total.backups += 1;
        total.bytes += kept.bytes.unwrap_or_default();
    }
    totals
}

fn newest(mut all: Vec<Kept>) -> Vec<Kept> {
    all.sort_by(|one, other| other.id.taken_at().cmp(&one.id.taken_at()).then_with(|| one.id.cmp(&other.id)));
    all.truncate(SHOWN);
    all
}

#[cfg(test)]
mod tests;
