//! What every store promises.

use super::objects::{PART, bytes, keys, put};
use pgbk::base::error::{Kind, kind};
use pgbk::store::{PutOptions, Store, read_small, write_small};
use std::io::Write;
use support::cluster::PATIENCE;
use support::process::until;

pub fn an_object_comes_back_whole_and_in_ranges(store: &dyn Store) {
    let sent = bytes(300_000);
    let receipt = put(store, "app/one.sql", &sent).expect("put");
    assert_eq!(receipt.bytes, 300_000);
    let object = store.open("app/one.sql", None).expect("open");
    assert_eq!(object.info().bytes, 300_000);
    assert!(object.info().modified.is_some());
    for range in [0..300_000, 0..1, 299_999..300_000, 4_095..70_001, 5..5, 300_000..300_000] {
        let got = object.read(range.clone()).expect("read");
        assert_eq!(got, sent[range.start as usize..range.end as usize], "{range:?}");
    }
    assert!(object.read(299_999..300_001).is_err());
    assert_eq!(read_small(store, "app/one.sql", 300_000).expect("read"), sent);
    assert_eq!(kind(&read_small(store, "app/one.sql", 299_999).unwrap_err()), Kind::Damaged);
}

pub fn an_object_may_be_empty(store: &dyn Store) {
    assert_eq!(put(store, "empty", b"").expect("put").bytes, 0);
    let object = store.open("empty", None).expect("open");
    assert_eq!(object.info().bytes, 0);
    assert!(object.read(0..0).expect("read").is_empty());
    assert_eq!(keys(store, ""), ["empty"]);
}

pub fn sizes_around_the_part_boundaries_come_back(store: &dyn Store) {
    let sent = bytes(3 * PART);
    for count in [PART - 1, PART, PART + 1, 2 * PART, 3 * PART - 1, 3 * PART] {
        let key = format!("size/{count}");
        assert_eq!(put(store, &key, &sent[..count]).expect("put").bytes, count as u64);
        let object = store.open(&key, None).expect("open");
        assert!(object.read(0..count as u64).expect("read") == sent[..count], "{count}");
    }
    assert!(store.unfinished("").expect("unfinished").is_empty());
}

pub fn a_second_create_is_refused_and_leaves_the_first_unharmed(store: &dyn Store) {
    put(store, "app/x", b"first").expect("put");
    assert_eq!(kind(&put(store, "app/x", b"second").unwrap_err()), Kind::Exists);
    let large = put(store, "app/x", &bytes(PART + 1)).unwrap_err();
    assert_eq!(kind(&large), Kind::Exists);
    assert_eq!(read_small(store, "app/x", 100).expect("read"), b"first");
    assert!(store.unfinished("").expect("unfinished").is_empty());
}

pub fn of_two_who_create_at_once_one_wins(store: &dyn Store) {
    for size in [10, PART + 10] {
        let key = format!("race/{size}");
        let (mut one, mut two) = (vec![1; size], vec![2; size]);
        let expected = PutOptions { expected: size as u64, ..PutOptions::default() };
        let mut first = store.create(&key, &expected).expect("create");
        let mut second = store.create(&key, &expected).expect("create");
        first.write_all(&one).expect("write");
        second.write_all(&two).expect("write");
        first.commit().expect("commit");
        assert_eq!(kind(&second.commit().map(|_| ()).unwrap_err()), Kind::Exists);
        two.clear();
        one.truncate(20);
        let object = store.open(&key, None).expect("open");
        assert_eq!(object.read(0..one.len() as u64).expect("read"), one);
        assert!(store.unfinished("race").expect("unfinished").is_empty());
    }
}

pub fn an_object_is_invisible_until_it_is_committed(store: &dyn Store) {
    let mut upload = store.create("app/slow", &PutOptions::default()).expect("create");
    upload.write_all(&bytes(PART + 1)).expect("write");
    assert!(keys(store, "").is_empty());
    assert_eq!(kind(&store.open("app/slow", None).map(|_| ()).unwrap_err()), Kind::NotFound);
    upload.commit().expect("commit");
    assert_eq!(keys(store, ""), ["app/slow"]);
}

pub fn a_dropped_upload_leaves_nothing(store: &dyn Store) {
    for size in [0, 10, PART + 1, 3 * PART + 1] {
        let mut upload = store.create("app/dropped", &PutOptions::default()).expect("create");
        upload.write_all(&bytes(size)).expect("write");
        drop(upload);
        assert!(keys(store, "").is_empty(), "{size}");
        assert!(store.unfinished("").expect("unfinished").is_empty(), "{size}");
    }
}

pub fn a_panic_in_mid_upload_leaves_nothing(store: &dyn Store) {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut upload = store.create("app/panic", &PutOptions::default()).expect("create");
        upload.write_all(&bytes(2 * PART)).expect("write");
        std::panic::resume_unwind(Box::new("as planned"));
    }));
    assert!(caught.is_err());
    assert!(keys(store, "").is_empty());
    assert!(store.unfinished("").expect("unfinished").is_empty());
}

