//! Makes segments of what the server streams, on a thread of its own, so that a slow store never keeps the stream from being read.

use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::format::changes::delta_head::DeltaHead;
use crate::format::changes::delta_writer::DeltaWriter;
use crate::format::changes::segment::{PreviousSegment, Segment};
use crate::format::changes::timeline_history::TimelineHistory;
use crate::format::lsn::Lsn;
use crate::format::pgoutput::change_message::{ChangeMessage, decode};
use crate::format::pgoutput::message_bytes::time_of_micros;
use crate::jobs::capture::base_needs::SharedNeeds;
use crate::jobs::capture::feed::{FeedItem, MessageBatch};
use crate::jobs::capture::journal_keeper::JournalKeeper;
use crate::jobs::capture::plan::CapturePlan;
use crate::jobs::capture::sequence_look::SequenceLook;
use crate::jobs::capture::table_changes;
use crate::jobs::capture::table_look::TableLook;
use crate::repository::Repository;
use crate::repository::chain_tail::ChainTail;
use crate::repository::segment_writer::{SegmentFacts, SegmentPayload};
use jiff::Timestamp;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// How much log may pass without a change that is captured, before a segment without transactions says so. The server then need not keep it.
const IDLE: u64 = 64 << 20;
/// Longest wait for the next thing.
const WAIT: Duration = Duration::from_secs(1);
/// How many looks, each of which finds other tables, a segment waits for.
const MARKS: u32 = 3;
/// How many times as large as it should be a segment becomes before it is stored although not all tables have been looked at.
const HUGE: u64 = 64;

/// Tells the thread that reads the stream what has been done.
pub(crate) enum MakerNews {
    Stored(Box<Segment>),
    /// Everything before this position is stored, or holds no change that is captured.
    Held(Lsn),
    /// The tables have to be looked at. `needs_mark`: something waits for what the look finds.
    LookWanted {
        needs_mark: bool,
    },
}

pub(crate) struct SegmentMaker<'a> {
    pub repository: &'a Repository,
    pub plan: &'a CapturePlan,
    pub tail: ChainTail,
    /// The timelines of the server that streams.
    pub timelines: TimelineHistory,
    /// Whether the stream is still open: a segment is not published when it is not.
    pub is_open: &'a AtomicBool,
    pub news: Sender<MakerNews>,
    /// Holds the newest base that the capture has taken itself, and reads the clock of this host: the journal is kept by both.
    pub sight: (&'a SharedNeeds, fn() -> Timestamp),
    /// `None`: no journal is kept, or the maker has not begun.
    pub journal: RefCell<Option<JournalKeeper<'a>>>,
    pub monitor: &'a dyn Monitor,
}

/// The segment that is being made.
struct OpenSegment {
    writer: DeltaWriter<SegmentPayload>,
    /// When its first transaction was written. `None`: it has none.
    begun: Option<Instant>,
    /// Whether it holds something about tables, or about the server, that must not wait for a transaction.
    is_noted: bool,
}

/// Holds what looks at the catalog have found and has not come to its place in the stream.
#[derive(Default)]
struct TableLooks {
    /// Looks whose marks have not come.
    pending: VecDeque<TableLook>,
    /// Where and when the catalog was looked at, if the transaction that has begun is the mark of that look.
    marked: Option<(Lsn, Timestamp)>,
    /// Up to here all tables are as they are known.
    confirmed: Lsn,
    /// The sequences as the last look found them. `None`: there was no look.
    sequences: Option<SequenceLook>,
    /// Number of marks since the last segment was stored.
    marks: u32,
    /// Whether a look was asked for and has not come.
    is_asked: bool,
}

