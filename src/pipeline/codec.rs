//! Compression in both directions: xz, zstd, gzip, or none.

pub(crate) mod fit;
pub(crate) mod levels;
pub(crate) mod memory;

use crate::base::error::{Fault, Result, into_io, is_ours};
use crate::format::manifest::pieces::Piece;
use crate::format::manifest::{Compression, Method};
use crate::pipeline::codec::levels::cores;
use fit::Fit;
use flate2::read::{GzDecoder, MultiGzDecoder};
use flate2::write::GzEncoder;
use std::io::{self, Read, Write};
use xz2::read::XzDecoder;
use xz2::stream::{CONCATENATED, MtStreamBuilder, Stream};
use xz2::write::XzEncoder;
use zstd::zstd_safe::CParameter;

/// A decoder may ask for no more than this: a header of a few bytes can claim a dictionary of gigabytes.
const DECODER_MEMORY: u64 = 256 << 20;
/// Bytes that are compressed before it is looked whether anybody still wants them.
const STEP: usize = 256 << 10;
/// zstd's window, as a power of two: the same 128 MiB that the `zstd` program allows by default.
const ZSTD_WINDOW: u32 = 27;

/// Compresses one piece of a dump. `wanted` is asked again and again; an error once it says no.
pub(crate) fn pack_piece(
    plain: &[u8],
    compression: Compression,
    fit: Fit,
    wanted: &dyn Fn() -> bool,
) -> io::Result<Vec<u8>> {
    let level = compression.level;
    match compression.method {
        Method::Xz => {
            let mut encoder = XzEncoder::new_stream(Vec::new(), fit.xz(level).map_err(into_io)?);
            feed(plain, &mut encoder, wanted)?;
            encoder.finish()
        }
        Method::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level as i32)?;
            encoder.include_checksum(true)?;
            encoder.set_pledged_src_size(Some(plain.len() as u64))?;
            if fit.halved > 0 {
                let [window, chain, hash] = fit.zstd(level);
                encoder.set_parameter(CParameter::WindowLog(window))?;
                encoder.set_parameter(CParameter::ChainLog(chain))?;
                encoder.set_parameter(CParameter::HashLog(hash))?;
            }
            feed(plain, &mut encoder, wanted)?;
            encoder.finish()
        }
        Method::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(level));
            feed(plain, &mut encoder, wanted)?;
            encoder.finish()
        }
    }
}

fn feed(plain: &[u8], encoder: &mut dyn Write, wanted: &dyn Fn() -> bool) -> io::Result<()> {
    for part in plain.chunks(STEP) {
        if !wanted() {
            return Err(io::Error::other("nobody wants the piece any more"));
        }
        encoder.write_all(part)?;
    }
    Ok(())
}

/// Returns the contents of one piece. It is an error if they do not have the size that is stated.
pub(crate) fn unpack_piece(packed: &[u8], piece: Piece, method: Method) -> Result<Vec<u8>> {
    let mut plain = Vec::with_capacity(piece.plain as usize);
    let read = match method {
        Method::Zstd => zstd::bulk::Decompressor::new()?.decompress_to_buffer(packed, &mut plain).map(drop),
        Method::Xz => {
            let stream = Stream::new_stream_decoder(DECODER_MEMORY, 0)?;
            XzDecoder::new_stream(packed, stream).take(piece.plain + 1).read_to_end(&mut plain).map(drop)
        }
        Method::Gzip => GzDecoder::new(packed).take(piece.plain + 1).read_to_end(&mut plain).map(drop),
    };
    read.map_err(|error| undecodable(method.name(), &error))?;
    match plain.len() as u64 == piece.plain {
        true => Ok(plain),
        false => Err(Fault::damaged("a piece of the dump has another size than its .meta states").into()),
    }
}

fn undecodable(method: &str, error: &io::Error) -> Fault {
    Fault::damaged(format!("{method} cannot decode the payload: {error}"))
}

