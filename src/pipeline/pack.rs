//! The two pipelines, put together: `Pack` on the way to the store, `unpack` on the way back.

use crate::base::error::Result;
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::keys::purpose::Purpose;
use crate::format::manifest::{Chunks, Compression, Digest, Format, Manifest};
use crate::pipeline::Stage;
use crate::pipeline::checksum::{ChunkMac, Hasher, PlainChecksum, StoredChecksum, chunk_size};
use crate::pipeline::cipher::{Decryptor, Encryptor};
use crate::pipeline::codec::{Compressor, decompressor};
use crate::pipeline::expect_digest::ExpectDigest;
use crate::pipeline::multi_hash::MultiHash;
use crate::pipeline::table_counter::{TableCounter, TableCounts};
use crate::pipeline::thread_stage::ThreadStage;
use crate::pipeline::verified_reader::VerifiedReader;
use crate::store::Object;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Says how an object is made.
pub struct PackOptions<'a> {
    pub format: Format,
    pub compression: Option<Compression>,
    /// The keys of this backup. None: the user has set no key.
    pub derived_keys: Option<&'a DerivedKeys>,
    /// Whether to encrypt with the keys. If not, they only seal.
    pub encrypt: bool,
    /// The size of the dump to plan for, in bytes.
    pub expected: u64,
}

type StoreStage<W> = Encryptor<StoredChecksum<W>>;
type CompressStage<W> = ThreadStage<Compressor<ThreadStage<StoreStage<W>>>>;

/// Compresses and encrypts the dump that is written to it, and passes the bytes to the writer beneath.
///
/// Threads: with compression, hash (caller) → compress → encrypt and hash, one thread each. Without, all stages run
/// on one thread and the four hashes share a SIMD pass.
pub struct Pack<W: Write + Send + 'static> {
    stored: Arc<AtomicU64>,
    first: ThreadStage<PlainChecksum<CompressStage<W>>>,
}

/// Holds the digests and counts taken on the way, and the writer beneath.
pub struct PackResult<W> {
    pub plain: Digest,
    pub script: Option<TableCounts>,
    pub stored: Digest,
    pub chunks: Chunks,
    pub writer: W,
}

impl<W> PackResult<W> {
    pub fn without_writer(self) -> (W, PackResult<()>) {
        let PackResult { plain, script, stored, chunks, writer } = self;
        (writer, PackResult { plain, script, stored, chunks, writer: () })
    }
}

impl<W: Write + Send + 'static> Pack<W> {
    pub fn new(writer: W, recipe: &PackOptions) -> Result<Self> {
        // Only on one thread do the hashes keep step with each other.
        let shared = MultiHash::default();
        let lanes = || if recipe.compression.is_some() { MultiHash::default() } else { shared.clone() };
        let tagger = ChunkMac::of(recipe.derived_keys);
        let stored = StoredChecksum::new(writer, &lanes(), tagger, chunk_size(recipe.expected));
        let passed = stored.passed();
        let cipher = match recipe.derived_keys {
            Some(derived_keys) if recipe.encrypt => Encryptor::new(stored, derived_keys)?,
            _ => Encryptor::plain(stored),
        };
        // What only an SQL script has: COPY blocks and a trailer.
        let key = |purpose| recipe.derived_keys.and_then(|derived_keys| derived_keys.key(purpose));
        let tables = (recipe.format == Format::Plain).then(|| TableCounter::within(&lanes(), key(Purpose::Table)));
        let plain = |inner| PlainChecksum::new(inner, Hasher::within(&lanes(), key(Purpose::Plain)), tables);
        let first = if recipe.compression.is_some() {
            let codec = Compressor::new(ThreadStage::there("encrypt", cipher)?, recipe.compression)?;
            ThreadStage::here(plain(ThreadStage::there("compress", codec)?))
        } else {
            let none = Compressor::new(ThreadStage::here(cipher), None)?;
            ThreadStage::there("pack", plain(ThreadStage::here(none)))?
        };
        Ok(Pack { stored: passed, first })
    }

    /// Returns how many bytes have reached the writer beneath.
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    pub fn finish(self) -> Result<PackResult<W>> {
        let (next, plain, script) = self.first.finish()?.finish()?;
        let (writer, stored, chunks) = next.finish()?.finish()?.finish()?.finish()?.finish()?;
        Ok(PackResult { plain, script, stored, chunks, writer })
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

/// Returns a reader of the dump of an authenticated backup. Every byte is verified before it is decrypted, and the
/// end comes without an error only if the whole dump is what the manifest states.
pub fn unpack(
    object: Box<dyn Object>,
    manifest: &Manifest,
    derived_keys: Option<&DerivedKeys>,
) -> Result<Box<dyn Read + Send>> {
    let tagger = ChunkMac::of(derived_keys);
    let verified = VerifiedReader::new(object, manifest.chunks.clone(), tagger, &manifest.object)?;
    let compressed: Box<dyn Read + Send> = match (derived_keys, &manifest.encryption) {
        (Some(derived_keys), Some(_)) => Box::new(Decryptor::new(verified, derived_keys)?),
        _ => Box::new(verified),
    };
    let plain = decompressor(compressed, manifest.compression.map(|compression| compression.method))?;
    Ok(Box::new(ExpectDigest::new(plain, manifest.plain, Hasher::of_plain(derived_keys))))
}
