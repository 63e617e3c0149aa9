//! One suite for every kind of store, and what S3 hosts can do wrong.

#[path = "store/answers.rs"]
mod answers;
#[path = "store/every.rs"]
mod every;
#[path = "store/folder.rs"]
mod folder;
#[path = "store/objects.rs"]
mod objects;
mod support;

use objects::{PART, bytes, keys, put};
use pgbk::error::{Kind, Result, hints, kind};
use pgbk::store::directory::Directory;
use pgbk::store::memory::Memory;
use pgbk::store::s3::{S3, S3Settings};
use pgbk::store::{Creation, Receipt, Store, read_small, write_small};
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::faulty::{Fault, Faulty, Request};
use support::s3::{Server, WRITER, moto, radosgw, seaweedfs};

/// What S3 hosts add.
mod hosted {
    use super::*;

    pub fn the_receipt_has_the_etag_that_the_host_gives(store: &S3) {
        for size in [0, 10, PART, PART + 1, 2 * PART] {
            let key = format!("etag/{size}");
            let receipt = put(store, &key, &bytes(size)).expect("put");
            assert!(receipt.etag.is_some());
            assert_eq!(receipt.etag, store.open(&key, None).expect("open").info().etag, "{size}");
        }
    }

    pub fn tags_are_replaced(store: &S3) {
        put(store, "app/tagged", b"x").expect("put");
        assert!(store.tags("app/tagged", None).expect("tags").is_empty());
        for value in ["hourly", "monthly"] {
            let tags = [("lifecycle".to_owned(), value.to_owned())];
            store.tag("app/tagged", None, &tags).expect("tag");
            assert_eq!(store.tags("app/tagged", None).expect("tags"), tags);
        }
    }

    pub fn the_hosts_clock_is_known(store: &S3) {
        let skew = store.clock_skew().expect("ask").expect("a date");
        assert!(skew.abs() < 5, "{skew}");
    }

    pub fn a_missing_bucket_is_named(store: &S3, server: &Server) {
        drop(store.location());
        let store = S3::open(server.settings("no-such-bucket-here")).expect("open");
        for error in [
            store.list("").map(|_| ()).unwrap_err(),
            store.open("x", None).map(|_| ()).unwrap_err(),
            write_small(&store, "x", b"x").map(|_| ()).unwrap_err(),
            put(&store, "x", &bytes(9 << 20)).map(|_| ()).unwrap_err(),
        ] {
            assert_eq!(kind(&error), Kind::NotFound, "{error:#}");
            assert!(format!("{error:#}").contains("bucket \"no-such-bucket-here\" does not exist"), "{error:#}");
        }
    }
}

fn on_s3(server: &Server) -> S3 {
    let settings = S3Settings {
        folder: "/backups/all".to_owned(),
        part_size: Some(PART as u64),
        ..server.settings(&server.bucket("suite"))
    };
    S3::open(settings).expect("open")
}

