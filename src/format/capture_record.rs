//! The record of a capture, `STATE_DIR/captures/…json`: how far it is, and what is wrong with it. Nothing in it is needed to go on.

use crate::base::subject::Subject;
use crate::format::changes::generation_id::GenerationId;
use crate::format::changes::uncovered_tables::UncoveredRelation;
use crate::format::lsn::Lsn;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptureRecord {
    pub database: Subject,
    /// The server, as its settings say.
    pub server: String,
    /// The version of pgbk.
    pub version: String,
    /// Process id, as it is in its container.
    pub process: u32,
    pub started: Timestamp,
    /// Whether it streams now.
    pub streaming: bool,
    /// Name of the replication slot.
    pub slot: String,
    /// `None`: nothing has been looked at yet.
    pub generation: Option<GenerationId>,
    /// The newest moment that can be restored. `None`: none is known yet.
    pub recoverable: Option<RecoverablePoint>,
    /// The server's clock when the last segment was ended. `None`: there is none.
    pub last_segment: Option<Timestamp>,
    pub segments: u64,
    pub transactions: u64,
    pub stored_bytes: u64,
    /// How many bytes of its log the server keeps for the slot. `None`: it has not been asked, or does not say.
    pub retained_bytes: Option<u64>,
    /// How many it may keep.
    pub wal_limit: Option<u64>,
    /// How old the newest moment that can be restored may be.
    pub lag_limit: SignedDuration,
    #[serde(default)]
    pub uncovered: Vec<UncoveredRelation>,
    /// When the newest base was made, if large objects have changed behind it: a restore brings them as they were then. `None`: none have,
    /// or there is no base.
    #[serde(default)]
    pub large_objects_as_of: Option<Timestamp>,
    /// Since when the generation has had no base: nothing of it can be restored. `None`: it has one, or does not stream yet.
    #[serde(default)]
    pub no_base_since: Option<Timestamp>,
    /// Why it does not stream. `None`: it does, or begins to. A gap stays until what is behind it can be restored.
    pub problem: Option<CaptureProblem>,
}

/// The newest moment that can be restored: everything that was visible then is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverablePoint {
    /// Where the stored changes end.
    pub position: Lsn,
    /// The moment by the server's clock.
    pub time: Timestamp,
    /// The moment by the clock of this host, from which the lag is counted: the two clocks may differ.
    pub seen: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureProblem {
    pub kind: ProblemKind,
    pub message: String,
    #[serde(default)]
    pub hints: Vec<String>,
    /// When it began.
    pub since: Timestamp,
}

/// Says what would end a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// The store or the server may be there again later.
    Passing,
    /// The slot is gone, was given up or moved, or the server is another one: only a new generation goes on.
    Slot,
    /// The server was promoted or set back, and a new generation has begun behind a gap.
    Gap,
    /// The stored chain is broken.
    Chain,
    /// Somebody has to change something.
    Settings,
}

#[cfg(test)]
impl CaptureRecord {
    /// Returns that of a capture of `shop` that streams, whose newest moment is this one, for tests.
    pub(crate) fn example(now: Timestamp) -> CaptureRecord {
        let before = |seconds| now - SignedDuration::from_secs(seconds);
        CaptureRecord {
            database: "shop".to_owned().into(),
            server: "db:5432 as pgbk".to_owned(),
            version: "1".to_owned(),
            process: 1,
            started: before(100),
            streaming: true,
            slot: "pgbk_shop".to_owned(),
            generation: None,
            recoverable: Some(RecoverablePoint { position: Lsn(7), time: before(3600), seen: now }),
            last_segment: None,
            segments: 1,
            transactions: 1,
            stored_bytes: 1,
            retained_bytes: Some(10),
            wal_limit: Some(100),
            lag_limit: SignedDuration::from_secs(300),
            uncovered: Vec::new(),
            large_objects_as_of: None,
            no_base_since: None,
            problem: None,
        }
    }
}

impl CaptureRecord {
    /// Returns how old the newest moment is that can be restored. Before one is known it is as old as the capture.
    pub fn lag(&self, now: Timestamp) -> SignedDuration {
        let seen = self.recoverable.map_or(self.started, |point| point.seen);
        now.duration_since(seen).max(SignedDuration::ZERO)
    }
}
