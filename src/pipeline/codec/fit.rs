//! Fits a compression level into the memory that there is. First it takes fewer threads, and only then a smaller
//! dictionary or window.

use crate::base::error::Result;
use crate::format::manifest::pieces::LARGEST_PIECE;
use crate::format::manifest::{Compression, Method};
use crate::pipeline::codec::memory;
use xz2::stream::{Check, Filters, LzmaOptions, MtStreamBuilder, Stream};

/// From this level on two cores are the bottleneck of the whole pipeline.
const ZSTD_THREADS_FROM: u32 = 6;
/// The dictionaries of xz's levels, as powers of two.
const XZ_DICTIONARY: [u32; 10] = [18, 20, 21, 22, 22, 23, 23, 24, 25, 26];
/// Sizes of zstd's levels from 1 on, as powers of two: the window in bytes, and the chain table and the hash table in
/// entries of 4 bytes.
const ZSTD_TABLES: [[u32; 3]; 19] = [
    [19, 13, 14],
    [20, 15, 16],
    [21, 16, 17],
    [21, 18, 18],
    [21, 18, 19],
    [21, 18, 19],
    [21, 19, 20],
    [21, 19, 20],
    [22, 20, 21],
    [22, 21, 22],
    [22, 21, 22],
    [22, 22, 23],
    [22, 22, 22],
    [22, 22, 23],
    [22, 23, 23],
    [22, 22, 22],
    [23, 23, 22],
    [23, 23, 22],
    [23, 24, 22],
];
/// Bytes that zstd takes besides its tables.
const ZSTD_BASE: u64 = 4 << 20;
/// No size is halved below this, as a power of two.
const SMALLEST: u32 = 17;

/// Smallest piece of a dump, in bytes, but for the last, where there is memory for it; else a quarter of that.
const LEAST_PIECE: usize = 4 << 20;

/// The threads and the sizes with which a level is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// How many pieces are compressed at a time.
    pub threads: u32,
    /// How often the dictionary, or the window with its tables, is halved.
    pub halved: u32,
}

impl Fit {
    /// Returns the best fit for this process's cores and memory.
    pub fn of(compression: Compression) -> Fit {
        Fit::within(compression, crate::pipeline::codec::levels::cores(), memory::room())
    }

    fn within(compression: Compression, cores: u32, room: u64) -> Fit {
        let most = match compression.method {
            Method::Zstd if compression.level < ZSTD_THREADS_FROM => cores.clamp(1, 2),
            Method::Gzip | Method::Zstd | Method::Xz => cores.max(1),
        };
        let fewer = (1..=most).rev().map(|threads| Fit { threads, halved: 0 });
        let smaller = (1..=smallest(compression)).map(|halved| Fit { threads: 1, halved });
        let last = Fit { threads: 1, halved: smallest(compression) };
        fewer.chain(smaller).find(|fit| fit.memory(compression) <= room).unwrap_or(last)
    }

    /// Returns how many bytes of memory it takes at most, with the pieces on their way.
    pub fn memory(self, compression: Compression) -> u64 {
        let each = match compression.method {
            Method::Gzip => 1 << 20,
            Method::Xz => {
                let mut filters = Filters::new();
                let options = self.lzma(compression.level).map(|options| {
                    filters.lzma2(&options);
                });
                // Asked of the encoder with threads, which is the only one that tells: with one, it takes what the other takes, and a block.
                options
                    .map_or(u64::MAX, |()| MtStreamBuilder::new().threads(1).block_size(1).filters(filters).memusage())
            }
            Method::Zstd => {
                let [window, chain, hash] = self.zstd(compression.level).map(|log| 1_u64 << log);
                ZSTD_BASE + 4 * (chain + hash) + 2 * window
            }
        };
        // Every one has a piece and what becomes of it; one more is being filled, and one waits.
        let threads = u64::from(self.threads);
        threads * each + (2 * threads + 2) * self.piece(compression) as u64
    }

    /// Returns the size of a piece in bytes of the dump: twice what the encoder looks back, if that is more than the least.
    pub fn piece(self, compression: Compression) -> usize {
        let back = match compression.method {
            // It looks back 32 KiB.
            Method::Gzip => return LEAST_PIECE / 2,
            Method::Xz => self.dictionary(compression.level),
            Method::Zstd => self.zstd(compression.level)[0],
        };
        (2 << back).clamp(LEAST_PIECE >> self.halved.min(2), LARGEST_PIECE as usize)
    }

    pub fn xz(self, level: u32) -> Result<Stream> {
        let mut filters = Filters::new();
        filters.lzma2(&self.lzma(level)?);
        Ok(Stream::new_stream_encoder(&filters, Check::Crc64)?)
    }

    fn lzma(self, level: u32) -> Result<LzmaOptions> {
        let mut options = LzmaOptions::new_preset(level)?;
        options.dict_size(1 << self.dictionary(level));
        Ok(options)
    }

