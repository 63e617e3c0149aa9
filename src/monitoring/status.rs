//! The state of backups on this host, in one value. The page, the metrics, `/healthz` and `pgbk status` are made of nothing else.

#[cfg(test)]
mod tests;

use crate::base::databases::Selection;
use crate::base::error::Kind;
use crate::base::state_dir::file::WriterLife;
use crate::base::variant::Variant;
use crate::format::run_record::{Record, RunState, Task, Trigger};
use crate::monitoring::capture_condition::CaptureCondition;
use crate::monitoring::health::{of_database, of_scheduler};
use crate::monitoring::status_facts::{Facts, HANGS, is_over};
use crate::repository::inventory::Inventory;
use crate::runs::history::totals::Counts;
use crate::runs::missing_backups::MissingBackup;
use crate::runs::schedule::heartbeat::{HeartbeatEntry, LastHeartbeat, SchedulerState};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::BTreeSet;

/// Number of recent runs that are shown at most.
const RECENT: usize = 25;

#[derive(Debug, Clone, Serialize)]
pub struct Status {
    pub healthy: bool,
    /// Reasons why it is not healthy; empty if it is.
    pub reasons: Vec<String>,
    pub at: Timestamp,
    pub version: &'static str,
    pub scheduler: Option<SchedulerStatus>,
    /// Sorted by name.
    pub databases: Vec<DatabaseStatus>,
    /// The captures of databases, sorted by name.
    pub captures: Vec<CaptureCondition>,
    /// The next run of each schedule, in the order of time.
    pub next: Vec<ScheduledRun>,
    /// The newest runs, newest first.
    pub recent: Vec<Record>,
    /// None: the store has not been scanned.
    pub store: Option<Inventory>,
    /// Time zone of the schedules; UTC if there are none.
    #[serde(skip)]
    pub zone: TimeZone,
}

#[derive(Debug, Clone, Serialize)]
pub struct SchedulerStatus {
    pub process: u32,
    pub started: Timestamp,
    pub state: SchedulerPulse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SchedulerPulse {
    Waiting,
    Working,
    Hangs,
    Ended,
}

#[derive(Debug, Clone, Serialize)]
pub struct DatabaseStatus {
    pub name: Selection,
    #[serde(skip_serializing_if = "Variant::is_plain")]
    pub variant: Variant,
    /// The fault of its backups or restore tests, as far as they are scheduled. None: all is well.
    pub trouble: Option<String>,
    pub next: Option<Timestamp>,
    pub running: bool,
    pub runs: Counts,
    /// How the newest run that was not skipped ended. None: there is none.
    pub last: Option<RunState>,
    pub success: Option<NewestBackup>,
    /// When the newest backup that was checked after its upload was done.
    pub verified: Option<Timestamp>,
    /// The newest restore test that succeeded.
    pub proven: Option<ProvenBackup>,
    /// Whether the newest restore test succeeded. None: there is none.
    pub proof_succeeded: Option<bool>,
    /// Backups that are missing from the store, newest first. None: nobody has looked for them.
    pub missing: Option<Vec<MissingBackup>>,
    /// Whether the newest run was to make it. Else it is an output that runs no longer make.
    #[serde(skip)]
    pub is_still_made: bool,
}

/// A backup that was restored and compared.
#[derive(Debug, Clone, Serialize)]
pub struct ProvenBackup {
    pub backup: String,
    pub ended: Timestamp,
    pub tables: u64,
    pub rows: u64,
}

/// The newest backup that was made.
#[derive(Debug, Clone, Serialize)]
pub struct NewestBackup {
    pub backup: String,
    pub ended: Timestamp,
    pub seconds: f64,
    pub plain_bytes: u64,
    pub stored_bytes: u64,
    pub tables: u64,
    pub rows: Option<u64>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ScheduledRun {
    pub at: Timestamp,
    pub task: Task,
    pub schedule: String,
    pub databases: Vec<Selection>,
}

impl Status {
    pub fn of(facts: Facts) -> Status {
        let scheduler_state = facts.seen.as_ref().map(|seen| &seen.scheduler_state);
        let ran = facts.records.iter().map(|record| record.database.clone());
        let mut names: BTreeSet<Selection> = ran.filter(|name| !is_a_slip(name, &facts)).collect();
        names.extend(
            scheduler_state
                .iter()
                .flat_map(|scheduler_state| &scheduler_state.entries)
                .flat_map(HeartbeatEntry::selections),
        );
        let databases: Vec<DatabaseStatus> = names.into_iter().map(|name| DatabaseStatus::of(&name, &facts)).collect();
        let mut reasons: Vec<String> = of_scheduler(&facts).into_iter().collect();
        reasons.extend(databases.iter().filter_map(|database| database.trouble.clone()));
        let captures = CaptureCondition::of_all(&facts);
        reasons.extend(captures.iter().filter_map(CaptureCondition::reason));
        Status {
            healthy: reasons.is_empty(),
            reasons,
            at: facts.now,
            version: env!("CARGO_PKG_VERSION"),
            scheduler: facts.seen.as_ref().map(|seen| SchedulerStatus::of(seen, facts.now)),
            next: scheduler_state.map(|scheduler_state| next(scheduler_state, facts.now)).unwrap_or_default(),
            zone: scheduler_state.and_then(zone).unwrap_or(TimeZone::UTC),
            databases,
            captures,
            recent: facts.runs.iter().take(RECENT).cloned().collect(),
            store: facts.inventory,
        }
    }

    /// Returns the status if nothing is known.
    pub fn unknown(now: Timestamp) -> Status {
        Status::of(Facts::of(now, Vec::new()))
    }

    /// Returns the status as not healthy, with one more reason.
    pub fn but(mut self, reason: String) -> Status {
        self.healthy = false;
        self.reasons.insert(0, reason);
        self
    }

