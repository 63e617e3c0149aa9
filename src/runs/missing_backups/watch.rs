//! Checks a store for missed backups, and remembers in `STATE_DIR` what each check has seen.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::state_dir::file::StateFile;
use crate::base::state_dir::{StateDir, name_hash};
use crate::base::subject::Subject;
use crate::format::backup_id::BackupId;
use crate::format::run_record::{Record, RunState, Task};
use crate::repository::Repository;
use crate::repository::catalog::{Catalog, CatalogEntry};
use crate::repository::newest::ServerIdentity;
use crate::repository::retention::Policy;
use crate::runs::history::History;
use crate::runs::history::totals::RunTotals;
use crate::runs::missing_backups::{MissingBackup, RecordedBackup, SeriesCheck, SeriesFacts};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::File;

/// Longest time that a listing may be behind: a younger backup is asked for by its name before it counts as missed.
const LAG: SignedDuration = SignedDuration::from_hours(1);

/// Checks for missed backups, by the rules of this host.
#[derive(Debug, Clone)]
pub struct MissingWatch {
    pub history: History,
    /// Retention policy of this host; `None` if there is none, or if the store removes by rules of its own.
    pub policy: Option<Policy>,
}

/// The changes since the check before, and what is still missed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesChanges {
    pub gone: Vec<MissingBackup>,
    /// Backups that were missed before and still are.
    pub still: Vec<MissingBackup>,
    /// Backups that were missed before and are there again.
    pub back: Vec<MissingBackup>,
}

/// The saved result of the last check of one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedCheck {
    pub location: String,
    #[serde(rename = "database")]
    pub subject: Subject,
    pub looked: Timestamp,
    #[serde(flatten)]
    pub sight: SeriesCheck,
}

/// Names the series to check: a database of one server.
#[derive(Debug, Clone, Copy)]
pub struct SeriesName<'a> {
    pub subject: &'a Subject,
    /// System identifier of the server; `None` if it is not known, and then all backups that this host made count.
    pub server: Option<&'a str>,
}

impl MissingWatch {
    /// Checks this listing for the backups of these records, and saves the result.
    pub fn look_at(
        &self,
        repository: &Repository,
        catalog: &Catalog,
        of: SeriesName,
        records: &[Record],
        now: Timestamp,
    ) -> Result<SeriesChanges> {
        let known = known(of, &repository.store.location(), records, &self.history.past());
        if known.is_empty() {
            return Ok(SeriesChanges::default());
        }
        let file = self.file(&repository.store.location(), of);
        // Two looks at a time would tell the same twice.
        let _lock = self.lock()?;
        let before = read(&file);
        let sight = self.sight(repository, catalog, (of, &known), before.as_ref(), now)?;
        let news = SeriesChanges::between(before.as_ref(), &sight);
        let seen =
            SavedCheck { location: repository.store.location(), subject: of.subject.clone(), looked: now, sight };
        file.write_json(&seen).map_err(|why| unwritable(&file, &why))?;
        Ok(news)
    }

    /// Returns what is missed now, and saves nothing.
    pub fn glance(
        &self,
        repository: &Repository,
        catalog: &Catalog,
        of: SeriesName,
        records: &[Record],
        now: Timestamp,
    ) -> Result<Vec<MissingBackup>> {
        let known = known(of, &repository.store.location(), records, &self.history.past());
        let before = read(&self.file(&repository.store.location(), of));
        Ok(self.sight(repository, catalog, (of, &known), before.as_ref(), now)?.missed)
    }

    fn sight(
        &self,
        repository: &Repository,
        catalog: &Catalog,
        (of, known): (SeriesName, &[RecordedBackup]),
        before: Option<&SeriesCheck>,
        now: Timestamp,
    ) -> Result<SeriesCheck> {
        let removed = self.history.removed(&repository.store.location());
        let (mut there, bare) = listed(catalog, of.subject);
        // Of what has a .meta there the payload does not lag behind: it was there before.
        let unseen =
            |one: &&RecordedBackup| !there.contains(&one.id) && !bare.contains(&one.id) && !removed.contains(&one.id);
        let young: Vec<&RecordedBackup> =
            known.iter().filter(unseen).filter(|one| now.duration_since(one.made).abs() < LAG).collect();
        let lagging: Vec<BackupId> =
            young.into_iter().filter(|one| !is_gone(repository, &one.id)).map(|one| one.id.clone()).collect();
        there.extend(lagging);
        let policy = self.policy.as_ref();
        // Whose the others are is asked only where it decides something, for each costs a request.
        let gone =
            SeriesFacts { known, there: &there, bare: &bare, removed: &removed, policy, now }.oldest_newly_gone(before);
        let wanted = |id: &BackupId| policy.is_some() || gone.as_ref().is_some_and(|gone| id > gone);
        if gone.is_some() || policy.is_some() && before.is_some_and(|before| !before.missed.is_empty()) {
            drop_others((repository, catalog), of, known, &mut there, wanted)?;
        }
        Ok(SeriesFacts { known, there: &there, bare: &bare, removed: &removed, policy, now }.after(before))
    }

