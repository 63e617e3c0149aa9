//! How far a capture is: what is stored, and what the server keeps for it.

use crate::base::error::Result;
use crate::format::changes::table_break::BreakReason;
use crate::format::changes::uncovered_tables::UncoveredRelation;
use crate::format::sql::object_name::TableName;
use crate::jobs::capture::base_needs::{BaseNeeds, KnownBase};
use crate::jobs::capture::plan::CapturePlan;
use crate::postgres::replication::slot::SlotState;
use crate::postgres::session::connection::TimedConnection;
use crate::postgres::session::large_object_count::large_object_count;
use crate::repository::Repository;
use crate::repository::chain_tail::ChainTail;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Holds what is known of a capture.
pub struct CaptureStatus {
    /// The newest generation. `None`: no capture has been set up.
    pub tail: Option<ChainTail>,
    /// The slot on the server. `None`: there is none.
    pub slot: Option<SlotState>,
    /// Holds what lies behind the newest base.
    pub needs: BaseNeeds,
}

impl CaptureStatus {
    /// `now`: the time by the clock of this host.
    pub fn ask(repository: &Repository, plan: &CapturePlan, now: Timestamp) -> Result<CaptureStatus> {
        let tail = repository.chain_tail(&plan.subject())?;
        let name = tail.as_ref().map_or(&plan.slot, |tail| &tail.generation.slot).clone();
        let client = plan.settings.connect("pgbk")?;
        let (slot, large_objects) = TimedConnection::new(client)
            .ask(move |client| Ok((SlotState::find(client, &name)?, large_object_count(client)?)))?;
        let mut needs = BaseNeeds::default();
        needs.count_large_objects(large_objects, now);
        if let Some(tail) = &tail {
            needs.begin(tail);
            let generation = tail.generation.id;
            let newest = KnownBase::newest(repository, &plan.subject(), generation)?;
            newest.into_iter().for_each(|base| needs.set_base(base));
        }
        Ok(CaptureStatus { tail, slot, needs })
    }

    /// Returns whether a capture streams now.
    pub fn is_running(&self) -> bool {
        self.slot.as_ref().is_some_and(|slot| slot.active_pid.is_some())
    }

    /// Returns the tables that wait for the next base, except those that are not covered now.
    pub fn waiting(&self) -> Vec<UncoveredRelation> {
        let uncovered: BTreeSet<TableName> = self.uncovered().into_iter().map(|(table, _)| table).collect();
        self.needs.waiting().into_iter().filter(|one| !uncovered.contains(&one.table)).collect()
    }

    /// Returns the tables that the segments do not cover.
    pub fn uncovered(&self) -> Vec<(TableName, BreakReason)> {
        let broken = self.tail.iter().flat_map(|tail| tail.known.broken());
        broken.map(|(relation, reason)| (relation.table.clone(), reason)).collect()
    }

    /// Returns the sequences that the role may not read.
    pub fn unread_sequences(&self) -> Vec<&TableName> {
        self.tail.iter().flat_map(|tail| tail.sequences.denied()).collect()
    }
}
