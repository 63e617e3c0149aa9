//! Documents that anybody could have written: whatever they say, they cost bounded memory, and reach no program, server or path.

mod digests;
mod members;
mod memory;

use blake2::{Blake2b256, Digest};
use pgbk::format::backup_id::BackupId;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use support::pgbk::{KEY, Pgbk, connected};
use support::proof;
use tempfile::TempDir;

/// A document of format 1 that nothing is wrong with, as a value, and its payload.
fn plain() -> (Value, Vec<u8>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format1/plain");
    let read = |end: &str| {
        let mut entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        fs::read(entries.find(|path| path.extension().is_some_and(|found| found == end)).unwrap()).unwrap()
    };
    let mut document: Value = serde_json::from_slice(&read("meta")).unwrap();
    document.as_object_mut().unwrap().remove("checksum");
    (document, read("sql"))
}

/// The text under the seal that anybody can compute.
fn sealed(mut text: Vec<u8>) -> Vec<u8> {
    let seal = hex::encode(Blake2b256::digest(&text));
    text.extend_from_slice(format!(",\n  \"checksum\": \"{seal}\"\n}}\n").as_bytes());
    text
}

/// The same, as if a key that is not here had sealed it.
fn under_a_key(mut text: Vec<u8>) -> Vec<u8> {
    text.extend_from_slice(format!(",\n  \"mac\": \"{}\"\n}}\n", "0".repeat(64)).as_bytes());
    text
}

/// The document as pgbk prints it, without its last bracket and the line before it.
fn text(document: &Value) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(document).unwrap();
    text.truncate(text.len() - 2);
    text
}

fn id_of(document: &Value) -> BackupId {
    document["id"].as_str().unwrap().parse().unwrap()
}

fn put(store: &Path, key: &str, bytes: &[u8]) -> PathBuf {
    let path = store.join(key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}
