//! Compression in both directions: xz (multi-block, all cores that there is memory for), zstd, gzip, or none.

pub(crate) mod fit;
pub(crate) mod levels;
pub(crate) mod memory;
pub(crate) mod xz;

use crate::base::error::is_ours;
use crate::base::error::{Fault, Result};
use crate::format::manifest::{Compression, Method};
use crate::pipeline::Stage;
use crate::pipeline::codec::levels::cores;
use fit::Fit;
use flate2::{read::GzDecoder, write::GzEncoder};
use std::io::{self, Read, Write};
use xz::XzWriter;
use xz2::read::XzDecoder;
use xz2::stream::MtStreamBuilder;
use zstd::zstd_safe::CParameter;

/// A decoder may ask for no more than this: a header of a few bytes can claim a dictionary of gigabytes.
const DECODER_MEMORY: u64 = 256 << 20;
/// zstd's window, as a power of two: the same 128 MiB that the `zstd` program allows by default.
const ZSTD_WINDOW: u32 = 27;

/// Passes on what is written while it is open. Encoders write their tail when they are dropped; a closed valve keeps a dump that
/// died half-way from becoming a valid compressed file.
struct EncoderOutput<W>(Option<W>);

impl<W: Write> Write for EncoderOutput<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Some(inner) => inner.write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), Write::flush)
    }
}

enum Encoder<W: Write> {
    Plain(EncoderOutput<W>),
    Xz(Box<XzWriter<W>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, EncoderOutput<W>>>),
    Gzip(Box<GzEncoder<EncoderOutput<W>>>),
}

/// Compresses what is written; without a method it passes it on.
pub struct Compressor<W: Write>(Option<Encoder<W>>);

impl<W: Write> Compressor<W> {
    pub fn new(inner: W, compression: Option<Compression>) -> Result<Self> {
        match compression {
            None => Ok(Self(Some(Encoder::Plain(EncoderOutput(Some(inner)))))),
            Some(compression) => Self::fitted(inner, compression, Fit::of(compression)),
        }
    }

    fn fitted(inner: W, compression: Compression, fit: Fit) -> Result<Self> {
        let level = compression.level;
        Ok(Self(Some(match compression.method {
            Method::Xz => Encoder::Xz(Box::new(XzWriter::new(inner, fit.xz(level)?.encoder()?))),
            Method::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(EncoderOutput(Some(inner)), level as i32)?;
                encoder.include_checksum(true)?;
                if fit.threads > 1 {
                    encoder.multithread(fit.threads)?;
                }
                if fit.halved > 0 {
                    let [window, chain, hash] = fit.zstd(level);
                    encoder.set_parameter(CParameter::WindowLog(window))?;
                    encoder.set_parameter(CParameter::ChainLog(chain))?;
                    encoder.set_parameter(CParameter::HashLog(hash))?;
                }
                Encoder::Zstd(Box::new(encoder))
            }
            Method::Gzip => {
                Encoder::Gzip(Box::new(GzEncoder::new(EncoderOutput(Some(inner)), flate2::Compression::new(level))))
            }
        })))
    }
}

fn ended() -> io::Error {
    io::Error::other("the compressor has ended already")
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.as_mut().ok_or_else(ended)? {
            Encoder::Plain(inner) => inner.write(bytes),
            Encoder::Xz(encoder) => encoder.write(bytes),
            Encoder::Zstd(encoder) => encoder.write(bytes),
            Encoder::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Stage for Compressor<W> {
    type Inner = W;

    fn finish(mut self) -> io::Result<W> {
        let valve = match self.0.take().ok_or_else(ended)? {
            Encoder::Plain(inner) => inner,
            Encoder::Xz(encoder) => return encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish()?,
            Encoder::Gzip(encoder) => encoder.finish()?,
        };
        valve.0.ok_or_else(ended)
    }
}

impl<W: Write> Drop for Compressor<W> {
    fn drop(&mut self) {
        let valve = match &mut self.0 {
            // xz writes nothing when it is dropped.
            None | Some(Encoder::Xz(_)) => return,
            Some(Encoder::Plain(inner)) => inner,
            Some(Encoder::Zstd(encoder)) => encoder.get_mut(),
            Some(Encoder::Gzip(encoder)) => encoder.get_mut(),
        };
        valve.0 = None;
    }
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

/// Adds the decoder's name to its errors. An error from beneath passes through as it is.
struct NamedDecoder<R>(&'static str, R);

impl<R: Read> Read for NamedDecoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ if is_ours(&error) => error,
            _ => Fault::damaged(format!("{} cannot decode the payload: {error}", self.0)).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xz2::stream::Check;

    const METHODS: [Option<Method>; 4] = [None, Some(Method::Xz), Some(Method::Zstd), Some(Method::Gzip)];

    fn compress(bytes: &[u8], method: Option<Method>) -> Vec<u8> {
        let compression = method.map(|method| Compression { method, level: levels::levels(method).2 });
        let mut compressor = Compressor::new(Vec::new(), compression).unwrap();
        compressor.write_all(bytes).unwrap();
        compressor.finish().unwrap()
    }

    #[test]
    fn every_method_gives_back_what_it_was_given() {
        for method in METHODS {
            for length in [0, 1, 100_000] {
                let bytes: Vec<u8> = (0..length).map(|n: u32| (n / 7) as u8).collect();
                let packed = compress(&bytes, method);
                let mut back = Vec::new();
                decompressor(packed.as_slice(), method).unwrap().read_to_end(&mut back).unwrap();
                assert!(back == bytes, "{method:?} {length}");
            }
        }
    }

    #[test]
    fn a_dropped_compressor_writes_no_tail() {
        use std::sync::{Arc, Mutex};
        #[derive(Clone)]
        struct Shared(Arc<Mutex<Vec<u8>>>);
        impl Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for method in METHODS.into_iter().flatten() {
            let shared = Shared(Arc::default());
            let compression = Compression { method, level: levels::levels(method).2 };
            let mut compressor = Compressor::new(shared.clone(), Some(compression)).unwrap();
            compressor.write_all(b"CREATE TABLE half").unwrap();
            drop(compressor);
            let written = shared.0.lock().unwrap().clone();
            let mut back = Vec::new();
            let read = decompressor(written.as_slice(), Some(method)).unwrap().read_to_end(&mut back);
            assert!(read.is_err(), "{method:?} made a valid file of half a dump");
        }
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
