//! Says what is wrong with a capture, for alerts and for the status alike.

#[cfg(test)]
mod tests;

use crate::alerts::capture_outage::CaptureCause;
use crate::base::state_dir::file::WriterLife;
use crate::format::capture_record::{CaptureProblem, CaptureRecord, ProblemKind};
use crate::format::changes::uncovered_tables::{CoverEnd, UncoveredRelation};
use crate::runs::captures::record_file::SavedCapture;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// How long a capture may do without its stream before that is trouble: a server restarts, a connection is lost.
const INTERRUPTION: SignedDuration = SignedDuration::from_secs(60);
/// A record that was not written for so long is of a process that hangs.
const HANGS: SignedDuration = SignedDuration::from_secs(60);

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaptureTrouble {
    pub kind: TroubleKind,
    pub text: String,
    pub hint: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TroubleKind {
    NotRunning,
    /// The slot is gone, or of no more use.
    Slot,
    /// The server was promoted or set back, and a new generation has begun behind a gap.
    Gap,
    /// The stored chain is broken.
    Chain,
    /// The generation has no base, so nothing of it can be restored.
    NoBase,
    Lag,
    /// The server keeps more than half of the log that it may.
    Log,
    /// This table is not covered.
    Uncovered(String),
}

impl CaptureTrouble {
    fn new(kind: TroubleKind, text: impl Into<String>, hint: impl Into<String>) -> CaptureTrouble {
        CaptureTrouble { kind, text: text.into(), hint: hint.into() }
    }

    /// Returns whether what is newest cannot be restored because of it.
    pub fn is_unhealthy(&self) -> bool {
        !matches!(self.kind, TroubleKind::Log | TroubleKind::Uncovered(_))
    }

    /// Returns it as people are alerted to it.
    pub(crate) fn cause(&self) -> CaptureCause {
        let key = match &self.kind {
            TroubleKind::NotRunning => "not-running".to_owned(),
            TroubleKind::Slot => "slot".to_owned(),
            TroubleKind::Gap => "gap".to_owned(),
            TroubleKind::Chain => "chain".to_owned(),
            TroubleKind::NoBase => "no-base".to_owned(),
            TroubleKind::Lag => "lag".to_owned(),
            TroubleKind::Log => "log".to_owned(),
            TroubleKind::Uncovered(table) => format!("uncovered {table}"),
        };
        CaptureCause { key, text: self.text.clone(), hint: self.hint.clone() }
    }
}

/// Returns what is wrong with a capture of which this record was found.
pub fn of_saved(saved: &SavedCapture, now: Timestamp) -> Vec<CaptureTrouble> {
    let SavedCapture { record, life, pulse } = saved;
    let ended = match life {
        WriterLife::Gone => {
            Some(format!("no capture is running: the server keeps its log for slot \"{}\"", record.slot))
        }
        _ if now.duration_since(*pulse) > HANGS => {
            Some(format!("the capture hangs: its record was last written at {pulse:.0}"))
        }
        _ => None,
    };
    let mut all = of_record(record, now);
    if let Some(text) = ended {
        // Why it ended counts for more than that it did.
        all.retain(|one| !matches!(one.kind, TroubleKind::NotRunning | TroubleKind::Lag));
        if !all.iter().any(CaptureTrouble::is_unhealthy) {
            let text = match &record.problem {
                Some(problem) => format!("{text}; it ended with: {}", problem.message),
                None => text,
            };
            let hint =
                format!("start it again, or end it for good: pgbk capture {} --teardown", record.database.name());
            all.insert(0, CaptureTrouble::new(TroubleKind::NotRunning, text, hint));
        }
    }
    all
}

/// Returns what is wrong with a capture that keeps this record, the worst first.
pub(crate) fn of_record(record: &CaptureRecord, now: Timestamp) -> Vec<CaptureTrouble> {
    let broken = record.problem.as_ref().and_then(|problem| of_problem(problem, now));
    let is_slow_start =
        !record.streaming && record.problem.is_none() && now.duration_since(record.started) > INTERRUPTION;
    let begins = is_slow_start.then(|| {
        CaptureTrouble::new(
            TroubleKind::NotRunning,
            "the capture does not begin to stream",
            "look into the log of pgbk",
        )
    });
    let lag = record.lag(now);
    let baseless = record.no_base_since.filter(|since| now.duration_since(*since) > record.lag_limit).map(|since| {
        let text = format!(
            "nothing that has been captured since {since:.0} can be restored: there is no base behind which it stands"
        );
        let hint = "any backup is a base: \"pgbk history\" says why none was made, and \"pgbk doctor\" what it needs";
        CaptureTrouble::new(TroubleKind::NoBase, text, hint)
    });
    let is_behind = record.streaming && record.no_base_since.is_none() && lag > record.lag_limit;
    let behind = is_behind.then(|| {
        let (lag, limit) = (lag.as_secs(), record.lag_limit.as_secs());
        let text = format!("the newest moment that can be restored is {lag} s old, of at most {limit} s");
        let hint = "is the store slow, or does the server decode a long transaction? CAPTURE_LAG_LIMIT sets the limit";
        CaptureTrouble::new(TroubleKind::Lag, text, hint)
    });
    let first = [broken, begins, baseless, behind].into_iter().flatten();
    first.chain(log(record)).chain(uncovered(record, now)).collect()
}

/// Returns why a capture does not stream. `None`: it may be over soon.
fn of_problem(problem: &CaptureProblem, now: Timestamp) -> Option<CaptureTrouble> {
    let CaptureProblem { kind, message, hints, since } = problem;
    let trouble = |kind, what: &str| Some(CaptureTrouble::new(kind, format!("{what}: {message}"), hints.join("\n")));
    match kind {
        ProblemKind::Passing if now.duration_since(*since) <= INTERRUPTION => None,
        ProblemKind::Passing => {
            trouble(TroubleKind::NotRunning, &format!("the capture has not streamed since {since:.0}"))
        }
        ProblemKind::Settings => trouble(TroubleKind::NotRunning, "the capture does not stream"),
        ProblemKind::Slot => trouble(TroubleKind::Slot, "the capture cannot go on"),
        ProblemKind::Gap => trouble(TroubleKind::Gap, "there is a gap in what is captured"),
        ProblemKind::Chain => trouble(TroubleKind::Chain, "the stored chain is broken"),
    }
}

fn log(record: &CaptureRecord) -> Option<CaptureTrouble> {
    let (kept, limit) = (record.retained_bytes?, record.wal_limit?);
    (kept > limit / 2).then(|| {
        let text = format!(
            "the server keeps {kept} bytes of its log for slot \"{}\"; at {limit} the slot is given up",
            record.slot
        );
        let hint = "find what keeps the capture from storing. CAPTURE_WAL_LIMIT sets the limit";
        CaptureTrouble::new(TroubleKind::Log, text, hint)
    })
}

/// A table that waits for a base is none before it has waited for as long as any moment may.
fn uncovered(record: &CaptureRecord, now: Timestamp) -> impl Iterator<Item = CaptureTrouble> {
    let is_late = move |until: CoverEnd| now.duration_since(until.time) > record.lag_limit;
    let counts = move |table: &&UncoveredRelation| !table.waits_for_base || table.until.is_some_and(is_late);
    record.uncovered.iter().filter(counts).map(|table| {
        let name = table.table.text();
        let until = match &table.until {
            Some(until) => format!("from {} on, after {:.0}", until.position, until.time),
            None => "at all".to_owned(),
        };
        let reason = table.reason.describe();
        let (text, hint) = match &table.until {
            Some(until) if table.waits_for_base => (
                format!("{name} waits for a base since {}, after {:.0}: {reason}", until.position, until.time),
                "any backup is a base: see why none was taken (CAPTURE_BASES, pgbk history)",
            ),
            _ => (
                format!("changes of {name} are not captured {until}: {reason}"),
                "backups have the table: how often are they taken?",
            ),
        };
        CaptureTrouble::new(TroubleKind::Uncovered(name), text, hint)
    })
}