pub fn an_unfinished_upload_is_listed_and_can_be_discarded(store: &dyn Store) {
    let mut upload = store.create("app/left", &PutOptions::default()).expect("create");
    upload.write_all(&bytes(2 * PART)).expect("write");
    let found = store.unfinished("app/").expect("unfinished");
    assert_eq!(found.iter().map(|left| left.key.as_str()).collect::<Vec<_>>(), ["app/left"]);
    assert!(found[0].started.is_some());
    assert!(store.unfinished("other/").expect("unfinished").is_empty());
    // As after a kill: nobody drops the upload.
    std::mem::forget(upload);
    // What is on its way may arrive after the end, says S3: then the upload is there again.
    let gone = until(PATIENCE, || {
        store.discard(&found[0]).expect("discard");
        store.unfinished("").expect("unfinished").is_empty()
    });
    assert!(gone);
    store.discard(&found[0]).expect("discard again");
}

pub fn a_list_is_in_order_and_knows_the_prefix_by_its_bytes(store: &dyn Store) {
    for key in ["b", "app_staging/1", "app/2", "app/10", "app-x/1", "app/sub/deep", "a"] {
        put(store, key, key.as_bytes()).expect("put");
    }
    assert_eq!(keys(store, ""), ["a", "app-x/1", "app/10", "app/2", "app/sub/deep", "app_staging/1", "b"]);
    assert_eq!(keys(store, "app/"), ["app/10", "app/2", "app/sub/deep"]);
    assert_eq!(keys(store, "app"), ["app-x/1", "app/10", "app/2", "app/sub/deep", "app_staging/1"]);
    assert_eq!(keys(store, "app/1"), ["app/10"]);
    assert!(keys(store, "nowhere/").is_empty());
    let listed = &store.list("app_staging/").expect("list")[0];
    assert_eq!((listed.bytes, listed.modified.is_some()), (13, true));
}

pub fn more_keys_than_a_page_holds_are_all_listed(store: &dyn Store) {
    let all: Vec<String> = (0..1050).map(|number| format!("many/{number:04}")).collect();
    std::thread::scope(|scope| {
        for some in all.chunks(132) {
            scope.spawn(move || {
                for key in some {
                    write_small(store, key, b"x").expect("put");
                }
            });
        }
    });
    assert_eq!(keys(store, "many/"), all);
}

pub fn what_is_missing_is_not_found(store: &dyn Store) {
    put(store, "app/there", b"x").expect("put");
    for key in ["app/missing", "missing/app", "app/ther", "app/there/not"] {
        let error = store.open(key, None).map(|_| ()).unwrap_err();
        assert_eq!(kind(&error), Kind::NotFound, "{key}: {error:#}");
    }
}

pub fn removing_twice_is_no_error(store: &dyn Store) {
    put(store, "app/gone", b"x").expect("put");
    store.remove("app/gone", None).expect("remove");
    store.remove("app/gone", None).expect("remove again");
    store.remove("never/there", None).expect("remove");
    assert!(keys(store, "").is_empty());
    put(store, "app/gone", b"y").expect("put again");
}

pub fn keys_may_hold_what_names_of_databases_hold(store: &dyn Store) {
    let mut odd = ["app/Grüße 数据", "app/it's \"q\"", "app/a b+c", "app/100%", "app/%0A", "app/a&b<c>"];
    odd.sort();
    for key in odd {
        put(store, key, key.as_bytes()).unwrap_or_else(|error| panic!("{key}: {error:#}"));
        assert_eq!(read_small(store, key, 100).expect("read"), key.as_bytes(), "{key}");
    }
    assert_eq!(keys(store, "app/"), odd);
    for key in odd {
        assert_eq!(keys(store, key), [key]);
        store.remove(key, None).expect("remove");
    }
    assert!(keys(store, "").is_empty());
}

pub fn unsafe_keys_are_refused(store: &dyn Store) {
    for key in ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "a/./b", "nul\0", "line\n"] {
        assert_eq!(kind(&store.create(key, &PutOptions::default()).map(|_| ()).unwrap_err()), Kind::Usage, "{key:?}");
        assert_eq!(kind(&store.open(key, None).map(|_| ()).unwrap_err()), Kind::Usage, "{key:?}");
        assert_eq!(kind(&store.remove(key, None).unwrap_err()), Kind::Usage, "{key:?}");
    }
}

pub fn an_object_swapped_after_opening_is_never_mixed(store: &dyn Store) {
    put(store, "app/swap", &[1; 1000]).expect("put");
    let object = store.open("app/swap", None).expect("open");
    assert_eq!(object.read(0..10).expect("read"), [1; 10]);
    store.remove("app/swap", None).expect("remove");
    put(store, "app/swap", &[2; 1000]).expect("put");
    match object.read(10..20) {
        Ok(old) => assert_eq!(old, [1; 10]),
        Err(error) => assert_eq!(kind(&error), Kind::Damaged, "{error:#}"),
    }
}

/// Hands the names of all of these to a macro.
macro_rules! every_name {
    ($take:ident) => {
        $take! {
            an_object_comes_back_whole_and_in_ranges
            an_object_may_be_empty
            sizes_around_the_part_boundaries_come_back
            a_second_create_is_refused_and_leaves_the_first_unharmed
            of_two_who_create_at_once_one_wins
            an_object_is_invisible_until_it_is_committed
            a_dropped_upload_leaves_nothing
            a_panic_in_mid_upload_leaves_nothing
            an_unfinished_upload_is_listed_and_can_be_discarded
            a_list_is_in_order_and_knows_the_prefix_by_its_bytes
            more_keys_than_a_page_holds_are_all_listed
            what_is_missing_is_not_found
            removing_twice_is_no_error
            keys_may_hold_what_names_of_databases_hold
            unsafe_keys_are_refused
            an_object_swapped_after_opening_is_never_mixed
        }
    };
}
pub(crate) use every_name;
