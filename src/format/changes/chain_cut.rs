//! The document of a cut: where a chain begins since the segments before it were removed, and what these had told of the tables.
//!
//! Without it nobody would know which tables the removed segments had stated, and which of them were not covered any more. It is written
//! before the first segment is removed. From then on the chain begins at the cut, whatever is still there of the part before it.

use crate::base::subject::Subject;
use crate::format::changes::chain_document::{CHAIN_FORMAT, SealedChainDocument, seal_document};
use crate::format::changes::generation_id::GenerationId;
use crate::format::changes::known_sequences::KnownSequences;
use crate::format::changes::relations::RelationState;
use crate::format::changes::segment::{MOST_TABLES, PreviousSegment, Segment};
use crate::format::changes::segment_name::{GenerationFolder, GenerationObject};
use crate::format::changes::sequence_sample::SequenceSample;
use crate::format::changes::table_break::TableBreak;
use crate::format::keys::Key;
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::keys::note::KeyNote;
use crate::format::lsn::Lsn;
use crate::format::manifest::bounded_members;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The new beginning of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainCut {
    /// The format version.
    pub pgbk_changes: u32,
    #[serde(deserialize_with = "bounded_members::subject")]
    pub database: Subject,
    pub generation: GenerationId,
    /// Where the first segment starts that is left.
    pub start: Lsn,
    /// The segment that ended there.
    pub previous: PreviousSegment,
    /// The latest state of each table that the removed segments stated.
    #[serde(deserialize_with = "bounded_members::list::<_, _, MOST_TABLES>")]
    pub relations: Vec<RelationState>,
    /// The breaks of the removed segments, in their order.
    #[serde(deserialize_with = "bounded_members::list::<_, _, MOST_TABLES>")]
    pub breaks: Vec<TableBreak>,
    /// All sequences, as the last sample of the removed segments had them. `None`: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequences: Option<SequenceSample>,
    /// The version of pgbk.
    #[serde(deserialize_with = "bounded_members::word")]
    pub pgbk: String,
    /// The key that made the seal. `None`: it detects accident, not attack.
    pub key: Option<KeyNote>,
}

impl ChainCut {
    /// Cuts a chain behind a segment. `before`: an earlier cut of the same chain.
    pub fn behind(segment: &Segment, seal: [u8; 32], before: Option<ChainCut>) -> ChainCut {
        let before = before.map(|cut| (cut.relations, cut.breaks, cut.sequences));
        let (relations, breaks, sequences) = before.unwrap_or_default();
        let mut cut = ChainCut {
            pgbk_changes: CHAIN_FORMAT,
            database: segment.database.clone(),
            generation: segment.generation,
            start: segment.end,
            previous: PreviousSegment { start: segment.start, seal },
            relations,
            breaks,
            sequences,
            pgbk: env!("CARGO_PKG_VERSION").to_owned(),
            key: None,
        };
        cut.pass(segment);
        cut
    }

    /// Takes what a segment states of tables and sequences, after all segments before it.
    fn pass(&mut self, segment: &Segment) {
        let mut stated = BTreeSet::new();
        let last_first = segment.relations.iter().rev().filter(|state| stated.insert(state.relation.oid));
        let latest: Vec<RelationState> = last_first.cloned().collect();
        self.relations.retain(|state| !stated.contains(&state.relation.oid));
        self.relations.extend(latest.into_iter().rev());
        self.breaks.extend(segment.breaks.iter().cloned());
        if let Some(sample) = &segment.sequences {
            let mut known = KnownSequences::default();
            self.sequences.iter().chain([sample]).for_each(|sample| known.apply(sample));
            self.sequences = Some(SequenceSample { at: sample.at, changed: known.into_notes() });
        }
    }

    /// Returns the folder of its generation.
    pub fn folder(&self) -> GenerationFolder {
        GenerationFolder { subject: self.database.clone(), generation: self.generation }
    }

    /// Returns the key of its document.
    pub fn key_name(&self) -> String {
        self.folder().key(&GenerationObject::Cut(self.start))
    }

    /// Returns the document as it is stored. `derived_keys` are those of [`key`](Self::key).
    pub fn seal(&self, derived_keys: Option<&DerivedKeys>) -> Result<Vec<u8>> {
        seal_document(&self.key_name(), self, derived_keys)
    }

    /// Checks the seal of a document and reads it. It is an error if it belongs to another folder, or to another place.
    pub fn open(
        document: &SealedChainDocument,
        (folder, start): (&GenerationFolder, Lsn),
        key: Option<&Key>,
        unkeyed_allowed: bool,
    ) -> Result<ChainCut> {
        let (cut, _) = document.open(key, unkeyed_allowed, |cut: &ChainCut| cut.fault(folder, start))?;
        Ok(cut)
    }

    fn fault(&self, folder: &GenerationFolder, start: Lsn) -> Option<&'static str> {
        match () {
            () if self.pgbk_changes != CHAIN_FORMAT => Some("its format is another one"),
            () if self.folder() != *folder || self.start != start => Some("it belongs to another place"),
            () if self.previous.start >= self.start => Some("the segment before it starts behind it"),
            () if self.relations.iter().any(|state| state.from > self.start) => Some("a relation is not of its time"),
            () if self.breaks.iter().any(|broken| broken.from > self.start) => Some("a break is not of its time"),
            () if self.sequences.as_ref().is_some_and(|sample| !sample.is_in_order()) => {
                Some("its sequences are not in order")
            }
            () => None,
        }
    }
}
