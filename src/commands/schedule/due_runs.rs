//! Starts the runs that are due, and reports them in the heartbeat.

use crate::base::databases::{Databases, Selection};
use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::base::shown::many;
use crate::base::subject::Subject;
use crate::base::verify_level::Level;
use crate::cli::arguments::ScheduleArgs;
use crate::cli::console::{Console, bytes};
use crate::commands::schedule::captures::ScheduledCaptures;
use crate::commands::schedule::overdue::OverdueAlerts;
use crate::commands::schedule::renewed_settings::RenewedSettings;
use crate::commands::summary::tables_and_rows;
use crate::config::environment;
use crate::format::manifest::Manifest;
use crate::format::run_record::{Record, Task, Trigger};
use crate::jobs::backup::outputs::BackupsMade;
use crate::jobs::restore_test::verify_changes::chain_finding::ChainFinding;
use crate::jobs::verify::VerifyFinding;
use crate::runs::backups::Backups;
use crate::runs::restore_tests::RestoreTests;
use crate::runs::runner::{Assignment, Outcome, exit_code};
use crate::runs::schedule::heartbeat::{Heartbeat, HeartbeatEntry, SchedulerState};
use crate::runs::schedule::planner::DueRun;
use crate::runs::schedule::scheduler::{RunResult, ScheduledWork};
use jiff::Timestamp;
use std::sync::mpsc::Sender;

pub struct Runs<'a> {
    pub args: &'a ScheduleArgs,
    /// The settings with the changed secrets. None: no secret has changed since the start.
    pub renewed: Option<RenewedSettings>,
    pub backups: Backups<'a>,
    /// None: no restore tests are scheduled.
    pub proofs: Option<RestoreTests<'a>>,
    pub console: &'a Console,
    /// Number of runs since the start that were skipped because one of the same database was still going.
    pub skipped: usize,
    pub word: SchedulerReporter,
    pub late: OverdueAlerts,
    /// `None`: nothing is captured.
    pub captures: Option<&'a ScheduledCaptures<'a>>,
}

/// Reports to other processes what the scheduler does. Backups do not depend on it.
pub struct SchedulerReporter {
    pub post: Option<Heartbeat>,
    /// Wakes the publisher when a run has ended. None: nothing is published.
    pub bell: Option<Sender<()>>,
    /// Whether the heartbeat could not be written the last time. The failure is logged only once until it can be written again.
    pub silent: bool,
}

impl SchedulerReporter {
    pub fn leave(&mut self, now: Timestamp, console: &Console, change: impl FnOnce(&mut SchedulerState)) {
        let Some(post) = &mut self.post else { return };
        let left = post.update(now, change);
        let told = std::mem::replace(&mut self.silent, left.is_err());
        if let (Err(error), false) = (&left, told) {
            console.warn(&format!("{error:#}; backups go on"));
        }
    }

    fn leave_of(
        &mut self,
        start: &DueRun,
        now: Timestamp,
        console: &Console,
        change: impl FnOnce(&mut HeartbeatEntry),
    ) {
        self.leave(now, console, |scheduler_state| {
            scheduler_state.entries.get_mut(start.slot).map(change).unwrap_or_default()
        });
    }
}

