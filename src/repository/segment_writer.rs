//! Writes segments: the payload first, and its document last, under a name that only one writer can take.

#[cfg(test)]
mod tests;

use crate::base::error::{Fault, Kind, Result, into_io, kind};
use crate::base::progress::Monitor;
use crate::base::random;
use crate::format::changes::chain_document::{CHAIN_FORMAT, SealedChainDocument};
use crate::format::changes::delta_head::DeltaHead;
use crate::format::changes::delta_writer::{DeltaOutcome, DeltaWriter};
use crate::format::changes::generation::Generation;
use crate::format::changes::relations::Relations;
use crate::format::changes::segment::{PreviousSegment, Segment};
use crate::format::changes::segment_name::GenerationObject;
use crate::format::changes::sequence_sample::SequenceSample;
use crate::format::changes::timeline_history::TimelineHistory;
use crate::format::keys::Key;
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::manifest::{Compression, Format, META_LIMIT, extension};
use crate::pipeline::pack::{Pack, PackOptions, PackResult};
use crate::repository::Repository;
use crate::repository::payload::payload_upload::PayloadUpload;
use crate::repository::payload::stored_payload::StoredPayload;
use crate::repository::writer::encryption;
use crate::store::{ObjectKind, Store, read_small, write_as};
use jiff::Timestamp;
use std::io::{self, Write};
use std::sync::Arc;

/// The size to plan for, in bytes: an object may be four times as large, as a segment with a huge transaction may be.
const EXPECTED: u64 = 4 << 30;

/// The payload of a segment. Nothing is created in the store before its first bytes come.
pub struct SegmentPayload {
    store: Arc<dyn Store>,
    object: String,
    compression: Option<Compression>,
    key: Option<Key>,
    encrypt: bool,
    begun: Option<BegunPayload>,
}

struct BegunPayload {
    pack: Pack<PayloadUpload>,
    derived_keys: Option<DerivedKeys>,
}

/// Holds what a segment states besides what its payload gives.
pub struct SegmentFacts<'a> {
    pub generation: &'a Generation,
    pub previous: Option<PreviousSegment>,
    /// The clock of the server.
    pub written_at: Timestamp,
    pub timelines: &'a TimelineHistory,
    /// The sequences behind the end of the segment. `None`: they could not be read.
    pub sequences: Option<SequenceSample>,
}

/// A segment that is in the store, and the tables that are known at its end.
pub struct StoredSegment {
    pub segment: Segment,
    pub seal: [u8; 32],
    pub known: Relations,
}

impl Write for SegmentPayload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.open().map_err(into_io)?.pack.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SegmentPayload {
    fn open(&mut self) -> Result<&mut BegunPayload> {
        let begun = match self.begun.take() {
            Some(begun) => begun,
            None => self.begin()?,
        };
        Ok(self.begun.insert(begun))
    }

    fn begin(&self) -> Result<BegunPayload> {
        let derived_keys = self.key.as_ref().map(Key::begin).transpose()?;
        let upload = PayloadUpload::begin(&self.store, &self.object, EXPECTED, None)?;
        let recipe = PackOptions {
            format: Format::Plain,
            compression: self.compression,
            derived_keys: derived_keys.as_ref(),
            encrypt: self.encrypt,
            expected: EXPECTED,
        };
        Ok(BegunPayload { pack: Pack::new(upload, &recipe)?, derived_keys })
    }
}

impl Repository {
    /// Begins a segment of this generation. What is dropped before [`store_segment`](Self::store_segment) leaves nothing.
    pub fn begin_segment(
        &self,
        generation: &Generation,
        head: DeltaHead,
        known: Relations,
        compression: Option<Compression>,
    ) -> Result<DeltaWriter<SegmentPayload>> {
        let encrypt = self.encrypt && self.key.is_some();
        let extension = extension(Format::Plain, compression, encrypt);
        let name = GenerationObject::Payload { start: head.start, nonce: random::bytes()?, extension };
        let payload = SegmentPayload {
            store: Arc::clone(&self.store),
            object: generation.folder().key(&name),
            compression,
            key: self.key.clone(),
            encrypt,
            begun: None,
        };
        DeltaWriter::begin(payload, head, known)
    }

