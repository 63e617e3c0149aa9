//! Runs that prove backups by restoring them, by hand and by schedule alike.

use super::{Ledger, Outcome};
use crate::databases::Databases;
use crate::error::{Kind, Result};
use crate::jobs::verify::Finding;
use crate::manifest::{BackupId, Origins};
use crate::monitor::Monitor;
use crate::postgres::{Settings, identity};
use crate::proof::{Plan, prove};
use crate::record::{Cause, Problem, Proven, Record, Task};
use crate::vault::{Asker, Server, Vault};

/// How often a proof begins anew because its backup was removed meanwhile.
const TRIES: usize = 3;

#[derive(Clone, Copy)]
pub struct Proofs<'a> {
    pub ledger: Ledger<'a>,
    pub vault: &'a Vault,
    pub plan: &'a Plan,
    /// The server whose backups are proven.
    pub server: &'a Settings,
}

impl Proofs<'_> {
    /// Proves these backups, one after the other.
    pub fn of(
        &self,
        ids: &[BackupId],
        cause: Cause,
        mut each: impl FnMut(&Outcome<Finding>),
    ) -> Result<Vec<Outcome<Finding>>> {
        let work = |id: &BackupId, monitor: &dyn Monitor| {
            monitor.names(&id.to_string());
            prove(self.vault, id, self.plan, monitor)
        };
        self.one_by_one(ids.iter().map(|id| (id.database().to_owned(), id)), cause, &mut each, work)
    }

    /// Proves the newest backup of each database; all of them are those that have backups.
    pub fn newest(
        &self,
        databases: &Databases,
        cause: Cause,
        mut each: impl FnMut(&Outcome<Finding>),
    ) -> Result<Vec<Outcome<Finding>>> {
        match self.names(databases) {
            Ok(names) => {
                let names = names.into_iter().map(|name| (name.clone(), name));
                self.one_by_one(names, cause, &mut each, |name, monitor| self.newest_of(&name, monitor))
            }
            Err(error) => self.one_by_one([(databases.to_string(), error)], cause, &mut each, |error, _| Err(error)),
        }
    }

    fn names(&self, databases: &Databases) -> Result<Vec<String>> {
        match databases {
            Databases::Named(names) => Ok(names.clone()),
            Databases::All => Ok(self.vault.catalog(None)?.databases().into_iter().map(str::to_owned).collect()),
        }
    }

    /// Another host may prune the backup while it is read here: then there is a newer one, and that is proven.
    fn newest_of(&self, database: &str, monitor: &dyn Monitor) -> Result<Finding> {
        let mut tries = 1;
        loop {
            // Not that of the names: proofs of others may have taken hours since.
            let catalog = self.vault.catalog(Some(database))?;
            let latest = self.vault.latest(&catalog, database, &self.asker())?;
            if let Some(remark) = &latest.remark {
                monitor.info(remark);
            }
            let id = latest.id;
            monitor.names(&id.to_string());
            let found = prove(self.vault, &id, self.plan, monitor);
            let well = found.as_ref().is_ok_and(|finding| finding.ok);
            let gone = || self.vault.ids(Some(database)).is_ok_and(|ids| !ids.is_empty() && !ids.contains(&id));
            if well || tries == TRIES || !gone() {
                return found;
            }
            monitor.info(&format!("{id} was removed while it was proven, and a newer one takes its place"));
            tries += 1;
        }
    }

    /// Asked anew each time: the server may have been replaced.
    fn asker(&self) -> Asker {
        let server = identity::of_server(self.server).map_or(Server::Unasked, Server::of);
        Asker { server, origins: Origins::Backup, now: (self.ledger.clock)() }
    }

    fn one_by_one<T>(
        &self,
        items: impl IntoIterator<Item = (String, T)>,
        cause: Cause,
        each: &mut dyn FnMut(&Outcome<Finding>),
        mut work: impl FnMut(T, &dyn Monitor) -> Result<Finding>,
    ) -> Result<Vec<Outcome<Finding>>> {
        let Ledger { alerts, monitor, .. } = self.ledger;
        let mut round = alerts.round(monitor);
        let mut outcomes = Vec::new();
        for (database, item) in items {
            let outcome = self.ledger.written((Task::Verify, cause), &database, &mut round, |monitor, record| {
                let finding = work(item, monitor)?;
                note(&finding, record);
                Ok(finding)
            })?;
            each(&outcome);
            outcomes.push(outcome);
            if outcomes.last().is_some_and(Outcome::is_interrupted) {
                break;
            }
        }
        monitor.about(None);
        round.finish();
        Ok(outcomes)
    }
}

fn note(finding: &Finding, record: &mut Record) {
    if let Some(proof) = &finding.proof {
        record.proof = Some(Proven {
            id: finding.id.clone(),
            upload: finding.upload,
            scratch: proof.scratch.clone(),
            with_owners: proof.with_owners,
            tables: proof.tables.len() as u64,
            rows: proof.tables.iter().filter_map(|table| table.found.as_ref()).map(|found| found.rows).sum(),
        });
    }
    record.problem = finding.error.as_ref().map(|message| Problem {
        message: message.clone(),
        hints: Vec::new(),
        exit_code: finding.kind.unwrap_or(Kind::Failed).exit_code(),
    });
}
