//! Counts and hashes what passes: the plain side, and the stored side with a tag for every chunk.

use crate::base::error::Fault;
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::keys::digest_key::DigestKey;
use crate::format::keys::purpose::Purpose;
use crate::format::manifest::{Chunks, Digest, LARGEST_CHUNK, MOST_CHUNKS, SMALLEST_CHUNK, Tag};
use crate::pipeline::Stage;
use crate::pipeline::multi_hash::{HashLane, MultiHash, STEP};
use blake2b_simd::{Hash, Params};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Computes the length and the BLAKE2b-512 of the bytes that it is given.
pub struct Hasher {
    bytes: u64,
    hash: HashLane,
}

impl Default for Hasher {
    fn default() -> Self {
        Hasher::within(&MultiHash::default(), None)
    }
}

impl Hasher {
    /// Returns a hasher that is computed together with the other hashes in `lanes`. With a key, the digest tells
    /// nothing to those who do not have it.
    fn within(lanes: &MultiHash, key: DigestKey) -> Self {
        let mut params = Params::new();
        if let Some(key) = &key {
            params.key(&key[..]);
        }
        Hasher { bytes: 0, hash: lanes.open(&params) }
    }

    /// Returns the hasher for the dump of a backup that was made with these keys. None: without a key.
    pub fn of_plain(derived_keys: Option<&DerivedKeys>) -> Self {
        Hasher::of_plain_within(&MultiHash::default(), derived_keys)
    }

    /// Returns the same, computed together with the other hashes in `lanes`.
    pub fn of_plain_within(lanes: &MultiHash, derived_keys: Option<&DerivedKeys>) -> Self {
        Hasher::within(lanes, derived_keys.and_then(|derived_keys| derived_keys.key(Purpose::Plain)))
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn finish(self) -> Digest {
        Digest { bytes: self.bytes, blake2b: *self.hash.finish().as_array() }
    }
}

/// Passes the dump on, and computes its digest.
pub(crate) struct PlainChecksum<W> {
    inner: W,
    sum: Hasher,
}

impl<W: Write> PlainChecksum<W> {
    pub fn new(inner: W, sum: Hasher) -> Self {
        PlainChecksum { inner, sum }
    }

