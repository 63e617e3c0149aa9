//! The changes that are replayed behind a base.

use crate::format::changes::delta_record::TransactionHead;
use crate::format::changes::generation_id::GenerationId;
use crate::format::changes::table_break::BreakReason;
use crate::format::lsn::Lsn;
use crate::format::manifest::base_alignment::BaseAlignment;
use crate::format::manifest::encoding::EncodingName;
use crate::format::sql::object_name::TableName;
use crate::repository::chain::chain_link::ChainLink;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Says which transactions are replayed, and of which tables they are not.
pub struct ReplayPlan {
    pub generation: GenerationId,
    pub alignment: BaseAlignment,
    /// Transactions whose commit record begins here or later are not replayed.
    pub stop: Lsn,
    /// The encoding of the deltas.
    pub encoding: EncodingName,
    /// The segments that hold what is replayed, in order.
    pub links: Vec<Arc<ChainLink>>,
    /// The tables that stay behind, each from a place on.
    pub uncovered: BTreeMap<TableName, UncoveredTable>,
}

/// Says why changes of a table are not replayed from a place on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UncoveredTable {
    pub from: Lsn,
    /// `None`: the base does not have the table.
    pub reason: Option<BreakReason>,
}

impl ReplayPlan {
    /// Returns whether a transaction is replayed: it is before the stop, and the base does not hold it.
    pub fn applies(&self, head: &TransactionHead) -> bool {
        head.commit < self.stop && !self.alignment.holds(head.commit, head.xid)
    }

    /// Returns whether changes of a table are replayed in the transaction that commits here.
    pub fn covers(&self, table: &TableName, commit: Lsn) -> bool {
        self.uncovered.get(table).is_none_or(|uncovered| commit < uncovered.from)
    }

    /// Returns how many bytes are fetched.
    pub fn stored_bytes(&self) -> u64 {
        self.links.iter().map(|link| link.segment.stored.bytes).sum()
    }

    /// Returns how many bytes of scripts are read.
    pub fn plain_bytes(&self) -> u64 {
        self.links.iter().map(|link| link.segment.plain.bytes).sum()
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
            None | Some(BreakReason::Unknown) => "the base does not have it",
            Some(reason) => reason.describe(),
        }
    }
}
