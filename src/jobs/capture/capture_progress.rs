//! Holds how far a capture is, for those who look at it from other threads.

use crate::base::error::hints;
use crate::format::capture_record::{CaptureProblem, CaptureRecord, ProblemKind, RecoverablePoint};
use crate::format::changes::segment::Segment;
use crate::format::changes::uncovered_tables::UncoveredTables;
use crate::format::lsn::Lsn;
use crate::jobs::capture::position_marks::PositionMark;
use crate::repository::chain_tail::ChainTail;
use jiff::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub struct CaptureProgress(Mutex<ProgressState>);

struct ProgressState {
    record: CaptureRecord,
    uncovered: UncoveredTables,
    /// Where the stored changes end.
    end: Lsn,
}

impl CaptureProgress {
    /// Begins with this record, in which nothing is known yet.
    pub fn new(record: CaptureRecord) -> CaptureProgress {
        CaptureProgress(Mutex::new(ProgressState { record, uncovered: UncoveredTables::default(), end: Lsn(0) }))
    }

    /// Returns the record as it is now.
    pub fn record(&self) -> CaptureRecord {
        self.lock().record.clone()
    }

    /// Takes the end of the chain, from which a round begins.
    pub(crate) fn begin(&self, tail: &ChainTail) {
        let mut state = self.lock();
        state.uncovered = tail.uncovered.clone();
        state.end = tail.end;
        let uncovered = state.uncovered.list();
        let record = &mut state.record;
        // Of another generation nothing was known.
        let before = record.recoverable.filter(|_| record.generation == Some(tail.generation.id));
        let stored = tail.written_at.map(|time| RecoverablePoint { position: tail.end, time, seen: time });
        record.recoverable = before.into_iter().chain(stored).max_by_key(|point| point.time);
        record.generation = Some(tail.generation.id);
        record.slot = tail.generation.slot.to_string();
        record.last_segment = tail.written_at;
        record.segments = tail.segments;
        record.transactions = tail.transactions;
        record.stored_bytes = tail.stored_bytes;
        record.uncovered = uncovered;
    }

    /// Notes that changes are streamed from now on.
    pub(crate) fn streams(&self) {
        let record = &mut self.lock().record;
        record.streaming = true;
        record.problem = record.problem.take().filter(|problem| problem.kind == ProblemKind::Gap);
    }

    /// Notes whether the generation that streams has a base. A gap is over with the first one behind it.
    pub fn base(&self, is_there: bool, now: Timestamp) {
        let record = &mut self.lock().record;
        if !record.streaming {
            return;
        }
        record.no_base_since = match is_there {
            true => None,
            false => record.no_base_since.or(Some(now)),
        };
        if is_there {
            record.problem = None;
        }
    }

    /// Takes a segment that has been stored.
    pub(crate) fn stored(&self, segment: &Segment) {
        let mut state = self.lock();
        let before = state.record.last_segment;
        state.uncovered.apply(segment, before);
        state.end = segment.end;
        let uncovered = state.uncovered.list();
        let record = &mut state.record;
        record.uncovered = uncovered;
        record.last_segment = Some(segment.written_at);
        record.segments += 1;
        record.transactions = record.transactions.saturating_add(segment.transactions);
        record.stored_bytes = record.stored_bytes.saturating_add(segment.stored.bytes);
    }

    /// Notes that everything that was visible at this moment is stored.
    pub(crate) fn reached(&self, mark: PositionMark) {
        let mut state = self.lock();
        let point = RecoverablePoint { position: state.end, time: mark.time, seen: mark.seen };
        state.record.recoverable = Some(point);
    }

    /// Notes how much log the server keeps. `None`: it does not say.
    pub(crate) fn keeps(&self, retained_bytes: Option<u64>, limit: u64) {
        let record = &mut self.lock().record;
        record.retained_bytes = retained_bytes;
        record.wal_limit = Some(limit);
    }

    /// Notes as of when a restore brings large objects. `None`: as they are now.
    pub(crate) fn large_objects(&self, as_of: Option<Timestamp>) {
        self.lock().record.large_objects_as_of = as_of;
    }

    /// Notes that the capture does not stream, and why. One that goes on began when it began.
    pub fn failed(&self, error: &anyhow::Error, kind: ProblemKind, now: Timestamp) {
        let record = &mut self.lock().record;
        // It has streamed meanwhile, if there is a gap that is not over.
        let before = record.problem.as_ref().filter(|_| !record.streaming);
        let since = before.map_or(now, |problem| problem.since);
        let hints = hints(error).into_iter().map(str::to_owned).collect();
        record.streaming = false;
        record.problem = Some(CaptureProblem { kind, message: format!("{error:#}"), hints, since });
    }

    /// Notes that the capture has been told to stop.
    pub fn stopped(&self) {
        self.lock().record.streaming = false;
    }

    fn lock(&self) -> MutexGuard<'_, ProgressState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
