//! Reads an object chunk by chunk, several at once, and passes on no chunk whose tag does not match.

use crate::base::error::{Fault, Result, into_io};
use crate::base::threads;
use crate::format::manifest::Chunks;
use crate::pipeline::checksum::ChunkMac;
use crate::store::Object;
use std::io::{self, Read};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

/// Number of chunks fetched and checked at the same time, and the bytes that they may take together. Large chunks are
/// fetched one by one.
const MOST_FETCHERS: u64 = 4;
const IN_FLIGHT: u64 = 32 << 20;

/// Reads the bytes of an object in order. Each chunk is verified against its tag before any of it is passed on.
pub struct VerifiedReader {
    /// The channels of the fetchers. Of `f` fetchers, number `n` delivers chunks n, n + f, n + 2f, …, so that taking
    /// turns gives them in order.
    lanes: Vec<Receiver<Result<Vec<u8>>>>,
    next: u64,
    count: u64,
    chunk: Vec<u8>,
    given: usize,
}

impl VerifiedReader {
    pub fn new(object: Box<dyn Object>, chunks: Chunks, tagger: ChunkMac, name: &str) -> Result<Self> {
        let count = chunks.tags.len() as u64;
        let fetchers = (IN_FLIGHT / chunks.size).clamp(1, MOST_FETCHERS).min(count);
        let checker = Arc::new(Checker::new(object, chunks, tagger, name));
        let mut lanes = Vec::new();
        for first in 0..fetchers {
            // A fetcher hands its chunk over before it fetches the next.
            let (to, lane) = sync_channel(0);
            let checker = Arc::clone(&checker);
            threads::begin("fetch", move || {
                for index in (first..count).step_by(fetchers as usize) {
                    let chunk = checker.fetch(index);
                    let failed = chunk.is_err();
                    // Nobody listens any more: the reader was dropped.
                    if to.send(chunk).is_err() || failed {
                        return;
                    }
                }
            })?;
            lanes.push(lane);
        }
        Ok(VerifiedReader { lanes, next: 0, count, chunk: Vec::new(), given: 0 })
    }

    fn advance(&mut self) -> Result<()> {
        let lane = &self.lanes[(self.next % self.lanes.len() as u64) as usize];
        self.chunk = lane.recv().unwrap_or_else(|_| Err(Fault::failed("a reading thread ended early").into()))?;
        self.given = 0;
        self.next += 1;
        Ok(())
    }
}

impl Read for VerifiedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.chunk.len() {
            if self.next == self.count {
                return Ok(0);
            }
            self.advance().map_err(into_io)?;
        }
        let count = buffer.len().min(self.chunk.len() - self.given);
        buffer[..count].copy_from_slice(&self.chunk[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

/// An object, and the tags that its chunks must have.
pub(crate) struct Checker<O> {
    object: O,
    chunks: Chunks,
    tagger: ChunkMac,
    name: String,
}

impl<O: Deref<Target = dyn Object>> Checker<O> {
    /// `name` is for messages.
    pub fn new(object: O, chunks: Chunks, tagger: ChunkMac, name: &str) -> Checker<O> {
        Checker { object, chunks, tagger, name: name.to_owned() }
    }

    pub fn chunk_size(&self) -> u64 {
        self.chunks.size
    }

    /// Returns the size of a chunk in bytes; 0 if there is no such chunk.
    pub fn chunk_bytes(&self, index: u64) -> u64 {
        let all = self.object.info().bytes;
        all.saturating_sub(index * self.chunks.size).min(self.chunks.size)
    }

    /// Returns a chunk whose tag matches; another one is damage, and so is one for which no tag is stated.
    pub fn fetch(&self, index: u64) -> Result<Vec<u8>> {
        let last = index + 1 == self.chunks.tags.len() as u64;
        let start = index * self.chunks.size;
        let end = if last { self.object.info().bytes } else { start + self.chunks.size };
        let bytes = self.object.read(start..end)?;
        let tag = self.tagger.tag(&bytes, index, last);
        let stated = self.chunks.tags.get(index as usize);
        if stated.is_some_and(|stated| openssl::memcmp::eq(&tag.0, &stated.0)) {
            return Ok(bytes);
        }
        let name = &self.name;
        let keys: Vec<String> = self.object.keys(&(start..end)).iter().map(|key| format!("\"{key}\"")).collect();
        let within = if keys.is_empty() { String::new() } else { format!(" (in {})", keys.join(" and ")) };
        Err(Fault::damaged(format!(
            "\"{name}\" is damaged: chunk {index}, bytes {start} to {end}{within}, does not match its tag"
        ))
        .hint("restore an older backup (pgbk list), or fetch another copy of this one")
        .into())
    }
}
