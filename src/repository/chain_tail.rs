//! Finds the end of a chain of segments, where a capture goes on.

use crate::base::error::{Fault, Result};
use crate::base::subject::Subject;
use crate::format::changes::chain_cut::ChainCut;
use crate::format::changes::generation::Generation;
use crate::format::changes::known_sequences::KnownSequences;
use crate::format::changes::relations::Relations;
use crate::format::changes::segment::{PreviousSegment, Segment};
use crate::format::changes::table_break::TableBreak;
use crate::format::changes::timeline_history::TimelineHistory;
use crate::format::changes::uncovered_tables::UncoveredTables;
use crate::format::lsn::Lsn;
use crate::repository::Repository;
use crate::repository::chain::chain_link::ChainLink;
use crate::repository::chain::generation_listing::GenerationListing;
use jiff::Timestamp;
use std::sync::Arc;

/// The newest generation of a database, and what its segments come to.
#[derive(Debug, Clone)]
pub struct ChainTail {
    pub generation: Generation,
    /// Where the first segment starts that is there.
    pub start: Lsn,
    /// Where the last segment ends, and the next one starts.
    pub end: Lsn,
    /// The last segment. `None`: none has been stored yet.
    pub previous: Option<PreviousSegment>,
    /// The timeline from which the last segment comes, and those before it.
    pub timelines: TimelineHistory,
    /// All tables as the segments state them.
    pub known: Relations,
    /// All sequences as the segments state them.
    pub sequences: KnownSequences,
    /// The tables that are not covered at the end, with the moments up to which they are.
    pub uncovered: UncoveredTables,
    pub segments: u64,
    pub stored_bytes: u64,
    pub transactions: u64,
    /// The latest time of a commit. `None`: there is no transaction.
    pub last_commit: Option<Timestamp>,
    /// The latest time of a commit in the last segment. `None`: it has no transaction.
    pub latest: Option<Timestamp>,
    /// The server's clock when the last segment was ended.
    pub written_at: Option<Timestamp>,
    /// All segments, as far as they decide when a base is due.
    pub weights: Arc<Vec<SegmentWeight>>,
}

/// Holds what a segment adds to that which lies behind a base.
#[derive(Debug, Clone)]
pub struct SegmentWeight {
    pub end: Lsn,
    pub written_at: Timestamp,
    pub stored_bytes: u64,
    pub transactions: u64,
    /// Changed rows and emptied tables.
    pub changes: u64,
    pub breaks: Vec<TableBreak>,
}

impl SegmentWeight {
    pub fn of(segment: &Segment) -> SegmentWeight {
        SegmentWeight {
            end: segment.end,
            written_at: segment.written_at,
            stored_bytes: segment.stored.bytes,
            transactions: segment.transactions,
            changes: segment.tables.iter().fold(0, |sum, table| sum.saturating_add(table.changes.sum())),
            breaks: segment.breaks.clone(),
        }
    }
}

impl Repository {
    /// Returns the objects of the newest generation of a database; `None` if there is none.
    pub(crate) fn newest_generation(&self, subject: &Subject) -> Result<Option<GenerationListing>> {
        let generations = self.generations(subject)?;
        Ok(generations.into_iter().rfind(|listing| listing.document.is_some()))
    }

    /// Follows the segments of the newest generation to their end. It is an error if one of them is missing, or none that this key wrote.
    pub fn chain_tail(&self, subject: &Subject) -> Result<Option<ChainTail>> {
        let Some(listing) = self.newest_generation(subject)? else { return Ok(None) };
        let generation = self.generation(&listing)?;
        let cut = self.cut(&listing)?;
        let links = self.each_link(&listing, |_, link| link)?;
        ChainTail::of(generation, cut, &links).map(Some)
    }
}

impl ChainTail {
    fn of(generation: Generation, cut: Option<ChainCut>, links: &[ChainLink]) -> Result<ChainTail> {
        let mut known = Relations::default();
        let (mut sequences, mut uncovered) = (KnownSequences::default(), UncoveredTables::default());
        if let Some(cut) = &cut {
            known.apply(&cut.relations, &cut.breaks);
            cut.sequences.iter().for_each(|sample| sequences.apply(sample));
            uncovered.begin(cut);
        }
        let start = cut.as_ref().map_or(generation.start, |cut| cut.start);
        let mut tail = ChainTail {
            start,
            end: start,
            timelines: TimelineHistory::new(generation.timeline, Vec::new()),
            generation,
            previous: cut.map(|cut| cut.previous),
            known,
            sequences,
            uncovered,
            segments: 0,
            stored_bytes: 0,
            transactions: 0,
            last_commit: None,
            latest: None,
            written_at: None,
            weights: Arc::new(links.iter().map(|link| SegmentWeight::of(&link.segment)).collect()),
        };
        for ChainLink { segment, seal, .. } in links {
            segment.continues(&tail.generation, tail.end, tail.previous).map_err(unfollowed)?;
            tail.known.apply(&segment.relations, &segment.breaks);
            segment.sequences.iter().for_each(|sample| tail.sequences.apply(sample));
            tail.uncovered.apply(segment, tail.written_at);
            tail.segments += 1;
            tail.stored_bytes = tail.stored_bytes.saturating_add(segment.stored.bytes);
            tail.transactions = tail.transactions.saturating_add(segment.transactions);
            tail.last_commit = tail.last_commit.max(segment.last_commit);
            tail.latest = segment.last_commit;
            tail.written_at = Some(segment.written_at);
            tail.end = segment.end;
            tail.timelines = segment.timelines.clone().unwrap_or(tail.timelines);
            tail.previous = Some(PreviousSegment { start: segment.start, seal: *seal });
        }
        Ok(tail)
    }
}

/// Adds what to do where a chain is broken: a capture never goes on behind a gap.
fn unfollowed(error: anyhow::Error) -> anyhow::Error {
    Fault::like(&error, format!("{error:#}"))
        .hint("\"pgbk capture --new-generation\" begins a new chain; take a backup after it")
        .into()
}
