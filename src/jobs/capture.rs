//! Captures the changes of a database: streams them, makes segments of them, and confirms to the server what is stored.
//!
//! Each round begins at the end of the chain that is in the store, as after a restart, so nothing is remembered elsewhere. What a round had
//! not stored when it ended is streamed again.

pub mod base_needs;
pub mod capture_progress;
pub(crate) mod feed;
pub(crate) mod give_up;
pub mod journal_keeper;
pub mod plan;
pub(crate) mod position_marks;
pub(crate) mod round_end;
pub(crate) mod segment_maker;
pub(crate) mod sequence_look;
pub mod setup;
pub mod status;
pub(crate) mod stream_pump;
pub(crate) mod table_changes;
pub(crate) mod table_look;
pub(crate) mod table_watch;

use crate::base::cancel;
use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::format::changes::generation_id::GenerationId;
use crate::format::changes::segment_name::GenerationFolder;
use crate::format::lsn::Lsn;
use crate::jobs::capture::base_needs::SharedNeeds;
use crate::jobs::capture::capture_progress::CaptureProgress;
use crate::jobs::capture::give_up::give_up_beyond;
use crate::jobs::capture::plan::{CapturePlan, other_slot};
use crate::jobs::capture::position_marks::PositionMarks;
use crate::jobs::capture::round_end::{RoundEnd, RoundResult};
use crate::jobs::capture::setup::begin_generation;
use crate::jobs::capture::stream_pump::StreamPump;
use crate::jobs::capture::table_watch::TableWatch;
use crate::postgres::replication::change_stream::ChangeStream;
use crate::postgres::replication::replication_connection::{ReplicationConnection, ReplicationIdentity};
use crate::repository::Repository;
use crate::repository::chain_tail::ChainTail;
use jiff::Timestamp;
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// How long to wait for another process to leave the slot: at the start, and after a connection of our own was lost, of which the server may
/// not know yet.
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_AGAIN: Duration = Duration::from_secs(120);
const AGAIN: Duration = Duration::from_millis(500);