    /// Passes bytes on in another way than by a write, and counts them.
    pub fn pass<T>(&mut self, bytes: &[u8], pass: impl FnOnce(&mut W) -> io::Result<T>) -> io::Result<T> {
        let passed = pass(&mut self.inner)?;
        self.sum.update(bytes);
        Ok(passed)
    }
}

impl<W: Write> Write for PlainChecksum<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The hashes beneath may be computed together with this one.
        let taken = self.inner.write(&bytes[..bytes.len().min(STEP)])?;
        self.sum.update(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Stage for PlainChecksum<W> {
    type Inner = (W, Digest);

    fn finish(self) -> io::Result<Self::Inner> {
        Ok((self.inner, self.sum.finish()))
    }
}

/// Computes the tag of a chunk: BLAKE2b-256, keyed if there is a key, over the chunk's bytes, its index (8 bytes,
/// big-endian) and 1 for the last chunk, else 0.
pub struct ChunkMac {
    /// None: the tags detect accidents only, and no forgery.
    key: DigestKey,
}

impl ChunkMac {
    pub fn new(key: DigestKey) -> Self {
        ChunkMac { key }
    }

    /// Returns the MAC for the payload of a backup that was made with these keys. None: without a key.
    pub fn of(derived_keys: Option<&DerivedKeys>) -> Self {
        ChunkMac::new(derived_keys.and_then(|derived_keys| derived_keys.key(Purpose::Chunk)))
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

/// Returns the last bytes that a tag covers: the chunk's index, and whether it is the last chunk.
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

fn end(mut open: HashLane, index: u64, last: bool) -> Tag {
    open.update(&position(index, last));
    tag(open.finish())
}

/// Passes bytes on to the store, and computes their digest and the tags of their chunks.
pub(crate) struct StoredChecksum<W> {
    inner: W,
    /// Number of bytes so far, for those who show progress.
    passed: Arc<AtomicU64>,
    sum: Hasher,
    lanes: MultiHash,
    tagger: ChunkMac,
    /// Bytes of the open chunk so far.
    filled: u64,
    open: HashLane,
    chunks: Chunks,
}

impl<W: Write> StoredChecksum<W> {
    pub fn new(inner: W, tagger: ChunkMac, chunk_size: u64) -> Self {
        let lanes = MultiHash::default();
        let (sum, open) = (Hasher::within(&lanes, None), lanes.open(&tagger.params()));
        let chunks = Chunks { size: chunk_size, tags: Vec::new() };
        StoredChecksum { inner, passed: Arc::default(), sum, lanes, tagger, filled: 0, open, chunks }
    }

    /// Returns the hashes, for one more that is computed together with them.
    pub fn lanes(&self) -> MultiHash {
        self.lanes.clone()
    }

    pub fn passed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.passed)
    }

    /// Closes a full chunk. Called only when another byte comes: until then the chunk may be the last.
    fn close_full_chunk(&mut self) -> io::Result<()> {
        let index = self.chunks.tags.len() as u64;
        if index + 1 >= MOST_CHUNKS {
            return Err(outgrown(self.passed.load(Ordering::Relaxed)).into());
        }
        let closed = std::mem::replace(&mut self.open, self.lanes.open(&self.tagger.params()));
        self.chunks.tags.push(end(closed, index, false));
        self.filled = 0;
        Ok(())
    }

    /// Closes the last chunk. Returns the writer beneath, the digest of what it was given, and the tags.
    pub fn into_parts(self) -> (W, Digest, Chunks) {
        let mut chunks = self.chunks;
        let index = chunks.tags.len() as u64;
        chunks.tags.push(end(self.open, index, true));
        (self.inner, self.sum.finish(), chunks)
    }
}

fn outgrown(bytes: u64) -> Fault {
    Fault::failed(format!("the backup has outgrown the size that was planned for, at {bytes} bytes"))
        .hint("set DUMP_SIZE_ESTIMATE to what the dump really needs, such as 500G")
}

impl<W: Write> Write for StoredChecksum<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write_all(bytes)?;
        self.passed.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.filled == self.chunks.size {
                self.close_full_chunk()?;
            }
            // In turn, so that neither hash is far ahead of the other.
            let room = (self.chunks.size - self.filled).min(rest.len().min(STEP) as u64);
            let (now, later) = rest.split_at(room as usize);
            self.sum.update(now);
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

impl<W: Write> Stage for StoredChecksum<W> {
    type Inner = (W, Digest, Chunks);

    fn finish(self) -> io::Result<Self::Inner> {
        Ok(self.into_parts())
    }
}

/// Returns the chunk size for an object of about this many bytes: a power of two from 1 MiB, with room for four times as many.
pub(crate) fn chunk_size(expected: u64) -> u64 {
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
    use crate::base::error::{Kind, hints, kind};
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    proptest! {
        #[test]
        fn the_tags_of_a_stream_are_the_tags_of_its_chunks(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 1usize..50, keyed in any::<bool>()
        ) {
            let key = || keyed.then(|| Zeroizing::new([7; 32]));
            let mut tally = StoredChecksum::new(Vec::new(), ChunkMac::new(key()), 16);
            for piece in bytes.chunks(cut) {
                tally.write_all(piece).unwrap();
            }
            let (out, sum, chunks) = tally.into_parts();
            prop_assert_eq!(&out, &bytes);
            prop_assert_eq!(sum.bytes, bytes.len() as u64);
            let tagger = ChunkMac::new(key());
            let pieces: Vec<&[u8]> = if bytes.is_empty() { vec![&[]] } else { bytes.chunks(16).collect() };
            let last = pieces.len() - 1;
            let expected: Vec<Tag> =
                pieces.iter().enumerate().map(|(n, piece)| tagger.tag(piece, n as u64, n == last)).collect();
            prop_assert_eq!(chunks.tags, expected);
        }
    }

    #[test]
    fn a_backup_of_more_chunks_than_a_document_may_list_is_told_with_what_to_set() {
        let mut tally = StoredChecksum::new(io::sink(), ChunkMac::new(None), 1);
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
