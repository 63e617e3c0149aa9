//! Reads the stream: hands on what comes, and confirms what is stored. It never waits for the store, so the server always hears of it.

use crate::base::cancel;
use crate::base::error::Fault;
use crate::base::progress::Monitor;
use crate::base::shown::many;
use crate::base::threads;
use crate::format::changes::segment::Segment;
use crate::format::changes::timeline_history::TimelineHistory;
use crate::format::lsn::Lsn;
use crate::jobs::capture::base_needs::{self, SharedNeeds};
use crate::jobs::capture::capture_progress::CaptureProgress;
use crate::jobs::capture::feed::{FeedItem, IN_FLIGHT, MessageBatch};
use crate::jobs::capture::give_up::kept_bytes;
use crate::jobs::capture::plan::CapturePlan;
use crate::jobs::capture::position_marks::{PositionMark, PositionMarks};
use crate::jobs::capture::round_end::{RoundEnd, RoundResult};
use crate::jobs::capture::segment_maker::{MakerNews, SegmentMaker};
use crate::jobs::capture::table_watch::TableWatch;
use crate::postgres::replication::change_stream::ChangeStream;
use crate::postgres::replication::log_end::LogEnd;
use crate::postgres::replication::stream_message::StreamMessage;
use crate::repository::Repository;
use crate::repository::chain_tail::ChainTail;
use jiff::Timestamp;
use std::cell::RefCell;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for a message, while some wait to be handed on and while none do.
const SOON: Duration = Duration::from_millis(20);
const WAIT: Duration = Duration::from_millis(200);
/// Pause while there is no room to hand anything on.
const FULL: Duration = Duration::from_millis(10);
/// How often the server is asked how far it has read its log.
const ASK: Duration = Duration::from_secs(2);

pub(crate) struct StreamPump<'a> {
    pub repository: &'a Repository,
    pub plan: &'a CapturePlan,
    pub needs: &'a SharedNeeds,
    pub monitor: &'a dyn Monitor,
    pub watch: TableWatch,
    pub progress: &'a CaptureProgress,
    /// Reads the clock of this host.
    pub clock: fn() -> Timestamp,
    pub marks: PositionMarks,
    /// The timelines of the server that streams.
    pub timelines: TimelineHistory,
    /// Whether it ends when a segment is stored.
    pub is_first: bool,
}

/// Connects the two threads, on the side of the stream.
struct MakerLine {
    feed: SyncSender<FeedItem>,
    news: Receiver<MakerNews>,
}