macro_rules! suite {
    ($($name:ident)*) => {
        mod in_memory { $(#[test] fn $name() { super::every::$name(&super::Memory::default()) })* }
        mod in_a_directory { $(#[test] fn $name() {
            let place = tempfile::tempdir().expect("temp dir");
            super::every::$name(&super::Directory::open(place.path().join("new/store")).expect("open"))
        })* }
        mod on_seaweedfs { $(#[test] fn $name() { super::every::$name(&super::on_s3(super::seaweedfs())) })* }
        mod on_radosgw { $(#[test] fn $name() { super::every::$name(&super::on_s3(super::radosgw())) })* }
        mod on_moto { $(#[test] fn $name() { super::every::$name(&super::on_s3(super::moto())) })* }
    };
}

every::every_name!(suite);

#[test]
fn a_dropped_upload_takes_along_the_folders_that_were_made_for_it() {
    let place = tempfile::tempdir().expect("temp dir");
    let store = Directory::open(place.path()).expect("open");
    let begin = |key| store.create(key, &Creation::default()).expect("create");
    let names = || {
        let entries = std::fs::read_dir(place.path()).expect("list").map(|entry| entry.expect("entry").file_name());
        entries.map(|name| name.into_string().expect("name")).collect::<Vec<_>>()
    };
    drop(begin("shop/deep/x"));
    assert_eq!(names(), [""; 0]);
    // One that somebody else made, and one that another upload is in.
    std::fs::create_dir(place.path().join("mine")).expect("mkdir");
    drop(begin("mine/x"));
    assert_eq!(names(), ["mine"]);
    let (one, two) = (begin("mine/two/a"), begin("mine/two/b"));
    drop(one);
    two.commit().expect("commit");
    assert_eq!(read_small(&store, "mine/two/b", 1).expect("read"), b"");
}

#[test]
fn a_folder_that_goes_just_now_is_made_again() {
    let place = tempfile::tempdir().expect("temp dir");
    let store = Directory::open(place.path()).expect("open");
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for _ in 0..1000 {
                    drop(store.create(&format!("shop/{worker}"), &Creation::default()).expect("create"));
                }
            });
        }
    });
}

#[test]
fn keys_may_hold_a_backslash_where_the_host_does_not_take_it_for_a_slash() {
    let place = tempfile::tempdir().expect("temp dir");
    let directory = Directory::open(place.path()).expect("open");
    // SeaweedFS lists it as a slash.
    for store in [&directory as &dyn Store, &on_s3(radosgw()), &on_s3(moto())] {
        put(store, "app/back\\slash", b"x").expect("put");
        assert_eq!(keys(store, ""), ["app/back\\slash"]);
    }
}

#[test]
fn files_and_folders_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().expect("temp dir");
    let root = place.path().join("new");
    put(&Directory::open(&root).expect("open"), "app/x", b"x").expect("put");
    for (name, mode) in [("", 0o700), ("app", 0o700), ("app/x", 0o600)] {
        let found = std::fs::metadata(root.join(name)).expect("stat").permissions().mode();
        assert_eq!(found & 0o777, mode, "{name}");
    }
}

#[test]
fn a_directory_store_follows_no_symbolic_links() {
    let place = tempfile::tempdir().expect("temp dir");
    let outside = tempfile::tempdir().expect("temp dir");
    std::fs::write(outside.path().join("x"), "outside").expect("write");
    let store = Directory::open(place.path()).expect("open");
    put(&store, "app/y", b"y").expect("put");
    std::os::unix::fs::symlink(outside.path().join("x"), place.path().join("app/x")).expect("link");
    std::os::unix::fs::symlink(outside.path(), place.path().join("led")).expect("link");
    for key in ["app/x", "led/x"] {
        assert!(store.open(key, None).is_err(), "{key}");
        assert!(put(&store, key, b"z").is_err(), "{key}");
    }
    assert!(put(&store, "led/new", b"z").is_err());
    assert_eq!(keys(&store, ""), ["app/y"]);
    assert_eq!(std::fs::read_dir(outside.path()).expect("list").count(), 1);
}

#[test]
fn a_directory_has_no_tags_and_no_versions() {
    let place = tempfile::tempdir().expect("temp dir");
    let store = Directory::open(place.path()).expect("open");
    put(&store, "x", b"x").expect("put");
    assert!(format!("{:#}", store.tag("x", None, &[]).unwrap_err()).contains("a directory store has no tags"));
    assert_eq!(kind(&store.open("x", Some("1")).map(|_| ()).unwrap_err()), Kind::NotFound);
}

fn every_host(check: fn(&S3, &Server)) {
    for server in [seaweedfs(), radosgw(), moto()] {
        check(&on_s3(server), server);
    }
}

#[test]
fn every_host_gives_the_etag_that_the_receipt_has() {
    every_host(|store, _| hosted::the_receipt_has_the_etag_that_the_host_gives(store));
}

#[test]
fn every_host_replaces_tags() {
    every_host(|store, _| hosted::tags_are_replaced(store));
}

#[test]
fn every_host_tells_its_time() {
    every_host(|store, _| hosted::the_hosts_clock_is_known(store));
}

#[test]
fn every_host_keeps_versions_where_the_bucket_does() {
    use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
    for server in [seaweedfs(), radosgw(), moto()] {
        let bucket = server.bucket("versions");
        let (client, runtime) = server.client();
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let request = client.put_bucket_versioning().bucket(&bucket).versioning_configuration(on);
        runtime.block_on(request.send()).expect("versioning");
        let settings = S3Settings { part_size: Some(PART as u64), ..server.settings(&bucket) };
        let store = S3::open(settings).expect("open");
        for size in [10, PART + 1] {
            let first = put(&store, "backup.sql", &vec![1; size]).expect("put").version.expect("a version");
            store.remove("backup.sql", None).expect("remove");
            let second = put(&store, "backup.sql", &vec![2; size]).expect("put").version.expect("a version");
            assert_ne!(first, second, "{}", server.name);
            for (version, byte) in [(first, 1), (second, 2)] {
                let object = store.open("backup.sql", Some(&version)).expect("open");
                assert_eq!(object.read(0..3).expect("read"), [byte; 3], "{}", server.name);
                assert_eq!(object.info().version.as_ref(), Some(&version), "{}", server.name);
            }
            store.remove("backup.sql", None).expect("remove");
        }
    }
}

#[test]
fn on_every_host_a_missing_bucket_is_named() {
    every_host(hosted::a_missing_bucket_is_named);
}

fn large(store: &dyn Store) -> Result<Receipt> {
    put(store, "app/large", &bytes(2 * PART + 1))
}

/// Fails these calls until that many of them have been made.
fn fail(call: &'static str, times: usize, fault: Fault) -> Faulty {
    Faulty::start(move |request, count| (request.call() == call && count <= times).then(|| fault.clone()))
}

#[test]
fn a_host_in_trouble_is_asked_again_and_gets_one_object() {
    for call in ["put", "begin", "part", "complete"] {
        for fault in [Fault::Answer(503, "SlowDown"), Fault::Answer(500, "InternalError"), Fault::ErrorIn200] {
            if matches!(fault, Fault::ErrorIn200) && call != "complete" {
                continue;
            }
            let host = fail(call, 2, fault.clone());
            let sent = bytes(if call == "put" { 10 } else { 2 * PART + 1 });
            put(&host.store(), "app/x", &sent).unwrap_or_else(|error| panic!("{call} {fault:?}: {error:#}"));
            assert!(host.objects() == [sent], "{call} {fault:?}");
            assert_eq!(host.open_uploads(), 0);
        }
    }
}

#[test]
fn when_every_try_fails_the_upload_is_aborted() {
    for call in ["part", "complete"] {
        let host = fail(call, usize::MAX, Fault::Answer(503, "SlowDown"));
        let error = large(&host.store()).unwrap_err();
        assert!(format!("{error:#}").contains("503 SlowDown"), "{error:#}");
        assert!(host.objects().is_empty() && host.open_uploads() == 0, "{call}");
        assert!(host.count("abort") >= 1, "{call}");
    }
}

#[test]
fn an_abort_is_tried_again() {
    let host = Faulty::start(|request, count| match request.call() {
        "part" => Some(Fault::Answer(403, "AccessDenied")),
        "abort" if count <= 4 => Some(Fault::Answer(503, "SlowDown")),
        _ => None,
    });
    large(&host.store()).unwrap_err();
    assert_eq!(host.open_uploads(), 0);
}

#[test]
fn an_upload_that_failed_stays_failed() {
    let host = fail("part", usize::MAX, Fault::Answer(403, "AccessDenied"));
    let store = host.store();
    let mut upload = store.create("app/x", &Creation::default()).expect("create");
    upload.write_all(&bytes(20 * PART)).unwrap_err();
    upload.write_all(b"more").unwrap_err();
    upload.commit().unwrap_err();
    assert!(host.objects().is_empty() && host.open_uploads() == 0);
}

#[test]
fn an_error_within_a_200_is_a_failure() {
    let host = fail("complete", usize::MAX, Fault::ErrorIn200);
    let error = large(&host.store()).unwrap_err();
    assert!(format!("{error:#}").contains("InternalError"), "{error:#}");
    assert!(host.objects().is_empty() && host.open_uploads() == 0);
}

#[test]
fn a_lost_answer_to_what_succeeded_is_a_success() {
    for call in ["put", "part", "complete"] {
        let host = fail(call, 1, Fault::DoneButSilent);
        let sent = bytes(if call == "put" { 10 } else { 2 * PART + 1 });
        let receipt = put(&host.store(), "app/x", &sent).unwrap_or_else(|error| panic!("{call}: {error:#}"));
        assert_eq!(receipt.bytes, sent.len() as u64);
        assert!(host.objects() == [sent], "{call}");
        assert_eq!(host.open_uploads(), 0);
    }
}

#[test]
fn an_upload_whose_id_was_lost_with_the_answer_is_aborted() {
    let hang = Fault::DoneButHangs(Duration::from_secs(60));
    for (fault, times) in [(Fault::DoneButSilent, 2), (Fault::DoneButSilent, usize::MAX), (hang, usize::MAX)] {
        let host = fail("begin", times, fault.clone());
        // Its name begins like that of the one that is lost.
        host.begin_another("app/large-too");
        let store = S3::open(S3Settings { timeout: Duration::from_secs(4), ..host.settings() }).expect("open");
        let stored = large(&store);
        assert_eq!(stored.is_ok(), times == 2, "{fault:?}: {stored:?}");
        assert!(host.count("begin") > 1, "{fault:?}");
        assert_eq!((host.objects().len(), host.open_uploads()), (usize::from(times == 2), 1), "{fault:?} {times}");
    }
}

#[test]
fn a_refused_beginning_is_looked_into_no_further() {
    let host = fail("begin", usize::MAX, Fault::Answer(403, "AccessDenied"));
    assert_eq!(kind(&large(&host.store()).unwrap_err()), Kind::Denied);
    assert_eq!((host.count("begin"), host.count("uploads")), (1, 0));
}

#[test]
fn a_lost_completion_of_another_object_is_no_success() {
    let host = fail("complete", 1, Fault::DoneByAnother);
    let error = large(&host.store()).unwrap_err();
    assert!(format!("{error:#}").contains("NoSuchUpload"), "{error:#}");
}

#[test]
fn a_condition_that_fails_on_the_second_try_because_the_first_succeeded_is_a_success() {
    let host = Faulty::start(|request, count| match (request.call(), count) {
        ("put", 1) => Some(Fault::DoneButSilent),
        ("put", _) => Some(Fault::Answer(412, "PreconditionFailed")),
        _ => None,
    });
    write_small(&host.store(), "app/x", b"text").expect("put");
    let host = fail("put", usize::MAX, Fault::Answer(412, "PreconditionFailed"));
    assert_eq!(kind(&write_small(&host.store(), "app/x", b"text").unwrap_err()), Kind::Exists);
}

#[test]
fn a_host_without_conditional_writes_is_written_to_without_them() {
    let host = Faulty::start(|request: &Request, _| {
        request.headers.contains_key("if-none-match").then_some(Fault::Answer(501, "NotImplemented"))
    });
    write_small(&host.store(), "app/small", b"text").expect("put");
    large(&host.store()).expect("put");
    assert_eq!(host.objects().len(), 2);
}

#[test]
fn bodies_carry_their_md5_and_no_checksum_that_only_some_hosts_know() {
    let host = Faulty::start(|_, _| None);
    let store = host.store();
    write_small(&store, "app/small", b"text").expect("put");
    large(&store).expect("put");
    let seen = host.seen();
    let bodies: Vec<&Request> = seen.iter().filter(|request| ["put", "part"].contains(&request.call())).collect();
    assert_eq!(bodies.len(), 4);
    for request in bodies {
        let sum = openssl::hash::hash(openssl::hash::MessageDigest::md5(), &request.body).expect("md5");
        assert_eq!(request.headers.get("content-md5"), Some(&openssl::base64::encode_block(&sum)));
    }
    for request in seen {
        let odd =
            |name: &str| name.starts_with("x-amz-checksum") || name.contains("trailer") || name == "transfer-encoding";
        assert!(!request.headers.keys().any(|name| odd(name)), "{:?}", request.headers);
        assert!(!request.headers.get("content-encoding").is_some_and(|value| value.contains("chunked")));
    }
}

#[test]
fn the_md5_is_left_out_where_it_is_not_wanted_and_the_receipt_has_the_etag_all_the_same() {
    let host = Faulty::start(|_, _| None);
    let store = S3::open(S3Settings { content_md5: false, ..host.settings() }).expect("open");
    assert!(large(&store).expect("put").etag.is_some_and(|etag| etag.ends_with("-3")));
    assert!(!host.seen().iter().any(|request| request.headers.contains_key("content-md5")));
}

#[test]
fn extra_headers_are_signed_and_go_with_what_makes_an_object_only() {
    let host = Faulty::start(|_, _| None);
    let headers = vec![("X-Amz-Storage-Class".to_owned(), "STANDARD_IA".to_owned())];
    let store = S3::open(S3Settings { headers, ..host.settings() }).expect("open");
    write_small(&store, "app/small", b"text").expect("put");
    large(&store).expect("put");
    read_small(&store, "app/small", 9).expect("read");
    for request in host.seen() {
        let wanted = ["put", "begin"].contains(&request.call());
        assert_eq!(request.headers.contains_key("x-amz-storage-class"), wanted, "{}", request.call());
        assert_eq!(request.headers["authorization"].contains("x-amz-storage-class"), wanted);
    }
    let bad = S3Settings { headers: vec![("a b".to_owned(), "hidden".to_owned())], ..host.settings() };
    let error = S3::open(bad).map(|_| ()).unwrap_err();
    assert!(kind(&error) == Kind::Usage && !format!("{error:#}").contains("hidden"));
}

#[test]
fn a_stream_that_outgrows_the_parts_fails_early_and_names_the_settings() {
    let host = Faulty::start(|_, _| None);
    let store = S3::open(S3Settings { part_limit: 2, ..host.settings() }).expect("open");
    put(&store, "app/fits", &bytes(2 * PART)).expect("put");
    let error = put(&store, "app/x", &bytes(2 * PART + 1)).unwrap_err();
    let hints = hints(&error).join(" ");
    assert!(hints.contains("S3_PART_SIZE") && hints.contains("DUMP_SIZE_ESTIMATE"), "{error:#} {hints}");
    assert_eq!((host.objects().len(), host.open_uploads()), (1, 0));
}

#[test]
fn a_short_answer_is_asked_for_again_and_never_taken_for_whole() {
    for fault in [Fault::Short, Fault::Less] {
        let host = fail("get", 2, fault.clone());
        let store = host.store();
        write_small(&store, "app/x", &bytes(100_000)).expect("put");
        let object = store.open("app/x", None).expect("open");
        assert!(object.read(0..100_000).expect("read") == bytes(100_000));
        assert_eq!(host.count("get"), 3);

        let host = fail("get", usize::MAX, fault);
        let store = host.store();
        write_small(&store, "app/x", &bytes(100_000)).expect("put");
        let error = store.open("app/x", None).expect("open").read(0..100_000).unwrap_err();
        assert!(format!("{error:#}").contains("broke off"), "{error:#}");
    }
}

#[test]
fn an_answer_without_its_range_is_refused() {
    let host = fail("get", usize::MAX, Fault::NoRange);
    let store = host.store();
    write_small(&store, "app/x", &bytes(1000)).expect("put");
    let error = store.open("app/x", None).expect("open").read(0..1000).unwrap_err();
    assert!(format!("{error:#}").contains("answered with \"no range\""), "{error:#}");
}

#[test]
fn a_refused_connection_says_which_host_and_what_to_check() {
    let port = support::process::free_ports(1);
    let settings =
        S3Settings { endpoint: Some(format!("http://127.0.0.1:{port}")), ..Faulty::start(|_, _| None).settings() };
    let error = S3::open(settings).expect("open").list("").unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains(&format!("cannot reach 127.0.0.1:{port}")) && text.contains("onnection refused"), "{text}");
    assert!(hints(&error).join(" ").contains("S3_HOST_BASE"));
}

