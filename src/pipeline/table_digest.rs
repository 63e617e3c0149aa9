//! The digest of a table's rows, as the format of a backup has it.

use crate::format::keys::digest_key::DigestKey;
use crate::format::row_sum::RowSum;
use blake2b_simd::{Params, State};

/// The digest of a table while its rows pass by.
pub(crate) enum TableDigest {
    /// From format 3 on: the order of the rows does not matter.
    Unordered(Box<RowSum>),
    /// Before it: the BLAKE2b-256 of the rows of one COPY block and, with a key, of the table's name and the length of that.
    Ordered { hash: Box<State>, name: Option<String> },
}

impl TableDigest {
    pub fn new(unordered: bool, key: &DigestKey, table: &str) -> TableDigest {
        if unordered {
            return TableDigest::Unordered(Box::new(RowSum::new(key, table)));
        }
        let mut params = Params::new();
        params.hash_length(32);
        if let Some(key) = key {
            params.key(&key[..]);
        }
        // Without its name, tables that hold the same would show it.
        TableDigest::Ordered { hash: Box::new(params.to_state()), name: key.as_ref().map(|_| table.to_owned()) }
    }

    /// Takes the next bytes of the rows, in pieces that may break anywhere.
    pub fn update(&mut self, data: &[u8]) {
        match self {
            TableDigest::Unordered(sum) => sum.update(data),
            TableDigest::Ordered { hash, .. } => drop(hash.update(data)),
        }
    }

    /// Adds rows of the same table that were hashed elsewhere, with the same key. Only digests from format 3 on can do that.
    pub fn join(&mut self, part: &RowSum) {
        if let TableDigest::Unordered(sum) = self {
            sum.join(part);
        }
    }

    pub fn finish(self) -> [u8; 32] {
        match self {
            TableDigest::Unordered(sum) => sum.finish(),
            TableDigest::Ordered { mut hash, name } => {
                if let Some(name) = name {
                    hash.update(name.as_bytes()).update(&(name.len() as u64).to_be_bytes());
                }
                let mut digest = [0; 32];
                digest.copy_from_slice(hash.finalize().as_bytes());
                digest
            }
        }
    }
}
