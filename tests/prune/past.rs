//! Backups as other times have made them.

use pgbk::jobs::transfer::{Incoming, upload};
use pgbk::manifest::BackupId;
use pgbk::monitor::Silent;
use pgbk::store::Store;
use pgbk::store::directory::Directory;
use pgbk::vault::Vault;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub fn vault(store: impl Store + 'static) -> Vault {
    Vault { store: Arc::new(store), key: None, encrypt: true, verify: true, allow_unauthenticated: false }
}

pub fn folder(path: &Path) -> Vault {
    vault(Directory::open(path).expect("open the folder"))
}

/// A backup of this database that was made then.
pub fn made(vault: &Vault, database: &str, time: &str) -> BackupId {
    let incoming =
        Incoming { database: database.to_owned(), compression: None, expected: None, allow_incomplete: true };
    let dump = format!("SELECT '{time}';\n");
    let now = time.parse().expect("a time");
    upload(vault, &mut dump.as_bytes(), &incoming, now, &Silent).expect("upload").id
}

/// One each day at three, from the first of that month on.
pub fn daily(vault: &Vault, database: &str, month: &str, days: u8) -> Vec<BackupId> {
    (1..=days).map(|day| made(vault, database, &format!("{month}-{day:02}T03:00:00Z"))).collect()
}

/// Every file below a folder, with what is in it.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("read the folder").flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => {
                let bytes = std::fs::read(&path).expect("read a file");
                found.insert(path, bytes);
            }
        }
    }
    found
}

/// The same without the two objects of each of these.
pub fn without(mut files: BTreeMap<PathBuf, Vec<u8>>, folder: &Path, gone: &[BackupId]) -> BTreeMap<PathBuf, Vec<u8>> {
    for id in gone {
        for key in [id.meta_key(), id.object_key("sql")] {
            assert!(files.remove(&folder.join(&key)).is_some(), "{key} was not there");
        }
    }
    files
}
