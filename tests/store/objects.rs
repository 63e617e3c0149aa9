//! Objects to store, and what is there.

use pgbk::base::error::Result;
use pgbk::store::{PutOptions, PutResult, Store};
use std::io::Write;

pub const PART: usize = 5 << 20;

/// Bytes that repeat nowhere near a part's size.
pub fn bytes(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..count).map(|_| next()).collect()
}

pub fn put(store: &dyn Store, key: &str, bytes: &[u8]) -> Result<PutResult> {
    let mut upload = store.create(key, &PutOptions { expected: bytes.len() as u64, ..PutOptions::default() })?;
    // Neither whole parts nor a divisor of one.
    for piece in bytes.chunks(777_777) {
        upload.write_all(piece)?;
    }
    upload.commit()
}

pub fn keys(store: &dyn Store, prefix: &str) -> Vec<String> {
    store.list(prefix).expect("list").into_iter().map(|listed| listed.key).collect()
}
