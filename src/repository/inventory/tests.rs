use crate::base::error::{Fault, Kind, kind};
use crate::base::state_dir::StateDir;
use crate::repository::inventory::owners::Owners;
use crate::repository::inventory::*;
use crate::repository::made_backups::{at, put, repository};
use crate::store::memory::Memory;
use crate::store::refusing_store::RefusingStore;
use crate::store::write_small;
use std::sync::Arc;

fn counts(of: &BTreeMap<Subject, BackupTotal>) -> Vec<(&str, u64)> {
    of.iter().map(|(name, total)| (name.name(), total.backups)).collect()
}

#[test]
fn what_is_counted_is_this_servers_and_the_rest_is_counted_beside_it() {
    let (memory, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    let state = StateDir::at(folder.path());
    let repository = repository(&memory);
    (0..60).for_each(|second| drop(put(&repository, "app", second, Some("7001"), &[])));
    (100..103).for_each(|second| drop(put(&repository, "app", second, Some("7002"), &[])));
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
    let failed = Err(Fault::failed("the store is away").into());
    let after = Inventory::look(&repository, &failed, &named("7003"), &state, at(2000));
    assert_eq!((counts(&after.databases), after.problem.as_deref()), (vec![("app", 4)], Some("the store is away")));
}

#[test]
fn each_output_is_counted_by_itself_and_what_is_known_of_one_is_kept_while_it_cannot_be_listed() {
    let (memory, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    let state = StateDir::at(folder.path());
    let plain = repository(&memory);
    let copies = Repository { variant: Variant::Anonymised, ..plain.clone() };
    put(&plain, "app", 0, Some("7001"), &[]);
    (0..2).for_each(|second| drop(put(&copies, "app", second, Some("7001"), &[])));
    put(&copies, "app", 5, Some("7002"), &[]);
    let server = ServerIdentity::Named("7001".to_owned());
    let look = |repository: &Repository, catalog| Inventory::look(repository, &catalog, &server, &state, at(100));
    let inventories = vec![look(&plain, plain.catalog(None)), look(&copies, copies.catalog(None))];
    Inventory::together(inventories).unwrap().write(&state).unwrap();
    let read = Inventory::read(&state).unwrap();
    let shown = |one: &Inventory| {
        let of = |totals: &BTreeMap<Subject, BackupTotal>| -> Vec<(String, u64)> {
            totals.iter().map(|(subject, total)| (subject.to_string(), total.backups)).collect()
        };
        (one.variant, of(&one.databases), of(&one.others))
    };
    let named = |name: &str, count: u64| vec![(name.to_owned(), count)];
    let expected = [
        (Variant::Plain, named("app", 1), Vec::new()),
        (Variant::Anonymised, named("app@anonymised", 2), named("app@anonymised", 1)),
    ];
    assert_eq!(read.with_copies().map(shown).collect::<Vec<_>>(), expected);
    let failed = look(&copies, Err(anyhow::anyhow!("away")));
    assert_eq!((shown(&failed), failed.problem.as_deref()), (expected[1].clone(), Some("away")));
    assert!(!serde_json::to_string(&look(&plain, plain.catalog(None))).unwrap().contains("variant"));
    assert_eq!(Inventory::together(Vec::new()), None);
}

#[test]
fn documents_that_may_not_be_read_are_ones_own_those_that_are_damaged_nobodys_and_any_other_trouble_is_told() {
    let memory = Memory::default();
    let plain = repository(&memory);
    let (known, refused) = (put(&plain, "app", 1, Some("7001"), &[]).id, put(&plain, "app", 2, Some("7001"), &[]).id);
    let server = ServerIdentity::Named("7001".to_owned());
    for (refusal, expected) in [
        (Kind::Denied, Ok(vec![&known, &refused])),
        (Kind::Damaged, Ok(vec![&known])),
        (Kind::NotFound, Ok(vec![&known])),
        (Kind::Failed, Err(Kind::Failed)),
        (Kind::Unauthenticated, Err(Kind::Unauthenticated)),
    ] {
        let store =
            RefusingStore { memory: memory.clone(), end: refused.meta_key(), open: Some(refusal), remove: None };
        let repository = Repository { store: Arc::new(store), ..plain.clone() };
        let mut owners = Owners::default();
        let own = owners.sort(&repository, &repository.catalog(None).unwrap(), &server);
        let found = own.as_ref().map(|own| own.iter().collect::<Vec<_>>()).map_err(kind);
        assert_eq!(found, expected, "{refusal:?}");
    }
}
