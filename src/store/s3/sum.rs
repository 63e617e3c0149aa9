//! MD5, because it is the one checksum that every host verifies and gives back as the ETag. It guards against accidents only.

use crate::error::Result;
use openssl::hash::{Hasher, MessageDigest, hash};
use std::ops::Range;

/// What is asked for at a time.
const PIECE: usize = 8 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum([u8; 16]);

impl Sum {
    pub fn of(bytes: &[u8]) -> Result<Sum> {
        let mut sum = [0; 16];
        sum.copy_from_slice(&hash(MessageDigest::md5(), bytes)?);
        Ok(Sum(sum))
    }

    /// Sums what `read` gives of a range, piece by piece.
    pub fn read(range: Range<u64>, read: impl Fn(Range<u64>) -> Result<Vec<u8>>) -> Result<Sum> {
        let mut hasher = Hasher::new(MessageDigest::md5())?;
        for start in range.clone().step_by(PIECE) {
            hasher.update(&read(start..range.end.min(start + PIECE as u64))?)?;
        }
        let mut sum = [0; 16];
        sum.copy_from_slice(&hasher.finish()?);
        Ok(Sum(sum))
    }

    /// The ETag of an object that was written in these parts.
    pub fn of_parts(parts: &[Sum]) -> Result<String> {
        let sums: Vec<u8> = parts.iter().flat_map(|sum| sum.0).collect();
        Ok(format!("{}-{}", Sum::of(&sums)?.hex(), parts.len()))
    }

    pub fn hex(self) -> String {
        hex::encode(self.0)
    }

    pub fn base64(self) -> String {
        openssl::base64::encode_block(&self.0)
    }
}
