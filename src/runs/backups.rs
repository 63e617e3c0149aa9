//! Runs that back up databases, by hand and by schedule alike.

use crate::alerts::Batch;
use crate::base::cancel;
use crate::base::databases::{Databases, Selection};
use crate::base::error::{Kind, Result, kind};
use crate::base::progress::{Monitor, NullMonitor};
use crate::base::subject::Subject;
use crate::base::variant::Variant;
use crate::format::backup_id::BackupId;
use crate::format::manifest::Manifest;
use crate::format::run_record::{Record, RunState, StoredBackup, Task, Trigger, proofs};
use crate::jobs::backup::backup;
use crate::jobs::backup::files::files;
use crate::jobs::backup::globals::globals;
use crate::jobs::backup::outputs::{BackupsMade, OutputResults};
use crate::jobs::backup::plan::BackupPlan;
use crate::postgres::session::control;
use crate::repository::Repository;
use crate::repository::catalog::Catalog;
use crate::runs::after_backup::AfterBackup;
use crate::runs::history::share;
use crate::runs::missing_backups::REMEDY;
use crate::runs::missing_backups::watch::{MissingWatch, SeriesName};
use crate::runs::missing_backups::{describe, describe_back};
use crate::runs::runner::{Outcome, Runner};
use crate::runs::target::{Item, clash};

#[derive(Clone, Copy)]
pub struct Backups<'a> {
    pub runner: Runner<'a>,
    pub repository: &'a Repository,
    /// Plan for any database: the settings of each are made from these.
    pub plan: &'a BackupPlan,
    /// Subjects that are backed up in addition to all databases. A list of databases names them itself.
    pub beside: &'a [Subject],
    /// Work that follows each backup that succeeds.
    pub upkeep: &'a AfterBackup,
    /// Work that follows each anonymised backup that succeeds.
    pub copy_upkeep: &'a AfterBackup,
    /// Checks the store for missed backups. `None` if nothing can be remembered.
    pub watch: Option<&'a MissingWatch>,
}

