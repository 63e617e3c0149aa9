//! Keyed hashes and random bytes.

use blake2::Blake2bMac;
use blake2::digest::consts::U32;
use blake2::digest::{FixedOutput, KeyInit, Update};
use zeroize::Zeroizing;

pub type KeyedHash = Blake2bMac<U32>;

pub type Bytes32 = Zeroizing<[u8; 32]>;

/// Returns the keyed BLAKE2b-256 of the pieces, as `openssl mac -macopt hexkey:… -macopt size:32 BLAKE2BMAC` does.
pub fn keyed(key: &[u8; 32], pieces: &[&[u8]]) -> [u8; 32] {
    let mut hash = hasher(key);
    for piece in pieces {
        hash.update(piece);
    }
    hash.finalize_fixed().into()
}

fn hasher(key: &[u8; 32]) -> KeyedHash {
    match KeyedHash::new_from_slice(key) {
        Ok(hash) => hash,
        Err(_) => unreachable!("32 bytes are a valid BLAKE2b key"),
    }
}
