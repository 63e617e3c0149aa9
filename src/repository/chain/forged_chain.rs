//! Makes chains of segments in memory, for tests: whole ones, and then whatever somebody may have done to them.

use crate::base::subject::Subject;
use crate::format::changes::chain_document::{CHAIN_FORMAT, SealedChainDocument};
use crate::format::changes::delta_head::DeltaHead;
use crate::format::changes::delta_reader::DeltaReader;
use crate::format::changes::generation::{Generation, ServerIdentifier};
use crate::format::changes::relations::RelationState;
use crate::format::changes::segment::{PreviousSegment, Segment};
use crate::format::changes::segment_name::{GenerationFolder, GenerationObject};
use crate::format::changes::table_break::TableBreak;
use crate::format::changes::totals::SegmentTotals;
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::lsn::Lsn;
use crate::format::manifest::encoding::EncodingName;
use crate::format::manifest::{CIPHER, Compression, Encryption, Format, Method, extension};
use crate::pipeline::pack::{Pack, PackOptions};
use crate::repository::Repository;
use crate::store::write_small;
use std::io::Write;

pub(crate) const DATABASE: &str = "shop";

/// The segments of one generation, as a capture would have stored them one after the other.
pub(crate) struct ForgedChain<'a> {
    pub repository: &'a Repository,
    pub generation: Generation,
    pub segments: Vec<(Segment, [u8; 32])>,
}

