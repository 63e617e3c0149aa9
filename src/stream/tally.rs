//! Counts and hashes what passes: the plain side with its tables, the stored side with a tag for every chunk.

use super::Stage;
use super::lanes::{Lane, Lanes, STEP};
use super::tables::{Outcome, Tables};
use crate::keys::{Bytes32, Purpose, Working};
use crate::manifest::{Chunks, LARGEST_CHUNK, MOST_CHUNKS, SMALLEST_CHUNK, Sum, Tag};
use blake2b_simd::{Hash, Params};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The key of a digest; None for one that anybody can compute.
pub type DigestKey = Option<Bytes32>;

/// Length and BLAKE2b-512 of what was seen.
pub struct Summer {
    bytes: u64,
    hash: Lane,
}

impl Default for Summer {
    fn default() -> Self {
        Summer::within(&Lanes::default(), None)
    }
}

impl Summer {
    /// Computed beside other hashes; under a key where there is one, so that the digest tells nothing to who does not have it.
    pub fn within(lanes: &Lanes, key: DigestKey) -> Self {
        let mut params = Params::new();
        if let Some(key) = &key {
            params.key(&key[..]);
        }
        Summer { bytes: 0, hash: lanes.open(&params) }
    }

    /// For the dump of a backup that was made with these keys.
    pub fn of_plain(working: Option<&Working>) -> Self {
        Summer::within(&Lanes::default(), working.and_then(|working| working.key(Purpose::Plain)))
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn finish(self) -> Sum {
        Sum { bytes: self.bytes, blake2b: *self.hash.finish().as_array() }
    }
}

/// Passes the dump on and takes its sum, and its tables where it is a script.
pub struct PlainTally<W> {
    inner: W,
    sum: Summer,
    tables: Option<Tables>,
}

impl<W: Write> PlainTally<W> {
    pub fn new(inner: W, sum: Summer, tables: Option<Tables>) -> Self {
        PlainTally { inner, sum, tables }
    }
}

impl<W: Write> Write for PlainTally<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(STEP)];
        self.inner.write_all(bytes)?;
        self.sum.update(bytes);
        if let Some(tables) = &mut self.tables {
            tables.update(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Stage for PlainTally<W> {
    type Inner = (W, Sum, Option<Outcome>);

    fn finish(self) -> io::Result<Self::Inner> {
        Ok((self.inner, self.sum.finish(), self.tables.map(Tables::finish)))
    }
}

/// BLAKE2b-256, keyed where there is a key, over the chunk's bytes, its index (8 bytes, big-endian) and 1 for the last chunk, else 0.
pub struct Tagger {
    /// Without one the tags detect accident only.
    key: DigestKey,
}

impl Tagger {
    pub fn new(key: DigestKey) -> Self {
        Tagger { key }
    }

    /// For the payload of a backup that was made with these keys.
    pub fn of(working: Option<&Working>) -> Self {
        Tagger::new(working.and_then(|working| working.key(Purpose::Chunk)))
    }

    fn params(&self) -> Params {
        let mut params = Params::new();
        params.hash_length(32);
        if let Some(key) = &self.key {
            params.key(&key[..]);
        }
        params
    }

    pub fn tag(&self, chunk: &[u8], index: u64, last: bool) -> Tag {
        tag(self.params().to_state().update(chunk).update(&position(index, last)).finalize())
    }
}

/// What ends the bytes under a tag.
fn position(index: u64, last: bool) -> [u8; 9] {
    let mut position = [u8::from(last); 9];
    position[..8].copy_from_slice(&index.to_be_bytes());
    position
}

fn tag(hash: Hash) -> Tag {
    let mut tag = [0; 32];
    tag.copy_from_slice(hash.as_bytes());
    Tag(tag)
}

fn end(mut open: Lane, index: u64, last: bool) -> Tag {
    open.update(&position(index, last));
    tag(open.finish())
}

/// Passes bytes on to the store and takes their sum and chunk tags.
pub struct StoredTally<W> {
    inner: W,
    /// Bytes so far, for whoever shows progress.
    passed: Arc<AtomicU64>,
    sum: Summer,
    lanes: Lanes,
    tagger: Tagger,
    /// Bytes of the open chunk so far.
    filled: u64,
    open: Lane,
    chunks: Chunks,
}

impl<W: Write> StoredTally<W> {
    pub fn new(inner: W, lanes: &Lanes, tagger: Tagger, chunk_size: u64) -> Self {
        let (sum, open) = (Summer::within(lanes, None), lanes.open(&tagger.params()));
        let chunks = Chunks { size: chunk_size, tags: Vec::new() };
        StoredTally { inner, passed: Arc::default(), sum, lanes: lanes.clone(), tagger, filled: 0, open, chunks }
    }

    pub fn passed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.passed)
    }

    /// A full chunk is closed only when another byte comes: until then it may be the last.
    fn close_full_chunk(&mut self) -> io::Result<()> {
        let index = self.chunks.tags.len() as u64;
        if index + 1 >= MOST_CHUNKS {
            return Err(outgrown(self.sum.bytes()).into());
        }
        let closed = std::mem::replace(&mut self.open, self.lanes.open(&self.tagger.params()));
        self.chunks.tags.push(end(closed, index, false));
        self.filled = 0;
        Ok(())
    }

    /// The writer beneath, what it was given, and the tags.
    pub fn into_parts(self) -> (W, Sum, Chunks) {
        let mut chunks = self.chunks;
        let index = chunks.tags.len() as u64;
        chunks.tags.push(end(self.open, index, true));
        (self.inner, self.sum.finish(), chunks)
    }
}

