//! Gives every run what it needs, whatever it does: a record, a time limit, and alerts.

use crate::alerts::{Alerts, Batch};
use crate::base::cancel;
use crate::base::databases::{Databases, Selection};
use crate::base::error::{self, Kind, Result};
use crate::base::progress::{Monitor, NullMonitor, RecordingMonitor, RunLabel};
use crate::base::variant::Variant;
use crate::format::run_record::{ErrorInfo, Record, RunState, Task, Trigger};
use crate::runs::history::History;
use jiff::Timestamp;
use std::time::Duration;

#[derive(Clone, Copy)]
pub struct Runner<'a> {
    pub alerts: &'a Alerts,
    /// `None` if nothing can be recorded.
    pub history: Option<&'a History>,
    /// `RUN_TIMEOUT`, for each database; `None`: no limit.
    pub limit: Option<Duration>,
    pub clock: fn() -> Timestamp,
    pub monitor: &'a dyn Monitor,
}

/// Says what a run is to do.
#[derive(Clone, Copy)]
pub struct Assignment<'a> {
    pub task: Task,
    pub cause: Trigger,
    /// The variants that a backup of a database is to make beside the plain one.
    pub outputs: &'a [Variant],
}

impl Assignment<'_> {
    /// Returns the record of a run of it that begins now.
    fn begun(&self, selection: &Selection, now: Timestamp) -> Result<Record> {
        let copies = selection.in_variants(self.outputs);
        let outputs_missing = copies.iter().map(Selection::variant).collect();
        Ok(Record { task: self.task, outputs_missing, ..Record::begun(self.cause, selection, now)? })
    }
}

/// The outcome of a run for one database.
pub struct Outcome<T> {
    pub record: Record,
    pub result: Result<T>,
}

impl Runner<'_> {
    /// Does the work under the limit, records it and sends alerts. The work's own error is in [`Outcome::result`]; an error here means that
    /// this host could not start a run. Work that ends well and leaves a problem in the record has failed all the same.
    pub fn written<T>(
        &self,
        assignment: Assignment,
        selection: &Selection,
        round: &mut Batch,
        work: impl FnOnce(&dyn Monitor, &mut Record) -> Result<T>,
    ) -> Result<Outcome<T>> {
        let monitor = RecordingMonitor::new(self.monitor);
        let mut record = assignment.begun(selection, (self.clock)())?;
        monitor.about(Some(&label(&record)));
        round.started(&record);
        let running = self.history.and_then(|history| self.told(history.begin(&record)));
        let result = {
            let _limit = cancel::limit(self.limit);
            // A bug must not end the scheduler, and people must hear of it.
            error::caught(|| work(&monitor, &mut record))
        };
        self.conclude(&mut record, result.as_ref().err());
        let announced = monitor.announced();
        record.warnings = monitor.warnings();
        let monitor = self.monitor;
        if let Some(running) = running {
            self.told(running.end(&record));
        }
        monitor.about(Some(&label(&record)));
        round.announce(&record, &announced);
        round.ended(&record);
        Ok(Outcome { record, result })
    }

    /// Reports runs whose process was killed like any run that failed, because they could not do so themselves. Skips those that a later
    /// run of the same task and database has already followed.
    pub fn tell_of_lost(&self) {
        let Some(history) = self.history else { return };
        let lost = history.lost().inspect_err(|error| self.monitor.warn(&format!("{error:#}"))).unwrap_or_default();
        if lost.is_empty() {
            return;
        }
        let records = history.records(&NullMonitor).unwrap_or_default();
        let mut round = self.alerts.round(self.monitor);
        for record in &lost {
            let over = |other: &&Record| matches!(other.state, RunState::Done | RunState::Failed);
            let same = |other: &&Record| (other.task, &other.database) == (record.task, &record.database);
            if !records.iter().filter(over).filter(same).any(|other| other.started > record.started) {
                let (noun, name) = (record.task.noun(), &record.database);
                self.monitor.warn(&format!("the {noun} of {name} before, {}, ended without a word", record.run));
                round.ended(record);
            }
        }
        round.finish();
    }

    fn conclude(&self, record: &mut Record, error: Option<&anyhow::Error>) {
        record.ended = Some((self.clock)());
        record.problem = error.map(problem).or(record.problem.take());
        record.state = match (error.map(error::kind), &record.problem) {
            (Some(Kind::Busy), _) => RunState::Skipped,
            (Some(_), _) | (None, Some(_)) => RunState::Failed,
            (None, None) => RunState::Done,
        };
    }

    /// Records that `times` runs did not take place.
    pub fn skipped(&self, assignment: Assignment, databases: &Databases, times: usize, message: &str) -> Result<()> {
        for selection in databases.selections() {
            let now = (self.clock)();
            let problem =
                ErrorInfo { message: message.to_owned(), hints: Vec::new(), exit_code: Kind::Busy.exit_code() };
            let record = Record {
                state: RunState::Skipped,
                times: times as u64,
                ended: Some(now),
                problem: Some(problem),
                ..assignment.begun(&selection, now)?
            };
            if let Some(history) = self.history {
                self.told(history.add(&record));
            }
        }
        Ok(())
    }

    /// Warns and returns `None` if a record could not be written: the run still does its work.
    fn told<T>(&self, written: Result<T>) -> Option<T> {
        written.inspect_err(|error| self.monitor.warn(&format!("{error:#}"))).ok()
    }
}

