//! Decides when to alert people: at the first failure after a success, and at the first success after a failure.

use crate::alerts::storage_errors::write;
use crate::base::databases::Selection;
use crate::base::error::Result;
use crate::base::state_dir::file::StateFile;
use crate::base::state_dir::{StateDir, name_hash};
use crate::format::run_record::{Record, RunState, Task};
use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;

/// The state of one database after its earlier runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outage {
    pub database: Selection,
    pub server: String,
    #[serde(default)]
    pub task: Task,
    pub last_success: Option<LastSuccess>,
    pub failing: Option<FailureStreak>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastSuccess {
    pub backup: String,
    pub ended: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureStreak {
    pub since: Timestamp,
    pub failures: u64,
}

/// A change of which people are alerted.
#[derive(Debug, PartialEq)]
pub enum Transition {
    Failed,
    Recovered(FailureStreak),
}

impl LastSuccess {
    pub fn of(record: &Record) -> Option<LastSuccess> {
        let made = record.backup.as_ref().map(|backup| &backup.id);
        let backup = made.or(record.proof.as_ref().map(|proof| &proof.id))?.to_string();
        Some(LastSuccess { backup, ended: record.ended? })
    }

    pub fn describe(&self) -> String {
        format!("{}, ended {:.0}", self.backup, self.ended)
    }
}

impl Outage {
    /// Returns the state of a database without known runs.
    pub fn none(selection: &Selection, server: &str, task: Task) -> Outage {
        Outage { database: selection.clone(), server: server.to_owned(), task, last_success: None, failing: None }
    }

    /// Takes one more run into account, and returns the change if there is one. A skipped run changes nothing: the run that held
    /// the lock reports how it went.
    pub fn turn(&mut self, record: &Record) -> Option<Transition> {
        match record.state {
            RunState::Running | RunState::Skipped => None,
            RunState::Done => {
                self.last_success = LastSuccess::of(record);
                self.failing.take().map(Transition::Recovered)
            }
            RunState::Failed => {
                let first = self.failing.is_none();
                let failing = self.failing.get_or_insert(FailureStreak { since: record.started, failures: 0 });
                failing.failures += 1;
                first.then_some(Transition::Failed)
            }
        }
    }
}

/// Stores the state of each database and task in a small file of its own, replaced as a whole.
pub struct Outages {
    state: StateDir,
}

impl Outages {
    pub fn new(state: StateDir) -> Outages {
        Outages { state }
    }

    pub fn load(&self, selection: &Selection, server: &str, task: Task) -> Result<Outage> {
        let file = self.file(selection, server, task);
        let shown = || format!("read \"{file}\"");
        match file.read() {
            Ok(text) => serde_json::from_slice(&text).with_context(shown),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Outage::none(selection, server, task)),
            Err(error) => Err(error).with_context(shown),
        }
    }

    pub fn save(&self, outage: &Outage) -> Result<()> {
        write(&self.file(&outage.database, &outage.server, outage.task), &serde_json::to_vec_pretty(outage)?)
    }

    /// Returns true the first time that this text is reported about this database, and remembers it.
    pub fn first_time(&self, selection: &Selection, server: &str, text: &str) -> Result<bool> {
        let told =
            blake2b_simd::Params::new().hash_length(16).hash(format!("{selection}\0{server}\0{text}").as_bytes());
        let file = self.state.told(&told.to_hex());
        if file.exists()? {
            return Ok(false);
        }
        write(&file, text.as_bytes()).map(|()| true)
    }

    /// Returns the file of what people have heard of a capture.
    pub(crate) fn capture(&self, selection: &Selection, server: &str) -> StateFile {
        self.state.capture_outage(&selection.series(), &name_hash(server))
    }

    /// Returns the file. Databases of one name on two servers are kept apart, and so are backups and their restore tests.
    fn file(&self, selection: &Selection, server: &str, task: Task) -> StateFile {
        let series = selection.series();
        let hash = name_hash(server);
        match task {
            Task::Backup => self.state.outage(&series, &hash),
            Task::Verify => self.state.restore_test_outage(&series, &hash),
            Task::VerifyChanges => self.state.change_proof_outage(&series, &hash),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::message::tests::record;

    fn turns(states: &[RunState]) -> Vec<Option<Transition>> {
        let mut outage = Outage::none(&"shop".into(), "db", Task::Backup);
        (1..).zip(states).map(|(number, state)| outage.turn(&record(number, *state))).collect()
    }

    #[test]
    fn an_outage_is_told_once_and_its_end_once() {
        use RunState::{Done, Failed, Skipped};
        let recovered = |number, failures| {
            Some(Transition::Recovered(FailureStreak { since: record(number, Failed).started, failures }))
        };
        assert_eq!(turns(&[Done, Done]), [None, None]);
        assert_eq!(
            turns(&[Done, Failed, Failed, Skipped, Failed, Done, Done, Failed, Done]),
            [
                None,
                Some(Transition::Failed),
                None,
                None,
                None,
                recovered(2, 3),
                None,
                Some(Transition::Failed),
                recovered(8, 1)
            ]
        );
    }

    #[test]
    fn what_is_known_survives_the_process_and_is_apart_for_each_server() {
        let folder = tempfile::tempdir().unwrap();
        let outages = Outages::new(StateDir::at(folder.path().join("new/state")));
        let mut outage = outages.load(&"a/b".into(), "db1", Task::Backup).unwrap();
        outage.turn(&record(1, RunState::Done));
        outage.turn(&record(2, RunState::Failed));
        outages.save(&outage).unwrap();
        assert_eq!(outages.load(&"a/b".into(), "db1", Task::Backup).unwrap(), outage);
        for (server, task) in [("db2", Task::Backup), ("db1", Task::Verify)] {
            assert_eq!(outages.load(&"a/b".into(), server, task).unwrap(), Outage::none(&"a/b".into(), server, task));
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_a_success() {
        let folder = tempfile::tempdir().unwrap();
        let outages = Outages::new(StateDir::at(folder.path()));
        outages.file(&"shop".into(), "db", Task::Backup).write(b"{").unwrap();
        assert!(outages.load(&"shop".into(), "db", Task::Backup).is_err());
    }
}
