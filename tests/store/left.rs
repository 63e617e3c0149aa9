//! What is left behind, and each `.meta` whose payload is gone.

use jiff::Timestamp;
use pgbk::base::progress::NullMonitor;
use pgbk::format::backup_id::BackupId;
use pgbk::format::manifest::Format;
use pgbk::monitoring::doctor::store::{Cleaning, look_at_leftovers};
use pgbk::repository::Repository;
use pgbk::repository::orphans::Orphans;
use pgbk::repository::writer::ManifestDetails;
use pgbk::store::directory::Directory;
use pgbk::store::memory::Memory;
use pgbk::store::{Store, write_small};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use support::faulty::{Fault, Faulty};

fn at(second: i64) -> BackupId {
    BackupId::new("shop", Timestamp::from_second(1_790_000_000 + second).unwrap())
}

/// One whole backup, one of which only the `.meta` is there, and one payload alone.
fn filled(store: &dyn Store) -> [String; 2] {
    for id in [at(1), at(2)] {
        write_small(store, &id.meta_key(), b"{\"object\": \"shop/none\", \"version_id\": null}").expect("write");
    }
    for id in [at(1), at(3)] {
        write_small(store, &id.object_key("sql.zst.enc"), b"payload").expect("write");
    }
    [at(2).meta_key(), at(3).object_key("sql.zst.enc")]
}

fn look(store: &dyn Store, cleaning: &Cleaning) -> pgbk::base::error::Result<String> {
    let findings = look_at_leftovers(store, store.list(""), cleaning, Timestamp::now(), &NullMonitor)?;
    Ok(serde_json::to_string(&findings).expect("json"))
}

#[test]
fn a_meta_without_payload_is_named_and_goes_only_when_its_key_is_said() {
    let place = tempfile::tempdir().expect("temp dir");
    let store = Directory::open(place.path()).expect("open");
    let [bare, orphan] = filled(&store);
    let told = look(&store, &Cleaning::default()).expect("look");
    assert!(told.contains(&format!("pgbk doctor --remove-meta {bare}")) && told.contains(&orphan), "{told}");
    // What killed runs left goes; the document stays, for it says what was lost.
    let clean = Cleaning { older_than: Some(Duration::ZERO), metas: Vec::new() };
    assert!(look(&store, &clean).expect("clean").contains("1 leftover removed"));
    let found = Orphans::of(store.list("").expect("list"), store.unfinished("").expect("look"));
    assert!(found.is_empty() && found.bare.len() == 1, "{found:?}");
    for wrong in [at(1).meta_key(), at(1).object_key("sql.zst.enc"), "shop/none.meta".to_owned(), String::new()] {
        let asked = Cleaning { older_than: None, metas: vec![wrong.clone()] };
        assert!(look(&store, &asked).is_err(), "{wrong}");
    }
    let asked = Cleaning { older_than: None, metas: vec![bare.clone()] };
    assert!(look(&store, &asked).expect("remove").contains(&format!("\\\"{bare}\\\" removed")));
    assert_eq!(store.list("").expect("list").len(), 2);
}

#[test]
fn a_meta_whose_payload_is_only_hidden_stays() {
    let place = tempfile::tempdir().expect("temp dir");
    let store = Directory::open(place.path()).expect("open");
    write_small(&store, "shop/elsewhere", b"payload").expect("write");
    write_small(&store, &at(2).meta_key(), b"{\"object\": \"shop/elsewhere\", \"version_id\": null}").expect("write");
    let asked = Cleaning { older_than: None, metas: vec![at(2).meta_key()] };
    assert!(format!("{:#}", look(&store, &asked).unwrap_err()).contains("still there as a version"));
    assert_eq!(store.list("").expect("list").len(), 2);
}

#[test]
fn a_meta_that_is_locked_stays_and_the_store_is_listed_once() {
    let host = Faulty::start(|request, _| {
        (request.call() == "delete" && request.path.ends_with(".meta")).then_some(Fault::Answer(403, "AccessDenied"))
    });
    let store = host.store();
    let [bare, _] = filled(&store);
    let clean = Cleaning { older_than: Some(Duration::ZERO), metas: Vec::new() };
    look(&store, &clean).expect("clean");
    assert_eq!(host.count("list"), 1);
    look(&store, &Cleaning { older_than: None, metas: vec![bare.clone()] }).unwrap_err();
    assert!(host.keys().contains(&bare));
}

#[test]
fn a_backup_whose_document_would_be_larger_than_any_may_be_leaves_no_payload() {
    let store = Arc::new(Memory::default());
    let repository = Repository {
        store: store.clone(),
        variant: Default::default(),
        key: None,
        encrypt: false,
        verify: false,
        allow_unauthenticated: false,
    };
    let mut writer = repository.begin(at(1).into(), Format::Plain, None, 0).expect("begin");
    writer.write_all(b"SELECT 1;\n").expect("write");
    let about = ManifestDetails { note: Some("x".repeat(64 << 20)), ..ManifestDetails::default() };
    let said = format!("{:#}", writer.finish(about, &NullMonitor).expect_err("a failure"));
    assert!(said.starts_with(&format!("the .meta of {} would have 671", at(1))), "{said}");
    assert!(said.ends_with(" bytes, more than one may have"), "{said}");
    assert_eq!(store.list("").expect("list"), []);
}
