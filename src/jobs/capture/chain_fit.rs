//! Says whether what a server streams continues a chain: whether it is the chain's server, has all of the log that is stored, and has a slot
//! that leads on from there.

use crate::base::cancel;
use crate::base::error::{Fault, Result};
use crate::format::changes::timeline_history::{TimelineHistory, TimelineStanding};
use crate::format::lsn::Lsn;
use crate::format::pgoutput::change_message::{ChangeMessage, decode};
use crate::jobs::capture::plan::CapturePlan;
use crate::jobs::capture::round_end::{RoundEnd, RoundResult};
use crate::postgres::replication::change_stream::ChangeStream;
use crate::postgres::replication::replication_connection::ReplicationConnection;
use crate::postgres::replication::slot::SlotState;
use crate::postgres::replication::stream_message::StreamMessage;
use crate::repository::chain_tail::ChainTail;
use jiff::Timestamp;
use std::time::Duration;

/// Longest wait for a message, after which the server is asked how far it has read its log.
const WAIT: Duration = Duration::from_secs(1);

/// The server that a connection leads to, and the timelines of its log.
#[derive(Debug)]
pub(crate) struct LogOrigin {
    system_identifier: String,
    pub timelines: TimelineHistory,
    /// Where its log ends.
    end: Lsn,
}

pub(crate) enum ChainFit {
    Continues,
    /// The server has another log than the chain: it was promoted, or set back. The chain ends. Says why.
    Ended(String),
}

impl LogOrigin {
    pub fn ask(connection: &mut ReplicationConnection) -> Result<LogOrigin> {
        let identity = connection.identify()?;
        let left = connection.timeline_history(identity.timeline)?;
        let timelines = TimelineHistory::new(identity.timeline, left);
        Ok(LogOrigin { system_identifier: identity.system_identifier, timelines, end: identity.flushed })
    }

    /// Returns whether another connection leads to the same server, as it was.
    pub fn is(&self, other: &LogOrigin) -> bool {
        (&self.system_identifier, &self.timelines) == (&other.system_identifier, &other.timelines)
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
        TimelineStanding::Same | TimelineStanding::Promoted if origin.end < tail.end => {
            let ends =
                format!("the server's log ends at {}, before the stored changes end at {}", origin.end, tail.end);
            Ok(ChainFit::Ended(set_back(&ends)))
        }
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

/// Returns what has to be looked for in the server's log before the chain goes on: the latest commit of the last segment. `None`: nothing, as
/// the server has heard of it, or there is none.
///
/// A server that was set back to a copy of itself has the timeline that it had, and may have written past the end of the chain since then. It
/// has not heard of what was stored in between; nor has one whose capture was killed before it could tell.
pub(crate) fn unheard(tail: &ChainTail, slot: Option<&SlotState>) -> Option<(Lsn, Timestamp)> {
    let start = tail.previous?.start;
    let has_heard = slot.and_then(|slot| slot.confirmed).is_none_or(|confirmed| confirmed > start);
    tail.latest.filter(|_| !has_heard).map(|latest| (start, latest))
}

/// Reads a stream from the start of the last segment, and returns whether its latest commit is in it. Nothing is confirmed.
pub(crate) fn has_commit(stream: &mut ChangeStream, end: Lsn, latest: Timestamp) -> Result<bool> {
    let mut is_open = false;
    loop {
        cancel::check()?;
        match stream.next(WAIT)? {
            StreamMessage::Data { bytes, .. } => match decode(bytes)? {
                ChangeMessage::Begin(begin) if begin.commit >= end => return Ok(false),
                ChangeMessage::Begin(_) => is_open = true,
                ChangeMessage::Commit(commit) if commit.time == latest => return Ok(true),
                ChangeMessage::Commit(_) => is_open = false,
                _ => {}
            },
            StreamMessage::Keepalive { wal_end, .. } if wal_end >= end && !is_open => return Ok(false),
            StreamMessage::Keepalive { .. } => {}
            StreamMessage::Quiet => stream.ask()?,
        }
    }
}

/// Returns why a chain ends whose server has lost what is stored.
pub(crate) fn set_back(what: &str) -> String {
    format!("{what}: it was set back to an earlier state of itself, such as a snapshot")
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

/// Returns the end of a round in which a new generation has begun because the server was promoted or set back.
pub(crate) fn renewed(why: &str) -> RoundEnd {
    RoundEnd::Renewed(
        Fault::failed(format!(
            "{why}. A new generation has begun: what was changed since then is restored only from its first base on"
        ))
        .hint("what is stored can be restored as before. What a server needs so that a capture goes on without a gap: see \"A failover\" in docs/continuous.md")
        .into(),
    )
}
