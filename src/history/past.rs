//! What is still known of runs whose records were removed: how many there were, and how each database last succeeded.

use crate::record::{Record, State, Task};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// Runs up to this one are counted here, also where their records are still to be seen.
    through: String,
    databases: BTreeMap<String, Bygone>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Bygone {
    counts: Counts,
    success: Option<Record>,
    verified: Option<Record>,
    #[serde(default)]
    proven: Option<Record>,
}

/// How many backups of one database came to which end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub done: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl Past {
    /// Takes the next one, from the oldest on.
    pub(super) fn take(&mut self, record: Record) {
        if record.run <= self.through {
            return;
        }
        self.through.clone_from(&record.run);
        let bygone = self.databases.entry(record.database.clone()).or_default();
        if record.task == Task::Verify {
            if record.is_proof() {
                bygone.proven = Some(record);
            }
            return;
        }
        bygone.counts.add(&record);
        if record.state == State::Done {
            if record.backup.as_ref().is_some_and(|backup| backup.verified.is_checked()) {
                bygone.verified = Some(record.clone());
            }
            bygone.success = Some(record);
        }
    }

    /// How many backups of a database were tried in all: those of the past, and those of the records.
    pub fn counts(&self, database: &str, records: &[Record]) -> Counts {
        let mut counts = self.databases.get(database).map(|bygone| bygone.counts).unwrap_or_default();
        let newer = records
            .iter()
            .filter(|record| record.task == Task::Backup && record.database == database && record.run > self.through);
        newer.for_each(|record| counts.add(record));
        counts
    }

    /// The last success that has no record any more.
    pub fn success(&self, database: &str) -> Option<&Record> {
        self.databases.get(database)?.success.as_ref()
    }

    /// The last proof that has no record any more.
    pub fn proven(&self, database: &str) -> Option<&Record> {
        self.databases.get(database)?.proven.as_ref()
    }

    /// The last one among them whose backup was checked after its upload.
    pub fn verified(&self, database: &str) -> Option<&Record> {
        self.databases.get(database)?.verified.as_ref()
    }
}

impl Counts {
    fn add(&mut self, record: &Record) {
        match record.state {
            State::Running => {}
            State::Done => self.done += record.times,
            State::Failed => self.failed += record.times,
            State::Skipped => self.skipped += record.times,
        }
    }
}
