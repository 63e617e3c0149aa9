//! Runs that back databases up, by hand and by schedule alike.

use super::item::{Item, clash};
use super::{Ledger, Outcome};
use crate::alert::Round;
use crate::databases::Databases;
use crate::error::Result;
use crate::history::share;
use crate::interrupt;
use crate::jobs::backup::{Plan, backup, files, globals};
use crate::manifest::Manifest;
use crate::monitor::Silent;
use crate::postgres::control;
use crate::record::{Cause, Stored, Task};
use crate::series::Series;
use crate::upkeep::Upkeep;
use crate::vault::Vault;

pub struct Backups<'a> {
    pub ledger: Ledger<'a>,
    pub vault: &'a Vault,
    /// For whichever database: its own settings are made from these.
    pub plan: &'a Plan,
    /// What is backed up beside all databases; a list of some names it itself.
    pub beside: &'a [Series],
    /// What follows each backup that succeeds.
    pub upkeep: &'a Upkeep,
}

impl Backups<'_> {
    /// One database after the other; one that fails does not stop the others, a signal does.
    pub fn all(
        &self,
        databases: &Databases,
        cause: Cause,
        mut each: impl FnMut(&Outcome<Manifest>),
    ) -> Result<Vec<Outcome<Manifest>>> {
        let Ledger { alerts, monitor, .. } = self.ledger;
        let mut round = alerts.round(monitor);
        let mut outcomes: Vec<Outcome<Manifest>> = Vec::new();
        let items = match self.items(databases) {
            Ok(items) => items,
            Err(error) => {
                let task = (Task::Backup, cause);
                let outcome = self.ledger.written(task, &databases.to_string(), &mut round, |_, _| Err(error))?;
                each(&outcome);
                let interrupted = outcome.is_interrupted();
                outcomes.push(outcome);
                // Files need no server.
                if interrupted { Vec::new() } else { self.beside.iter().copied().map(Item::Beside).collect() }
            }
        };
        for item in items {
            let outcome = self.one(&item, cause, &mut round)?;
            each(&outcome);
            let interrupted = outcome.is_interrupted();
            outcomes.push(outcome);
            if interrupted {
                break;
            }
        }
        round.finish();
        Ok(outcomes)
    }

    fn items(&self, databases: &Databases) -> Result<Vec<Item>> {
        match databases {
            Databases::Named(names) => Ok(names.iter().map(|name| Item::named(name)).collect()),
            Databases::All => {
                let _limit = interrupt::limit(self.ledger.limit);
                let listed = control::databases(&self.plan.settings)?;
                let mut items: Vec<Item> = listed.into_iter().map(Item::listed).collect();
                let clashes =
                    |series: &Series| items.iter().any(|item| matches!(item, Item::Clash(other) if other == series));
                let beside: Vec<Item> =
                    self.beside.iter().filter(|series| !clashes(series)).copied().map(Item::Beside).collect();
                items.extend(beside);
                Ok(items)
            }
        }
    }

    fn one(&self, item: &Item, cause: Cause, round: &mut Round) -> Result<Outcome<Manifest>> {
        self.ledger.written((Task::Backup, cause), item.name(), round, |monitor, record| {
            let clock = self.ledger.clock;
            // What cannot be read of the history is told by who writes it.
            let records = self.ledger.history.and_then(|history| history.records(&Silent).ok()).unwrap_or_default();
            share::look(self.vault.store.as_ref(), &records)?;
            let manifest = match item {
                Item::Database(name) => {
                    let plan = Plan { settings: self.plan.settings.for_database(name), ..self.plan.clone() };
                    backup(self.vault, &plan, clock(), monitor)?
                }
                Item::Beside(Series::Globals) => globals(self.vault, self.plan, clock(), monitor)?,
                Item::Beside(Series::Files) => files(self.vault, self.plan, clock(), monitor)?,
                Item::Clash(series) => return Err(clash(*series)),
            };
            self.upkeep.after(self.vault, &manifest, clock(), monitor);
            record.backup = Some(stored(&manifest, self.vault.store.location()));
            Ok(manifest)
        })
    }
}

fn stored(manifest: &Manifest, location: String) -> Stored {
    Stored {
        id: manifest.id.clone(),
        location,
        object: manifest.object.clone(),
        plain_bytes: manifest.plain.bytes,
        stored_bytes: manifest.stored.bytes,
        tables: manifest.tables.len() as u64,
        rows: manifest.rows(),
        seconds: manifest.seconds.clone(),
        encrypted: manifest.encryption.is_some(),
        verified: manifest.verified,
    }
}
