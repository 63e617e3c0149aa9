//! Captures the changes of a database: streams them, makes segments of them, and confirms to the server what is stored.
//!
//! Each round begins at the end of the chain that is in the store, as after a restart, so nothing is remembered elsewhere. What a round had
//! not stored when it ended is streamed again.

pub mod base_needs;
pub mod capture_progress;
pub(crate) mod chain_fit;
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
use crate::jobs::capture::chain_fit::{ChainFit, LogOrigin, fit, has_commit, renewed, set_back, unheard};
use crate::jobs::capture::give_up::give_up_beyond;
use crate::jobs::capture::plan::{CapturePlan, other_slot};
use crate::jobs::capture::position_marks::PositionMarks;
use crate::jobs::capture::round_end::{RoundEnd, RoundResult};
use crate::jobs::capture::setup::begin_generation;
use crate::jobs::capture::stream_pump::StreamPump;
use crate::jobs::capture::table_watch::TableWatch;
use crate::postgres::replication::change_stream::ChangeStream;
use crate::postgres::replication::replication_connection::ReplicationConnection;
use crate::postgres::replication::slot::SlotState;
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
        let mut watch = TableWatch::open(plan, connection.settings())?;
        watch.require_primary()?;
        let origin = LogOrigin::ask(&mut connection)?;
        let slot = watch.slot()?;
        let patience = if streamed.is_some() { PATIENCE_AGAIN } else { PATIENCE };
        let fits = match fit(&tail, &origin, slot.as_ref(), plan)? {
            ChainFit::Continues => self.has_latest(&tail, slot.as_ref(), &origin, patience)?,
            ended => ended,
        };
        if let ChainFit::Ended(why) = fits {
            monitor.announce(&format!("{why}: a new generation begins"));
            begin_generation(repository, plan, clock(), monitor)?;
            *streamed = None;
            return Err(renewed(&why));
        }
        if let Some(slot) = slot {
            give_up_beyond(&slot, plan, watch.wal_limit(), monitor)?;
        }
        let is_first = tail.previous.is_none();
        let stream = self.stream((connection, &origin), tail.end, patience)?;
        monitor.info(&format!("changes of \"{}\" are streamed from {} on", plan.subject(), tail.end));
        *streamed = Some(tail.generation.id);
        // Not before the slot is this capture's: one that is refused must take no base.
        base_needs::locked(needs).begin(&tail);
        progress.streams();
        let (marks, timelines) = (PositionMarks::default(), origin.timelines);
        StreamPump { repository, plan, needs, monitor, watch, progress, clock, marks, timelines, is_first }
            .run(stream, tail)
    }

    /// Looks whether the server's log holds what is stored last.
    fn has_latest(
        &self,
        tail: &ChainTail,
        slot: Option<&SlotState>,
        origin: &LogOrigin,
        patience: Duration,
    ) -> Result<ChainFit> {
        let Some((start, latest)) = unheard(tail, slot) else { return Ok(ChainFit::Continues) };
        let mut stream = self.stream((self.again(origin)?, origin), start, patience)?;
        let holds = has_commit(&mut stream, tail.end, latest)?;
        stream.end()?;
        Ok(match holds {
            true => ChainFit::Continues,
            false => ChainFit::Ended(set_back(&format!("the server's log has no commit of {latest}, which is stored"))),
        })
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

    /// Opens the stream. Waits for another process to leave the slot.
    fn stream(
        &self,
        (connection, origin): (ReplicationConnection, &LogOrigin),
        from: Lsn,
        patience: Duration,
    ) -> Result<ChangeStream> {
        let begun = Instant::now();
        let mut connection = Some(connection);
        loop {
            let next = connection.take().map_or_else(|| self.again(origin), Ok)?;
            match next.stream(&self.plan.slot, from, &self.plan.published()) {
                Err(error) if kind(&error) == Kind::Busy && begun.elapsed() < patience => cancel::rest(AGAIN)?,
                opened => return opened,
            }
        }
    }

    /// Connects once more. Fails if another server answers now, or if it was promoted meanwhile.
    fn again(&self, origin: &LogOrigin) -> Result<ReplicationConnection> {
        let mut connection = self.plan.settings.open_for_replication("pgbk")?;
        match LogOrigin::ask(&mut connection)?.is(origin) {
            true => Ok(connection),
            false => Err(Fault::failed("another server answers now, or it was promoted meanwhile").into()),
        }
    }
}
