//! The document of a segment. It states everything about the segment's payload, and which segment comes before it.

use crate::base::error::{Fault, Result};
use crate::base::subject::Subject;
use crate::format::changes::chain_document::{CHAIN_FORMAT, SealedChainDocument, seal_document};
use crate::format::changes::generation::Generation;
use crate::format::changes::generation_id::GenerationId;
use crate::format::changes::relations::RelationState;
use crate::format::changes::segment_name::{GenerationFolder, GenerationObject};
use crate::format::changes::sequence_sample::SequenceSample;
use crate::format::changes::table_break::TableBreak;
use crate::format::changes::timeline_history::TimelineHistory;
use crate::format::changes::totals::{ChangeCounts, SegmentTotals};
use crate::format::keys::Key;
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::keys::note::KeyNote;
use crate::format::lsn::Lsn;
use crate::format::manifest::{
    CIPHER, Chunks, Compression, Digest, Encryption, Format, META_LIMIT, bounded_members, extension,
};
use crate::format::sql::object_name::TableName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// A lower bound of the bytes of one table's entry.
const LEAST_ENTRY: usize = 48;
pub(super) const MOST_TABLES: usize = META_LIMIT as usize / LEAST_ENTRY;

/// How much one table changes in a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableChanges {
    pub name: TableName,
    pub changes: ChangeCounts,
}

/// The segment before another one, as that one states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousSegment {
    pub start: Lsn,
    /// The seal of its document.
    #[serde(with = "hex::serde")]
    pub seal: [u8; 32],
}

/// The changes from `start` up to `end`, which is the start of the next segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// The format version.
    pub pgbk_changes: u32,
    #[serde(deserialize_with = "bounded_members::subject")]
    pub database: Subject,
    pub generation: GenerationId,
    pub start: Lsn,
    pub end: Lsn,
    /// The segment that ends where this one starts. `None`: this is the first one of its generation.
    pub previous: Option<PreviousSegment>,
    /// The clock of the server when the segment was ended.
    pub written_at: Timestamp,
    /// The earliest and the latest time of a commit. `None`: the segment holds no transaction.
    pub first_commit: Option<Timestamp>,
    pub last_commit: Option<Timestamp>,
    pub transactions: u64,
    /// The tables that change, in the order of their names: a restore of other tables does not need the segment.
    #[serde(deserialize_with = "bounded_members::list::<_, _, MOST_TABLES>")]
    pub tables: Vec<TableChanges>,
    /// The tables that became known in the segment, that other columns identify since, or that have another shape since.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded_members::list::<_, _, MOST_TABLES>"
    )]
    pub relations: Vec<RelationState>,
    /// The tables that are not covered any more, or were not for a while, in the order in which that was found.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded_members::list::<_, _, MOST_TABLES>"
    )]
    pub breaks: Vec<TableBreak>,
    /// The timeline of the server, and those before it. `None`: an earlier version wrote the segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timelines: Option<TimelineHistory>,
    /// The sequences, read behind the last transaction. `None`: they were not, as before pgbk did so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequences: Option<SequenceSample>,
    /// The version of pgbk.
    #[serde(deserialize_with = "bounded_members::word")]
    pub pgbk: String,
    /// The payload's key below the folder.
    #[serde(deserialize_with = "bounded_members::text")]
    pub object: String,
    /// The payload's version, in a bucket that keeps versions.
    #[serde(default, deserialize_with = "bounded_members::maybe_word")]
    pub version_id: Option<String>,
    pub compression: Option<Compression>,
    /// The key that made the seal and the tags. `None`: they detect accident, not attack.
    pub key: Option<KeyNote>,
    pub encryption: Option<Encryption>,
    pub plain: Digest,
    pub stored: Digest,
    pub chunks: Chunks,
}

impl Segment {
    /// Returns the folder of the segment's generation.
    pub fn folder(&self) -> GenerationFolder {
        GenerationFolder { subject: self.database.clone(), generation: self.generation }
    }

    /// Returns the key of its document, which is written last and never overwritten.
    pub fn key_name(&self) -> String {
        self.folder().key(&GenerationObject::Segment(self.start))
    }

    /// Returns the document as it is stored. `derived_keys` are those of [`key`](Self::key). It is an error if the document is none that
    /// could be read again.
    pub fn seal(&self, derived_keys: Option<&DerivedKeys>) -> Result<Vec<u8>> {
        let name = self.key_name();
        match self.fault(&self.folder(), self.start) {
            Some(fault) => Err(Fault::failed(format!("\"{name}\" cannot be written: {fault}")).into()),
            None => seal_document(&name, self, derived_keys),
        }
    }

    /// Checks the seal of a document and reads it. Returns it with the keys of its payload, which are `None` without a key. It is an error
    /// if it belongs to another folder, or to another start.
    pub fn open(
        document: &SealedChainDocument,
        (folder, start): (&GenerationFolder, Lsn),
        key: Option<&Key>,
        unkeyed_allowed: bool,
    ) -> Result<(Segment, Option<DerivedKeys>)> {
        let (segment, mut derived_keys) =
            document.open(key, unkeyed_allowed, |segment: &Segment| segment.fault(folder, start))?;
        let iv = segment.encryption.as_ref().and_then(|encryption| encryption.iv);
        if let (Some(derived_keys), Some(iv)) = (&mut derived_keys, iv) {
            derived_keys.iv = iv;
        }
        Ok((segment, derived_keys))
    }