#[test]
fn a_host_that_does_not_answer_is_given_up_at_the_deadline() {
    let host = Faulty::start(|_, _| Some(Fault::Hang(Duration::from_secs(60))));
    let store = S3::open(S3Settings { timeout: Duration::from_secs(3), ..host.settings() }).expect("open");
    let start = Instant::now();
    let error = store.list("").unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert!(format!("{error:#}").contains("no answer within"), "{error:#}");

    let host = Faulty::start(|request, _| (request.call() == "part").then_some(Fault::Hang(Duration::from_secs(60))));
    let store = S3::open(S3Settings { timeout: Duration::from_secs(3), ..host.settings() }).expect("open");
    let start = Instant::now();
    large(&store).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert_eq!(host.open_uploads(), 0);
}

#[test]
fn wrong_keys_are_denied_with_the_setting_to_check() {
    for server in [seaweedfs(), radosgw()] {
        let bucket = server.bucket("keys");
        let wrong_secret = S3Settings { secret_key: Some("wrongsecret".to_owned().into()), ..server.settings(&bucket) };
        let wrong_key = S3Settings { access_key: Some("nobody".to_owned()), ..server.settings(&bucket) };
        for (settings, named) in [(wrong_secret, "S3_SECRET_ACCESS_KEY"), (wrong_key, "S3_ACCESS_KEY_ID")] {
            let store = S3::open(settings).expect("open");
            for error in
                [store.list("").map(|_| ()).unwrap_err(), write_small(&store, "x", b"x").map(|_| ()).unwrap_err()]
            {
                assert_eq!(kind(&error), Kind::Denied, "{error:#}");
                assert!(hints(&error).join(" ").contains(named), "{}: {error:#} {:?}", server.name, hints(&error));
                assert!(!format!("{error:#} {error:?}").contains("wrongsecret"));
            }
        }
    }
}

