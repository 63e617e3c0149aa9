//! Says whether what a server streams continues a chain: whether it is the chain's server, has all of the log that is stored, and has a slot
//! that leads on from there.

use crate::base::error::{Fault, Result};
use crate::format::changes::timeline_history::{TimelineHistory, TimelineStanding};
use crate::jobs::capture::plan::CapturePlan;
use crate::jobs::capture::round_end::{RoundEnd, RoundResult};
use crate::postgres::replication::replication_connection::ReplicationConnection;
use crate::postgres::replication::slot::SlotState;
use crate::repository::chain_tail::ChainTail;

/// The server that a connection leads to, and the timelines of its log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LogOrigin {
    system_identifier: String,
    pub timelines: TimelineHistory,
}

pub(crate) enum ChainFit {
    Continues,
    /// The server was promoted, and the chain ends. Says why.
    Ended(String),
}

impl LogOrigin {
    pub fn ask(connection: &mut ReplicationConnection) -> Result<LogOrigin> {
        let identity = connection.identify()?;
        let left = connection.timeline_history(identity.timeline)?;
        let timelines = TimelineHistory::new(identity.timeline, left);
        Ok(LogOrigin { system_identifier: identity.system_identifier, timelines })
    }
}

/// Compares server and slot with the end of a chain. Fails where the chain cannot go on, and nobody but its owner can say that another one
/// is to begin.
pub(crate) fn fit(
    tail: &ChainTail,
    origin: &LogOrigin,
    slot: Option<&SlotState>,
    plan: &CapturePlan,
) -> RoundResult<ChainFit> {
    let (ours, theirs) = (tail.generation.system_identifier.0.to_string(), &origin.system_identifier);
    if ours != *theirs {
        return Err(lost(&format!("this is another server ({theirs}) than the one that was captured ({ours})"), tail));
    }
    let standing = origin.timelines.standing(&tail.timelines, tail.end);
    match &standing {
        TimelineStanding::Foreign => Err(RoundEnd::Lost(foreign(tail, origin).into())),
        TimelineStanding::LeftBefore(switch) => Ok(ChainFit::Ended(format!(
            "the server left timeline {} at {}, before the stored changes end at {}: it never had what is stored behind that place",
            switch.timeline, switch.end, tail.end
        ))),
        TimelineStanding::Same | TimelineStanding::Promoted => match slot_fault(tail, slot, plan)? {
            None => Ok(ChainFit::Continues),
            Some(what) if standing == TimelineStanding::Promoted => Ok(ChainFit::Ended(format!(
                "the server was promoted to timeline {}, and {what}; the stored changes end at {}",
                origin.timelines.timeline, tail.end
            ))),
            Some(what) => Err(lost(&what, tail)),
        },
    }
}

/// Returns why the slot does not lead on from the end of the chain. `None`: it does.
fn slot_fault(tail: &ChainTail, slot: Option<&SlotState>, plan: &CapturePlan) -> Result<Option<String>> {
    let name = &plan.slot;
    let Some(slot) = slot else { return Ok(Some(format!("there is no replication slot \"{name}\""))) };
    slot.require_ours(name, plan.settings.database())?;
    if slot.is_lost() {
        let why = slot.invalidation.as_deref().unwrap_or("its log is gone");
        return Ok(Some(format!("the server has given up replication slot \"{name}\": {why}")));
    }
    let ahead = slot.confirmed.filter(|confirmed| *confirmed > tail.end);
    Ok(ahead.map(|confirmed| {
        format!("replication slot \"{name}\" is at {confirmed} already: something else has read or moved it")
    }))
}

/// Returns the fault of a server whose log is another one than that of the chain.
fn foreign(tail: &ChainTail, origin: &LogOrigin) -> Fault {
    let (theirs, ours) = (origin.timelines.timeline, tail.timelines.timeline);
    Fault::failed(format!(
        "the server is on timeline {theirs}, which does not follow timeline {ours} of the stored changes: it is an old primary that is back, or another copy"
    ))
    .hint("let DB_HOST name the server that took over. If this one is to go on: pgbk capture --new-generation")
}

/// Returns the end of a chain that cannot go on.
fn lost(what: &str, tail: &ChainTail) -> RoundEnd {
    let end = tail.end;
    RoundEnd::Lost(
        Fault::failed(format!("{what}, and the stored changes end at {end}: what was changed in between is lost"))
            .hint("pgbk capture --new-generation begins anew; take a backup after it. What is stored can be restored as before")
            .into(),
    )
}

/// Returns the end of a round in which a new generation has begun because the server was promoted.
pub(crate) fn renewed(why: &str) -> RoundEnd {
    RoundEnd::Renewed(
        Fault::failed(format!(
            "{why}. A new generation has begun: what was changed since then is restored only from its first base on"
        ))
        .hint("what is stored can be restored as before. A slot that a standby synchronises goes on without a gap: see \"A failover\" in docs/continuous.md")
        .into(),
    )
}