impl Backups<'_> {
    /// Backs up one target after the other. One that fails does not stop the others, a signal does. `each` is called with every outcome.
    pub fn all(
        &self,
        databases: &Databases,
        cause: Trigger,
        mut each: impl FnMut(&Outcome<BackupsMade>),
    ) -> Result<Vec<Outcome<BackupsMade>>> {
        let Runner { alerts, monitor, .. } = self.runner;
        let mut round = alerts.round(monitor);
        let mut outcomes: Vec<Outcome<BackupsMade>> = Vec::new();
        let items = match self.items(databases) {
            Ok(items) => items,
            Err(error) => {
                let task = (Task::Backup, cause);
                let outcome = self.runner.written(task, &Selection::Every, &mut round, |_, _| Err(error))?;
                each(&outcome);
                let interrupted = outcome.is_interrupted();
                outcomes.push(outcome);
                // Files need no server.
                if interrupted { Vec::new() } else { self.beside.iter().cloned().map(Item::One).collect() }
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
        monitor.about(None);
        round.finish();
        Ok(outcomes)
    }

    fn items(&self, databases: &Databases) -> Result<Vec<Item>> {
        match databases {
            Databases::Named(subjects) => Ok(subjects.iter().cloned().map(Item::One).collect()),
            Databases::All => {
                let _limit = cancel::limit(self.runner.limit);
                let listed = control::databases(&self.plan.settings)?;
                let mut items: Vec<Item> = listed.into_iter().map(Item::listed).collect();
                let clashes =
                    |subject: &Subject| items.iter().any(|item| matches!(item, Item::Clash(other) if other == subject));
                let beside: Vec<Item> =
                    self.beside.iter().filter(|subject| !clashes(subject)).cloned().map(Item::One).collect();
                items.extend(beside);
                Ok(items)
            }
        }
    }

    fn one(&self, item: &Item, cause: Trigger, round: &mut Batch) -> Result<Outcome<BackupsMade>> {
        let (subject, selection) = (item.subject(), Selection::One(item.subject().clone()));
        let mut back = None;
        let outcome = self.runner.written((Task::Backup, cause), &selection, round, |monitor, record| {
            // What cannot be read of the history is told by who writes it.
            let mut records =
                self.runner.history.and_then(|history| history.records(&NullMonitor).ok()).unwrap_or_default();
            share::look(self.repository.store.as_ref(), &records)?;
            let made = self.take(item, monitor);
            // One listing for all that follows; the one that gave the backup its name is as old as the dump took.
            let wanted = self.watch.is_some() || made.is_ok() && self.upkeep.is_any();
            let given_up = made.as_ref().is_err_and(|error| matches!(kind(error), Kind::Busy | Kind::Interrupted(_)));
            let catalog = (wanted && !given_up).then(|| self.repository.catalog(Some(subject)));
            if let Ok(OutputResults { made: BackupsMade { plain, further }, .. }) = &made {
                if let Some(catalog) = &catalog {
                    self.keep_up(plain, catalog, &records, monitor);
                }
                record.backup = Some(stored(plain, self.repository.store.location()));
                record.outputs = further.iter().map(|made| self.further(made, &records, monitor)).collect();
                let now = (self.runner.clock)();
                records.insert(0, Record { state: RunState::Done, ended: Some(now), ..record.clone() });
            }
            if let Some(catalog) = catalog {
                let server = match &made {
                    Ok(results) => results.made.plain.system_identifier().map(str::to_owned),
                    Err(_) => last_server(&records, subject),
                };
                let of = SeriesName { subject, server: server.as_deref() };
                back = self.look_around(of, catalog, &records, monitor);
            }
            made.and_then(OutputResults::whole)
        })?;
        if let Some(back) = back {
            self.runner.monitor.info(&back);
            round.announce(&outcome.record, &[back]);
        }
        Ok(outcome)
    }

    fn take(&self, item: &Item, monitor: &dyn Monitor) -> Result<OutputResults> {
        let clock = self.runner.clock;
        match item {
            Item::One(Subject::Database(database)) => {
                let plan =
                    BackupPlan { settings: self.plan.settings.for_database(database.name()), ..self.plan.clone() };
                backup(self.repository, &plan, clock(), monitor)
            }
            Item::One(Subject::Globals) => globals(self.repository, self.plan, clock(), monitor).map(Into::into),
            Item::One(Subject::Files) => files(self.repository, self.plan, clock(), monitor).map(Into::into),
            Item::Clash(subject) => Err(clash(subject)),
        }
    }

    fn keep_up(&self, made: &Manifest, catalog: &Result<Catalog>, records: &[Record], monitor: &dyn Monitor) {
        self.keep_up_in(self.repository, self.upkeep, made, (catalog, records), monitor);
    }

    /// Does the work that follows a backup beside the plain one, and returns what the record says of it.
    fn further(&self, made: &Manifest, records: &[Record], monitor: &dyn Monitor) -> StoredBackup {
        let variant = made.subject.variant();
        let repository = self.plan.outputs.repository(variant).unwrap_or(self.repository);
        let upkeep = if variant == Variant::Anonymised { self.copy_upkeep } else { self.upkeep };
        if upkeep.is_any() {
            let catalog = repository.catalog(Some(&made.subject));
            self.keep_up_in(repository, upkeep, made, (&catalog, records), monitor);
        }
        stored(made, repository.store.location())
    }

    fn keep_up_in(
        &self,
        repository: &Repository,
        upkeep: &AfterBackup,
        made: &Manifest,
        (catalog, records): (&Result<Catalog>, &[Record]),
        monitor: &dyn Monitor,
    ) {
        let proven = proofs(records).into_keys().collect();
        let going = |ids: &[BackupId]| self.note_going(repository, ids, monitor);
        upkeep.after(repository, catalog, (made, (self.runner.clock)()), &proven, &going, monitor);
    }

    /// Records what the rules are about to remove, so that it is not missed.
    fn note_going(&self, repository: &Repository, ids: &[BackupId], monitor: &dyn Monitor) {
        let noted = self.runner.history.map(|history| history.note_removed(&repository.store.location(), ids));
        if let Some(Err(error)) = noted {
            monitor.warn(&format!("{error:#}"));
        }
    }

    /// Reports missed backups. Returns the message about those that are there again; `None` if there are none.
    fn look_around(
        &self,
        of: SeriesName,
        catalog: Result<Catalog>,
        records: &[Record],
        monitor: &dyn Monitor,
    ) -> Option<String> {
        let (now, location) = ((self.runner.clock)(), self.repository.store.location());
        let watch = self.watch?;
        let news = match catalog.and_then(|catalog| watch.look_at(self.repository, &catalog, of, records, now)) {
            // A role that may not list sees nothing.
            Err(error) if kind(&error) == Kind::Denied => return None,
            Ok(news) => news,
            Err(error) => {
                monitor.warn(&format!("whether backups are missed cannot be told: {error:#}"));
                return None;
            }
        };
        if let Some(text) = describe(&news.gone, &location) {
            monitor.announce(&format!("{text}; {REMEDY}"));
        }
        if let Some(text) = describe(&news.still, &location) {
            monitor.warn(&format!("still: {text}"));
        }
        describe_back(&news.back, &location, now)
    }
}

/// Returns the server that the newest backup in this history was taken from.
fn last_server(records: &[Record], subject: &Subject) -> Option<String> {
    let done = |one: &&Record| one.task == Task::Backup && one.database == *subject && one.state == RunState::Done;
    records.iter().find(done)?.backup.as_ref()?.server.clone()
}

fn stored(manifest: &Manifest, location: String) -> StoredBackup {
    StoredBackup {
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
        server: manifest.system_identifier().map(str::to_owned),
        sequence: manifest.sequence,
        previous: manifest.previous.clone(),
    }
}
