//! Scans an object that no `.meta` of pgbk describes, in one pass. Collects what such a `.meta` would say, so that
//! the object can be read again as a backup is: every chunk is checked before it is decrypted, and nothing is trusted
//! that was not read to its end.

use crate::base::error::{Fault, Result, into_io};
use crate::base::progress::{Monitor, NullMonitor};
use crate::format::archive::fields;
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::manifest::{Chunks, Digest, Format, Method, Tag};
use crate::pipeline::checksum::{ChunkMac, Hasher, chunk_size};
use crate::pipeline::cipher::Decryptor;
use crate::pipeline::codec::decompressor;
use crate::pipeline::drain;
use crate::pipeline::pg_archive::{Archive, Completeness};
use crate::pipeline::table_counter::{TableCounter, TableCounts};
use crate::store::Object;
use std::io::{self, Read};

/// The text that `pg_dump` begins every script with. By chance it is as long as a cipher block, so that a wrong IV shows.
const SCRIPT: &[u8] = b"--\n-- PostgreSQL";

/// The result of a scan.
pub struct Scan {
    pub format: Format,
    /// Digests of the object as it is stored, decrypted, and decompressed.
    pub stored: Digest,
    pub packed: Digest,
    pub plain: Digest,
    pub chunks: Chunks,
    /// The tables of a script; empty for an archive.
    pub script: TableCounts,
    pub verdict: Completeness,
}

pub fn survey(
    object: &dyn Object,
    method: Option<Method>,
    derived_keys: Option<&DerivedKeys>,
    monitor: &dyn Monitor,
) -> Result<Scan> {
    let mut stored = TaggingReader::new(object, ChunkMac::of(derived_keys));
    let decrypted: Box<dyn Read + Send + '_> = match derived_keys {
        Some(derived_keys) => Box::new(Decryptor::new(&mut stored, derived_keys)?),
        None => Box::new(&mut stored),
    };
    let mut packed = HashingReader { inner: decrypted, summer: Hasher::default() };
    let mut plain = HashingReader { inner: decompressor(&mut packed, method)?, summer: Hasher::default() };
    let mut head = Vec::new();
    plain.by_ref().take(SCRIPT.len() as u64).read_to_end(&mut head)?;
    let format = recognise(&head)?;
    let (mut tables, mut archive) = (TableCounter::default(), Archive::default());
    drain(&mut head.chain(&mut plain), monitor, |bytes| {
        match format {
            Format::Plain => tables.update(bytes),
            // All else was refused.
            Format::Custom | Format::Tar => archive.update(bytes),
        }
        Ok(())
    })?;
    let plain = plain.finish();
    // A decoder stops at the end of its own; the cipher's padding comes after that.
    drain(&mut packed, &NullMonitor, |_| Ok(()))?;
    let packed = packed.finish();
    let (stored, chunks) = stored.finish();
    let script = tables.finish();
    let verdict = match format {
        Format::Custom | Format::Tar => archive.verdict(),
        Format::Plain if script.complete => Completeness::Whole,
        Format::Plain => Completeness::Cut,
    };
    Ok(Scan { format, stored, packed, plain, chunks, script, verdict })
}

fn recognise(head: &[u8]) -> Result<Format> {
    match head {
        _ if head.starts_with(fields::MAGIC) => Ok(Format::Custom),
        _ if head == SCRIPT => Ok(Format::Plain),
        _ => Err(Fault::damaged("it does not begin as pg_dump begins a script or an archive").into()),
    }
}

/// Reads the bytes of an object in order, and computes their digest and a tag for every chunk.
struct TaggingReader<'a> {
    object: &'a dyn Object,
    tagger: ChunkMac,
    chunks: Chunks,
    summer: Hasher,
    chunk: Vec<u8>,
    given: usize,
}

impl<'a> TaggingReader<'a> {
    fn new(object: &'a dyn Object, tagger: ChunkMac) -> Self {
        let chunks = Chunks { size: chunk_size(object.info().bytes), tags: Vec::new() };
        TaggingReader { object, tagger, chunks, summer: Hasher::default(), chunk: Vec::new(), given: 0 }
    }

    /// Fetches the next chunk; false at the end.
    fn advance(&mut self) -> Result<bool> {
        let (from, end) = (self.summer.bytes(), self.object.info().bytes);
        if from == end {
            return Ok(false);
        }
        let to = end.min(from + self.chunks.size);
        self.chunk = self.object.read(from..to)?;
        self.given = 0;
        self.summer.update(&self.chunk);
        let tag: Tag = self.tagger.tag(&self.chunk, self.chunks.tags.len() as u64, to == end);
        self.chunks.tags.push(tag);
        Ok(true)
    }

    fn finish(self) -> (Digest, Chunks) {
        (self.summer.finish(), self.chunks)
    }
}

impl Read for TaggingReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.chunk.len() && !self.advance().map_err(into_io)? {
            return Ok(0);
        }
        let count = buffer.len().min(self.chunk.len() - self.given);
        buffer[..count].copy_from_slice(&self.chunk[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

/// Computes the digest of what is read through it.
struct HashingReader<R> {
    inner: R,
    summer: Hasher,
}

impl<R> HashingReader<R> {
    fn finish(self) -> Digest {
        self.summer.finish()
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.summer.update(&buffer[..count]);
        Ok(count)
    }
}
