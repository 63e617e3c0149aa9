//! Reads parts of a dump, and of the payload no more than they need.

use crate::base::cancel;
use crate::base::error::{Fault, Result};
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::manifest::extent::Extent;
use crate::format::manifest::pieces::Piece;
use crate::format::manifest::{Manifest, Method};
use crate::pipeline::checksum::ChunkMac;
use crate::pipeline::cipher::{self, BLOCK};
use crate::pipeline::codec::unpack_piece;
use crate::pipeline::verified_reader::Checker;
use crate::store::Object;
use std::collections::BTreeSet;
use std::ops::Range;

/// How many bytes of a dump that is not compressed are read at a time.
const STEP: u64 = 4 << 20;

/// Reads parts of the dump of an authenticated backup. What is read is checked against the tags of its chunks before it is decrypted.
pub(crate) struct PartReader<'a> {
    checker: Checker<&'a (dyn Object + 'static)>,
    /// The chunk that was read last.
    chunk: Option<(u64, Vec<u8>)>,
    /// Number of bytes read from the store.
    fetched: u64,
    keys: Option<&'a DerivedKeys>,
    /// Bytes of the payload before the cipher's first block.
    header: u64,
    places: Places,
    /// The piece that was read last, by its index.
    piece: Option<(usize, Vec<u8>)>,
}

/// Where in the payload the dump is, before it is encrypted.
enum Places {
    /// Every byte has the same place in both.
    Same { bytes: u64 },
    /// Pieces, with the places where they begin in the dump and in the payload.
    Pieces { method: Method, begins: Vec<(u64, u64)>, pieces: Vec<Piece> },
}

impl<'a> PartReader<'a> {
    /// Opens a payload. It is an error if the backup does not state its pieces, as before format 3.
    pub fn new(
        object: &'a (dyn Object + 'static),
        manifest: &Manifest,
        derived_keys: Option<&'a DerivedKeys>,
    ) -> Result<PartReader<'a>> {
        let keys = derived_keys.filter(|_| manifest.encryption.is_some());
        let places = match manifest.compression {
            None => Places::Same { bytes: manifest.plain.bytes },
            Some(_) if manifest.pieces.is_empty() => {
                return Err(Fault::usage(format!("{} is one stream, of which no part can be read alone", manifest.id))
                    .hint("pgbk download writes the whole dump")
                    .into());
            }
            Some(compression) => Places::of(&manifest.pieces, compression.method),
        };
        let header = keys.map_or(0, cipher::header);
        places.check(manifest, header, keys.is_some())?;
        let tagger = ChunkMac::of(derived_keys);
        let checker = Checker::new(object, manifest.chunks.clone(), tagger, &manifest.object);
        Ok(PartReader { checker, chunk: None, fetched: 0, keys, header, places, piece: None })
    }

    /// Returns how many bytes of the payload have been read.
    pub fn fetched(&self) -> u64 {
        self.fetched
    }

    /// Returns how many bytes of the payload are to be read for these parts, if each of its chunks is read once.
    pub fn expected(&self, parts: impl Iterator<Item = Extent>) -> u64 {
        let (size, mut chunks) = (self.checker.chunk_size(), BTreeSet::new());
        for part in parts {
            let packed = self.places.packed(part);
            let stored = self.header + packed.start / BLOCK * BLOCK..self.header + packed.end;
            chunks.extend(stored.start / size..stored.end.div_ceil(size));
        }
        chunks.into_iter().fold(0, |sum, chunk| sum + self.checker.chunk_bytes(chunk))
    }

    /// Passes the bytes of a part on, in pieces. A signal ends it with an error.
    pub fn read(&mut self, part: Extent, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let (mut rest, mut bytes) = (part, Vec::new());
        while rest.bytes > 0 {
            self.next(&mut rest, &mut bytes)?;
            each(&bytes)?;
        }
        Ok(())
    }

    /// Puts the next bytes of a part in the place of `bytes`, and leaves in `part` those that are still to come. A signal is an error.
    pub fn next(&mut self, part: &mut Extent, bytes: &mut Vec<u8>) -> Result<()> {
        cancel::check()?;
        let Range { start: at, end } = part.range();
        if end > self.places.plain() {
            return Err(Fault::damaged("the .meta states a part of the dump that is beyond its end").into());
        }
        bytes.clear();
        match &self.places {
            Places::Same { .. } => bytes.extend(self.packed(at..end.min(at + STEP))?),
            Places::Pieces { method, begins, pieces } => {
                let index = begins.partition_point(|(plain, _)| *plain <= at) - 1;
                let (method, begin, piece) = (*method, begins[index], pieces[index]);
                let contents = self.contents(index, method, begin, piece)?;
                bytes.extend_from_slice(
                    &contents[(at - begin.0) as usize..contents.len().min((end - begin.0) as usize)],
                );
            }
        }
        let taken = bytes.len() as u64;
        *part = Extent { at: at + taken, bytes: part.bytes - taken };
        Ok(())
    }

    /// Returns the contents of a piece. Those of the last one are kept.
    fn contents(&mut self, index: usize, method: Method, begin: (u64, u64), piece: Piece) -> Result<&[u8]> {
        if self.piece.as_ref().is_none_or(|(last, _)| *last != index) {
            let packed = self.packed(begin.1..begin.1 + piece.packed)?;
            self.piece = Some((index, unpack_piece(&packed, piece, method)?));
        }
        Ok(self.piece.as_ref().map(|(_, contents)| contents.as_slice()).unwrap_or_default())
    }

    /// Returns a part of the payload as it was before it was encrypted.
    fn packed(&mut self, part: Range<u64>) -> Result<Vec<u8>> {
        let Some(keys) = self.keys else { return self.stored(part) };
        let blocks = part.start / BLOCK * BLOCK..part.end.next_multiple_of(BLOCK);
        // The block before the first one takes the place of the IV.
        let mut iv = keys.iv;
        let before = if blocks.start == 0 { 0 } else { BLOCK };
        let stored = self.stored(self.header + blocks.start - before..self.header + blocks.end)?;
        let (block, stored) = stored.split_at(before as usize);
        if before > 0 {
            iv.copy_from_slice(block);
        }
        let mut plain = cipher::decrypt_blocks(keys, &iv, stored)?;
        plain.truncate((part.end - blocks.start) as usize);
        plain.drain(..(part.start - blocks.start) as usize);
        Ok(plain)
    }

    /// Returns a part of the payload as it is stored, every chunk of it checked.
    fn stored(&mut self, part: Range<u64>) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity((part.end - part.start) as usize);
        let size = self.checker.chunk_size();
        for index in part.start / size..part.end.div_ceil(size) {
            if self.chunk.as_ref().is_none_or(|(last, _)| *last != index) {
                let chunk = self.checker.fetch(index)?;
                self.fetched += chunk.len() as u64;
                self.chunk = Some((index, chunk));
            }
            let chunk = self.chunk.as_ref().map(|(_, chunk)| chunk.as_slice()).unwrap_or_default();
            let from = part.start.saturating_sub(index * size) as usize;
            let to = size.min(part.end - index * size) as usize;
            // The tags of a shorter payload may fit, if whoever made the .meta had the key.
            bytes.extend_from_slice(chunk.get(from..to).ok_or_else(wrong_pieces)?);
        }
        Ok(bytes)
    }
}