    /// Returns the dictionary of xz in bytes, as a power of two.
    fn dictionary(self, level: u32) -> u32 {
        self.less(XZ_DICTIONARY[level.min(9) as usize])
    }

    /// Returns the window, the chain table and the hash table.
    pub fn zstd(self, level: u32) -> [u32; 3] {
        ZSTD_TABLES[level.clamp(1, 19) as usize - 1].map(|log| self.less(log))
    }

    fn less(self, log: u32) -> u32 {
        log.saturating_sub(self.halved).max(log.min(SMALLEST))
    }

    /// Returns a warning if the level is carried out with smaller sizes than it has. None: it is not.
    pub fn remark(self, compression: Compression) -> Option<String> {
        let (method, level) = (compression.method.name(), compression.level);
        let (what, log) = match compression.method {
            Method::Xz => ("dictionary", XZ_DICTIONARY[level.min(9) as usize]),
            _ => ("window", ZSTD_TABLES[level.clamp(1, 19) as usize - 1][0]),
        };
        let size =
            |log: u32| if log < 20 { format!("{} KiB", 1 << (log - 10)) } else { format!("{} MiB", 1 << (log - 20)) };
        (self.halved > 0).then(|| {
            format!(
                "there is too little memory for {method} at level {level}: its {what} is {} instead of {}, which packs less tightly; \
                 allow pgbk more memory, or choose a lower DB_BACKUP_COMPRESS_LEVEL",
                size(self.less(log)),
                size(log)
            )
        })
    }
}

/// Returns how often the largest size of a level can be halved.
fn smallest(compression: Compression) -> u32 {
    let level = compression.level;
    let largest = match compression.method {
        Method::Gzip => SMALLEST,
        Method::Xz => XZ_DICTIONARY[level.min(9) as usize],
        Method::Zstd => ZSTD_TABLES[level.clamp(1, 19) as usize - 1].into_iter().fold(0, u32::max),
    };
    largest.saturating_sub(SMALLEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::codec::levels::levels;
    use crate::pipeline::codec::{decompressor, pack_piece};
    use std::io::Read;

    const METHODS: [Method; 3] = [Method::Xz, Method::Zstd, Method::Gzip];

    fn all() -> impl Iterator<Item = Compression> {
        METHODS
            .into_iter()
            .flat_map(|method| (levels(method).0..=levels(method).1).map(move |level| Compression { method, level }))
    }

    #[test]
    fn every_level_of_every_method_fits_on_any_number_of_cores_and_takes_no_less_than_there_is_room_for() {
        for compression in all() {
            for cores in [1, 2, 4, 16, 64, 256] {
                let mut before = Fit { threads: 1, halved: u32::MAX };
                for room in (20..36).map(|log| 1_u64 << log) {
                    let fit = Fit::within(compression, cores, room);
                    let told = format!("{compression:?} {cores} {room} {fit:?}");
                    let is_smallest = fit == Fit { threads: 1, halved: smallest(compression) };
                    assert!(
                        fit.memory(compression) <= room || is_smallest && fit.memory(compression) < 16 << 20,
                        "{told}"
                    );
                    assert!(fit.threads <= cores && (fit.threads == 1 || fit.halved == 0), "{told}");
                    assert!(fit.threads >= before.threads && fit.halved <= before.halved, "{told}");
                    assert_eq!(fit.remark(compression).is_some(), fit.halved > 0, "{told}");
                    before = fit;
                }
                let whole = Fit::within(compression, cores, u64::MAX);
                let few = compression.method == Method::Zstd && compression.level < ZSTD_THREADS_FROM;
                assert_eq!(whole, Fit { threads: if few { cores.min(2) } else { cores }, halved: 0 });
            }
        }
    }

    #[test]
    fn what_was_made_with_little_memory_is_read_back() {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n / 7 % 251) as u8).collect();
        for compression in all() {
            for room in [1 << 20, 24 << 20] {
                let fit = Fit::within(compression, 2, room);
                let packed = pack_piece(&bytes, compression, fit, &|| true).unwrap();
                let mut back = Vec::new();
                decompressor(packed.as_slice(), Some(compression.method)).unwrap().read_to_end(&mut back).unwrap();
                assert!(back == bytes, "{compression:?} {room}");
            }
        }
    }

    #[test]
    fn a_level_that_is_not_what_it_is_called_is_told() {
        let nine = Compression { method: Method::Xz, level: 9 };
        let told = Fit { threads: 1, halved: 2 }.remark(nine).unwrap();
        assert!(told.contains("xz at level 9: its dictionary is 16 MiB instead of 64 MiB"), "{told}");
        assert_eq!(Fit { threads: 1, halved: 0 }.remark(nine), None);
    }
}
