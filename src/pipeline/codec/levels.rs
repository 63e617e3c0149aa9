//! Levels of the methods of compression, and the cores that compress.

use crate::format::manifest::Method;

pub fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u32)
}

/// Returns the lowest, highest and default level of a method.
pub fn levels(method: Method) -> (u32, u32, u32) {
    match method {
        Method::Xz => (0, 9, 4),
        Method::Zstd => (1, 19, 3),
        Method::Gzip => (1, 9, 6),
    }
}
