//! The inventory, `STATE_DIR/store.json`: what the last listing of the store found, saved for readers that may not ask the store.

pub(crate) mod owners;
#[cfg(test)]
mod tests;

use crate::base::error::Result;
use crate::base::state_dir::StateDir;
use crate::base::subject::Subject;
use crate::base::variant::Variant;
use crate::format::backup_id::BackupId;
use crate::repository::Repository;
use crate::repository::catalog::Catalog;
use crate::repository::newest::ServerIdentity;
use jiff::Timestamp;
use owners::Owners;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Number of newest backups that are listed one by one. The others are only counted and summed.
const SHOWN: usize = 50;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// The variant whose backups it is about.
    #[serde(default, skip_serializing_if = "Variant::is_plain")]
    pub variant: Variant,
    pub location: String,
    pub looked: Timestamp,
    /// Why the last listing failed; `None` if it succeeded. After a failure the rest still shows what an earlier one found.
    pub problem: Option<String>,
    /// System identifier of the server whose backups are counted; `None` if the role may not read it, or no server was ever asked.
    #[serde(default)]
    pub server: Option<String>,
    /// Totals of this server's series, by database.
    pub databases: BTreeMap<Subject, BackupTotal>,
    /// Totals of all other backups, by database: other servers' backups, uploads, and unreadable ones.
    #[serde(default)]
    pub others: BTreeMap<Subject, BackupTotal>,
    /// Newest backups of this server's series, newest first.
    pub newest: Vec<InventoryEntry>,
    /// The inventories of the outputs beside the plain one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<Inventory>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupTotal {
    pub backups: u64,
    /// Total size of the payloads in bytes, without `.meta`.
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryEntry {
    pub id: BackupId,
    /// Size of the payload in bytes; `None` if there is a `.meta` without its payload.
    pub bytes: Option<u64>,
}

impl Inventory {
    /// Sorts the listed backups by owner. Reads only documents that were not read before. If no server can be asked now, the one that was
    /// asked last counts. A failed listing is no error here: `problem` says why, and the rest stays as it was.
    pub fn look(
        repository: &Repository,
        catalog: &Result<Catalog>,
        server: &ServerIdentity,
        state: &StateDir,
        now: Timestamp,
    ) -> Inventory {
        let location = repository.store.location();
        let saved = Inventory::read(state);
        let before = saved.iter().flat_map(Inventory::with_copies).find(|one| one.variant == repository.variant);
        let before = before.filter(|before| before.location == location).cloned();
        let remembered = before.as_ref().and_then(|before| before.server.clone());
        let server = match server {
            ServerIdentity::Unasked => remembered.map_or(ServerIdentity::Unasked, ServerIdentity::Named),
            asked => asked.clone(),
        };
        let mut inventory = before.unwrap_or_else(|| Inventory::empty(repository.variant, location, now));
        inventory = Inventory { problem: None, looked: now, copies: Vec::new(), ..inventory };
        if let ServerIdentity::Named(identifier) = &server {
            inventory.server = Some(identifier.clone());
        }
        let sorted = catalog.as_ref().map_err(|error| format!("{error:#}")).and_then(|catalog| {
            let mut owners = Owners::read(state, repository.variant, &inventory.location);
            let sorted = owners.sort(repository, catalog, &server).map_err(|error| format!("{error:#}"));
            // It will be read again.
            owners.write(state, repository.variant).ok();
            sorted.map(|own| (all(catalog), own))
        });
        match sorted {
            Err(problem) => inventory.problem = Some(problem),
            Ok((all, own)) => {
                let (own, others): (Vec<InventoryEntry>, Vec<InventoryEntry>) =
                    all.into_iter().partition(|kept| own.contains(&kept.id));
                (inventory.databases, inventory.others, inventory.newest) =
                    (totals(&own), totals(&others), newest(own));
            }
        }
        inventory
    }

    /// Returns it and the inventories of the outputs beside the plain one.
    pub fn with_copies(&self) -> impl Iterator<Item = &Inventory> {
        std::iter::once(self).chain(&self.copies)
    }

    /// Returns the first of these with the others as its copies. `None`: there are none.
    pub fn together(all: Vec<Inventory>) -> Option<Inventory> {
        let mut all = all.into_iter();
        let plain = all.next()?;
        Some(Inventory { copies: all.collect(), ..plain })
    }

    fn empty(variant: Variant, location: String, now: Timestamp) -> Inventory {
        let (databases, others) = (BTreeMap::new(), BTreeMap::new());
        let (newest, copies) = (Vec::new(), Vec::new());
        Inventory { variant, location, looked: now, problem: None, server: None, databases, others, newest, copies }
    }

    /// Reads the saved inventory; `None` if there is none that can be read.
    pub fn read(state: &StateDir) -> Option<Inventory> {
        state.inventory().read_json().ok().map(|found| found.value)
    }

    /// Saves the inventory for the readers.
    pub fn write(&self, state: &StateDir) -> Result<()> {
        Ok(state.inventory().write_json(self)?)
    }
}

fn all(catalog: &Catalog) -> Vec<InventoryEntry> {
    let mut payloads: BTreeMap<BackupId, u64> = BTreeMap::new();
    for object in catalog.objects() {
        if let Some(id) = BackupId::of_any_payload_key(&object.key) {
            *payloads.entry(id).or_default() += object.bytes;
        }
    }
    let ids = catalog.entries().iter().map(|entry| entry.id.clone());
    ids.map(|id| InventoryEntry { bytes: payloads.get(&id).copied(), id }).collect()
}

fn totals(all: &[InventoryEntry]) -> BTreeMap<Subject, BackupTotal> {
    let mut totals: BTreeMap<Subject, BackupTotal> = BTreeMap::new();
    for kept in all {
        let total = totals.entry(kept.id.subject().clone()).or_default();
        total.backups += 1;
        total.bytes += kept.bytes.unwrap_or_default();
    }
    totals
}

fn newest(mut all: Vec<InventoryEntry>) -> Vec<InventoryEntry> {
    all.sort_by(|one, other| other.id.taken_at().cmp(&one.id.taken_at()).then_with(|| one.id.cmp(&other.id)));
    all.truncate(SHOWN);
    all
}
