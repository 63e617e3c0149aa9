//! Backups as other times have made them.

use pgbk::base::progress::NullMonitor;
use pgbk::format::backup_id::BackupId;
use pgbk::format::manifest::encoding::EncodingName;
use pgbk::format::manifest::session::SessionSettings;
use pgbk::format::manifest::{Format, ServerNote};
use pgbk::repository::Repository;
use pgbk::repository::writer::ManifestDetails;
use pgbk::store::Store;
use pgbk::store::directory::Directory;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub fn repository(store: impl Store + 'static) -> Repository {
    Repository {
        store: Arc::new(store),
        variant: Default::default(),
        key: None,
        encrypt: true,
        verify: true,
        allow_unauthenticated: false,
    }
}

pub fn folder(path: &Path) -> Repository {
    repository(Directory::open(path).expect("open the folder"))
}

/// A backup of this database that was made then, by a pgbk that wrote no identity down.
pub fn made(repository: &Repository, database: &str, time: &str) -> BackupId {
    let id = BackupId::new(database, time.parse().expect("a time"));
    let mut writer = repository.begin(id.into(), Format::Plain, None, 0).expect("begin");
    writer.write_all(format!("SELECT '{time}';\n").as_bytes()).expect("write");
    let server = ServerNote {
        version: "15.18".to_owned(),
        version_num: 150_018,
        encoding: EncodingName::named("UTF8").expect("an encoding"),
        system_identifier: None,
        timeline: None,
        in_recovery: false,
        session: SessionSettings::default(),
    };
    writer
        .finish(ManifestDetails { server: Some(server), ..ManifestDetails::default() }, &NullMonitor)
        .expect("finish")
        .id
}

/// One each day at three, from the first of that month on.
pub fn daily(repository: &Repository, database: &str, month: &str, days: u8) -> Vec<BackupId> {
    (1..=days).map(|day| made(repository, database, &format!("{month}-{day:02}T03:00:00Z"))).collect()
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
