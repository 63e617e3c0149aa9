//! One pass over an object that no `.meta` of pgbk describes. It takes what such a `.meta` would say, so that the object can be read
//! again as a backup is: every chunk checked before it is decrypted, and nothing believed that has not been seen whole.

use super::archive::{self, Archive, Verdict};
use super::cipher::Decryptor;
use super::codec::decompressor;
use super::drain;
use super::tables::{Outcome, Tables};
use super::tally::{Summer, Tagger, chunk_size};
use crate::error::{Fault, Result, into_io};
use crate::keys::Working;
use crate::manifest::{Chunks, Format, Method, Sum, Tag};
use crate::monitor::{Monitor, Silent};
use crate::store::Object;
use std::io::{self, Read};

/// What `pg_dump` begins every script with: a cipher block, by chance, so that a wrong IV shows.
const SCRIPT: &[u8] = b"--\n-- PostgreSQL";

/// What was seen.
pub struct Survey {
    pub format: Format,
    /// The object as it is stored, decrypted, and decompressed.
    pub stored: Sum,
    pub packed: Sum,
    pub plain: Sum,
    pub chunks: Chunks,
    /// What a script holds; empty for an archive.
    pub script: Outcome,
    pub verdict: Verdict,
}

pub fn survey(
    object: &dyn Object,
    method: Option<Method>,
    working: Option<&Working>,
    monitor: &dyn Monitor,
) -> Result<Survey> {
    let mut stored = Tagging::new(object, Tagger::of(working));
    let decrypted: Box<dyn Read + Send + '_> = match working {
        Some(working) => Box::new(Decryptor::new(&mut stored, working)?),
        None => Box::new(&mut stored),
    };
    let mut packed = Summing { inner: decrypted, summer: Summer::default() };
    let mut plain = Summing { inner: decompressor(&mut packed, method)?, summer: Summer::default() };
    let mut head = Vec::new();
    plain.by_ref().take(SCRIPT.len() as u64).read_to_end(&mut head)?;
    let format = recognise(&head)?;
    let (mut tables, mut archive) = (Tables::default(), Archive::default());
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
    drain(&mut packed, &Silent, |_| Ok(()))?;
    let packed = packed.finish();
    let (stored, chunks) = stored.finish();
    let script = tables.finish();
    let verdict = match format {
        Format::Custom | Format::Tar => archive.verdict(),
        Format::Plain if script.complete => Verdict::Whole,
        Format::Plain => Verdict::Cut,
    };
    Ok(Survey { format, stored, packed, plain, chunks, script, verdict })
}

fn recognise(head: &[u8]) -> Result<Format> {
    match head {
        _ if head.starts_with(archive::MAGIC) => Ok(Format::Custom),
        _ if head == SCRIPT => Ok(Format::Plain),
        _ => Err(Fault::damaged("it does not begin as pg_dump begins a script or an archive").into()),
    }
}

/// The bytes of an object in order; takes their sum, and a tag for every chunk.
struct Tagging<'a> {
    object: &'a dyn Object,
    tagger: Tagger,
    chunks: Chunks,
    summer: Summer,
    chunk: Vec<u8>,
    given: usize,
}

impl<'a> Tagging<'a> {
    fn new(object: &'a dyn Object, tagger: Tagger) -> Self {
        let chunks = Chunks { size: chunk_size(object.info().bytes), tags: Vec::new() };
        Tagging { object, tagger, chunks, summer: Summer::default(), chunk: Vec::new(), given: 0 }
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

    fn finish(self) -> (Sum, Chunks) {
        (self.summer.finish(), self.chunks)
    }
}

impl Read for Tagging<'_> {
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

/// Takes the sum of what is read through it.
struct Summing<R> {
    inner: R,
    summer: Summer,
}

impl<R> Summing<R> {
    fn finish(self) -> Sum {
        self.summer.finish()
    }
}

impl<R: Read> Read for Summing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.summer.update(&buffer[..count]);
        Ok(count)
    }
}
