//! Totals of the runs whose records were removed: how many there were, and the last success of each database.

use crate::base::databases::Selection;
use crate::format::run_record::{Record, RunState, Task};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunTotals {
    /// Newest run that is counted here. Runs up to it are counted here even if their records still exist.
    through: String,
    databases: BTreeMap<Selection, DatabaseTotals>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct DatabaseTotals {
    counts: Counts,
    success: Option<Record>,
    verified: Option<Record>,
    #[serde(default)]
    proven: Option<Record>,
}

/// Counts the backups of one database by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub done: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl RunTotals {
    /// Adds the next record, in each series that its run is about. Records must come oldest first; one that is counted already is ignored.
    pub(crate) fn take(&mut self, record: Record) {
        if record.run <= self.through {
            return;
        }
        self.through.clone_from(&record.run);
        record.by_series().into_iter().for_each(|record| self.add(record));
    }

    fn add(&mut self, record: Record) {
        let bygone = self.databases.entry(record.database.clone()).or_default();
        if record.task != Task::Backup {
            if record.is_proof() {
                bygone.proven = Some(record);
            }
            return;
        }
        bygone.counts.add(&record);
        if record.state == RunState::Done {
            if record.backup.as_ref().is_some_and(|backup| backup.verified.is_checked()) {
                bygone.verified = Some(record.clone());
            }
            bygone.success = Some(record);
        }
    }

    /// Returns how many backups of a series were tried in all: those of removed records, and those of `records`, which are split by series.
    pub fn counts(&self, selection: &Selection, records: &[Record]) -> Counts {
        let mut counts = self.databases.get(selection).map(|bygone| bygone.counts).unwrap_or_default();
        let newer = records
            .iter()
            .filter(|record| record.task == Task::Backup && record.database == *selection && record.run > self.through);
        newer.for_each(|record| counts.add(record));
        counts
    }

    /// Returns the last success whose record was removed; `None` if there is none.
    pub fn success(&self, selection: &Selection) -> Option<&Record> {
        self.databases.get(selection)?.success.as_ref()
    }

    /// Returns the last successful restore test whose record was removed; `None` if there is none.
    pub fn proven(&self, selection: &Selection) -> Option<&Record> {
        self.databases.get(selection)?.proven.as_ref()
    }

    /// Returns the last success whose record was removed and whose backup was checked after its upload; `None` if there is none.
    pub fn verified(&self, selection: &Selection) -> Option<&Record> {
        self.databases.get(selection)?.verified.as_ref()
    }
}

impl Counts {
    fn add(&mut self, record: &Record) {
        match record.state {
            RunState::Running => {}
            RunState::Done => self.done += record.times,
            RunState::Failed => self.failed += record.times,
            RunState::Skipped => self.skipped += record.times,
        }
    }
}
