//! The two pipelines, put together: `Pack` on the way to the store, `unpack` on the way back.

use crate::base::error::Result;
use crate::format::changes::segment::Segment;
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::manifest::pieces::Piece;
use crate::format::manifest::{Chunks, Compression, Digest, Encryption, FORMAT, Format, Manifest};
use crate::format::row_block::RowPiece;
use crate::pipeline::Stage;
use crate::pipeline::checksum::{ChunkMac, Hasher, PlainChecksum, StoredChecksum, chunk_size};
use crate::pipeline::cipher::{Decryptor, Encryptor};
use crate::pipeline::codec::{concatenated, decompressor};
use crate::pipeline::expect_digest::ExpectDigest;
use crate::pipeline::piece_reader::PieceReader;
use crate::pipeline::piece_writer::{CutRule, PieceWriter, SharedPiece};
use crate::pipeline::table_counter::{TableCounter, TableCounts};
use crate::pipeline::thread_stage::ThreadStage;
use crate::pipeline::verified_reader::VerifiedReader;
use crate::store::Object;
use std::io::{self, Read, Write};
use std::ops::RangeInclusive;
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

/// Sizes in bytes of rows that are worth a piece of their own: smaller ones compress worse, larger ones take too much memory.
const SHARED: RangeInclusive<usize> = 1 << 20..=16 << 20;

type StoreStage<W> = Encryptor<StoredChecksum<W>>;

/// Compresses and encrypts the dump that is written to it, and passes the bytes to the writer beneath.
pub struct Pack<W: Write + Send + 'static> {
    stored: Arc<AtomicU64>,
    /// Counts the tables of a script; `None` for what has none.
    tables: Option<TableCounter>,
    stages: PackStages<W>,
}

/// The stages, by the threads that they run on.
enum PackStages<W: Write + Send + 'static> {
    /// Hash on the caller's, compress on several, encrypt and hash again on one.
    Pieces(Box<PlainChecksum<PieceWriter<StoreStage<W>>>>),
    /// Without compression: all on one. Three hashes of as many bytes each cost little more than one there.
    Plain(ThreadStage<PlainChecksum<StoreStage<W>>>),
}

/// Holds the digests and counts taken on the way, and the writer beneath.
pub struct PackResult<W> {
    pub plain: Digest,
    pub script: Option<TableCounts>,
    pub stored: Digest,
    pub chunks: Chunks,
    /// Empty without compression: then every byte of the dump has its place in the payload.
    pub pieces: Vec<Piece>,
    pub writer: W,
}

impl<W> PackResult<W> {
    pub fn without_writer(self) -> (W, PackResult<()>) {
        let PackResult { plain, script, stored, chunks, pieces, writer } = self;
        (writer, PackResult { plain, script, stored, chunks, pieces, writer: () })
    }
}

impl<W: Write + Send + 'static> Pack<W> {
    pub fn new(writer: W, recipe: &PackOptions) -> Result<Self> {
        let tagger = ChunkMac::of(recipe.derived_keys);
        let stored = StoredChecksum::new(writer, tagger, chunk_size(recipe.expected));
        let (passed, lanes) = (stored.passed(), stored.lanes());
        let cipher = match recipe.derived_keys {
            Some(derived_keys) if recipe.encrypt => Encryptor::new(stored, derived_keys)?,
            _ => Encryptor::plain(stored),
        };
        // What only an SQL script has: COPY blocks and a trailer.
        let tables = (recipe.format == Format::Plain).then(|| TableCounter::of(recipe.derived_keys, FORMAT));
        let cut = if recipe.format == Format::Plain { CutRule::Lines } else { CutRule::Anywhere };
        let stages = match recipe.compression {
            Some(compression) => {
                let pieces = PieceWriter::new(cipher, compression, cut)?;
                PackStages::Pieces(Box::new(PlainChecksum::new(pieces, Hasher::of_plain(recipe.derived_keys))))
            }
            None => {
                let sum = Hasher::of_plain_within(&lanes, recipe.derived_keys);
                PackStages::Plain(ThreadStage::begin("encrypt", PlainChecksum::new(cipher, sum))?)
            }
        };
        Ok(Pack { stored: passed, tables, stages })
    }

    /// Returns how many bytes have reached the writer beneath.
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// Writes a piece of a script, whose tables were counted where it was made.
    pub(crate) fn rows(&mut self, piece: &RowPiece) -> io::Result<()> {
        if let Some(tables) = &mut self.tables {
            tables.rows(piece);
        }
        match &mut self.stages {
            PackStages::Pieces(first) => first.write_all(&piece.text),
            PackStages::Plain(first) => first.write_all(&piece.text),
        }
    }

    /// Writes a piece of a script as [`rows`](Self::rows) does, and returns it for another pack of the same compression. `None`: that one
    /// compresses it by itself.
    pub(crate) fn share_rows(&mut self, piece: &RowPiece) -> io::Result<Option<SharedPiece>> {
        let PackStages::Pieces(first) = &mut self.stages else { return self.rows(piece).map(|()| None) };
        if !SHARED.contains(&piece.text.len()) {
            return self.rows(piece).map(|()| None);
        }
        if let Some(tables) = &mut self.tables {
            tables.rows(piece);
        }
        first.pass(&piece.text, |pieces| pieces.share(&piece.text)).map(Some)
    }

    /// Writes a piece of a script that another pack has compressed.
    pub(crate) fn shared_rows(&mut self, piece: &RowPiece, shared: SharedPiece) -> io::Result<()> {
        let PackStages::Pieces(first) = &mut self.stages else { return self.rows(piece) };
        if let Some(tables) = &mut self.tables {
            tables.rows(piece);
        }
        first.pass(&piece.text, |pieces| pieces.take(shared))
    }

    pub fn finish(self) -> Result<PackResult<W>> {
        let (cipher, pieces, plain) = match self.stages {
            PackStages::Pieces(first) => {
                let (next, plain) = first.finish()?;
                let (cipher, pieces) = next.finish()?;
                (cipher, pieces, plain)
            }
            PackStages::Plain(first) => {
                let (cipher, plain) = first.finish()?.finish()?;
                (cipher, Vec::new(), plain)
            }
        };
        let script = self.tables.map(TableCounter::finish);
        let (writer, stored, chunks) = cipher.finish()?.finish()?;
        Ok(PackResult { plain, script, stored, chunks, pieces, writer })
    }
}

