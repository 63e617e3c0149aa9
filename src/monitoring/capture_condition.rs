//! How far a capture is and what is wrong with it, for the status in all its forms.

use crate::base::state_dir::file::WriterLife;
use crate::format::capture_record::{CaptureProblem, CaptureRecord};
use crate::format::changes::generation_id::GenerationId;
use crate::format::changes::uncovered_tables::UncoveredRelation;
use crate::format::lsn::Lsn;
use crate::monitoring::status_facts::Facts;
use crate::runs::captures::capture_trouble::{CaptureTrouble, of_saved};
use crate::runs::captures::record_file::SavedCapture;
use jiff::Timestamp;
use serde::Serialize;
use std::cmp::Reverse;

#[derive(Debug, Clone, Serialize)]
pub struct CaptureCondition {
    pub database: String,
    pub server: String,
    /// Whether changes are streamed now.
    pub streaming: bool,
    /// All that is wrong, the worst first.
    pub troubles: Vec<CaptureTrouble>,
    /// `None`: nothing is known yet.
    pub generation: Option<GenerationId>,
    pub slot: String,
    /// The newest moment that can be restored. `None`: none is known, or the generation has no base.
    pub recoverable: Option<RecoverableMoment>,
    /// How old that is; `None` with it.
    pub lag_seconds: Option<i64>,
    pub lag_limit_seconds: i64,
    pub last_segment: Option<Timestamp>,
    pub segments: u64,
    pub transactions: u64,
    pub stored_bytes: u64,
    /// How many bytes of its log the server keeps for the slot. `None`: unknown.
    pub retained_bytes: Option<u64>,
    /// How many it may keep.
    pub wal_limit: Option<u64>,
    pub uncovered: Vec<UncoveredRelation>,
    /// When the newest base was made, if large objects have changed behind it: a restore brings them as they were then. `None`: they have not.
    pub large_objects_as_of: Option<Timestamp>,
    /// Since when the generation has had no base. `None`: it has one.
    pub no_base_since: Option<Timestamp>,
    /// Why it does not stream, as it was said last.
    pub problem: Option<CaptureProblem>,
    /// When all this was written.
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct RecoverableMoment {
    /// Where the stored changes end.
    pub position: Lsn,
    /// The moment by the server's clock.
    pub time: Timestamp,
}

impl CaptureCondition {
    pub fn of_all(facts: &Facts) -> Vec<CaptureCondition> {
        let mut all: Vec<CaptureCondition> =
            facts.captures.iter().map(|saved| CaptureCondition::of(saved, facts.now)).collect();
        // Of several of one name the one that streams is first.
        let order =
            |one: &CaptureCondition| (one.database.clone(), !one.streaming, Reverse(one.at), one.server.clone());
        all.sort_by_key(order);
        all
    }

    /// Returns the name of the database, with the server where another one of these has the same name.
    pub fn label(&self, all: &[CaptureCondition]) -> String {
        match all.iter().filter(|one| one.database == self.database).count() {
            0 | 1 => self.database.clone(),
            _ => format!("{} ({})", self.database, self.server),
        }
    }

    fn of(saved: &SavedCapture, now: Timestamp) -> CaptureCondition {
        let record: &CaptureRecord = &saved.record;
        let recoverable = record.recoverable;
        CaptureCondition {
            database: record.database.to_string(),
            server: record.server.clone(),
            streaming: record.streaming && saved.life != WriterLife::Gone,
            troubles: of_saved(saved, now),
            generation: record.generation,
            slot: record.slot.clone(),
            recoverable: recoverable.map(|point| RecoverableMoment { position: point.position, time: point.time }),
            lag_seconds: recoverable.map(|_| record.lag(now).as_secs()),
            lag_limit_seconds: record.lag_limit.as_secs(),
            last_segment: record.last_segment,
            segments: record.segments,
            transactions: record.transactions,
            stored_bytes: record.stored_bytes,
            retained_bytes: record.retained_bytes,
            wal_limit: record.wal_limit,
            uncovered: record.uncovered.clone(),
            large_objects_as_of: record.large_objects_as_of,
            no_base_since: record.no_base_since,
            problem: record.problem.clone(),
            at: saved.pulse,
        }
    }

    /// Returns why it is not healthy. `None`: it is.
    pub fn reason(&self) -> Option<String> {
        let worst = self.troubles.iter().find(|trouble| trouble.is_unhealthy())?;
        Some(format!("{}: {}", self.database, worst.text))
    }

    /// Returns in a few words what it does.
    pub fn state(&self) -> &'static str {
        match (self.streaming, self.troubles.first()) {
            (true, None) => "streams",
            (true, Some(_)) => "streams, with trouble",
            (false, Some(_)) => "DOES NOT STREAM",
            (false, None) => "begins",
        }
    }
}
