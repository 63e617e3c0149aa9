//! What a directory store does on its own account, refuses or cannot do, and what it says then.

use super::objects::{bytes, keys, put};
use pgbk::base::error::{Kind, Result, hints, kind};
use pgbk::store::directory::Directory;
use pgbk::store::{PendingUpload, PutOptions, Store, read_small};
use std::fs::{self, File};
use std::io::Write;
use tempfile::TempDir;

fn place() -> (TempDir, Directory) {
    let place = tempfile::tempdir().expect("temp dir");
    let store = Directory::open(place.path()).expect("open");
    (place, store)
}

/// Fails so, says this, and knows nothing better to do.
#[track_caller]
fn refuses<T>(done: Result<T>, expected: Kind, said: &str) {
    let error = done.map(|_| ()).expect_err(said);
    assert_eq!(format!("{error:#}"), said);
    assert_eq!((kind(&error), hints(&error)), (expected, Vec::new()), "{said}");
}

#[test]
fn what_is_no_file_is_no_object() {
    let (place, store) = place();
    let at = |key: &str| place.path().join(key);
    fs::create_dir_all(at("shop/folder")).expect("mkdir");
    let (pipe, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, at("shop/pipe"), pipe, mode, 0).expect("mkfifo");
    for key in ["shop/folder", "shop/pipe"] {
        refuses(store.open(key, None), Kind::Damaged, &format!("{:?} is not a regular file", at(key)));
    }
    let said = format!("cannot remove {:?}: Is a directory (os error 21)", at("shop/folder"));
    refuses(store.remove("shop/folder", None), Kind::Failed, &said);
    assert_eq!(keys(&store, ""), [""; 0]);
}

#[test]
fn names_that_the_file_system_does_not_take_are_failures_that_name_them() {
    let (place, store) = place();
    let long = "x".repeat(256);
    let said = |doing: &str, key: &str| {
        format!("cannot {doing} {:?}: File name too long (os error 36)", place.path().join(key))
    };
    let (folder, file) = (format!("{long}/x"), format!("shop/{long}"));
    refuses(store.open(&folder, None), Kind::Failed, &said("open the folder of", &folder));
    refuses(store.list(&folder), Kind::Failed, &said("list", &long));
    for key in [folder, file] {
        refuses(put(&store, &key, b"x"), Kind::Failed, &said("create", &key));
    }
    assert_eq!(fs::read_dir(place.path()).expect("list").count(), 0);
}

#[test]
fn no_prefix_leads_out_of_the_store() {
    let (_place, store) = place();
    for prefix in ["../x", "shop/../..", ".."] {
        let said = format!("prefix \"{prefix}\" has a \"..\"");
        refuses(store.list(prefix), Kind::Usage, &said);
        refuses(store.unfinished(prefix), Kind::Usage, &said);
    }
}

#[test]
fn a_file_that_is_cut_while_it_is_read_is_damaged() {
    let (place, store) = place();
    put(&store, "shop/x", &bytes(1000)).expect("put");
    let object = store.open("shop/x", None).expect("open");
    let path = place.path().join("shop/x");
    File::options().write(true).open(&path).expect("open").set_len(10).expect("cut");
    let said = format!("{path:?} became shorter while being read");
    refuses(object.read(0..1000), Kind::Damaged, &said);
    assert_eq!(object.read(0..10).expect("read"), bytes(10));
}

#[test]
fn an_upload_that_somebody_discards_cannot_be_committed() {
    let (place, store) = place();
    let mut upload = store.create("shop/x", &PutOptions::default()).expect("create");
    upload.write_all(b"text").expect("write");
    for unfinished in store.unfinished("").expect("unfinished") {
        store.discard(&unfinished).expect("discard");
    }
    let said = format!("cannot write {:?}: No such file or directory (os error 2)", place.path().join("shop/x"));
    refuses(upload.commit(), Kind::NotFound, &said);
    assert_eq!(keys(&store, ""), [""; 0]);
}

#[test]
fn only_an_unfinished_upload_is_discarded() {
    let (_place, store) = place();
    put(&store, "shop/x", b"text").expect("put");
    let _other = store.create("shop/other", &PutOptions::default()).expect("create");
    let other = store.unfinished("").expect("unfinished").remove(0);
    for token in ["shop/x", other.token.as_str(), "../x"] {
        let wrong = PendingUpload { key: "shop/x".to_owned(), token: token.to_owned(), started: None };
        let said = format!("\"{token}\" is not an unfinished upload of \"shop/x\"");
        refuses(store.discard(&wrong), Kind::Failed, &said);
    }
    assert_eq!((keys(&store, ""), store.unfinished("").expect("unfinished")), (vec!["shop/x".to_owned()], vec![other]));
}

#[test]
fn a_dropped_upload_takes_along_the_folders_that_were_made_for_it() {
    let (place, store) = place();
    let begin = |key| store.create(key, &PutOptions::default()).expect("create");
    let names = || {
        let entries = fs::read_dir(place.path()).expect("list").map(|entry| entry.expect("entry").file_name());
        entries.map(|name| name.into_string().expect("name")).collect::<Vec<_>>()
    };
    drop(begin("shop/deep/x"));
    assert_eq!(names(), [""; 0]);
    // One that somebody else made, and one that another upload is in.
    fs::create_dir(place.path().join("mine")).expect("mkdir");
    drop(begin("mine/x"));
    assert_eq!(names(), ["mine"]);
    let (one, two) = (begin("mine/two/a"), begin("mine/two/b"));
    drop(one);
    two.commit().expect("commit");
    assert_eq!(read_small(&store, "mine/two/b", 1).expect("read"), b"");
}

#[test]
fn a_folder_that_goes_just_now_is_made_again() {
    let (_place, store) = place();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for _ in 0..1000 {
                    drop(store.create(&format!("shop/{worker}"), &PutOptions::default()).expect("create"));
                }
            });
        }
    });
}

#[test]
fn files_and_folders_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().expect("temp dir");
    let root = place.path().join("new");
    put(&Directory::open(&root).expect("open"), "app/x", b"x").expect("put");
    for (name, mode) in [("", 0o700), ("app", 0o700), ("app/x", 0o600)] {
        let found = fs::metadata(root.join(name)).expect("stat").permissions().mode();
        assert_eq!(found & 0o777, mode, "{name}");
    }
}

#[test]
fn a_directory_store_follows_no_symbolic_links() {
    let outside = tempfile::tempdir().expect("temp dir");
    fs::write(outside.path().join("x"), "outside").expect("write");
    let (place, store) = place();
    put(&store, "app/y", b"y").expect("put");
    std::os::unix::fs::symlink(outside.path().join("x"), place.path().join("app/x")).expect("link");
    std::os::unix::fs::symlink(outside.path(), place.path().join("led")).expect("link");
    for key in ["app/x", "led/x"] {
        assert!(store.open(key, None).is_err(), "{key}");
        assert!(put(&store, key, b"z").is_err(), "{key}");
    }
    assert!(put(&store, "led/new", b"z").is_err());
    assert_eq!(keys(&store, ""), ["app/y"]);
    assert_eq!(fs::read_dir(outside.path()).expect("list").count(), 1);
}

#[test]
fn a_directory_has_no_tags_and_no_versions() {
    let (_place, store) = place();
    put(&store, "x", b"x").expect("put");
    let can = store.capabilities();
    assert!(can.tags.is_none() && can.versions.is_none());
    assert_eq!(kind(&store.open("x", Some("1")).map(|_| ()).unwrap_err()), Kind::NotFound);
}