impl ScheduledWork for Runs<'_> {
    fn ahead(&mut self, next: &[Option<Timestamp>], now: Timestamp) {
        self.word.leave(now, self.console, |scheduler_state| {
            for (entry, next) in scheduler_state.entries.iter_mut().zip(next) {
                entry.next = *next;
            }
        });
        self.late.tell(self.backups.runner.alerts, now, self.console);
    }

    fn due_besides(&mut self, now: Timestamp) -> Option<DueRun> {
        self.captures?.due_base(now, self.console)
    }

    fn run(&mut self, start: &DueRun) -> Result<RunResult> {
        let begun = Timestamp::now();
        self.word.leave_of(start, begun, self.console, |entry| entry.running_since = Some(begun));
        self.renew();
        let done = match (start.task, self.proofs) {
            (Task::Verify, Some(proofs)) => {
                let console = self.console;
                let proofs = self.renewed.as_ref().map_or(proofs, |renewed| renewed.proofs(proofs));
                let each = |outcome: &Outcome<VerifyFinding>| tell(outcome, console);
                let done = match (start.cause, start.tries, &start.databases) {
                    // What has passed is not tested again with what has not.
                    (Trigger::Schedule, 1.., Databases::Named(subjects)) => proofs.again(subjects, start.cause, each),
                    (_, _, databases) => proofs.newest(databases, start.cause, each),
                };
                done.and_then(|done| self.changes(start, proofs, done)).map(|done| RunEnd::of(start, &done))
            }
            _ => self.backups(start).map(|done| RunEnd::of(start, &done)),
        };
        let found = done.as_ref().ok().and_then(|done| done.found.clone());
        self.word.leave_of(start, Timestamp::now(), self.console, |entry| {
            entry.running_since = None;
            entry.found = found.unwrap_or(std::mem::take(&mut entry.found));
        });
        if let Some(bell) = &self.word.bell {
            // Nobody may listen.
            bell.send(()).ok();
        }
        done.map(|done| done.worked)
    }

    fn skipped(&mut self, start: &DueRun, count: usize) -> Result<()> {
        let message = format!("{} came due while the one before was going", many(count, "run"));
        let outputs = if start.task == Task::Backup { self.backups.plan.outputs.variants() } else { Vec::new() };
        let assignment = Assignment { task: start.task, cause: start.cause, outputs: &outputs };
        self.backups.runner.skipped(assignment, &start.databases, count, &message)?;
        self.console.warn(&format!("{}: {message}", start.databases));
        self.count(count);
        Ok(())
    }
}

impl Runs<'_> {
    /// Reads secrets that were changed in their files. If the new settings are wrong, the run goes on with the old ones.
    fn renew(&mut self) {
        if !environment::renew() {
            return;
        }
        match RenewedSettings::of(self.args, self.proofs.is_some()) {
            Ok(renewed) => {
                self.console.info("a secret was changed in its file, and is used from now on");
                if let Some(captures) = self.captures {
                    match renewed.captures(self.args) {
                        Ok(setup) => captures.keeper.renew(setup),
                        Err(error) => self.console.warn(&format!("captures do not use it: {error:#}")),
                    }
                }
                self.renewed = Some(renewed);
            }
            Err(error) => self.console.warn(&format!("a secret was changed in its file, and is not used: {error:#}")),
        }
    }

    /// Tests the changes of the same databases, and returns all outcomes. All segments were read when they were stored: here they are looked at
    /// in the listing, but for those that are replayed.
    fn changes(
        &self,
        start: &DueRun,
        proofs: RestoreTests<'_>,
        done: Vec<Outcome<VerifyFinding>>,
    ) -> Result<Vec<Outcome<()>>> {
        let mut outcomes: Vec<Outcome<()>> = done.into_iter().map(Outcome::bare).collect();
        if !outcomes.iter().any(Outcome::is_interrupted) {
            let each = |outcome: &Outcome<Vec<ChainFinding>>| tell_of_changes(outcome, self.console);
            let more = proofs.changes(&start.databases, Level::Meta, start.cause, each)?;
            outcomes.extend(more.into_iter().map(Outcome::bare));
        }
        Ok(outcomes)
    }

    fn backups(&mut self, start: &DueRun) -> Result<Vec<Outcome<BackupsMade>>> {
        let console = self.console;
        let backups = self.renewed.as_ref().map_or(self.backups, |renewed| renewed.backups(self.backups));
        let outcomes = backups.all(&start.databases, start.cause, |outcome| match &outcome.result {
            Ok(made) => made.all().for_each(|manifest| console.info(&line(manifest))),
            Err(error) => console.tell(error),
        })?;
        self.late.took(&outcomes);
        if let Some(captures) = self.captures {
            captures.backed_up(&outcomes, Timestamp::now());
        }
        let busy = outcomes.iter().filter(|outcome| outcome.is_skipped()).count();
        self.count(busy);
        Ok(outcomes)
    }

    fn count(&mut self, more: usize) {
        self.skipped += more;
        if more > 0 {
            self.console.info(&format!("{} skipped since the start", many(self.skipped, "run")));
        }
    }
}