impl Places {
    fn of(pieces: &[Piece], method: Method) -> Places {
        let mut next = (0_u64, 0_u64);
        let begins = pieces.iter().map(|piece| {
            let begin = next;
            // The sums are bounded: as many pieces as a document may list, each no larger than the largest.
            next = (next.0 + piece.plain, next.1 + piece.packed);
            begin
        });
        Places::Pieces { method, begins: begins.collect(), pieces: pieces.to_vec() }
    }

    /// Returns where a part of the dump is before it is encrypted; more than that if it is compressed.
    fn packed(&self, part: Extent) -> Range<u64> {
        match self {
            Places::Same { .. } => part.range(),
            Places::Pieces { begins, pieces, .. } => {
                let Range { start, end } = part.range();
                let first = begins.partition_point(|(plain, _)| *plain <= start).saturating_sub(1);
                let last = begins.partition_point(|(plain, _)| *plain < end).saturating_sub(1);
                let begin = |at: usize| begins.get(at).map_or(0, |(_, packed)| *packed);
                begin(first)..begin(last) + pieces.get(last).map_or(0, |piece| piece.packed)
            }
        }
    }

    /// Returns the size of the dump in bytes.
    fn plain(&self) -> u64 {
        match self {
            Places::Same { bytes } => *bytes,
            Places::Pieces { begins, pieces, .. } => end(begins, pieces, |begin, piece| begin.0 + piece.plain),
        }
    }

    /// Checks that the pieces make up the whole dump and the whole payload.
    fn check(&self, manifest: &Manifest, header: u64, encrypted: bool) -> Result<()> {
        let packed = match self {
            Places::Same { bytes } => *bytes,
            Places::Pieces { begins, pieces, .. } => end(begins, pieces, |begin, piece| begin.1 + piece.packed),
        };
        let stored = header + if encrypted { packed / BLOCK * BLOCK + BLOCK } else { packed };
        match self.plain() == manifest.plain.bytes && stored == manifest.stored.bytes {
            true => Ok(()),
            false => Err(wrong_pieces().into()),
        }
    }
}

fn end(begins: &[(u64, u64)], pieces: &[Piece], end: impl Fn((u64, u64), &Piece) -> u64) -> u64 {
    begins.last().zip(pieces.last()).map_or(0, |(begin, piece)| end(*begin, piece))
}

fn wrong_pieces() -> Fault {
    Fault::damaged("the pieces that the .meta states are not those of the payload")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Kind, kind};
    use crate::format::manifest::Chunks;
    use crate::store::Store;
    use crate::store::memory::Memory;
    use std::io::Write;

    #[test]
    fn a_payload_that_is_shorter_than_stated_is_damaged_although_its_tags_fit() {
        let (store, tagger) = (Memory::default(), ChunkMac::of(None));
        let mut upload = store.create("x", &Default::default()).unwrap();
        upload.write_all(&[7; 40]).unwrap();
        upload.commit().unwrap();
        let object = store.open("x", None).unwrap();
        let tags = vec![tagger.tag(&[7; 16], 0, false), tagger.tag(&[7; 16], 1, false), tagger.tag(&[7; 8], 2, true)];
        let checker = Checker::new(&*object, Chunks { size: 16, tags }, tagger, "x");
        let places = Places::Same { bytes: 48 };
        let mut reader = PartReader { checker, chunk: None, fetched: 0, keys: None, header: 0, places, piece: None };
        assert_eq!(reader.stored(10..40).unwrap(), [7; 30]);
        for part in [10..41, 41..44, 39..48] {
            let error = reader.stored(part.clone()).unwrap_err();
            assert_eq!((kind(&error), error.to_string()), (Kind::Damaged, wrong_pieces().to_string()), "{part:?}");
        }
    }
}
