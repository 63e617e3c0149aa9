//! The two pipelines, put together: `Pack` on the way to the store, `unpack` on the way back.

use super::Stage;
use super::checked::CheckedReader;
use super::cipher::{Decryptor, Encryptor};
use super::codec::{Compressor, decompressor};
use super::lanes::Lanes;
use super::relay::Relay;
use super::tables::{Outcome, Tables};
use super::tally::{PlainTally, StoredTally, Summer, Tagger, chunk_size};
use super::verified::VerifiedReader;
use crate::error::Result;
use crate::keys::{Purpose, Working};
use crate::manifest::{Chunks, Compression, Format, Manifest, Sum};
use crate::store::Object;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How an object is made.
pub struct Recipe<'a> {
    pub format: Format,
    pub compression: Option<Compression>,
    /// The keys of this backup, where the user has one.
    pub working: Option<&'a Working>,
    /// Whether to encrypt with it; without, it only seals.
    pub encrypt: bool,
    /// The size of the dump to plan for.
    pub expected: u64,
}

type Stored<W> = Encryptor<StoredTally<W>>;
type Compressed<W> = Relay<Compressor<Relay<Stored<W>>>>;

/// Write the dump here; compressed and encrypted bytes reach the writer beneath. Only what is compressed has enough work for a
/// thread per stage; otherwise all stages share one, and all four hashes are computed side by side.
pub struct Pack<W: Write + Send + 'static> {
    stored: Arc<AtomicU64>,
    first: Relay<PlainTally<Compressed<W>>>,
}

/// What was seen on the way, and the writer beneath.
pub struct Packed<W> {
    pub plain: Sum,
    pub script: Option<Outcome>,
    pub stored: Sum,
    pub chunks: Chunks,
    pub writer: W,
}

impl<W> Packed<W> {
    pub fn without_writer(self) -> (W, Packed<()>) {
        let Packed { plain, script, stored, chunks, writer } = self;
        (writer, Packed { plain, script, stored, chunks, writer: () })
    }
}

impl<W: Write + Send + 'static> Pack<W> {
    pub fn new(writer: W, recipe: &Recipe) -> Result<Self> {
        // Only on one thread do the hashes keep step with each other.
        let shared = Lanes::default();
        let lanes = || if recipe.compression.is_some() { Lanes::default() } else { shared.clone() };
        let tagger = Tagger::of(recipe.working);
        let stored = StoredTally::new(writer, &lanes(), tagger, chunk_size(recipe.expected));
        let passed = stored.passed();
        let cipher = match recipe.working {
            Some(working) if recipe.encrypt => Encryptor::new(stored, working)?,
            _ => Encryptor::plain(stored),
        };
        // What only an SQL script has: COPY blocks and a trailer.
        let key = |purpose| recipe.working.and_then(|working| working.key(purpose));
        let tables = (recipe.format == Format::Plain).then(|| Tables::within(&lanes(), key(Purpose::Table)));
        let plain = |inner| PlainTally::new(inner, Summer::within(&lanes(), key(Purpose::Plain)), tables);
        let first = if recipe.compression.is_some() {
            let codec = Compressor::new(Relay::there("encrypt", cipher)?, recipe.compression)?;
            Relay::here(plain(Relay::there("compress", codec)?))
        } else {
            let none = Compressor::new(Relay::here(cipher), None)?;
            Relay::there("pack", plain(Relay::here(none)))?
        };
        Ok(Pack { stored: passed, first })
    }

    /// Bytes that have reached the writer beneath.
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    pub fn finish(self) -> Result<Packed<W>> {
        let (next, plain, script) = self.first.finish()?.finish()?;
        let (writer, stored, chunks) = next.finish()?.finish()?.finish()?.finish()?.finish()?;
        Ok(Packed { plain, script, stored, chunks, writer })
    }
}

impl<W: Write + Send + 'static> Write for Pack<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.first.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The dump of an authenticated backup. Every byte is verified before it is decrypted, and the end is an end only if the whole is
/// what the manifest states.
pub fn unpack(object: Box<dyn Object>, manifest: &Manifest, working: Option<&Working>) -> Result<Box<dyn Read + Send>> {
    let tagger = Tagger::of(working);
    let verified = VerifiedReader::new(object, manifest.chunks.clone(), tagger, &manifest.object)?;
    let compressed: Box<dyn Read + Send> = match (working, &manifest.encryption) {
        (Some(working), Some(_)) => Box::new(Decryptor::new(verified, working)?),
        _ => Box::new(verified),
    };
    let plain = decompressor(compressed, manifest.compression.map(|compression| compression.method))?;
    Ok(Box::new(CheckedReader::new(plain, manifest.plain, Summer::of_plain(working))))
}
