//! The proof: the same tests, at their full size, that count what they tried.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder that counts go into: set by scripts/prove.sh.
fn folder() -> Option<PathBuf> {
    std::env::var_os("PGBK_PROVE").map(PathBuf::from)
}

pub fn whole() -> bool {
    folder().is_some()
}

/// How many of something a test does: a sample each time, the whole in a proof.
pub fn size(sample: usize, whole: usize) -> usize {
    if self::whole() { whole } else { sample }
}

/// All of these in a proof, and else every so many-th, from this place on.
pub fn sample<T>(all: impl IntoIterator<Item = T>, every: usize, from: usize) -> impl Iterator<Item = T> {
    let step = size(every, 1);
    all.into_iter().skip(from % step).step_by(step)
}

/// Notes what a test tried, once all of it held: `passed` worked as it should, `refused` was refused as it should be.
pub fn counted(area: &str, what: &str, passed: usize, refused: usize) {
    eprintln!("{area}, {what}: {passed} passed, {refused} refused");
    if let Some(folder) = folder() {
        append(&folder, area, &serde_json::json!({"what": what, "passed": passed, "refused": refused}));
    }
}

/// One write of one line, so that tests of several threads and programs can share the file.
fn append(folder: &Path, area: &str, line: &serde_json::Value) {
    let path = folder.join(format!("{area}.jsonl"));
    let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("the proof's folder");
    file.write_all(format!("{line}\n").as_bytes()).expect("the proof's folder");
}
