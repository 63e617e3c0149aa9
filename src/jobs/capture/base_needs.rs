//! Says when the next base of a generation is due, and why.

use crate::base::error::Result;
use crate::base::subject::Subject;
use crate::format::backup_id::BackupId;
use crate::format::changes::generation_id::GenerationId;
use crate::format::changes::segment::Segment;
use crate::format::changes::table_break::{BreakReason, TableBreak};
use crate::format::changes::uncovered_tables::{CoverEnd, UncoveredRelation};
use crate::format::manifest::base_alignment::BaseAlignment;
use crate::format::manifest::{Format, Manifest};
use crate::repository::Repository;
use crate::repository::chain_tail::{ChainTail, SegmentWeight};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long no table must have changed: a migration of many statements is one reason for a base.
const QUIET: Duration = Duration::from_secs(5);
/// How many times as long as the last base took passes before a changed table is reason for the next one: who changes tables all the time
/// must not have the database backed up all the time.
const SPACING: u32 = 10;

/// When bases are taken, besides after changes of tables.
#[derive(Debug, Clone, Copy)]
pub struct BaseRules {
    /// How old the newest base may become. `None`: as old as it likes.
    pub every: Option<Duration>,
    /// How many stored bytes of changes may lie behind it. `None`: any number.
    pub bytes: Option<u64>,
    /// How many changes of rows may lie behind it. `None`: any number.
    pub changes: Option<u64>,
}

/// The newest base of a generation.
#[derive(Debug, Clone)]
pub struct KnownBase {
    pub id: BackupId,
    pub taken_at: Timestamp,
    alignment: BaseAlignment,
    /// How long it took.
    took: Duration,
}

impl KnownBase {
    /// Returns what is kept of a backup. `None`: it is no base of this generation.
    pub fn of(manifest: &Manifest, generation: GenerationId) -> Option<KnownBase> {
        let alignment = manifest.changes.clone().filter(|changes| changes.generation() == generation)?;
        let seconds: f64 = manifest.seconds.values().filter(|seconds| seconds.is_finite()).sum();
        let took = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let (id, taken_at) = (manifest.id.clone(), manifest.taken_at);
        (manifest.dump.format == Format::Plain).then_some(KnownBase { id, taken_at, alignment, took })
    }

    /// Looks for the newest base of a generation. `None`: there is none.
    pub fn newest(repository: &Repository, subject: &Subject, generation: GenerationId) -> Result<Option<KnownBase>> {
        let newest = repository.newest_base(subject, generation)?;
        Ok(newest.and_then(|newest| KnownBase::of(&newest, generation)))
    }
}

/// Why a base is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseReason {
    /// The generation has none.
    First,
    /// So many tables have changed since the newest one, or are new.
    Tables(usize),
    /// The newest one is as old as it may become.
    Age,
    /// So many bytes of changes lie behind it.
    Bytes(u64),
    /// So many changes of rows lie behind it.
    Changes(u64),
    /// Large objects have changed, of which no segment tells.
    LargeObjects,
}

impl BaseReason {
    /// Says it to people, as the end of a sentence.
    pub fn describe(&self) -> String {
        match self {
            BaseReason::First => "the generation has none yet".to_owned(),
            BaseReason::Tables(1) => "1 table has changed since the newest one, or is new".to_owned(),
            BaseReason::Tables(count) => format!("{count} tables have changed since the newest one, or are new"),
            BaseReason::Age => "the newest one has the age of CAPTURE_BASE_EVERY".to_owned(),
            BaseReason::Bytes(bytes) => {
                format!("{bytes} bytes of changes lie behind the newest one (CAPTURE_BASE_BYTES)")
            }
            BaseReason::Changes(count) => {
                format!("{count} changes of rows lie behind the newest one (CAPTURE_BASE_CHANGES)")
            }
            BaseReason::LargeObjects => "large objects have changed since the newest one".to_owned(),
        }
    }
}

/// When the next base is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseDue {
    /// Not before then.
    pub at: Timestamp,
    pub reason: BaseReason,
}

/// Holds what has come behind the newest base of a generation.
#[derive(Debug, Default)]
pub struct BaseNeeds {
    generation: Option<GenerationId>,
    base: Option<KnownBase>,
    weights: Vec<SegmentWeight>,
    /// `None`: the server has not been asked yet.
    large_objects: Option<LargeObjectMark>,
}

/// Says how many changes of large objects the server has counted, and when it was first seen that there are so many, by its clock.
#[derive(Debug, Clone, Copy)]
struct LargeObjectMark {
    count: u64,
    since: Timestamp,
}

/// Holds what is known of the chain, for the thread that takes bases of it.
pub type SharedNeeds = Mutex<BaseNeeds>;

/// Takes the newest stored base of a generation: somebody else may have made it.
pub fn look_for_base(
    repository: &Repository,
    subject: &Subject,
    generation: GenerationId,
    needs: &SharedNeeds,
) -> Result<()> {
    if let Some(base) = KnownBase::newest(repository, subject, generation)? {
        locked(needs).set_base(base);
    }
    Ok(())
}

