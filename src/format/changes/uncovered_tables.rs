//! The tables that a chain of segments does not cover, and up to when it did.

use crate::format::changes::chain_cut::ChainCut;
use crate::format::changes::relations::RelationState;
use crate::format::changes::segment::Segment;
use crate::format::changes::table_break::{BreakReason, TableBreak};
use crate::format::lsn::Lsn;
use crate::format::sql::object_name::TableName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A table of which some changes are in no segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UncoveredRelation {
    pub table: TableName,
    pub reason: BreakReason,
    /// Up to where it is covered. `None`: it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<CoverEnd>,
    /// Whether its changes are captured anew, so that the next base covers it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits_for_base: bool,
}

/// A place in the log up to which a table is covered, and a time by the server's clock that is not behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverEnd {
    pub position: Lsn,
    pub time: Timestamp,
}

/// Holds them by their identifiers in the source's catalog. A table that was dropped is none of them: nothing is missed of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UncoveredTables {
    tables: BTreeMap<u32, UncoveredRelation>,
    /// All tables that were stated.
    stated: BTreeSet<u32>,
}

impl UncoveredTables {
    /// Takes what a segment states, after all those before it. `before`: the server's clock when the one before it was ended; `None`: it is
    /// the first one.
    pub fn apply(&mut self, segment: &Segment, before: Option<Timestamp>) {
        self.take(&segment.relations, &segment.breaks, before);
    }

    /// Takes what the segments before a cut had stated. When each of their tables broke is not known any more.
    pub fn begin(&mut self, cut: &ChainCut) {
        self.take(&cut.relations, &cut.breaks, None);
    }

    fn take(&mut self, relations: &[RelationState], breaks: &[TableBreak], before: Option<Timestamp>) {
        for broken in breaks {
            if broken.until.is_some() || broken.reason == BreakReason::Dropped {
                self.tables.remove(&broken.oid);
                continue;
            }
            // One that comes into being uncovered was never covered.
            let time = before.filter(|_| self.stated.contains(&broken.oid));
            let until = time.map(|time| CoverEnd { position: broken.from, time });
            let (table, reason) = (broken.table.clone(), broken.reason);
            self.tables.entry(broken.oid).or_insert(UncoveredRelation { table, reason, until, waits_for_base: false });
        }
        self.stated.extend(relations.iter().map(|state| state.relation.oid));
    }

    /// Returns them in the order of their names.
    pub fn list(&self) -> Vec<UncoveredRelation> {
        let mut tables: Vec<UncoveredRelation> = self.tables.values().cloned().collect();
        tables.sort_by(|a, b| a.table.cmp(&b.table));
        tables
    }
}
