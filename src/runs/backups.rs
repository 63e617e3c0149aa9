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
use crate::runs::runner::{Assignment, Outcome, Runner};
use crate::runs::target::{Item, clash};
use jiff::Timestamp;

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
                let assignment = Assignment { task: Task::Backup, cause, outputs: &[] };
                let outcome = self.runner.written(assignment, &Selection::Every, &mut round, |_, _| Err(error))?;
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
        let selection = Selection::One(item.subject().clone());
        let outputs = self.plan.outputs.variants();
        let assignment = Assignment { task: Task::Backup, cause, outputs: &outputs };
        let mut back = Vec::new();
        let outcome = self.runner.written(assignment, &selection, round, |monitor, record| {
            // What cannot be read of the history is told by who writes it.
            let records =
                self.runner.history.and_then(|history| history.records(&NullMonitor).ok()).unwrap_or_default();
            share::look(self.repository.store.as_ref(), &records)?;
            let made = self.take(item, &records, monitor);
            let given_up = made.as_ref().is_err_and(|error| matches!(kind(error), Kind::Busy | Kind::Interrupted(_)));
            let stored = made.as_ref().ok().map(|results| &results.made);
            let series = if given_up { Vec::new() } else { self.series(item.subject(), stored) };
            if let Some(stored) = stored {
                series.iter().for_each(|one| self.keep_up(one, stored, &records, monitor));
                self.note(stored, record);
            }
            let records = with_current(record, &records, (self.runner.clock)());
            back = series.into_iter().filter_map(|one| self.look_around(one, stored, &records, monitor)).collect();
            made.and_then(OutputResults::whole)
        })?;
        back.iter().for_each(|back| self.runner.monitor.info(back));
        if !back.is_empty() {
            round.announce(&outcome.record, &back);
        }
        Ok(outcome)
    }

    /// Makes the backups of one target. An output whose folder is not mounted is left out, which is told at the end.
    fn take(&self, item: &Item, records: &[Record], monitor: &dyn Monitor) -> Result<OutputResults> {
        let clock = self.runner.clock;
        match item {
            Item::One(Subject::Database(database)) => {
                let mut plan =
                    BackupPlan { settings: self.plan.settings.for_database(database.name()), ..self.plan.clone() };
                let mut away = Vec::new();
                for repository in self.plan.outputs.repositories() {
                    if let Err(error) = share::look(repository.store.as_ref(), records) {
                        plan.outputs = plan.outputs.without(repository.variant);
                        away.push((repository.variant, error));
                    }
                }
                let mut results = backup(self.repository, &plan, clock(), monitor)?;
                results.missing.extend(away);
                Ok(results)
            }
            Item::One(Subject::Globals) => globals(self.repository, self.plan, clock(), monitor).map(Into::into),
            Item::One(Subject::Files) => files(self.repository, self.plan, clock(), monitor).map(Into::into),
            Item::Clash(subject) => Err(clash(subject)),
        }
    }

    /// Returns the series that a run of this subject is about, the plain one first. Each is listed once for all that follows; the listing
    /// that gave a backup its name is as old as the dump took.
    fn series(&self, subject: &Subject, stored: Option<&BackupsMade>) -> Vec<RunSeries<'_>> {
        let is_about = |repository: &&Repository| repository.variant.is_plain() || subject.database().is_some();
        let series = self.repositories().filter(is_about).map(|repository| {
            let subject = subject.clone().in_variant(repository.variant);
            let is_made = stored.is_some_and(|stored| made_of(stored, repository).is_some());
            let wanted = self.watch.is_some() || is_made && self.upkeep_of(repository.variant).is_any();
            let catalog = wanted.then(|| repository.catalog(Some(&subject)));
            RunSeries { repository, subject, catalog }
        });
        series.collect()
    }

    /// Returns the repositories of all outputs, that of the plain one first.
    pub fn repositories(&self) -> impl Iterator<Item = &Repository> {
        std::iter::once(self.repository).chain(self.plan.outputs.repositories())
    }

    /// Returns what checks an output for missed backups, by its rules of retention. `None`: nothing can be remembered.
    pub fn watch_of(&self, variant: Variant) -> Option<MissingWatch> {
        Some(MissingWatch { policy: self.upkeep_of(variant).policy(), ..self.watch?.clone() })
    }

    fn upkeep_of(&self, variant: Variant) -> &AfterBackup {
        if variant == Variant::Anonymised { self.copy_upkeep } else { self.upkeep }
    }

    /// Does the work that follows the backup of one series.
    fn keep_up(&self, series: &RunSeries, stored: &BackupsMade, records: &[Record], monitor: &dyn Monitor) {
        let repository = series.repository;
        let (Some(made), Some(catalog)) = (made_of(stored, repository), &series.catalog) else { return };
        let proven = proofs(records).into_keys().collect();
        let going = |ids: &[BackupId]| self.note_going(repository, ids, monitor);
        let upkeep = self.upkeep_of(repository.variant);
        upkeep.after(repository, catalog, (made, (self.runner.clock)()), &proven, &going, monitor);
    }

    /// Writes into the record what was stored.
    fn note(&self, stored: &BackupsMade, record: &mut Record) {
        record.backup = Some(note(&stored.plain, self.repository.store.location()));
        record.outputs_missing.retain(|variant| stored.further.iter().all(|one| one.subject.variant() != *variant));
        record.outputs = stored
            .further
            .iter()
            .map(|made| {
                let repository = self.plan.outputs.repository(made.subject.variant()).unwrap_or(self.repository);
                note(made, repository.store.location())
            })
            .collect();
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
        series: RunSeries,
        stored: Option<&BackupsMade>,
        records: &[Record],
        monitor: &dyn Monitor,
    ) -> Option<String> {
        let RunSeries { repository, subject, catalog } = series;
        let (now, location) = ((self.runner.clock)(), repository.store.location());
        let watch = self.watch_of(repository.variant)?;
        let server = match stored {
            Some(stored) => stored.plain.system_identifier().map(str::to_owned),
            None => last_server(records, &subject),
        };
        let of = SeriesName { subject: &subject, server: server.as_deref() };
        let news = match catalog?.and_then(|catalog| watch.look_at(repository, &catalog, of, records, now)) {
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

/// A series that a run is about.
struct RunSeries<'a> {
    repository: &'a Repository,
    subject: Subject,
    /// Its listing after the run. `None`: nothing follows that needs one.
    catalog: Option<Result<Catalog>>,
}

/// Returns the backup that was made for this repository; `None`: none was.
fn made_of<'m>(stored: &'m BackupsMade, repository: &Repository) -> Option<&'m Manifest> {
    stored.all().find(|made| made.subject.variant() == repository.variant)
}

/// Returns what is known of each series, newest first, with the current run if it has stored anything.
fn with_current(current: &Record, records: &[Record], now: Timestamp) -> Vec<Record> {
    let current =
        current.backup.as_ref().map(|_| Record { state: RunState::Done, ended: Some(now), ..current.clone() });
    current.iter().chain(records).flat_map(Record::by_series).collect()
}

/// Returns the server that the newest backup in this history was taken from.
fn last_server(records: &[Record], subject: &Subject) -> Option<String> {
    let done = |one: &&Record| one.task == Task::Backup && one.database == *subject && one.state == RunState::Done;
    records.iter().find(done)?.backup.as_ref()?.server.clone()
}

fn note(manifest: &Manifest, location: String) -> StoredBackup {
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
