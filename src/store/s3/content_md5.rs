//! Computes MD5, because it is the one checksum that every host verifies and gives back as the ETag. It guards
//! against accidents only.

use crate::base::error::Result;
use openssl::hash::{Hasher, MessageDigest, hash};
use std::ops::Range;

/// Bytes that are read at a time.
const PIECE: usize = 8 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentMd5([u8; 16]);

impl ContentMd5 {
    pub fn of(bytes: &[u8]) -> Result<ContentMd5> {
        let mut sum = [0; 16];
        sum.copy_from_slice(&hash(MessageDigest::md5(), bytes)?);
        Ok(ContentMd5(sum))
    }

    /// Hashes a range, which `read` gives piece by piece.
    pub fn read(range: Range<u64>, read: impl Fn(Range<u64>) -> Result<Vec<u8>>) -> Result<ContentMd5> {
        let mut hasher = Hasher::new(MessageDigest::md5())?;
        for start in range.clone().step_by(PIECE) {
            hasher.update(&read(start..range.end.min(start + PIECE as u64))?)?;
        }
        let mut sum = [0; 16];
        sum.copy_from_slice(&hasher.finish()?);
        Ok(ContentMd5(sum))
    }

    /// Returns the ETag of an object that was written in these parts.
    pub fn of_parts(parts: &[ContentMd5]) -> Result<String> {
        let sums: Vec<u8> = parts.iter().flat_map(|sum| sum.0).collect();
        Ok(format!("{}-{}", ContentMd5::of(&sums)?.hex(), parts.len()))
    }

    pub fn hex(self) -> String {
        hex::encode(self.0)
    }

    pub fn base64(self) -> String {
        openssl::base64::encode_block(&self.0)
    }
}