    /// Returns in one line that it is healthy, or why not.
    pub fn line(&self) -> String {
        let text = if self.healthy { "healthy".to_owned() } else { self.reasons.join("; ") };
        text.replace(|c: char| c.is_control(), " ")
    }
}

impl ScheduledRun {
    /// Returns what it is for, as one text.
    pub fn names(&self) -> String {
        self.databases.iter().map(Selection::name).collect::<Vec<_>>().join(", ")
    }
}

impl SchedulerStatus {
    fn of(seen: &LastHeartbeat, now: Timestamp) -> SchedulerStatus {
        let working = seen.scheduler_state.entries.iter().any(|entry| entry.running_since.is_some());
        let state = match (seen.life, working) {
            (WriterLife::Gone, _) => SchedulerPulse::Ended,
            (_, true) => SchedulerPulse::Working,
            _ if now.duration_since(seen.pulse) > HANGS => SchedulerPulse::Hangs,
            _ => SchedulerPulse::Waiting,
        };
        SchedulerStatus { process: seen.scheduler_state.process, started: seen.scheduler_state.started, state }
    }
}

impl DatabaseStatus {
    fn of(name: &Selection, facts: &Facts) -> DatabaseStatus {
        let of = |task| facts.records.iter().filter(move |record| record.database == *name && record.task == task);
        let own = || of(Task::Backup);
        let newer = |old: Option<&Record>, new: Option<&Record>| new.or(old).cloned();
        let success = newer(facts.past.success(name), own().find(|record| record.state == RunState::Done));
        let verified = newer(facts.past.verified(name), own().find(|record| is_verified(record)));
        let proven = newer(facts.past.proven(name), of(Task::Verify).find(|record| record.is_proof()));
        let entries = facts.seen.iter().flat_map(|seen| &seen.scheduler_state.entries);
        DatabaseStatus {
            name: name.clone(),
            variant: name.variant(),
            trouble: of_database(name, facts),
            next: entries
                .filter(|entry| entry.task == Task::Backup && entry.selections().contains(name))
                .filter_map(|entry| entry.next_after(facts.now))
                .min(),
            running: own().any(|record| record.state == RunState::Running),
            runs: facts.past.counts(name, &facts.records),
            last: own().find(|record| is_over(record)).map(|record| record.state),
            success: success.as_ref().and_then(NewestBackup::of),
            verified: verified.and_then(|record| record.ended),
            proven: proven.as_ref().and_then(ProvenBackup::of),
            missing: missing(name, facts),
            is_still_made: facts.is_still_made(name),
            proof_succeeded: of(Task::Verify)
                .find(|record| is_over(record))
                .map(|record| record.state == RunState::Done),
        }
    }
}

#[cfg(test)]
impl DatabaseStatus {
    /// Returns a database of which nothing is known but its newest backup.
    pub(crate) fn nothing(name: &Selection, success: Option<NewestBackup>) -> DatabaseStatus {
        DatabaseStatus {
            name: name.clone(),
            variant: name.variant(),
            trouble: None,
            next: None,
            running: false,
            runs: Counts::default(),
            last: None,
            success,
            verified: None,
            proven: None,
            missing: None,
            is_still_made: true,
            proof_succeeded: None,
        }
    }
}

impl NewestBackup {
    fn of(record: &Record) -> Option<NewestBackup> {
        let backup = record.backup.as_ref()?;
        Some(NewestBackup {
            backup: backup.id.to_string(),
            ended: record.ended?,
            seconds: record.seconds()?,
            plain_bytes: backup.plain_bytes,
            stored_bytes: backup.stored_bytes,
            tables: backup.tables,
            rows: backup.rows,
        })
    }
}

impl ProvenBackup {
    fn of(record: &Record) -> Option<ProvenBackup> {
        let proof = record.proof.as_ref()?;
        Some(ProvenBackup {
            backup: proof.id.to_string(),
            ended: record.ended?,
            tables: proof.tables,
            rows: proof.rows,
        })
    }
}

fn missing(name: &Selection, facts: &Facts) -> Option<Vec<MissingBackup>> {
    let all: Vec<&[MissingBackup]> = facts.sights_of(name).map(|seen| seen.sight.missed.as_slice()).collect();
    (!all.is_empty()).then(|| all.concat())
}

fn is_verified(record: &Record) -> bool {
    record.state == RunState::Done && record.backup.as_ref().is_some_and(|backup| backup.verified.is_checked())
}

/// Returns whether this is no database at all: a name that somebody typed, and that no server knew.
fn is_a_slip(name: &Selection, facts: &Facts) -> bool {
    let unknown = |record: &Record| {
        record.problem.as_ref().is_some_and(|problem| problem.exit_code == Kind::NotFound.exit_code())
    };
    let slip = |record: &Record| record.cause == Trigger::Manual && record.state == RunState::Failed && unknown(record);
    facts.past.success(name).is_none() && facts.records.iter().filter(|record| record.database == *name).all(slip)
}

fn next(scheduler_state: &SchedulerState, now: Timestamp) -> Vec<ScheduledRun> {
    let of = |entry: &HeartbeatEntry| {
        let databases = entry.databases.selections();
        Some(ScheduledRun {
            at: entry.next_after(now)?,
            task: entry.task,
            schedule: entry.schedule.to_string(),
            databases,
        })
    };
    let mut next: Vec<ScheduledRun> = scheduler_state.entries.iter().filter_map(of).collect();
    next.sort_by_key(|next| next.at);
    next
}

fn zone(scheduler_state: &SchedulerState) -> Option<TimeZone> {
    scheduler_state.entries.first().map(|entry| entry.schedule.zone().clone())
}