/// Locks what another thread may have left in the middle of nothing.
pub fn locked(needs: &SharedNeeds) -> MutexGuard<'_, BaseNeeds> {
    needs.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BaseNeeds {
    /// Takes a chain as it is stored. A base that is known stays so if it is of the same generation.
    pub fn begin(&mut self, tail: &ChainTail) {
        let generation = Some(tail.generation.id);
        self.base = self.base.take().filter(|_| self.generation == generation);
        self.generation = generation;
        self.weights.clone_from(&tail.weights);
        self.pass();
    }

    /// Takes the next segment.
    pub fn add(&mut self, segment: &Segment) {
        self.weights.push(SegmentWeight::of(segment));
    }

    /// Takes how many changes of large objects the server counts at a moment by its clock.
    pub fn count_large_objects(&mut self, count: u64, now: Timestamp) {
        let known = self.large_objects.filter(|known| known.count == count);
        self.large_objects = known.or(Some(LargeObjectMark { count, since: now }));
    }

    /// Returns when the newest base was made, if large objects have changed behind it. `None`: they have not, or nobody knows.
    pub fn large_objects_as_of(&self) -> Option<Timestamp> {
        self.changed_large_objects().map(|(base, _)| base.taken_at)
    }

    fn changed_large_objects(&self) -> Option<(&KnownBase, LargeObjectMark)> {
        let base = self.base.as_ref()?;
        let held = base.alignment.large_objects()?;
        Some((base, self.large_objects.filter(|mark| mark.count != held)?))
    }

    /// Returns the generation, once its first segment is stored: no backup before that is a base.
    pub fn generation(&self) -> Option<GenerationId> {
        self.generation.filter(|_| !self.weights.is_empty() || self.base.is_some())
    }

    pub fn base(&self) -> Option<&KnownBase> {
        self.base.as_ref()
    }

    /// Takes the newest base of this generation. Nothing happens if another one has begun meanwhile.
    pub fn set_base(&mut self, base: KnownBase) {
        if self.generation == Some(base.alignment.generation()) {
            self.base = Some(base);
            self.pass();
        }
    }

    /// Forgets the segments that end before the base.
    fn pass(&mut self) {
        if let Some(base) = &self.base {
            let after = base.alignment.after_lsn();
            self.weights.retain(|weight| weight.end > after || weight.breaks.iter().any(|one| is_before(base, one)));
        }
    }

    /// Returns when the next base is due by these rules. `None`: not before something changes.
    pub fn due(&self, rules: &BaseRules) -> Option<BaseDue> {
        let newest = self.weights.last().map(|weight| weight.written_at);
        let Some(base) = &self.base else {
            return newest.map(|_| BaseDue { at: Timestamp::UNIX_EPOCH, reason: BaseReason::First });
        };
        let waiting = self.waiting();
        let after = base.alignment.after_lsn();
        let behind = || self.weights.iter().filter(|weight| weight.end > after);
        let bytes = behind().fold(0u64, |sum, weight| sum.saturating_add(weight.stored_bytes));
        let changes = behind().fold(0u64, |sum, weight| sum.saturating_add(weight.changes));
        let tables = (!waiting.is_empty()).then(|| {
            let broken = self.weights.iter().rfind(|weight| !weight.breaks.is_empty()).map(|weight| weight.written_at);
            let at = settled(base, broken.unwrap_or(base.taken_at));
            BaseDue { at, reason: BaseReason::Tables(waiting.len()) }
        });
        let large = self.changed_large_objects();
        let large =
            large.map(|(base, mark)| BaseDue { at: settled(base, mark.since), reason: BaseReason::LargeObjects });
        let age = rules.every.filter(|_| behind().any(|weight| weight.transactions > 0));
        let age = age.map(|every| BaseDue { at: later(base.taken_at, every), reason: BaseReason::Age });
        let size = rules.bytes.filter(|limit| bytes >= *limit);
        let size = size.map(|_| BaseDue { at: base.taken_at, reason: BaseReason::Bytes(bytes) });
        let count = rules.changes.filter(|limit| changes >= *limit);
        let count = count.map(|_| BaseDue { at: base.taken_at, reason: BaseReason::Changes(changes) });
        [tables, large, age, size, count].into_iter().flatten().min_by_key(|due| due.at)
    }

    /// Returns the tables that no base reaches further with until the next one is taken, each with what has changed, and up to where the
    /// newest base reaches.
    pub fn waiting(&self) -> Vec<UncoveredRelation> {
        let Some(base) = &self.base else { return Vec::new() };
        let mut tables: BTreeMap<u32, (BreakReason, UncoveredRelation)> = BTreeMap::new();
        let mut time = base.taken_at;
        for weight in &self.weights {
            for one in weight.breaks.iter().filter(|one| is_before(base, one)) {
                let until = Some(CoverEnd { position: one.from, time });
                let (table, reason) = (one.table.clone(), one.reason);
                let found = UncoveredRelation { table, reason, until, waits_for_base: true };
                let (_, known) = tables.entry(one.oid).or_insert((reason, found.clone()));
                *known = UncoveredRelation { until: known.until, reason: known.reason.then(reason), ..found };
            }
            time = time.max(weight.written_at);
        }
        // What came and went since is in no base anyway.
        let is_wanted = |(first, last): &(BreakReason, UncoveredRelation)| {
            !(*first == BreakReason::Unknown && last.reason == BreakReason::Dropped)
        };
        tables.into_values().filter(is_wanted).map(|(_, last)| last).collect()
    }
}

/// Returns whether a base is before a break that is over.
fn is_before(base: &KnownBase, one: &TableBreak) -> bool {
    one.until.is_some_and(|until| !base.alignment.holds(until.commit, until.xid))
}

/// Returns when a base is due behind this one because of something that changed at a moment, and may change again.
fn settled(base: &KnownBase, changed: Timestamp) -> Timestamp {
    later(changed, QUIET).max(later(base.taken_at, base.took.saturating_mul(SPACING)))
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