impl StreamPump<'_> {
    /// Runs until the stream or the store fails, or a signal comes. The stream is closed before the segments' maker has ended.
    pub fn run(mut self, mut stream: ChangeStream, tail: ChainTail) -> RoundResult<Infallible> {
        let is_open = AtomicBool::new(true);
        let (feed, feeding) = sync_channel(IN_FLIGHT);
        let (news, hearing) = channel();
        let Self { repository, plan, monitor, needs, clock, .. } = self;
        thread::scope(|scope| {
            let (journal, sight) = (RefCell::default(), (needs, clock));
            let timelines = self.timelines.clone();
            let is_open = &is_open;
            let maker = SegmentMaker { repository, plan, tail, timelines, is_open, news, sight, journal, monitor };
            let maker = threads::begin_in(scope, "segments", move || maker.run(&feeding))?;
            let line = MakerLine { feed, news: hearing };
            let ended = self.pump(&mut stream, &line);
            is_open.store(false, Ordering::Relaxed);
            // Without it the other thread ends.
            drop((stream, line));
            let made = maker.join().unwrap_or_else(|_| Err(Fault::failed("a thread panicked").into()));
            match (ended, made) {
                (Ok(never), _) => match never {},
                // It is why nothing could be handed on any more.
                (Err(RoundEnd::Passing(_)), Err(error)) => Err(error.into()),
                (Err(ended), _) => Err(ended),
            }
        })
    }

    fn pump(&mut self, stream: &mut ChangeStream, line: &MakerLine) -> RoundResult<Infallible> {
        let (mut batch, mut asked) = (MessageBatch::default(), None::<Instant>);
        loop {
            if self.watch.is_due() {
                let (tables, sequences) = self.watch.look(self.monitor)?;
                self.send(FeedItem::Looked(tables, sequences), stream, line)?;
            }
            if self.watch.is_log_due() {
                self.look_at_log()?;
            }
            if asked.is_none_or(|asked| asked.elapsed() >= ASK) {
                stream.ask()?;
                asked = Some(Instant::now());
            }
            self.hear(stream, line)?;
            let mut reached = None;
            match stream.next(if batch.is_empty() { WAIT } else { SOON })? {
                StreamMessage::Data { bytes, server_time, .. } => {
                    batch.push(bytes, server_time);
                    if !batch.is_full() {
                        continue;
                    }
                }
                StreamMessage::Keepalive { wal_end, server_time, .. } => reached = Some((wal_end, server_time)),
                StreamMessage::Quiet => {}
            }
            if !batch.is_empty() {
                self.send(FeedItem::Changes(std::mem::take(&mut batch)), stream, line)?;
            }
            if let Some((position, time)) = reached.filter(|(position, _)| *position > Lsn(0)) {
                self.send(FeedItem::Reached(position, time), stream, line)?;
            }
        }
    }

    /// Hands something on. While there is no room, the server hears that the client is there.
    fn send(&mut self, mut feed: FeedItem, stream: &mut ChangeStream, line: &MakerLine) -> RoundResult<()> {
        loop {
            match line.feed.try_send(feed) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(back)) => feed = back,
                Err(TrySendError::Disconnected(_)) => return Err(ended()),
            }
            self.hear(stream, line)?;
            stream.keep_alive()?;
            cancel::check()?;
            cancel::wait(FULL);
        }
    }

    /// Confirms what has been stored meanwhile.
    fn hear(&mut self, stream: &mut ChangeStream, line: &MakerLine) -> RoundResult<()> {
        loop {
            match line.news.try_recv() {
                Ok(MakerNews::Stored(segment)) => {
                    stream.confirm(segment.end, segment.end)?;
                    self.monitor.note(&told(&segment));
                    base_needs::locked(self.needs).add(&segment);
                    self.progress.stored(&segment);
                    self.holds(segment.end);
                    if self.is_first {
                        return Err(RoundEnd::Begun);
                    }
                }
                Ok(MakerNews::Held(position)) => self.holds(position),
                Ok(MakerNews::LookWanted { needs_mark }) => self.watch.want(needs_mark),
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(ended()),
            }
        }
    }

    /// Notes where the log ends and how much of it is kept. Ends the round if that is too much: the slot cannot be dropped while it is
    /// streamed from.
    fn look_at_log(&mut self) -> RoundResult<()> {
        self.look_for_base()?;
        let seen = (self.clock)();
        let (slot, LogEnd { position, time }, large_objects) = self.watch.log()?;
        let as_of = {
            let mut needs = base_needs::locked(self.needs);
            needs.count_large_objects(large_objects, time);
            needs.large_objects_as_of()
        };
        self.progress.large_objects(as_of);
        self.marks.add(PositionMark { position, time, seen });
        let (kept, limit) = (slot.as_ref().map(kept_bytes), self.watch.wal_limit());
        self.progress.keeps(kept, limit);
        match kept {
            Some(kept) if kept > limit => {
                let message = format!("the server keeps {kept} bytes of its log for the slot, more than {limit}");
                Err(RoundEnd::Passing(Fault::failed(message).into()))
            }
            _ => Ok(()),
        }
    }

    /// Looks for a base that somebody else has made, while none is known.
    fn look_for_base(&self) -> RoundResult<()> {
        let wanted = {
            let needs = base_needs::locked(self.needs);
            needs.generation().filter(|_| needs.base().is_none())
        };
        if let Some(generation) = wanted {
            base_needs::look_for_base(self.repository, &self.plan.subject(), generation, self.needs)?;
        }
        Ok(())
    }

    /// Notes up to which moment everything is stored, now that it is up to this position.
    fn holds(&mut self, position: Lsn) {
        if let Some(mark) = self.marks.reached(position) {
            self.progress.reached(mark);
        }
    }
}

/// Returns the end of a round whose other thread has ended, which says why.
fn ended() -> RoundEnd {
    RoundEnd::Passing(Fault::failed("the changes could not be stored").into())
}

fn told(segment: &Segment) -> String {
    let Segment { start, end, transactions, stored, .. } = segment;
    format!(
        "segment {start} to {end} is stored: {}, {}",
        many(*transactions, "transaction"),
        many(stored.bytes, "byte")
    )
}