    fn lock(&self) -> Result<File> {
        let file = self.history.state().looking();
        Ok(file.lock().map_err(|why| unwritable(&file, &why))?)
    }

    fn file(&self, location: &str, of: SeriesName) -> StateFile {
        let whose = format!("{location}\0{}", of.server.unwrap_or_default());
        self.history.state().sight(&of.subject.series(), &name_hash(&whose))
    }
}

impl SeriesChanges {
    fn between(before: Option<&SeriesCheck>, now: &SeriesCheck) -> SeriesChanges {
        let earlier = before.map(|before| before.missed.as_slice()).unwrap_or_default();
        let was = |one: &&MissingBackup| earlier.iter().any(|other| other.id == one.id);
        let (still, gone): (Vec<&MissingBackup>, Vec<&MissingBackup>) = now.missed.iter().partition(was);
        let back = earlier.iter().filter(|one| now.standing.contains(&one.id));
        let owned = |some: Vec<&MissingBackup>| some.into_iter().cloned().collect();
        SeriesChanges { gone: owned(gone), still: owned(still), back: back.cloned().collect() }
    }
}

/// Returns the saved results of the last checks of all series.
pub fn sights(state: &StateDir) -> Vec<SavedCheck> {
    let files = state.sights().files();
    files.iter().filter_map(|file| file.read_json::<SavedCheck>().ok()).map(|found| found.value).collect()
}

fn read(file: &StateFile) -> Option<SeriesCheck> {
    file.read_json::<SavedCheck>().ok().map(|found| found.value.sight)
}

/// Returns the backups of the series that this host has stored in that store, each once.
fn known(of: SeriesName, location: &str, records: &[Record], past: &RunTotals) -> Vec<RecordedBackup> {
    let records = records.iter().chain(past.success(&of.subject.clone().into()));
    let mut seen = BTreeSet::new();
    let mut known = Vec::new();
    for record in
        records.filter(|one| one.task == Task::Backup && one.state == RunState::Done && one.database == *of.subject)
    {
        let Some(stored) = record.backup.as_ref().filter(|stored| stored.location == location) else { continue };
        let own = of.server.is_none() || stored.server.is_none() || stored.server.as_deref() == of.server;
        if own && seen.insert(&stored.id) {
            let made = record.ended.unwrap_or(record.started);
            let (sequence, previous) = (stored.sequence, stored.previous.clone());
            known.push(RecordedBackup { id: stored.id.clone(), made, sequence, previous });
        }
    }
    known
}

/// Returns the listed backups of the database: those that are whole, and those with a `.meta` but no payload.
fn listed(catalog: &Catalog, subject: &Subject) -> (BTreeSet<BackupId>, BTreeSet<BackupId>) {
    let payloads: BTreeSet<BackupId> = catalog.keys().filter_map(BackupId::of_payload_key).collect();
    let ids = catalog.entries().iter().map(|entry| entry.id.clone()).filter(|id| id.subject() == subject);
    ids.partition(|id| payloads.contains(id))
}

/// Returns whether the store says that there is no such backup; false if it does not answer.
fn is_gone(repository: &Repository, id: &BackupId) -> bool {
    repository.store.open(&id.meta_key(), None).is_err_and(|error| kind(&error) == Kind::NotFound)
}

/// Removes from `there` what is not of this series: other servers' backups, and uploads, which rules count separately.
fn drop_others(
    (repository, catalog): (&Repository, &Catalog),
    of: SeriesName,
    known: &[RecordedBackup],
    there: &mut BTreeSet<BackupId>,
    wanted: impl Fn(&BackupId) -> bool,
) -> Result<()> {
    let own: BTreeSet<&BackupId> = known.iter().map(|one| &one.id).collect();
    // All of them were listed: what a listing lags behind is known.
    let strange = there.iter().filter(|id| !own.contains(id) && wanted(id));
    let strange: Vec<&CatalogEntry> = strange.filter_map(|id| catalog.get(id)).collect();
    let server = ServerIdentity::of(of.server.map(str::to_owned));
    for (entry, claims) in strange.iter().zip(repository.claims(&strange)?) {
        // What cannot be read is taken for its own: it may well be.
        if claims.is_ok_and(|claims| !server.owns(&claims.owner)) {
            there.remove(&entry.id);
        }
    }
    Ok(())
}

fn unwritable(file: &StateFile, why: &std::io::Error) -> Fault {
    Fault::failed(format!("what is missed in the store cannot be remembered in \"{file}\": {why}"))
        .hint("STATE_DIR names a folder that pgbk may write to")
}