#[test]
fn a_role_that_may_only_write_can_write() {
    let server = seaweedfs();
    let bucket = server.bucket("writeonly");
    let (access, secret) = WRITER;
    let settings = S3Settings {
        access_key: Some(access.to_owned()),
        secret_key: Some(secret.to_owned().into()),
        part_size: Some(PART as u64),
        ..server.settings(&bucket)
    };
    let store = S3::open(settings).expect("open");
    assert_eq!(kind(&store.open("app/x", None).map(|_| ()).unwrap_err()), Kind::Denied);
    write_small(&store, "app/x", b"text").expect("put");
    large(&store).expect("put");
    assert_eq!(kind(&write_small(&store, "app/x", b"other").unwrap_err()), Kind::Exists);
    let reader = S3::open(server.settings(&bucket)).expect("open");
    assert_eq!(keys(&reader, ""), ["app/large", "app/x"]);
    assert_eq!(read_small(&reader, "app/x", 9).expect("read"), b"text");
}

#[test]
fn a_host_with_its_own_authority_needs_s3_ca_file() {
    let host = Faulty::start_tls();
    let place = tempfile::tempdir().expect("temp dir");
    let ca_file = place.path().join("ca.pem");
    std::fs::write(&ca_file, host.ca.as_ref().expect("ca")).expect("write");
    let trusting = S3Settings { ca_file: Some(ca_file.clone()), ..host.settings() };
    let store = S3::open(trusting.clone()).expect("open");
    large(&store).expect("put");
    assert!(store.open("app/large", None).expect("open").read(0..10).expect("read") == bytes(10));

    let error = host.store().list("").unwrap_err();
    assert!(hints(&error).join(" ").contains("S3_CA_FILE"), "{error:#} {:?}", hints(&error));

    std::fs::write(&ca_file, "no certificate").expect("write");
    assert_eq!(kind(&S3::open(trusting).map(|_| ()).unwrap_err()), Kind::Usage);
}

