//! Files that are checked in and made by the program: compared with what it makes now, or written anew.

use crate::process::root;
use std::fs;

/// Whether what is made now is to be written, by `PGBK_UPDATE=1`.
pub fn updating() -> bool {
    std::env::var_os("PGBK_UPDATE").is_some()
}

/// Compares a file of the project with what is made now, or writes it. `tests` are those that write it.
#[track_caller]
pub fn same(path: &str, made: &[u8], tests: &str) {
    let file = root().join(path);
    if updating() {
        fs::write(&file, made).unwrap();
    }
    let same = fs::read(&file).is_ok_and(|checked_in| checked_in == made);
    assert!(same, "{path} is out of date; update it with: PGBK_UPDATE=1 cargo test {tests}");
}