impl<W: Write + Send + 'static> Write for Pack<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match &mut self.stages {
            PackStages::Pieces(first) => first.write(bytes)?,
            PackStages::Plain(first) => first.write(bytes)?,
        };
        if let Some(tables) = &mut self.tables {
            tables.update(&bytes[..taken]);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says how a payload was made, as its document states it.
struct PayloadRecipe<'a> {
    object: &'a str,
    chunks: &'a Chunks,
    encryption: Option<&'a Encryption>,
    plain: Digest,
}

/// Returns a reader of the dump of an authenticated backup. Every byte is verified before it is decrypted, and the
/// end comes without an error only if the whole dump is what the manifest states.
pub fn unpack(
    object: Box<dyn Object>,
    manifest: &Manifest,
    derived_keys: Option<&DerivedKeys>,
) -> Result<Box<dyn Read + Send>> {
    let Manifest { chunks, encryption, plain, .. } = manifest;
    let recipe = PayloadRecipe { object: &manifest.object, chunks, encryption: encryption.as_ref(), plain: *plain };
    unpack_by(object, &recipe, derived_keys, |packed| match manifest.compression {
        Some(Compression { method, .. }) if !manifest.pieces.is_empty() => {
            Ok(Box::new(PieceReader::new(packed, manifest.pieces.clone(), method)?))
        }
        compression => decompressor(packed, compression.map(|compression| compression.method)),
    })
}

/// Returns a reader of the delta of an authentic segment, with the same checks. Its pieces are read as one stream, one after the other.
pub fn unpack_delta(
    object: Box<dyn Object>,
    segment: &Segment,
    derived_keys: Option<&DerivedKeys>,
) -> Result<Box<dyn Read + Send>> {
    let Segment { chunks, encryption, plain, .. } = segment;
    let recipe = PayloadRecipe { object: &segment.object, chunks, encryption: encryption.as_ref(), plain: *plain };
    unpack_by(object, &recipe, derived_keys, |packed| {
        concatenated(packed, segment.compression.map(|compression| compression.method))
    })
}

fn unpack_by(
    object: Box<dyn Object>,
    recipe: &PayloadRecipe<'_>,
    derived_keys: Option<&DerivedKeys>,
    decompress: impl FnOnce(Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>>,
) -> Result<Box<dyn Read + Send>> {
    let tagger = ChunkMac::of(derived_keys);
    let verified = VerifiedReader::new(object, recipe.chunks.clone(), tagger, recipe.object)?;
    let packed: Box<dyn Read + Send> = match (derived_keys, recipe.encryption) {
        (Some(derived_keys), Some(_)) => Box::new(Decryptor::new(verified, derived_keys)?),
        _ => Box::new(verified),
    };
    let plain = decompress(packed)?;
    Ok(Box::new(ExpectDigest::new(plain, recipe.plain, Hasher::of_plain(derived_keys))))
}
