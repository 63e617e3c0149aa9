//! The record of one run: the backup of one database or the restore test of one, whatever started it and however it ended.

pub(crate) mod series;

use crate::base::databases::Selection;
use crate::base::error::Result;
use crate::base::random;
use crate::base::variant::Variant;
use crate::format::backup_id::BackupId;
use crate::format::manifest::upload_check::UploadCheck;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The record of one database in one run. `pgbk history` shows it, and alerts and metrics are made from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// `20261121T064500Z-1a2b3c4d`: sorts by the time of its start, unique on this host.
    pub run: String,
    #[serde(default)]
    pub task: Task,
    pub cause: Trigger,
    pub database: Selection,
    pub state: RunState,
    /// How many runs it counts for: several may come due in vain while one is running.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: u64,
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    /// Process id of the run inside its container, and the boot of the host that it belongs to.
    pub process: u32,
    pub boot: String,
    /// The backup that was made; `None` until it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<StoredBackup>,
    /// The backups of other variants that were made of the same snapshot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<StoredBackup>,
    /// The variants beside the plain one that the run is to make of the same snapshot, and has not made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs_missing: Vec<Variant>,
    /// The restore test: the backup that was tested, or was to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<RestoreTest>,
    /// The reason, if it failed or was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<ErrorInfo>,
    /// Warnings of work that succeeded with a reservation: a tag that the host dropped, a table that could not be counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The task of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    #[default]
    Backup,
    /// A backup is restored into a scratch database and compared.
    Verify,
    /// A base is restored into a scratch database, the changes behind it are replayed, and both together are compared with the next base.
    VerifyChanges,
}

impl Task {
    /// Returns the noun for a sentence such as "the verification of shop failed".
    pub fn noun(self) -> &'static str {
        match self {
            Task::Backup => "backup",
            Task::Verify => "verification",
            Task::VerifyChanges => "verification of the changes",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    Schedule,
    /// Makes up for a run that was missed while no scheduler was running.
    CatchUp,
    Manual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    Running,
    Done,
    Failed,
    /// Another run of the same database held the lock.
    Skipped,
}

/// The backup that a run has made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredBackup {
    pub id: BackupId,
    /// The store, for people.
    pub location: String,
    /// The payload's key in the store.
    pub object: String,
    /// Size of the dump in bytes.
    pub plain_bytes: u64,
    /// Size of the payload in bytes.
    pub stored_bytes: u64,
    pub tables: u64,
    pub rows: Option<u64>,
    /// Seconds by stage: dump, commit, check, …
    pub seconds: BTreeMap<String, f64>,
    pub encrypted: bool,
    pub verified: UploadCheck,
    /// The system identifier of the server. `None`: it is not known, or the record is an older one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Its place in its series. 0: the run could not list the store, or the record is an older one.
    #[serde(default)]
    pub sequence: u64,
    /// The newest backup of its series that the run found in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<BackupId>,
}

#[cfg(test)]
impl StoredBackup {
    /// Returns a small backup with this id, for tests.
    pub(crate) fn example(id: BackupId) -> StoredBackup {
        StoredBackup {
            id,
            location: "s3://b".to_owned(),
            object: "o".to_owned(),
            plain_bytes: 1,
            stored_bytes: 1,
            tables: 1,
            rows: None,
            seconds: BTreeMap::new(),
            encrypted: true,
            verified: UploadCheck::ReadBack,
            server: None,
            sequence: 0,
            previous: None,
        }
    }
}

/// A restore test: the backup that was restored, and the tables and rows counted in the copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreTest {
    pub id: BackupId,
    /// Whether it was made from a file, and so says nothing about the other backups.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upload: bool,
    /// The database that it was restored into, for people.
    pub scratch: String,
    /// Whether owners and privileges were restored too; false in older records, which do not say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub with_owners: bool,
    pub tables: u64,
    pub rows: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorInfo {
    pub message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    pub exit_code: u8,
}

/// Returns the backups whose last restore test succeeded, with its time. `records` must come newest first. A backup that was found
/// damaged later is left out.
pub fn proofs(records: &[Record]) -> BTreeMap<BackupId, Timestamp> {
    const DAMAGED: u8 = 3;
    let mut seen = BTreeSet::new();
    let mut proofs = BTreeMap::new();
    for record in records.iter().filter(|record| record.task == Task::Verify) {
        let (Some(proof), Some(ended)) = (&record.proof, record.ended) else { continue };
        // The last that was found out counts; what kept a proof from being tried says nothing.
        let done = match &record.problem {
            None if record.state == RunState::Done => true,
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
    /// Returns whether it is a successful restore test of a backup of its database. A test of an upload does not count.
    pub fn is_proof(&self) -> bool {
        self.task == Task::Verify
            && self.state == RunState::Done
            && self.proof.as_ref().is_none_or(|proof| !proof.upload)
    }

    /// Returns the backups that it has stored, the plain one first.
    pub(crate) fn stored(&self) -> impl Iterator<Item = &StoredBackup> {
        self.backup.iter().chain(&self.outputs)
    }

    /// Returns the record of a run of this process that begins now.
    pub fn begun(cause: Trigger, database: &Selection, now: Timestamp) -> Result<Record> {
        Ok(Record {
            run: format!("{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), random::hex::<4>()?),
            task: Task::Backup,
            cause,
            database: database.clone(),
            state: RunState::Running,
            times: once(),
            started: now,
            ended: None,
            process: std::process::id(),
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned(),
            backup: None,
            outputs: Vec::new(),
            outputs_missing: Vec::new(),
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
