//! One suite for every kind of store, and what S3 hosts can do wrong.

mod answers;
mod bare;
mod endless;
pub mod every;
mod folder;
mod left;
mod listings;
mod lost;
mod mounted;
pub mod objects;
mod odd;
mod reach;
mod requests;
mod spelt;
mod trouble;

use bare::Bare;
use objects::{PART, bytes, keys, put};
use pgbk::base::error::{Kind, kind};
use pgbk::store::capabilities::{Clock, Tags};
use pgbk::store::directory::Directory;
use pgbk::store::memory::Memory;
use pgbk::store::s3::S3;
use pgbk::store::s3::settings::S3Settings;
use pgbk::store::{Store, write_small};
use support::s3::{Server, moto, radosgw, seaweedfs};

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
        let skew = store.skew().expect("ask").expect("a date");
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
        mod in_a_bare_one { $(#[test] fn $name() { super::every::$name(&super::Bare::default()) })* }
        mod in_a_directory { $(#[test] fn $name() {
            let place = tempfile::tempdir().expect("temp dir");
            super::every::$name(&super::Directory::open(place.path().join("new")).expect("open"))
        })* }
        mod on_seaweedfs { $(#[test] fn $name() { super::every::$name(&super::on_s3(super::seaweedfs())) })* }
        mod on_radosgw { $(#[test] fn $name() { super::every::$name(&super::on_s3(super::radosgw())) })* }
        mod on_moto { $(#[test] fn $name() { super::every::$name(&super::on_s3(super::moto())) })* }
    };
}

every::every_name!(suite);

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
