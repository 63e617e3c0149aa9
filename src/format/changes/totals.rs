//! How much a delta changes: its transactions, and the records of each table.

use crate::format::sql::object_name::TableName;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

/// Counts the changes of one table. Written as a list of four numbers, in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChangeCounts {
    pub inserts: u64,
    pub updates: u64,
    pub deletes: u64,
    /// How many statements emptied the table.
    pub truncates: u64,
}

impl ChangeCounts {
    pub fn is_zero(&self) -> bool {
        *self == ChangeCounts::default()
    }

    /// Returns how many rows were changed and tables emptied, all together.
    pub fn sum(&self) -> u64 {
        let ChangeCounts { inserts, updates, deletes, truncates } = *self;
        [updates, deletes, truncates].into_iter().fold(inserts, u64::saturating_add)
    }

    fn add(&mut self, other: ChangeCounts) {
        self.inserts = self.inserts.saturating_add(other.inserts);
        self.updates = self.updates.saturating_add(other.updates);
        self.deletes = self.deletes.saturating_add(other.deletes);
        self.truncates = self.truncates.saturating_add(other.truncates);
    }
}

impl Serialize for ChangeCounts {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        [self.inserts, self.updates, self.deletes, self.truncates].serialize(to)
    }
}

impl<'de> Deserialize<'de> for ChangeCounts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let [inserts, updates, deletes, truncates] = <[u64; 4]>::deserialize(from)?;
        Ok(ChangeCounts { inserts, updates, deletes, truncates })
    }
}

/// Sums up a delta. Its writer and its reader count alike, so the two can be compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SegmentTotals {
    pub transactions: u64,
    /// The earliest time of a commit. `None`: there are no transactions. Commits are in the order of the log, not in that of their times.
    pub first_commit: Option<Timestamp>,
    /// The latest time of a commit.
    pub last_commit: Option<Timestamp>,
    /// The tables that have changes.
    pub tables: BTreeMap<TableName, ChangeCounts>,
}

impl SegmentTotals {
    pub(crate) fn add_transaction(&mut self, time: Timestamp) {
        self.transactions += 1;
        self.first_commit = Some(self.first_commit.map_or(time, |first| first.min(time)));
        self.last_commit = Some(self.last_commit.map_or(time, |last| last.max(time)));
    }

    pub(crate) fn add_changes(&mut self, table: &TableName, counts: ChangeCounts) {
        if !counts.is_zero() {
            self.tables.entry(table.clone()).or_default().add(counts);
        }
    }
}