/// Holds what the scheduler needs to know of a run's end, for backups and restore tests alike.
struct RunEnd {
    worked: RunResult,
    found: Option<Vec<Subject>>,
}

impl RunEnd {
    fn of<T>(start: &DueRun, outcomes: &[Outcome<T>]) -> RunEnd {
        let worked = RunResult { again: again(start, outcomes), code: exit_code(outcomes) };
        RunEnd { worked, found: found(start, outcomes) }
    }
}

/// Returns the databases to try again. A run of all databases is repeated for those that failed, or for all if not
/// even their names were known. None: nothing is to be tried again.
fn again<T>(start: &DueRun, outcomes: &[Outcome<T>]) -> Option<Databases> {
    let again: Vec<&Record> = outcomes.iter().filter(|one| one.is_worth_another_try()).map(|one| &one.record).collect();
    match again.is_empty() {
        true => None,
        false if start.databases == Databases::All && unnamed(outcomes) => Some(Databases::All),
        false => {
            let mut subjects: Vec<Subject> = Vec::new();
            for subject in again.into_iter().filter_map(|record| record.database.subject()) {
                // Its backup may have failed, and its changes as well.
                if !subjects.contains(subject) {
                    subjects.push(subject.clone());
                }
            }
            Some(Databases::Named(subjects))
        }
    }
}

fn unnamed<T>(outcomes: &[Outcome<T>]) -> bool {
    outcomes.iter().any(|outcome| outcome.record.database == Selection::Every)
}

/// Returns the databases that a run of all databases found. None: it was a run of named ones, could not list them, or
/// was interrupted.
fn found<T>(start: &DueRun, outcomes: &[Outcome<T>]) -> Option<Vec<Subject>> {
    let known =
        start.databases == Databases::All && !unnamed(outcomes) && !outcomes.iter().any(Outcome::is_interrupted);
    let own = outcomes.iter().filter(|outcome| outcome.record.task == start.task);
    let subjects = own.filter_map(|outcome| outcome.record.database.subject());
    known.then(|| subjects.filter(|subject| subject.variant().is_plain()).cloned().collect())
}

fn tell(outcome: &Outcome<VerifyFinding>, console: &Console) {
    match &outcome.result {
        Err(error) => console.tell(error),
        Ok(finding) => match &finding.error {
            Some(error) => console.tell(&Fault::damaged(error.as_str()).into()),
            None => {
                let id = &finding.id;
                console.info(&match outcome.record.proof.as_ref() {
                    Some(proof) => {
                        format!("{id} is proven by a restore: {}", tables_and_rows(proof.tables, proof.rows))
                    }
                    None => {
                        format!("{id} is intact: it was read to its end, as what is of no database is not restored")
                    }
                });
            }
        },
    }
}

fn tell_of_changes(outcome: &Outcome<Vec<ChainFinding>>, console: &Console) {
    let findings = match &outcome.result {
        Err(error) => return console.tell(error),
        Ok(findings) => findings,
    };
    for finding in findings {
        finding.errors.iter().for_each(|error| console.tell(&Fault::damaged(error.as_str()).into()));
        if let Some(proof) = finding.proof.as_ref().filter(|_| finding.ok) {
            console.info(&format!(
                "{} with its changes is what {} states, in {}",
                proof.base,
                proof.reached,
                many(proof.tables.len(), "table")
            ));
        }
        if let Some(why) = &finding.unproven {
            console.info(&format!("the changes of generation {} are not replayed: {why}", finding.generation));
        }
    }
}

fn line(manifest: &Manifest) -> String {
    let seconds: f64 = manifest.seconds.values().sum();
    let (plain, stored) = (bytes(manifest.plain.bytes), bytes(manifest.stored.bytes));
    let cipher = if manifest.encryption.is_some() { "encrypted" } else { "not encrypted" };
    format!("{} is stored: {plain} dumped, {stored} stored ({cipher}) in {seconds:.1} s", manifest.id)
}