#[test]
fn http_and_https_mixed_up_are_told_apart() {
    let plain = Faulty::start(|_, _| None);
    let endpoint = Some(plain.endpoint.replace("http://", ""));
    let error = S3::open(S3Settings { endpoint, ..plain.settings() }).expect("open").list("").unwrap_err();
    assert!(hints(&error).join(" ").contains("http://127.0.0.1"), "{error:#} {:?}", hints(&error));
    let tls = Faulty::start_tls();
    let endpoint = Some(tls.endpoint.replace("https://", "http://"));
    let error = S3::open(S3Settings { endpoint, ..tls.settings() }).expect("open").list("").unwrap_err();
    // It hangs up without a word, as others do for other reasons.
    assert!(hints(&error).join(" ").contains("(http:// or https://"), "{error:#} {:?}", hints(&error));
}

const INTERRUPTED: &str = "PGBK_TEST_INTERRUPTED_AT";

/// The part of the next test that has to be a process of its own: signals come to all threads.
#[test]
#[ignore = "the next test runs it"]
fn interrupted() {
    let endpoint = std::env::var_os(INTERRUPTED).expect("the next test sets it");
    pgbk::interrupt::install().expect("install");
    let settings = S3Settings { endpoint: endpoint.into_string().ok(), ..Faulty::start(|_, _| None).settings() };
    let store = S3::open(settings).expect("open");
    let error = put(&store, "app/x", &bytes(40 * PART)).unwrap_err();
    assert!(matches!(kind(&error), Kind::Interrupted(15)), "{error:#}");
}

#[test]
fn a_signal_ends_a_waiting_upload_and_aborts_it() {
    let host = Faulty::start(|request, _| (request.call() == "part").then_some(Fault::Hang(Duration::from_secs(60))));
    let child = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "interrupted", "--nocapture", "--include-ignored"])
        .env(INTERRUPTED, &host.endpoint)
        // Its report would be taken for one of the whole suite.
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start");
    assert!(support::process::until(Duration::from_secs(30), || host.count("part") >= 4));
    let start = Instant::now();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("kill");
    let output = child.wait_with_output().expect("wait");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && report.contains("1 passed"), "{report}");
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
    assert_eq!(host.open_uploads(), 0);
    assert!(host.objects().is_empty());
}
