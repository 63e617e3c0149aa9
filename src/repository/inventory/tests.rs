use crate::base::progress::NullMonitor;
use crate::base::secret::Secret;
use crate::base::state_dir::StateDir;
use crate::format::keys::Key;
use crate::format::manifest::origin::Origin;
use crate::format::manifest::{Format, ServerNote};
use crate::repository::inventory::*;
use crate::repository::name::BackupName;
use crate::repository::writer::ManifestDetails;
use crate::store::memory::Memory;
use crate::store::{Store, write_small};
use std::io::Write;
use std::sync::Arc;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn repository(store: &Memory) -> Repository {
    let store: Arc<dyn Store> = Arc::new(store.clone());
    let key = Some(Key::raw(&Secret::new("00".repeat(32).as_str()), None).unwrap());
    Repository { store, variant: Default::default(), key, encrypt: true, verify: false, allow_unauthenticated: false }
}

/// Stores a backup of a server; without a server, an upload.
fn put(repository: &Repository, database: &str, second: i64, server: Option<&str>, adopted: &[&str]) {
    let adopted = adopted.iter().map(|one| (*one).to_owned()).collect();
    let name = BackupName { adopted, ..BackupId::new(database, at(second)).into() };
    let mut writer = repository.begin(name, Format::Plain, None, 0).unwrap();
    writer.write_all(b"SELECT 1;\n").unwrap();
    let server = server.map(|identifier| ServerNote {
        version: "18.0".to_owned(),
        version_num: 180_000,
        encoding: crate::format::manifest::encoding::EncodingName::named("UTF8").unwrap(),
        system_identifier: Some(identifier.to_owned()),
        timeline: None,
        in_recovery: false,
        session: Default::default(),
    });
    let origin = Some(if server.is_some() { Origin::Backup } else { Origin::Upload });
    writer.finish(ManifestDetails { server, origin, ..ManifestDetails::default() }, &NullMonitor).unwrap();
}

fn counts(of: &BTreeMap<Subject, BackupTotal>) -> Vec<(&str, u64)> {
    of.iter().map(|(name, total)| (name.name(), total.backups)).collect()
}

#[test]
fn what_is_counted_is_this_servers_and_the_rest_is_counted_beside_it() {
    let (memory, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    let state = StateDir::at(folder.path());
    let repository = repository(&memory);
    (0..60).for_each(|second| put(&repository, "app", second, Some("7001"), &[]));
    (100..103).for_each(|second| put(&repository, "app", second, Some("7002"), &[]));
    put(&repository, "app", 200, None, &[]);
    put(&repository, "crm", 201, Some("7002"), &[]);
    write_small(&memory, "app/notes.txt", b"mine").unwrap();
    write_small(&memory, &BackupId::new("app", at(500)).object_key("sql"), b"no .meta yet").unwrap();
    write_small(&memory, &BackupId::new("app", at(600)).meta_key(), b"{}").unwrap();
    let look = |server: ServerIdentity| {
        let inventory = Inventory::look(&repository, &repository.catalog(None), &server, &state, at(1000));
        inventory.write(&state).unwrap();
        inventory
    };
    let named = |server: &str| ServerIdentity::Named(server.to_owned());
    // Of several that are there none is taken for the one that was never asked.
    let unasked = look(ServerIdentity::Unasked);
    assert_eq!((counts(&unasked.databases), counts(&unasked.others)), (vec![("crm", 1)], vec![("app", 65)]));
    let first = look(named("7001"));
    assert_eq!((counts(&first.databases), counts(&first.others)), (vec![("app", 60)], vec![("app", 5), ("crm", 1)]));
    assert_eq!(
        (first.newest.len(), &first.newest[0].id, &first.problem),
        (SHOWN, &BackupId::new("app", at(59)), &None)
    );
    assert!(first.newest[0].bytes.is_some_and(|bytes| first.databases[&Subject::from("app")].bytes == 60 * bytes));
    // A server that does not answer now is the one that was asked last.
    assert_eq!(look(ServerIdentity::Unasked).databases, first.databases);
    let second = look(named("7002"));
    assert_eq!((counts(&second.databases), counts(&second.others)), (vec![("app", 3), ("crm", 1)], vec![("app", 62)]));
    assert_eq!(counts(&look(named("7003")).databases), []);
    // Adopted backups are of the series.
    put(&repository, "app", 300, Some("7003"), &["7002"]);
    assert_eq!(counts(&look(named("7003")).databases), [("app", 4)]);
    // A look that fails leaves what was known.
    let failed = Err(crate::base::error::Fault::failed("the store is away").into());
    let after = Inventory::look(&repository, &failed, &named("7003"), &state, at(2000));
    assert_eq!((counts(&after.databases), after.problem.as_deref()), (vec![("app", 4)], Some("the store is away")));
}