/// Decompresses what it reads, within a memory limit.
pub fn decompressor<'a, R: Read + Send + 'a>(inner: R, method: Option<Method>) -> Result<Box<dyn Read + Send + 'a>> {
    Ok(match method {
        None => Box::new(inner),
        Some(Method::Xz) => {
            let stream = MtStreamBuilder::new()
                .threads(cores())
                .memlimit_threading(DECODER_MEMORY.min(memory::room()))
                .memlimit_stop(DECODER_MEMORY)
                .decoder()?;
            Box::new(NamedDecoder("xz", XzDecoder::new_stream(inner, stream)))
        }
        Some(Method::Zstd) => {
            let mut decoder = zstd::stream::read::Decoder::new(inner)?.single_frame();
            decoder.window_log_max(ZSTD_WINDOW)?;
            Box::new(NamedDecoder("zstd", decoder))
        }
        Some(Method::Gzip) => Box::new(NamedDecoder("gzip", GzDecoder::new(inner))),
    })
}

/// Decompresses what it reads, within the same limit: as many streams as there are, one after the other.
pub(crate) fn concatenated<'a, R: Read + Send + 'a>(
    inner: R,
    method: Option<Method>,
) -> Result<Box<dyn Read + Send + 'a>> {
    Ok(match method {
        None => Box::new(inner),
        Some(Method::Xz) => {
            let stream = Stream::new_stream_decoder(DECODER_MEMORY, CONCATENATED)?;
            Box::new(NamedDecoder("xz", XzDecoder::new_stream(inner, stream)))
        }
        Some(Method::Zstd) => {
            let mut decoder = zstd::stream::read::Decoder::new(inner)?;
            decoder.window_log_max(ZSTD_WINDOW)?;
            Box::new(NamedDecoder("zstd", decoder))
        }
        Some(Method::Gzip) => Box::new(NamedDecoder("gzip", MultiGzDecoder::new(inner))),
    })
}

/// Adds the decoder's name to its errors. An error from beneath passes through as it is.
struct NamedDecoder<R>(&'static str, R);

impl<R: Read> Read for NamedDecoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ if is_ours(&error) => error,
            _ => undecodable(self.0, &error).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Kind, kind};
    use xz2::stream::Check;

    #[test]
    fn a_piece_that_is_not_as_stated_is_damage() {
        let bytes: Vec<u8> = (0..100_000).map(|n: u32| (n / 7) as u8).collect();
        for method in [Method::Xz, Method::Zstd, Method::Gzip] {
            let compression = Compression { method, level: levels::levels(method).2 };
            let packed = pack_piece(&bytes, compression, Fit::of(compression), &|| true).unwrap();
            let piece = |plain| Piece { plain, packed: packed.len() as u64 };
            assert!(unpack_piece(&packed, piece(100_000), method).unwrap() == bytes, "{method:?}");
            for (packed, plain) in
                [(&packed[..], 99_999), (&packed, 100_001), (&packed[..packed.len() - 1], 100_000), (&packed[..20], 20)]
            {
                let error = unpack_piece(packed, piece(plain), method).unwrap_err();
                assert_eq!(kind(&error), Kind::Damaged, "{method:?} {plain} {error:#}");
            }
        }
    }

    #[test]
    fn a_piece_that_nobody_wants_is_left() {
        let compression = Compression { method: Method::Xz, level: 6 };
        assert!(pack_piece(b"COPY", compression, Fit::of(compression), &|| false).is_err());
    }

    #[test]
    fn a_file_that_claims_a_huge_dictionary_is_refused() {
        let packed = xz_with_dictionary(1536 << 20);
        let error =
            decompressor(packed.as_slice(), Some(Method::Xz)).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("xz cannot decode"), "{error}");
    }

    /// A valid little .xz whose block header claims this dictionary.
    fn xz_with_dictionary(bytes: u32) -> Vec<u8> {
        let mut options = xz2::stream::LzmaOptions::new_preset(0).unwrap();
        options.dict_size(4096);
        let mut filters = xz2::stream::Filters::new();
        filters.lzma2(&options);
        let stream = xz2::stream::Stream::new_stream_encoder(&filters, Check::Crc32).unwrap();
        let mut encoder = xz2::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(b"little").unwrap();
        let mut packed = encoder.finish().unwrap();
        // Block header at 12: size, flags, filter id 0x21, property size 1, dictionary bits, padding, CRC32.
        let length = (usize::from(packed[12]) + 1) * 4;
        assert_eq!((packed[14], packed[15]), (0x21, 1));
        packed[16] = (0u8..40).find(|bits| (2 | u64::from(bits & 1)) << (bits / 2 + 11) >= u64::from(bytes)).unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(&packed[12..12 + length - 4]);
        let sum = crc.sum().to_le_bytes();
        packed[12 + length - 4..12 + length].copy_from_slice(&sum);
        packed
    }
}
