//! Makes segments of what the server streams, on a thread of its own, so that a slow store never keeps the stream from being read.

use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::format::changes::delta_head::DeltaHead;
use crate::format::changes::delta_writer::DeltaWriter;
use crate::format::changes::segment::{PreviousSegment, Segment};
use crate::format::lsn::Lsn;
use crate::format::pgoutput::change_message::decode;
use crate::format::pgoutput::message_bytes::time_of_micros;
use crate::jobs::capture::feed::{FeedItem, MessageBatch};
use crate::jobs::capture::plan::CapturePlan;
use crate::jobs::capture::table_changes;
use crate::repository::Repository;
use crate::repository::chain_tail::ChainTail;
use crate::repository::segment_writer::{SegmentFacts, SegmentPayload};
use jiff::Timestamp;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// How much log may pass without a change that is captured, before a segment without transactions says so. The server then need not keep it.
const IDLE: u64 = 64 << 20;
/// Longest wait for the next thing.
const WAIT: Duration = Duration::from_secs(1);

/// Tells the thread that reads the stream what has been done.
pub(crate) enum MakerNews {
    Stored(Box<Segment>),
    /// Everything before this position is stored, or holds no change that is captured.
    Held(Lsn),
    /// The tables that were handed over are noted.
    TablesNoted,
}

pub(crate) struct SegmentMaker<'a> {
    pub repository: &'a Repository,
    pub plan: &'a CapturePlan,
    pub tail: ChainTail,
    /// Whether the stream is still open: a segment is not published when it is not.
    pub is_open: &'a AtomicBool,
    pub news: Sender<MakerNews>,
    pub monitor: &'a dyn Monitor,
}

/// The segment that is being made.
struct OpenSegment {
    writer: DeltaWriter<SegmentPayload>,
    /// When its first transaction was written. `None`: it has none.
    begun: Option<Instant>,
    /// Whether it holds something about tables that must not be lost.
    is_noted: bool,
}

impl SegmentMaker<'_> {
    /// Makes segments until the other side is gone. What is open by then is thrown away: the server sends it again.
    pub fn run(self, feed: &Receiver<FeedItem>) -> Result<()> {
        let mut open = self.begin(&self.tail)?;
        let (mut tail, mut reached, mut clock) = (self.tail.clone(), Lsn(0), 0);
        loop {
            match feed.recv_timeout(open.patience(self.plan.interval)) {
                Ok(FeedItem::Changes(batch)) => {
                    clock = batch.server_time;
                    self.take(&batch, &mut open, &mut tail)?;
                }
                Ok(FeedItem::Reached(position, time)) => {
                    clock = time;
                    if open.writer.position().is_some() {
                        reached = position;
                        if open.is_empty() {
                            self.tell(MakerNews::Held(position));
                        }
                    }
                }
                Ok(FeedItem::Tables(shapes)) => {
                    let is_first = tail.previous.is_none();
                    let is_noted = table_changes::note(&mut open.writer, &shapes, is_first, self.monitor)?;
                    // The first segment is stored even where there is no table.
                    open.is_noted |= is_noted || is_first;
                    self.tell(MakerNews::TablesNoted);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if let Some(end) = open.end(reached).filter(|end| self.is_due(&open, *end, &tail)) {
                self.store(&mut open, end, clock, &mut tail)?;
            }
        }
    }

    /// Takes messages, and ends the segment between two transactions as soon as it is large enough.
    fn take(&self, batch: &MessageBatch, open: &mut OpenSegment, tail: &mut ChainTail) -> Result<()> {
        for message in batch.messages() {
            let message = decode(message)?;
            let is_first = tail.previous.is_none();
            open.is_noted |= table_changes::take(&mut open.writer, message, is_first, self.monitor)?;
            if open.begun.is_none() && open.writer.transactions() > 0 {
                open.begun = Some(Instant::now());
            }
            if open.writer.bytes() >= self.plan.bytes
                && let Some(end) = open.end(Lsn(0)).filter(|_| open.begun.is_some())
            {
                self.store(open, end, batch.server_time, tail)?;
            }
        }
        Ok(())
    }

    fn is_due(&self, open: &OpenSegment, end: Lsn, tail: &ChainTail) -> bool {
        let is_old = open.begun.is_some_and(|begun| begun.elapsed() >= self.plan.interval);
        end > tail.end && (is_old || open.is_noted || end.0 - tail.end.0 >= IDLE)
    }

    fn begin(&self, tail: &ChainTail) -> Result<OpenSegment> {
        let head = DeltaHead { start: tail.end, encoding: tail.generation.encoding };
        let known = tail.known.clone();
        let writer = self.repository.begin_segment(&tail.generation, head, known, self.plan.compression)?;
        Ok(OpenSegment { writer, begun: None, is_noted: false })
    }

    /// Stores the segment that is open, and begins the next one where it ends.
    fn store(&self, open: &mut OpenSegment, end: Lsn, clock: i64, tail: &mut ChainTail) -> Result<()> {
        let next = ChainTail { end, known: open.writer.known().clone(), ..tail.clone() };
        let writer = std::mem::replace(open, self.begin(&next)?).writer;
        let outcome = writer.finish(end)?;
        if !self.is_open.load(Ordering::Relaxed) {
            return Err(Fault::failed("the stream was closed before its changes were stored").into());
        }
        let written_at = time_of_micros(clock).unwrap_or(Timestamp::UNIX_EPOCH);
        let facts = SegmentFacts { generation: &tail.generation, previous: tail.previous, written_at };
        let stored = self.repository.store_segment(outcome, facts, self.monitor)?;
        let previous = Some(PreviousSegment { start: stored.segment.start, seal: stored.seal });
        *tail = ChainTail { previous, ..next };
        self.tell(MakerNews::Stored(Box::new(stored.segment)));
        Ok(())
    }

    fn tell(&self, news: MakerNews) {
        // Who does not listen any more ends this thread soon.
        let _ = self.news.send(news);
    }
}

impl OpenSegment {
    /// Returns whether nothing in it waits to be stored.
    fn is_empty(&self) -> bool {
        self.writer.transactions() == 0 && !self.is_noted
    }

    /// Returns where it could be ended now. `None`: a transaction has begun and not ended. `reached`: everything before it has been sent.
    fn end(&self, reached: Lsn) -> Option<Lsn> {
        self.writer.position().map(|position| position.max(reached))
    }

    /// Returns how long to wait for the next thing.
    fn patience(&self, interval: Duration) -> Duration {
        let left = self.begun.map(|begun| interval.saturating_sub(begun.elapsed()));
        left.unwrap_or(WAIT).min(WAIT)
    }
}
