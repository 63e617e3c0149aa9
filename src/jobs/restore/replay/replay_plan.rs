//! The changes that are replayed behind a base.

use crate::base::error::{Fault, Result};
use crate::format::changes::delta_record::TransactionHead;
use crate::format::changes::generation_id::GenerationId;
use crate::format::changes::table_break::BreakReason;
use crate::format::lsn::Lsn;
use crate::format::manifest::base_alignment::BaseAlignment;
use crate::format::manifest::encoding::EncodingName;
use crate::format::sql::object_name::TableName;
use crate::repository::chain::chain_link::ChainLink;
use crate::repository::chain::sequence_goals::SequenceGoals;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A generation of which nothing is restored although it is later than the one that is.
#[derive(Debug, Clone, Copy)]
pub struct LeftGeneration {
    pub id: GenerationId,
    /// Why, as the end of a sentence.
    pub why: &'static str,
}

/// Says which transactions are replayed, and of which tables they are not.
pub struct ReplayPlan {
    pub generation: GenerationId,
    pub alignment: BaseAlignment,
    /// Transactions whose commit record begins here or later are not replayed.
    pub stop: Lsn,
    /// The base whose state is to be reached: what it does not hold is not replayed. `None`: everything up to the stop is.
    pub reached: Option<BaseAlignment>,
    /// The tables whose changes are replayed. `None`: those of all.
    pub tables: Option<BTreeSet<TableName>>,
    /// The encoding of the deltas.
    pub encoding: EncodingName,
    /// The segments that hold what is replayed, in order.
    pub links: Vec<Arc<ChainLink>>,
    /// A generation that has begun since, and is left. `None`: there is none, or another moment is wanted.
    pub newer: Option<LeftGeneration>,
    /// When the large objects were as they are restored, as no segment tells of them. `None`: the base holds none.
    pub large_objects: Option<Timestamp>,
    /// The tables that stay behind, each from a place on.
    pub uncovered: BTreeMap<TableName, UncoveredTable>,
    /// Where sequences are to be behind the changes. `None`: they stay as they are.
    pub sequences: Option<SequenceGoals>,
}

/// Says why changes of a table are not replayed from a place on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UncoveredTable {
    pub from: Lsn,
    /// `None`: the base does not have the table.
    pub reason: Option<BreakReason>,
    /// Whether it changed before the moment for sure.
    pub is_sure: bool,
}

impl ReplayPlan {
    /// Returns whether a transaction is replayed: it is before the stop, the base does not hold it, and the one that is to be reached does.
    pub fn applies(&self, head: &TransactionHead) -> bool {
        let is_reached = self.reached.as_ref().is_none_or(|reached| reached.holds(head.commit, head.xid));
        head.commit < self.stop && is_reached && !self.alignment.holds(head.commit, head.xid)
    }

    /// Returns whether changes of a table are replayed in the transaction that commits here.
    pub fn covers(&self, table: &TableName, commit: Lsn) -> bool {
        self.tables.as_ref().is_none_or(|tables| tables.contains(table)) && self.is_covered(table, commit)
    }

    fn is_covered(&self, table: &TableName, commit: Lsn) -> bool {
        self.uncovered.get(table).is_none_or(|uncovered| commit < uncovered.from)
    }

    /// Limits the plan to tables and sequences of the base: only segments whose documents name one of the tables are fetched. It is an error
    /// if not all changes of one are stored, which names it.
    pub fn only(mut self, tables: BTreeSet<TableName>, sequences: &BTreeSet<TableName>) -> Result<ReplayPlan> {
        let broken: Vec<String> = self
            .uncovered
            .iter()
            .filter(|(table, _)| tables.contains(table))
            .map(|(table, uncovered)| format!("{} from {} on: {}", table.text(), uncovered.from, uncovered.why()))
            .collect();
        if !broken.is_empty() {
            let message = format!("changes are not stored of {}", broken.join("; "));
            return Err(Fault::failed(message)
                .hint("--at with a position before that restores what came before; a base that was taken later, named by its id, what came behind it")
                .into());
        }
        self.sequences.iter_mut().for_each(|goals| goals.only(sequences));
        let changes_some = |link: &Arc<ChainLink>| link.segment.tables.iter().any(|table| tables.contains(&table.name));
        let links = self.links.into_iter().filter(changes_some).collect();
        Ok(ReplayPlan { links, tables: Some(tables), uncovered: BTreeMap::new(), ..self })
    }

    /// Returns how many bytes are fetched.
    pub fn stored_bytes(&self) -> u64 {
        self.links.iter().map(|link| link.segment.stored.bytes).sum()
    }

    /// Returns how many bytes of scripts are read.
    pub fn plain_bytes(&self) -> u64 {
        self.links.iter().map(|link| link.segment.plain.bytes).sum()
    }

    /// Returns how many rows the segments insert, update or delete in the tables that are replayed.
    pub fn changed_rows(&self) -> u64 {
        let tables = self.links.iter().flat_map(|link| &link.segment.tables);
        let meant = tables.filter(|table| self.tables.as_ref().is_none_or(|tables| tables.contains(&table.name)));
        let rows = meant.flat_map(|table| [table.changes.inserts, table.changes.updates, table.changes.deletes]);
        rows.fold(0, u64::saturating_add)
    }

    /// Returns how many transactions the segments hold, some of which may be in the base, or behind the stop.
    pub fn transactions(&self) -> u64 {
        self.links.iter().map(|link| link.segment.transactions).sum()
    }

    /// Returns the latest time of a commit in the segments. `None`: they hold no transaction.
    pub fn last_commit(&self) -> Option<Timestamp> {
        self.links.iter().filter_map(|link| link.segment.last_commit).max()
    }
}

impl UncoveredTable {
    /// Says why, as the end of a sentence.
    pub fn why(&self) -> &'static str {
        match self.reason {
            None => "the base does not have it",
            Some(BreakReason::Unknown) => "it was not captured yet when the base was taken",
            Some(reason) => reason.describe(),
        }
    }
}