impl<'a> ForgedChain<'a> {
    /// Begins a generation at 0/100, which this id names.
    pub fn begin(repository: &'a Repository, id: &str) -> ForgedChain<'a> {
        ForgedChain::begin_on(repository, id, 7_301_234_567_890_123_456)
    }

    /// Begins such a generation of this server.
    pub fn begin_on(repository: &'a Repository, id: &str, server: u64) -> ForgedChain<'a> {
        let keys = keys(repository);
        let generation = Generation {
            pgbk_changes: CHAIN_FORMAT,
            id: id.parse().unwrap(),
            database: Subject::from(DATABASE),
            start: Lsn(0x100),
            created_at: "2026-08-22T03:15:00Z".parse().unwrap(),
            system_identifier: ServerIdentifier(server),
            timeline: 1,
            server_version: "15.18".into(),
            server_version_num: 150_018,
            encoding: EncodingName::named("UTF8").unwrap(),
            slot: "pgbk_shop".parse().unwrap(),
            publications: vec!["pgbk".parse().unwrap()],
            key: keys.as_ref().map(|keys| keys.note.clone()),
        };
        let bytes = generation.seal(keys.as_ref()).unwrap();
        write_small(repository.store.as_ref(), &generation.key_name(), &bytes).unwrap();
        ForgedChain { repository, generation, segments: Vec::new() }
    }

    /// Stores the next segments of the generation, up to these places.
    pub fn up_to(mut self, ends: &[u64]) -> ForgedChain<'a> {
        for end in ends {
            let start = self.segments.last().map_or(self.generation.start, |(segment, _)| segment.end);
            let previous = self.segments.last().map(|(segment, seal)| (segment.start, *seal));
            self.add(start, Lsn(*end), previous);
        }
        self
    }

    /// Stores the next segment of the generation, which states these tables.
    pub fn state(&mut self, end: u64, relations: Vec<RelationState>, breaks: Vec<TableBreak>) {
        let start = self.segments.last().map_or(self.generation.start, |(segment, _)| segment.end);
        let previous = self.segments.last().map(|(segment, seal)| (segment.start, *seal));
        self.put((start, Lsn(end)), previous, (relations, breaks));
    }

    /// Stores a segment with one transaction, which commits right behind the start.
    pub fn add(&mut self, start: Lsn, end: Lsn, previous: Option<(Lsn, [u8; 32])>) {
        self.put((start, end), previous, (Vec::new(), Vec::new()));
    }

    fn put(
        &mut self,
        (start, end): (Lsn, Lsn),
        previous: Option<(Lsn, [u8; 32])>,
        (relations, breaks): (Vec<RelationState>, Vec<TableBreak>),
    ) {
        let keys = keys(self.repository);
        let delta = delta(start, end);
        let mut reader = DeltaReader::begin(delta.as_bytes(), 1 << 20).unwrap();
        while reader.next_record().unwrap().is_some() {}
        let (mut segment, payload) = self.packed(start, end, &delta, keys.as_ref());
        (segment.relations, segment.breaks) = (relations, breaks);
        segment.previous = previous.map(|(start, seal)| PreviousSegment { start, seal });
        segment.set_totals(&reader.totals());
        let bytes = segment.seal(keys.as_ref()).unwrap();
        let seal = *SealedChainDocument::parse("x", bytes.clone()).unwrap().seal();
        let store = self.repository.store.as_ref();
        write_small(store, &segment.object, &payload).unwrap();
        write_small(store, &segment.key_name(), &bytes).unwrap();
        self.segments.push((segment, seal));
    }

    fn packed(&self, start: Lsn, end: Lsn, delta: &str, keys: Option<&DerivedKeys>) -> (Segment, Vec<u8>) {
        let compression = Some(Compression { method: Method::Zstd, level: 3 });
        let encrypt = self.repository.encrypt;
        let options = PackOptions { format: Format::Plain, compression, derived_keys: keys, encrypt, expected: 0 };
        let mut pack = Pack::new(Vec::new(), &options).unwrap();
        pack.write_all(delta.as_bytes()).unwrap();
        let packed = pack.finish().unwrap();
        let key = keys.map(|keys| keys.note.clone());
        let encrypted = keys.filter(|_| encrypt);
        let extension = extension(Format::Plain, compression, encrypted.is_some());
        let object = GenerationObject::Payload { start, nonce: [7; 4], extension };
        let mut segment = Segment {
            pgbk_changes: CHAIN_FORMAT,
            database: self.generation.database.clone(),
            generation: self.generation.id,
            start,
            end,
            previous: None,
            written_at: "2026-08-22T03:20:00Z".parse().unwrap(),
            first_commit: None,
            last_commit: None,
            transactions: 0,
            tables: Vec::new(),
            relations: Vec::new(),
            breaks: Vec::new(),
            timelines: None,
            sequences: None,
            pgbk: "0.1.0".into(),
            object: self.folder().key(&object),
            version_id: None,
            compression,
            key,
            encryption: encrypted.map(|keys| Encryption { cipher: CIPHER.into(), iv: Some(keys.iv) }),
            plain: packed.plain,
            stored: packed.stored,
            chunks: packed.chunks,
        };
        segment.set_totals(&SegmentTotals::default());
        (segment, packed.writer)
    }

    pub fn folder(&self) -> GenerationFolder {
        self.generation.folder()
    }

    /// Returns the key of the document of the segment with this number.
    pub fn document(&self, number: usize) -> String {
        self.segments[number].0.key_name()
    }
}

fn keys(repository: &Repository) -> Option<DerivedKeys> {
    repository.key.as_ref().map(|key| key.begin().unwrap())
}

/// Returns a delta with one transaction that inserts a row, whose commit time is as many seconds as the start has bytes.
fn delta(start: Lsn, end: Lsn) -> String {
    let head = DeltaHead { start, encoding: EncodingName::named("UTF8").unwrap() };
    let (commit, micros) = (Lsn(start.0 + 1), start.0 * 1_000_000);
    format!(
        "{}-- tx {} {commit} {micros}\nBEGIN;\n-- relation 5 d \"public\".\"t\" (\"id\" 23 -1 key)\n\
         INSERT INTO \"public\".\"t\" (\"id\") OVERRIDING SYSTEM VALUE VALUES ('{}');\nCOMMIT;\n-- end {end}\n\
         -- pgbk delta end {end}\n",
        head.text(),
        start.0,
        start.0
    )
}
