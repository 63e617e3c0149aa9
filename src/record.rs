//! What is written down of one run: the backup of one database or the proof of one, however it was started and however it ended.

use crate::error::Result;
use crate::manifest::{BackupId, Verified};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// One database in one run. `pgbk history` shows it, alerts and metrics are made of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// `20261121T064500Z-1a2b3c4d`: sorts by the time of its start, unique on this host.
    pub run: String,
    #[serde(default)]
    pub task: Task,
    pub cause: Cause,
    pub database: String,
    pub state: State,
    /// How many runs it stands for: several may come due in vain while one is going.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: u64,
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    /// The process that does it, as it is called in its container, and which boot of the host it belongs to.
    pub process: u32,
    pub boot: String,
    /// What became of it, once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Stored>,
    /// What was proven, or was to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proven>,
    /// Why not, where it failed or was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// What succeeded with a reservation: a tag that the host dropped, a table that could not be counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    #[default]
    Backup,
    /// A backup is restored into a scratch database and compared.
    Verify,
}

impl Task {
    /// In a sentence such as "the verification of shop failed".
    pub fn noun(self) -> &'static str {
        match self {
            Task::Backup => "backup",
            Task::Verify => "verification",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    Schedule,
    /// Missed while nothing ran, and made up for.
    CatchUp,
    Manual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Running,
    Done,
    Failed,
    /// Another run of the same database held the lock.
    Skipped,
}

/// The backup that a run has made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    pub id: BackupId,
    /// For people: which store.
    pub location: String,
    /// The payload's key in it.
    pub object: String,
    /// Of the dump.
    pub plain_bytes: u64,
    /// Of the payload.
    pub stored_bytes: u64,
    pub tables: u64,
    pub rows: Option<u64>,
    /// By stage: dump, commit, check, …
    pub seconds: BTreeMap<String, f64>,
    pub encrypted: bool,
    pub verified: Verified,
    /// The system identifier of the server; None where it does not tell, and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Its place in its series; 0 where the run could not look at the store, and in older records.
    #[serde(default)]
    pub sequence: u64,
    /// The newest backup of its series that the run found there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<BackupId>,
}

/// The backup that was restored, and what was counted there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proven {
    pub id: BackupId,
    /// Whether it was made of a file, and so says nothing of the backups beside it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upload: bool,
    /// For people: which database it was restored into.
    pub scratch: String,
    /// Whether owners and privileges were restored too; false of older records, which do not say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub with_owners: bool,
    pub tables: u64,
    pub rows: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    pub exit_code: u8,
}

/// Returns what was proven by a restore, and when it was last. The records come newest first. What was found damaged since is proven no
/// more.
pub fn proofs(records: &[Record]) -> BTreeMap<BackupId, Timestamp> {
    const DAMAGED: u8 = 3;
    let mut seen = BTreeSet::new();
    let mut proofs = BTreeMap::new();
    for record in records.iter().filter(|record| record.task == Task::Verify) {
        let (Some(proof), Some(ended)) = (&record.proof, record.ended) else { continue };
        // The last that was found out counts; what kept a proof from being tried says nothing.
        let done = match &record.problem {
            None if record.state == State::Done => true,
            Some(problem) if problem.exit_code == DAMAGED => false,
            _ => continue,
        };
        if seen.insert(&proof.id) && done {
            proofs.insert(proof.id.clone(), ended);
        }
    }
    proofs
}

impl Record {
    /// Returns whether it is a proof of the backups of its database that held: one of an upload is none.
    pub fn is_proof(&self) -> bool {
        self.task == Task::Verify && self.state == State::Done && self.proof.as_ref().is_none_or(|proof| !proof.upload)
    }

    /// A run of this process that begins now.
    pub fn begun(cause: Cause, database: &str, now: Timestamp) -> Result<Record> {
        let mut random = [0; 4];
        openssl::rand::rand_bytes(&mut random)?;
        Ok(Record {
            run: format!("{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), hex::encode(random)),
            task: Task::Backup,
            cause,
            database: database.to_owned(),
            state: State::Running,
            times: once(),
            started: now,
            ended: None,
            process: std::process::id(),
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned(),
            backup: None,
            proof: None,
            problem: None,
            warnings: Vec::new(),
        })
    }

    pub fn seconds(&self) -> Option<f64> {
        Some((self.ended?.as_millisecond() - self.started.as_millisecond()) as f64 / 1e3)
    }
}

fn once() -> u64 {
    1
}

fn is_once(times: &u64) -> bool {
    *times == once()
}