    /// Fails if the segment does not follow this one. `before`: the segment and the seal of its document; `None`: the segment must be the
    /// first one of the generation.
    pub fn follows(&self, generation: &Generation, before: Option<(&Segment, &[u8; 32])>) -> Result<()> {
        let start = before.map_or(generation.start, |(segment, _)| segment.end);
        let previous = before.map(|(segment, seal)| PreviousSegment { start: segment.start, seal: *seal });
        self.continues(generation, start, previous)
    }

    /// Fails if the segment does not go on at this place, where this other one ended. `None`: there is no other.
    pub fn continues(&self, generation: &Generation, start: Lsn, previous: Option<PreviousSegment>) -> Result<()> {
        if self.start == start && self.previous == previous && self.folder() == generation.folder() {
            return Ok(());
        }
        let name = self.key_name();
        Err(Fault::damaged(format!("\"{name}\" does not continue the chain of segments, which ends at {start}"))
            .hint("a document before it was lost or replaced; what comes before it can still be restored")
            .into())
    }

    /// Sets the counts that the writer of the payload gave.
    pub fn set_totals(&mut self, totals: &SegmentTotals) {
        self.transactions = totals.transactions;
        (self.first_commit, self.last_commit) = (totals.first_commit, totals.last_commit);
        let changes =
            |(name, changes): (&TableName, &ChangeCounts)| TableChanges { name: name.clone(), changes: *changes };
        self.tables = totals.tables.iter().map(changes).collect();
    }

    /// Returns the counts, to compare them with those of a reader of the payload.
    pub fn totals(&self) -> SegmentTotals {
        let tables = self.tables.iter().map(|table| (table.name.clone(), table.changes)).collect();
        let (first_commit, last_commit) = (self.first_commit, self.last_commit);
        SegmentTotals { transactions: self.transactions, first_commit, last_commit, tables }
    }

    fn fault(&self, folder: &GenerationFolder, start: Lsn) -> Option<&'static str> {
        let span = self.start..=self.end;
        match () {
            () if self.pgbk_changes != CHAIN_FORMAT => Some("its format is another one"),
            () if self.folder() != *folder || self.start != start => Some("it belongs to another segment"),
            () if self.end <= self.start => Some("it ends where it starts, or before"),
            () if self.previous.is_some_and(|previous| previous.start >= self.start) => {
                Some("the segment before it starts behind it")
            }
            () if !self.has_times() => Some("its times do not fit its transactions"),
            () if !self.has_tables() => Some("its tables are not in order, or have no changes"),
            () if self.relations.iter().any(|state| !span.contains(&state.from)) => {
                Some("a relation is not of its time")
            }
            () if !self.breaks.iter().all(|one| one.from <= self.end && ends_within(one, &span)) => {
                Some("a break is not of its time")
            }
            () if self.timelines.as_ref().is_some_and(TimelineHistory::is_odd) => Some("no server has its timelines"),
            () if self.sequences.as_ref().is_some_and(|sample| !sample.is_behind(self.end)) => {
                Some("its sequences are not of its time, or not in order")
            }
            () if !self.has_object() => Some("its object is not the one that its start names"),
            () => self.payload_fault(),
        }
    }

    fn has_times(&self) -> bool {
        match (self.first_commit, self.last_commit) {
            (Some(first), Some(last)) => self.transactions > 0 && first <= last,
            (None, None) => self.transactions == 0 && self.tables.is_empty(),
            _ => false,
        }
    }

    fn has_tables(&self) -> bool {
        self.tables.is_sorted_by(|one, next| one.name < next.name)
            && !self.tables.iter().any(|table| table.changes.is_zero())
    }

    fn has_object(&self) -> bool {
        let expected = extension(Format::Plain, self.compression, self.encryption.is_some());
        match GenerationFolder::of_key(&self.object) {
            Some((folder, GenerationObject::Payload { start, extension, .. })) => {
                folder == self.folder() && start == self.start && extension == expected
            }
            _ => false,
        }
    }

    fn payload_fault(&self) -> Option<&'static str> {
        let Some(encryption) = &self.encryption else { return self.chunks.fault(self.stored.bytes) };
        let is_raw = matches!(self.key, Some(KeyNote::Raw { .. }));
        match () {
            () if encryption.cipher != CIPHER => Some("its cipher is unknown"),
            () if self.key.is_none() => Some("it is encrypted but names no key"),
            () if encryption.iv.is_some() != is_raw => Some("its IV does not fit its key"),
            () => self.chunks.fault(self.stored.bytes),
        }
    }
}

/// Returns whether the end of a break, if it has one, lies behind its beginning and in the segment. It may have begun before that.
fn ends_within(one: &TableBreak, span: &RangeInclusive<Lsn>) -> bool {
    one.until.is_none_or(|until| one.from <= until.commit && span.contains(&until.commit))
}

#[cfg(test)]
mod tests;