fn outgrown(bytes: u64) -> crate::error::Fault {
    crate::error::Fault::failed(format!("the backup has outgrown the size that was planned for, at {bytes} bytes"))
        .hint("set DUMP_SIZE_ESTIMATE to what the dump really needs, such as 500G")
}

impl<W: Write> Write for StoredTally<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write_all(bytes)?;
        self.passed.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.sum.update(bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.filled == self.chunks.size {
                self.close_full_chunk()?;
            }
            let room = (self.chunks.size - self.filled).min(rest.len() as u64);
            let (now, later) = rest.split_at(room as usize);
            self.open.update(now);
            self.filled += room;
            rest = later;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Stage for StoredTally<W> {
    type Inner = (W, Sum, Chunks);

    fn finish(self) -> io::Result<Self::Inner> {
        Ok(self.into_parts())
    }
}

/// The chunk size for an object of about this many bytes: a power of two from 1 MiB, with room for four times as many.
pub fn chunk_size(expected: u64) -> u64 {
    expected
        .saturating_mul(4)
        .div_ceil(MOST_CHUNKS)
        .max(SMALLEST_CHUNK)
        .checked_next_power_of_two()
        .unwrap_or(LARGEST_CHUNK)
        .min(LARGEST_CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Kind, hints, kind};
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    proptest! {
        #[test]
        fn the_tags_of_a_stream_are_the_tags_of_its_chunks(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 1usize..50, keyed in any::<bool>()
        ) {
            let key = || keyed.then(|| Zeroizing::new([7; 32]));
            let mut tally = StoredTally::new(Vec::new(), &Lanes::default(), Tagger::new(key()), 16);
            for piece in bytes.chunks(cut) {
                tally.write_all(piece).unwrap();
            }
            let (out, sum, chunks) = tally.into_parts();
            prop_assert_eq!(&out, &bytes);
            prop_assert_eq!(sum.bytes, bytes.len() as u64);
            let tagger = Tagger::new(key());
            let pieces: Vec<&[u8]> = if bytes.is_empty() { vec![&[]] } else { bytes.chunks(16).collect() };
            let last = pieces.len() - 1;
            let expected: Vec<Tag> =
                pieces.iter().enumerate().map(|(n, piece)| tagger.tag(piece, n as u64, n == last)).collect();
            prop_assert_eq!(chunks.tags, expected);
        }
    }

    #[test]
    fn a_backup_of_more_chunks_than_a_document_may_list_is_told_with_what_to_set() {
        let mut tally = StoredTally::new(io::sink(), &Lanes::default(), Tagger::new(None), 1);
        tally.write_all(&vec![0; MOST_CHUNKS as usize]).unwrap();
        let error = anyhow::Error::from(tally.write_all(&[0]).unwrap_err());
        assert_eq!(kind(&error), Kind::Failed);
        assert!(format!("{error:#}").contains("outgrown the size that was planned for, at 16385 bytes"), "{error:#}");
        assert_eq!(hints(&error), ["set DUMP_SIZE_ESTIMATE to what the dump really needs, such as 500G"]);
        assert_eq!(tally.into_parts().2.tags.len() as u64, MOST_CHUNKS);
    }

    #[test]
    fn chunks_grow_with_the_object_so_that_their_number_stays_bounded() {
        assert_eq!(chunk_size(0), 1 << 20);
        assert_eq!(chunk_size(4 << 30), 1 << 20);
        assert_eq!(chunk_size(40 << 30), 16 << 20);
        for expected in [1u64 << 30, 1 << 40, u64::MAX] {
            assert!(chunk_size(expected).is_power_of_two());
        }
    }
}