    /// Stores a segment that was written to its end. It is an error of kind `Busy` if another writer has stored one with this start.
    pub fn store_segment(
        &self,
        outcome: DeltaOutcome<SegmentPayload>,
        facts: SegmentFacts<'_>,
        monitor: &dyn Monitor,
    ) -> Result<StoredSegment> {
        let DeltaOutcome { to: mut payload, start, end, totals, relations, breaks, known } = outcome;
        payload.open()?;
        let SegmentPayload { object, compression, encrypt, begun, .. } = payload;
        let BegunPayload { pack, derived_keys } = begun.ok_or_else(|| Fault::failed("a segment has no payload"))?;
        let (upload, packed) = pack.finish()?.without_writer();
        let stored = StoredPayload::of(&object, upload.commit(monitor)?);
        let mut segment = Segment {
            pgbk_changes: CHAIN_FORMAT,
            database: facts.generation.database.clone(),
            generation: facts.generation.id,
            start,
            end,
            previous: facts.previous,
            written_at: facts.written_at,
            first_commit: None,
            last_commit: None,
            transactions: 0,
            tables: Vec::new(),
            relations,
            breaks,
            timelines: Some(facts.timelines.clone()),
            sequences: facts.sequences,
            pgbk: env!("CARGO_PKG_VERSION").to_owned(),
            object,
            version_id: stored.version(),
            compression,
            key: derived_keys.as_ref().map(|derived_keys| derived_keys.note.clone()),
            encryption: encrypt.then(|| encryption(derived_keys.as_ref())),
            plain: packed.plain,
            stored: packed.stored,
            chunks: packed.chunks.clone(),
        };
        segment.set_totals(&totals);
        let document = self.check_segment(&segment, derived_keys.as_ref(), (&stored, &packed), monitor);
        let document = document.inspect_err(|_| self.rollback(&stored.keys(), monitor))?;
        // Behind this a payload is removed only where the name is another's: the document may be there although no answer came.
        let written = self.write_segment_document(&segment.key_name(), &document);
        let seal = written.inspect_err(|error| {
            if kind(error) == Kind::Busy {
                self.rollback(&stored.keys(), monitor);
            }
        })?;
        self.require_place(facts.generation, &segment, &stored.keys(), monitor)?;
        Ok(StoredSegment { segment, seal, known })
    }

    /// Fails if the segment is not beside the document of its generation. A share may have gone while it was written: then it is in the
    /// folder below, where no restore finds it, and the server must not be told that it is stored.
    fn require_place(
        &self,
        generation: &Generation,
        segment: &Segment,
        payload: &[String],
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let (generation, document) = (generation.folder().key(&GenerationObject::Generation), segment.key_name());
        // In this order: a share that comes back between the two lacks the second.
        let found = self.looked_up(&generation).and_then(|_| self.looked_up(&document));
        let Err(error) = found else { return Ok(()) };
        if kind(&error) == Kind::NotFound {
            let keys: Vec<String> = payload.iter().cloned().chain([document]).collect();
            self.rollback(&keys, monitor);
            return Err(Fault::failed("the store does not hold the changes that were stored before")
                .hint("is the folder mounted that STORE_DIR names? Nothing is lost: the server sends the changes again")
                .into());
        }
        Err(error)
    }

    /// Checks the payload, and returns the document.
    fn check_segment(
        &self,
        segment: &Segment,
        derived_keys: Option<&DerivedKeys>,
        (stored, packed): (&StoredPayload, &PackResult<()>),
        monitor: &dyn Monitor,
    ) -> Result<Vec<u8>> {
        if self.verify {
            self.check(stored, packed, monitor)?;
        }
        segment.seal(derived_keys)
    }

    /// Writes the document, which makes a segment of the payload, and returns its seal.
    fn write_segment_document(&self, name: &str, document: &[u8]) -> Result<[u8; 32]> {
        let seal = *SealedChainDocument::parse(name, document.to_vec())?.seal();
        let Err(error) = write_as(self.store.as_ref(), name, document, ObjectKind::Meta) else { return Ok(seal) };
        match read_small(self.store.as_ref(), name, META_LIMIT) {
            // The request arrived although its answer did not.
            Ok(found) if found == document => Ok(seal),
            Ok(_) => {
                Err(Fault::new(Kind::Busy, format!("another capture has stored \"{name}\", which comes next here"))
                    .hint("one capture at a time writes the changes of a database: stop one of the two")
                    .into())
            }
            Err(_) => Err(error),
        }
    }
}
