//! Finds the end of a chain of segments, where a capture goes on.

use crate::base::error::{Fault, Result};
use crate::base::subject::Subject;
use crate::base::{cancel, threads};
use crate::format::changes::generation::Generation;
use crate::format::changes::relations::Relations;
use crate::format::changes::segment::{PreviousSegment, Segment};
use crate::format::changes::segment_name::{GenerationFolder, GenerationObject};
use crate::format::lsn::Lsn;
use crate::repository::Repository;
use crate::repository::budget::Budget;
use crate::store::ObjectInfo;
use jiff::Timestamp;

/// Documents read at the same time.
const READERS: usize = 16;
/// Most bytes that the documents and their parsed forms may take together while they are read.
const MEMORY: u64 = 64 << 20;

/// The newest generation of a database, and what its segments come to.
#[derive(Debug, Clone)]
pub struct ChainTail {
    pub generation: Generation,
    /// Where the last segment ends, and the next one starts.
    pub end: Lsn,
    /// The last segment. `None`: none has been stored yet.
    pub previous: Option<PreviousSegment>,
    /// All tables as the segments state them.
    pub known: Relations,
    pub segments: u64,
    pub stored_bytes: u64,
    pub transactions: u64,
    /// The latest time of a commit. `None`: there is no transaction.
    pub last_commit: Option<Timestamp>,
    /// The server's clock when the last segment was ended.
    pub written_at: Option<Timestamp>,
}

impl Repository {
    /// Returns the newest generation of a database; `None` if there is none. Its segments are not read.
    pub fn newest_generation(&self, subject: &Subject) -> Result<Option<Generation>> {
        let newest = self.newest_listing(subject)?;
        newest.map(|(folder, listed)| self.listed_generation(&folder, &listed)).transpose()
    }

    /// Follows the segments of the newest generation to their end. It is an error if one of them is missing, or none that this key wrote.
    pub fn chain_tail(&self, subject: &Subject) -> Result<Option<ChainTail>> {
        let Some((folder, listed)) = self.newest_listing(subject)? else { return Ok(None) };
        let generation = self.listed_generation(&folder, &listed)?;
        let listed = self.store.list(&folder.prefix())?;
        let starts: Vec<(Lsn, ObjectInfo)> = listed.into_iter().filter_map(segment_start).collect();
        let budget = Budget::new(MEMORY);
        let segments = threads::each(&starts, READERS, |(start, listed)| {
            cancel::check()?;
            let _share = budget.take(2 * listed.bytes);
            let document = self.chain_document(&listed.key, listed)?;
            let (segment, _) =
                Segment::open(&document, (&folder, *start), self.key.as_ref(), self.allow_unauthenticated)?;
            Ok((segment, *document.seal()))
        })?;
        ChainTail::of(generation, &segments).map(Some)
    }

    fn newest_listing(&self, subject: &Subject) -> Result<Option<(GenerationFolder, ObjectInfo)>> {
        let listed = self.store.list(&GenerationFolder::all(subject))?;
        let documents = listed.into_iter().filter_map(|listed| match GenerationFolder::of_key(&listed.key) {
            Some((folder, GenerationObject::Generation)) => Some((folder, listed)),
            _ => None,
        });
        Ok(documents.max_by_key(|(folder, _)| folder.generation))
    }

    fn listed_generation(&self, folder: &GenerationFolder, listed: &ObjectInfo) -> Result<Generation> {
        let document = self.chain_document(&listed.key, listed)?;
        Generation::open(&document, folder, self.key.as_ref(), self.allow_unauthenticated)
    }
}

fn segment_start(listed: ObjectInfo) -> Option<(Lsn, ObjectInfo)> {
    match GenerationFolder::of_key(&listed.key) {
        Some((_, GenerationObject::Segment(start))) => Some((start, listed)),
        _ => None,
    }
}

impl ChainTail {
    fn of(generation: Generation, segments: &[(Segment, [u8; 32])]) -> Result<ChainTail> {
        let mut tail = ChainTail {
            end: generation.start,
            generation,
            previous: None,
            known: Relations::default(),
            segments: 0,
            stored_bytes: 0,
            transactions: 0,
            last_commit: None,
            written_at: None,
        };
        let mut before: Option<(&Segment, &[u8; 32])> = None;
        for (segment, seal) in segments {
            segment.follows(&tail.generation, before).map_err(unfollowed)?;
            tail.known.apply(&segment.relations, &segment.breaks);
            tail.segments += 1;
            tail.stored_bytes = tail.stored_bytes.saturating_add(segment.stored.bytes);
            tail.transactions = tail.transactions.saturating_add(segment.transactions);
            tail.last_commit = tail.last_commit.max(segment.last_commit);
            tail.written_at = Some(segment.written_at);
            tail.end = segment.end;
            tail.previous = Some(PreviousSegment { start: segment.start, seal: *seal });
            before = Some((segment, seal));
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