/// Begins a generation if there is none, and stores its first segment, which states all tables. Nothing is done where it is stored already.
pub fn set_up(capture: &Capture<'_>) -> Result<()> {
    if capture.tail(None)?.previous.is_some() {
        return Ok(());
    }
    match capture.round(&mut None).problem() {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

/// A capture of one database into one store.
pub struct Capture<'a> {
    pub repository: &'a Repository,
    pub plan: &'a CapturePlan,
    pub progress: &'a CaptureProgress,
    /// Is told of each segment.
    pub needs: &'a SharedNeeds,
    /// Reads the clock of this host.
    pub clock: fn() -> Timestamp,
    pub monitor: &'a dyn Monitor,
}

impl Capture<'_> {
    /// Streams from the end of the chain in the store, until something ends that; where no segment is stored, until the first one is. Begins
    /// a generation if there is none. `streamed`: the generation of an earlier round; `None`: nothing has been streamed yet.
    pub(crate) fn round(&self, streamed: &mut Option<GenerationId>) -> RoundEnd {
        match self.stream_on(streamed) {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    fn stream_on(&self, streamed: &mut Option<GenerationId>) -> RoundResult<Infallible> {
        let Capture { repository, plan, progress, needs, clock, monitor } = *self;
        let tail = self.tail(*streamed)?;
        repository.put_restore_script(&tail.generation)?;
        progress.begin(&tail);
        let mut connection = plan.settings.open_for_replication("pgbk")?;
        let identity = connection.identify()?;
        same_server(&tail, &identity, &mut connection)?;
        let mut watch = TableWatch::open(plan, connection.settings())?;
        self.require_slot(&tail, &mut watch)?;
        let is_first = tail.previous.is_none();
        let patience = if streamed.is_some() { PATIENCE_AGAIN } else { PATIENCE };
        let stream = self.stream(connection, tail.end, patience)?;
        monitor.info(&format!("changes of \"{}\" are streamed from {} on", plan.subject(), tail.end));
        *streamed = Some(tail.generation.id);
        progress.streams();
        // Not before the slot is this capture's: one that is refused must take no base.
        base_needs::locked(needs).begin(&tail);
        let marks = PositionMarks::default();
        StreamPump { repository, plan, needs, monitor, watch, progress, clock, marks, is_first }.run(stream, tail)
    }

    /// Returns the end of the newest generation. Begins one if there is none. Once something has been streamed, it must be of that generation.
    fn tail(&self, streamed: Option<GenerationId>) -> Result<ChainTail> {
        let subject = self.plan.subject();
        let mut tail = self.repository.chain_tail(&subject)?;
        if streamed.is_none() && tail.is_none() {
            begin_generation(self.repository, self.plan, (self.clock)(), self.monitor)?;
            tail = self.repository.chain_tail(&subject)?;
        }
        let newest = tail.as_ref().map(|tail| tail.generation.id);
        let Some(tail) = tail.filter(|tail| streamed.is_none_or(|streamed| streamed == tail.generation.id)) else {
            return Err(self.other_generation(streamed, newest).into());
        };
        match tail.generation.slot == self.plan.slot {
            true => Ok(tail),
            false => Err(other_slot(self.plan, &tail.generation.slot).into()),
        }
    }

    /// Returns the fault of a store that does not show the generation, as one whose share is not mounted; or of one that has a newer one.
    fn other_generation(&self, streamed: Option<GenerationId>, newest: Option<GenerationId>) -> Fault {
        if newest > streamed {
            return Fault::new(
                Kind::Busy,
                format!("another capture of \"{}\" has begun a new generation", self.plan.subject()),
            )
            .hint("one capture at a time writes the changes of a database: stop one of the two");
        }
        let folder = GenerationFolder::all(&self.plan.subject());
        Fault::failed(format!("the store does not list the generation in \"{folder}\"")).hint("is it mounted?")
    }

    /// Fails if the slot has gone past the chain, or if the server keeps more log for it than it may.
    fn require_slot(&self, tail: &ChainTail, watch: &mut TableWatch) -> RoundResult<()> {
        let name = &self.plan.slot;
        let Some(slot) = watch.slot()? else {
            return Err(lost(&format!("there is no replication slot \"{name}\""), tail));
        };
        slot.require_ours(name, self.plan.settings.database())?;
        if slot.is_lost() {
            let why = slot.invalidation.unwrap_or_else(|| "its log is gone".to_owned());
            return Err(lost(&format!("the server has given up replication slot \"{name}\": {why}"), tail));
        }
        match slot.confirmed {
            Some(confirmed) if confirmed > tail.end => {
                let what = format!(
                    "replication slot \"{name}\" is at {confirmed} already: something else has read or moved it"
                );
                Err(lost(&what, tail))
            }
            _ => give_up_beyond(&slot, self.plan, watch.wal_limit(), self.monitor),
        }
    }

    /// Opens the stream. Waits for another process to leave the slot.
    fn stream(&self, connection: ReplicationConnection, from: Lsn, patience: Duration) -> Result<ChangeStream> {
        let begun = Instant::now();
        let mut connection = Some(connection);
        loop {
            let next = connection.take().map_or_else(|| self.plan.settings.open_for_replication("pgbk"), Ok)?;
            match next.stream(&self.plan.slot, from, &self.plan.published()) {
                Err(error) if kind(&error) == Kind::Busy && begun.elapsed() < patience => cancel::rest(AGAIN)?,
                opened => return opened,
            }
        }
    }
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

/// Fails if the chain comes from another server, or from one that has left the chain's timeline before its end.
fn same_server(
    tail: &ChainTail,
    identity: &ReplicationIdentity,
    connection: &mut ReplicationConnection,
) -> RoundResult<()> {
    let (ours, theirs) = (tail.generation.system_identifier.0.to_string(), &identity.system_identifier);
    if ours != *theirs {
        return Err(lost(&format!("this is another server ({theirs}) than the one that was captured ({ours})"), tail));
    }
    let history = connection.timeline_history(identity.timeline)?;
    let of_chain = tail.generation.timeline;
    let left = history.iter().find(|switch| switch.timeline >= of_chain && switch.end < tail.end);
    match left {
        Some(switch) => {
            let what =
                format!("the server left timeline {} at {}, before the end of the chain", switch.timeline, switch.end);
            Err(lost(&what, tail))
        }
        None => Ok(()),
    }
}
