//! When people are told: at the first failure after a success, and at the first success after a failure.

use super::outbox::LARGEST;
use crate::error::Result;
use crate::manifest;
use crate::newfile::NewFile;
use crate::plain::{self, Whose};
use crate::record::{Record, State, Task};
use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::DirBuilder;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// What is known of one database from the runs before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outage {
    pub database: String,
    pub server: String,
    #[serde(default)]
    pub task: Task,
    pub last_success: Option<Success>,
    pub failing: Option<Failing>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Success {
    pub backup: String,
    pub ended: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failing {
    pub since: Timestamp,
    pub failures: u64,
}

/// A change that people are told of.
#[derive(Debug, PartialEq)]
pub enum Turn {
    Failed,
    Recovered(Failing),
}

impl Success {
    pub fn of(record: &Record) -> Option<Success> {
        let made = record.backup.as_ref().map(|backup| &backup.id);
        let backup = made.or(record.proof.as_ref().map(|proof| &proof.id))?.to_string();
        Some(Success { backup, ended: record.ended? })
    }

    pub fn describe(&self) -> String {
        format!("{}, ended {:.0}", self.backup, self.ended)
    }
}

impl Outage {
    /// Nothing is known.
    pub fn none(database: &str, server: &str, task: Task) -> Outage {
        Outage { database: database.to_owned(), server: server.to_owned(), task, last_success: None, failing: None }
    }

    /// Takes one more run into account. A skipped one is neither: the run that held the lock tells how it went.
    pub fn turn(&mut self, record: &Record) -> Option<Turn> {
        match record.state {
            State::Running | State::Skipped => None,
            State::Done => {
                self.last_success = Success::of(record);
                self.failing.take().map(Turn::Recovered)
            }
            State::Failed => {
                let first = self.failing.is_none();
                let failing = self.failing.get_or_insert(Failing { since: record.started, failures: 0 });
                failing.failures += 1;
                first.then_some(Turn::Failed)
            }
        }
    }
}

/// One small file for each database, replaced as a whole.
pub struct Outages {
    folder: PathBuf,
}

impl Outages {
    pub fn new(folder: PathBuf) -> Outages {
        Outages { folder }
    }

    pub fn load(&self, database: &str, server: &str, task: Task) -> Result<Outage> {
        let path = self.path(database, server, task);
        let shown = || format!("read \"{}\"", path.display());
        match plain::read(&path, Whose::OfItsFolder, LARGEST) {
            Ok(text) => serde_json::from_slice(&text).with_context(shown),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Outage::none(database, server, task)),
            Err(error) => Err(error).with_context(shown),
        }
    }

    pub fn save(&self, outage: &Outage) -> Result<()> {
        write(&self.path(&outage.database, &outage.server, outage.task), &serde_json::to_vec_pretty(outage)?)
    }

    /// Returns whether people have not heard this of this database before, and remembers it.
    pub fn first_time(&self, database: &str, server: &str, text: &str) -> Result<bool> {
        let told = blake2b_simd::Params::new().hash_length(16).hash(format!("{database}\0{server}\0{text}").as_bytes());
        let path = self.folder.join("told").join(told.to_hex().as_str());
        if path.try_exists()? {
            return Ok(false);
        }
        write(&path, text.as_bytes()).map(|()| true)
    }

    /// Databases of one name on two servers have nothing to do with each other, and neither have backups and their proofs.
    fn path(&self, database: &str, server: &str, task: Task) -> PathBuf {
        let server = blake2b_simd::Params::new().hash_length(8).hash(server.as_bytes()).to_hex();
        let end = match task {
            Task::Backup => "",
            Task::Verify => "-verify",
        };
        self.folder.join(format!("{}-{server}{end}.json", manifest::encode(database)))
    }
}

/// Whole or not at all, in a folder that is made where it is missing.
pub fn write(path: &Path, text: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("create the folder \"{}\"", folder.display()))?;
    }
    let mut file = NewFile::create(path, true)?;
    file.write_all(text)?;
    file.commit()
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::record;
    use super::*;

    fn turns(states: &[State]) -> Vec<Option<Turn>> {
        let mut outage = Outage::none("shop", "db", Task::Backup);
        (1..).zip(states).map(|(number, state)| outage.turn(&record(number, *state))).collect()
    }

    #[test]
    fn an_outage_is_told_once_and_its_end_once() {
        use State::{Done, Failed, Skipped};
        let recovered =
            |number, failures| Some(Turn::Recovered(Failing { since: record(number, Failed).started, failures }));
        assert_eq!(turns(&[Done, Done]), [None, None]);
        assert_eq!(
            turns(&[Done, Failed, Failed, Skipped, Failed, Done, Done, Failed, Done]),
            [None, Some(Turn::Failed), None, None, None, recovered(2, 3), None, Some(Turn::Failed), recovered(8, 1)]
        );
    }

    #[test]
    fn what_is_known_survives_the_process_and_is_apart_for_each_server() {
        let folder = tempfile::tempdir().unwrap();
        let outages = Outages::new(folder.path().join("new/alerts"));
        let mut outage = outages.load("a/b", "db1", Task::Backup).unwrap();
        outage.turn(&record(1, State::Done));
        outage.turn(&record(2, State::Failed));
        outages.save(&outage).unwrap();
        assert_eq!(outages.load("a/b", "db1", Task::Backup).unwrap(), outage);
        for (server, task) in [("db2", Task::Backup), ("db1", Task::Verify)] {
            assert_eq!(outages.load("a/b", server, task).unwrap(), Outage::none("a/b", server, task));
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_a_success() {
        let folder = tempfile::tempdir().unwrap();
        let outages = Outages::new(folder.path().to_owned());
        std::fs::write(outages.path("shop", "db", Task::Backup), "{").unwrap();
        assert!(outages.load("shop", "db", Task::Backup).is_err());
    }
}