impl SegmentMaker<'_> {
    /// Makes segments until the other side is gone. What is open by then is thrown away: the server sends it again.
    pub fn run(self, feed: &Receiver<FeedItem>) -> Result<()> {
        let mut open = self.begin(&self.tail)?;
        let begin = |plan| JournalKeeper::begin(self.repository, plan, self.sight, &self.tail, self.monitor);
        self.journal.replace(self.plan.journal.as_ref().map(begin).transpose()?);
        let (mut tail, mut reached, mut clock) = (self.tail.clone(), Lsn(0), 0);
        let mut looks = TableLooks::default();
        // A backup of a server that was promoted is a base once the chain says that it goes on there.
        open.is_noted = self.timelines != tail.timelines;
        loop {
            match feed.recv_timeout(open.patience(self.plan.interval)) {
                Ok(FeedItem::Changes(batch)) => {
                    clock = batch.server_time;
                    self.take(&batch, &mut open, &mut tail, &mut looks)?;
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
                Ok(FeedItem::Looked(tables, sequences)) => {
                    looks.sequences = Some(sequences);
                    looks.take(tables, &mut open, tail.previous.is_none());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.journal.borrow_mut().iter_mut().for_each(JournalKeeper::tick);
            let due = open.end(reached).filter(|end| self.is_due(&open, *end, &tail));
            if let Some(end) = due.and_then(|end| self.confirmed(&mut looks, &open, end, &tail)) {
                self.store(&mut open, end, clock, (&mut tail, &mut looks))?;
            }
        }
    }

    /// Takes messages, and ends the segment between two transactions as soon as it is large enough.
    fn take(
        &self,
        batch: &MessageBatch,
        open: &mut OpenSegment,
        tail: &mut ChainTail,
        looks: &mut TableLooks,
    ) -> Result<()> {
        for message in batch.messages() {
            let message = decode(message)?;
            let (begun, is_over) = match &message {
                ChangeMessage::Begin(begin) => (Some(begin.xid), false),
                message => (None, matches!(message, ChangeMessage::Commit(_))),
            };
            let is_first = tail.previous.is_none();
            open.is_noted |= table_changes::take(&mut open.writer, message, is_first, self.monitor)?;
            if let Some(look) = begun.and_then(|xid| looks.marked(xid)) {
                let noted = table_changes::note(&mut open.writer, look, is_first, self.monitor)?;
                // The first segment is stored even where there is no table.
                open.is_noted |= noted.is_noted || is_first;
                if noted.is_waiting {
                    self.tell(MakerNews::LookWanted { needs_mark: true });
                }
            }
            if is_over {
                looks.end_mark(open, is_first);
            }
            if open.begun.is_none() && open.writer.transactions() > 0 {
                open.begun = Some(Instant::now());
            }
            if is_over && open.writer.bytes() >= self.plan.bytes && open.begun.is_some() {
                let end = open.end(Lsn(0)).and_then(|end| self.confirmed(looks, open, end, tail));
                if let Some(end) = end {
                    self.store(open, end, batch.server_time, (tail, looks))?;
                }
            }
        }
        Ok(())
    }

    /// Returns where a segment that is due can end: up to there it is known which tables it covers, and the sequences were read behind it.
    /// `None`: the tables have to be looked at before.
    fn confirmed(&self, looks: &mut TableLooks, open: &OpenSegment, end: Lsn, tail: &ChainTail) -> Option<Lsn> {
        // Where very much was changed before the look, its mark is far away.
        let is_huge = open.writer.bytes() >= self.plan.bytes.saturating_mul(HUGE);
        // The server sends a transaction when it has committed: the next look is behind all that has come by then.
        let is_read = looks.sequences.as_ref().is_some_and(|sequences| end <= sequences.at);
        if end <= looks.confirmed || is_huge && is_read {
            return Some(end);
        }
        if open.writer.position().is_some_and(|position| position <= looks.confirmed) && looks.confirmed > tail.end {
            return Some(looks.confirmed);
        }
        if !looks.is_asked {
            looks.is_asked = true;
            self.tell(MakerNews::LookWanted { needs_mark: false });
        }
        None
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
    fn store(
        &self,
        open: &mut OpenSegment,
        end: Lsn,
        clock: i64,
        (tail, looks): (&mut ChainTail, &mut TableLooks),
    ) -> Result<()> {
        let sequences = looks.sequences.as_ref().and_then(|look| look.sample(end, &tail.sequences));
        let mut next = ChainTail { end, known: open.writer.known().clone(), ..tail.clone() };
        sequences.iter().for_each(|sample| next.sequences.apply(sample));
        let confirmed = open.writer.confirmed();
        let writer = std::mem::replace(open, self.begin(&next)?).writer;
        open.writer.begin_confirmed(confirmed);
        let outcome = writer.finish(end)?;
        if !self.is_open.load(Ordering::Relaxed) {
            return Err(Fault::failed("the stream was closed before its changes were stored").into());
        }
        let written_at = time_of_micros(clock).unwrap_or(Timestamp::UNIX_EPOCH);
        let timelines = &self.timelines;
        let facts =
            SegmentFacts { generation: &tail.generation, previous: tail.previous, written_at, timelines, sequences };
        let stored = self.repository.store_segment(outcome, facts, self.monitor)?;
        let previous = Some(PreviousSegment { start: stored.segment.start, seal: stored.seal });
        let latest = stored.segment.last_commit;
        *tail = ChainTail { previous, latest, timelines: timelines.clone(), ..next };
        looks.marks = 0;
        self.tell(MakerNews::Stored(Box::new(stored.segment.clone())));
        self.journal.borrow_mut().iter_mut().for_each(|journal| journal.add(&stored.segment));
        Ok(())
    }

    fn tell(&self, news: MakerNews) {
        // Who does not listen any more ends this thread soon.
        let _ = self.news.send(news);
    }
}

impl TableLooks {
    /// Takes a look. Where nothing has changed it counts at once; else from its mark on.
    fn take(&mut self, look: TableLook, open: &mut OpenSegment, is_first: bool) {
        self.is_asked = false;
        let is_same = self.pending.is_empty() && !is_first && table_changes::is_known(&open.writer, &look);
        if is_same {
            open.writer.confirm(look.at, look.time);
            self.confirmed = self.confirmed.max(look.at);
        }
        if look.mark.is_some() {
            self.pending.push_back(look);
        }
    }

    /// Returns the look whose mark has this number. `None`: it is another transaction.
    fn marked(&mut self, xid: u32) -> Option<TableLook> {
        let at = self.pending.iter().position(|look| look.mark == Some(xid))?;
        let look = self.pending.drain(..=at).next_back()?;
        self.marked = Some((look.at, look.time));
        Some(look)
    }

    /// Ends the transaction that has begun, which may be a mark. What changed between the look and the mark is found by the next look.
    fn end_mark(&mut self, open: &mut OpenSegment, is_first: bool) {
        let (Some((at, time)), Some(position)) = (self.marked.take(), open.writer.position()) else { return };
        open.writer.confirm(at, time);
        self.marks += 1;
        // Who changes tables all the time must have segments, too; and before the first one there is no base.
        let is_enough = is_first || self.marks > MARKS;
        self.confirmed = self.confirmed.max(if is_enough { position } else { at });
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
