//! Backups of servers, for tests: what is stored in memory as a run would have stored it.

use crate::base::progress::NullMonitor;
use crate::base::secret::Secret;
use crate::base::subject::Subject;
use crate::format::backup_id::BackupId;
use crate::format::keys::Key;
use crate::format::manifest::base_alignment::BaseAlignment;
use crate::format::manifest::encoding::EncodingName;
use crate::format::manifest::origin::Origin;
use crate::format::manifest::{Format, Manifest, ServerNote};
use crate::repository::Repository;
use crate::repository::name::BackupName;
use crate::repository::writer::ManifestDetails;
use crate::store::Store;
use crate::store::memory::Memory;
use jiff::Timestamp;
use std::io::Write;
use std::sync::Arc;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

pub(crate) fn repository(store: &Memory) -> Repository {
    let store: Arc<dyn Store> = Arc::new(store.clone());
    let key = Some(Key::raw(&Secret::new("00".repeat(32).as_str()), None).unwrap());
    Repository { store, variant: Default::default(), key, encrypt: true, verify: false, allow_unauthenticated: false }
}

/// Stores a backup of a server, which has version 18; without a server, an upload.
pub(crate) fn put(
    repository: &Repository,
    database: &str,
    second: i64,
    server: Option<&str>,
    adopted: &[&str],
) -> Manifest {
    put_base(repository, (database, second), server, adopted, None)
}

/// Stores a backup that is a base, if it is aligned.
pub(crate) fn put_base(
    repository: &Repository,
    (database, second): (&str, i64),
    server: Option<&str>,
    adopted: &[&str],
    changes: Option<BaseAlignment>,
) -> Manifest {
    let adopted = adopted.iter().map(|one| (*one).to_owned()).collect();
    let name = BackupName {
        adopted,
        ..BackupId::new(Subject::from(database).in_variant(repository.variant), at(second)).into()
    };
    let mut writer = repository.begin(name, Format::Plain, None, 0).unwrap();
    writer.write_all(b"SELECT 1;\n").unwrap();
    let server = server.map(|identifier| ServerNote {
        version: "18.0".to_owned(),
        version_num: 180_000,
        encoding: EncodingName::named("UTF8").unwrap(),
        system_identifier: Some(identifier.to_owned()),
        timeline: None,
        in_recovery: false,
        session: Default::default(),
    });
    let origin = Some(if server.is_some() { Origin::Backup } else { Origin::Upload });
    writer.finish(ManifestDetails { server, origin, changes, ..ManifestDetails::default() }, &NullMonitor).unwrap()
}