impl<T> Outcome<T> {
    /// Returns the outcome without what the work has found.
    pub fn bare(self) -> Outcome<()> {
        Outcome { record: self.record, result: self.result.map(drop) }
    }

    /// Returns whether it was skipped because another run of the same database was going.
    pub fn is_skipped(&self) -> bool {
        self.record.state == RunState::Skipped
    }

    /// Returns whether a signal ended it. Nothing is started after it then.
    pub fn is_interrupted(&self) -> bool {
        matches!(&self.result, Err(error) if matches!(error::kind(error), Kind::Interrupted(_)))
    }

    /// Returns whether trying again may help.
    pub fn is_worth_another_try(&self) -> bool {
        match &self.result {
            Ok(_) => false,
            // The backup is stored, and only something beside it is missing.
            Err(_) if self.record.backup.is_some() => false,
            Err(error) => !matches!(error::kind(error), Kind::Busy | Kind::Usage | Kind::Interrupted(_)),
        }
    }
}

/// Returns the exit code. One outcome has its own; several have a signal's, else 1 if one failed, else 5 if one was skipped, else 0.
pub fn exit_code<T>(outcomes: &[Outcome<T>]) -> u8 {
    let busy = Kind::Busy.exit_code();
    let mut codes = outcomes.iter().filter_map(|one| one.record.problem.as_ref()).map(|problem| problem.exit_code);
    if let [only] = outcomes {
        return only.record.problem.as_ref().map_or(0, |problem| problem.exit_code);
    }
    let interrupted = outcomes.iter().find(|outcome| outcome.is_interrupted());
    if let Some(problem) = interrupted.and_then(|outcome| outcome.record.problem.as_ref()) {
        return problem.exit_code;
    }
    match codes.clone().any(|code| code != busy) {
        true => Kind::Failed.exit_code(),
        false => codes.next().unwrap_or(0),
    }
}

/// Returns the label of the lines of the log, until the next run begins or the batch is over.
fn label(record: &Record) -> RunLabel {
    let made = record.backup.as_ref().map(|backup| &backup.id);
    let backup = made.or(record.proof.as_ref().map(|proof| &proof.id)).map(ToString::to_string);
    RunLabel { database: record.database.to_string(), run: record.run.clone(), backup }
}

fn problem(error: &anyhow::Error) -> ErrorInfo {
    ErrorInfo {
        message: format!("{error:#}"),
        hints: error::hints(error).into_iter().map(str::to_owned).collect(),
        exit_code: error::kind(error).exit_code(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::AlertSettings;
    use crate::alerts::message::AlertOrigin;
    use crate::base::state_dir::StateDir;

    #[test]
    fn a_bug_is_a_failed_run_that_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::at(folder.path());
        let origin = AlertOrigin { host: String::new(), server: String::new() };
        let settings = AlertSettings {
            ping: None,
            webhook: None,
            mail: None,
            origin,
            state: state.clone(),
            limit: Duration::ZERO,
        };
        let (alerts, history) = (Alerts::open(&settings), History::of(state));
        let clock = || Timestamp::UNIX_EPOCH;
        let runner = Runner { alerts: &alerts, history: Some(&history), limit: None, clock, monitor: &NullMonitor };
        let mut round = alerts.round(&NullMonitor);
        let panics = |_: &dyn Monitor, _: &mut Record| -> Result<()> { panic!("index {} out of range", 7) };
        let assignment = Assignment { task: Task::Backup, cause: Trigger::Manual, outputs: &[] };
        let outcome = runner.written(assignment, &"shop".into(), &mut round, panics).unwrap();
        assert!(outcome.is_worth_another_try() && outcome.record.state == RunState::Failed);
        let written = history.records(&NullMonitor).unwrap();
        let problem = written[0].problem.as_ref().unwrap();
        assert!(
            problem.message.contains("a bug of pgbk") && problem.message.contains("index 7 out of range"),
            "{problem:?}"
        );
        assert_eq!(problem.exit_code, 1);
    }
}
