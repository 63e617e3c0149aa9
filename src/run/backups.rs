//! Runs that back databases up, by hand and by schedule alike.

use super::{Ledger, Outcome};
use crate::databases::Databases;
use crate::error::Result;
use crate::interrupt;
use crate::jobs::backup::{Plan, backup};
use crate::manifest::Manifest;
use crate::postgres::control;
use crate::record::{Cause, Stored, Task};
use crate::upkeep::Upkeep;
use crate::vault::Vault;

pub struct Backups<'a> {
    pub ledger: Ledger<'a>,
    pub vault: &'a Vault,
    /// For whichever database: its own settings are made from these.
    pub plan: &'a Plan,
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
        let mut outcomes = Vec::new();
        let task = (Task::Backup, cause);
        let names = match self.names(databases) {
            Ok(names) => names,
            Err(error) => {
                outcomes.push(self.ledger.written(task, &databases.to_string(), &mut round, |_, _| Err(error))?);
                outcomes.iter().for_each(each);
                round.finish();
                return Ok(outcomes);
            }
        };
        for name in names {
            let outcome = self.ledger.written(task, &name, &mut round, |monitor, record| {
                let plan = Plan { settings: self.plan.settings.for_database(&name), ..self.plan.clone() };
                let manifest = backup(self.vault, &plan, monitor)?;
                self.upkeep.after(self.vault, &manifest.id, (self.ledger.clock)(), monitor);
                record.backup = Some(stored(&manifest, self.vault.store.location()));
                Ok(manifest)
            })?;
            each(&outcome);
            outcomes.push(outcome);
            if outcomes.last().is_some_and(Outcome::is_interrupted) {
                break;
            }
        }
        round.finish();
        Ok(outcomes)
    }

    fn names(&self, databases: &Databases) -> Result<Vec<String>> {
        match databases {
            Databases::Named(names) => Ok(names.clone()),
            Databases::All => {
                let _limit = interrupt::limit(self.ledger.limit);
                control::databases(&self.plan.settings)
            }
        }
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
