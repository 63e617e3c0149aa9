//! Hosts and folders that do what none should: times in forms of their own, busy answers to whoever reads, links in a folder's place.

use super::objects::{keys, put};
use jiff::Timestamp;
use pgbk::base::error::{Result, hints, kind};
use pgbk::store::directory::Directory;
use pgbk::store::s3::S3;
use pgbk::store::s3::settings::S3Settings;
use pgbk::store::{Store, read_small, write_small};
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::faulty::{Fault, Faulty, Request};
use support::pgbk::{connected, pgbk};
use support::proof::counted;

/// How hosts write a time, and whether it is one.
const TIMES: [(&str, bool); 9] = [
    ("2026-11-27T04:00:00.000Z", true),
    ("2026-11-27T04:00:00Z", true),
    ("2026-11-27T05:00:00+01:00", true),
    ("2026-11-27T04:00:00", true),
    ("2026-11-27 04:00:00", true),
    ("Fri, 27 Nov 2026 04:00:00 GMT", true),
    ("Fri, 27 Nov 2026 04:00:00", true),
    ("", false),
    ("yesterday", false),
];

fn is_listing(request: &Request) -> bool {
    request.method == "GET" && request.path.trim_end_matches('/') == "/bucket"
}

#[test]
fn a_time_in_whatever_form_spoils_no_listing_and_no_object() {
    let four: Timestamp = "2026-11-27T04:00:00Z".parse().unwrap();
    let mut walked = 0;
    for (text, is_time) in TIMES {
        let expected = is_time.then_some(four);
        let element = |name: &str| format!("<{name}>{text}</{name}>");
        for second in [true, false] {
            let (modified, initiated) = (element("LastModified"), element("Initiated"));
            let host = Faulty::start(move |request, _| {
                let has = |name: &str| request.query.split('&').any(|pair| pair.split('=').next() == Some(name));
                match request {
                    _ if !is_listing(request) => None,
                    _ if has("uploads") => Some(Fault::Says(format!(
                        "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated><Upload><Key>a/x</Key>\
                         <UploadId>u</UploadId>{initiated}</Upload></ListMultipartUploadsResult>"
                    ))),
                    _ if has("list-type") && !second => Some(Fault::Answer(501, "NotImplemented")),
                    _ => Some(Fault::Says(format!(
                        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a/x</Key>{modified}\
                         <Size>1</Size></Contents></ListBucketResult>"
                    ))),
                }
            });
            let store = host.store();
            let found = store.list("").unwrap_or_else(|error| panic!("\"{text}\": {error:#}"));
            assert_eq!((found.len(), found[0].modified), (1, expected), "\"{text}\"");
            let open = store.unfinished("").unwrap_or_else(|error| panic!("\"{text}\": {error:#}"));
            assert_eq!((open.len(), open[0].started), (1, expected), "\"{text}\"");
            walked += 2;
        }
    }
    counted("odd", "times in listings, in forms of their own", walked, 0);
}

#[test]
fn a_header_that_tells_no_time_spoils_no_object() {
    for (header, expected) in [
        ("Fri, 27 Nov 2026 04:00:00 GMT", true),
        ("Fri, 27 Nov 2026 04:00:00", true),
        ("2026-11-27T04:00:00Z", true),
        ("soon", false),
    ] {
        let times: fn(&mut support::faulty::Headers) = match header {
            "Fri, 27 Nov 2026 04:00:00 GMT" => |headers| told(headers, "Fri, 27 Nov 2026 04:00:00 GMT"),
            "Fri, 27 Nov 2026 04:00:00" => |headers| told(headers, "Fri, 27 Nov 2026 04:00:00"),
            "2026-11-27T04:00:00Z" => |headers| told(headers, "2026-11-27T04:00:00Z"),
            _ => |headers| told(headers, "soon"),
        };
        let host =
            Faulty::start(move |request, _| ["head", "get"].contains(&request.call()).then_some(Fault::Headers(times)));
        let store = host.store();
        write_small(&store, "a/x", b"x").unwrap();
        let object = store.open("a/x", None).unwrap_or_else(|error| panic!("{header}: {error:#}"));
        assert_eq!(object.info().modified.is_some(), expected, "{header}");
        assert_eq!(read_small(&store, "a/x", 10).unwrap(), b"x", "{header}");
    }
}

fn told(headers: &mut support::faulty::Headers, time: &str) {
    headers.retain(|(name, _)| !name.eq_ignore_ascii_case("last-modified"));
    headers.push(("Last-Modified", time.to_owned()));
}

/// What counts is time and not tries, for who reads as for who writes.
#[test]
fn a_host_that_is_overloaded_is_waited_for_by_whoever_reads() {
    type Read = fn(&S3) -> Result<()>;
    let reads: [(&'static str, Read); 5] = [
        ("list", |store| store.list("").map(|listed| assert_eq!(listed.len(), 1))),
        ("head", |store| store.open("a/x", None).map(|object| assert_eq!(object.info().bytes, 1))),
        ("get", |store| read_small(store, "a/x", 10).map(|bytes| assert_eq!(bytes, b"x"))),
        ("get", |store| {
            let opened = store.open_listed(&store.list("a/x").unwrap()[0])?;
            opened.read(0..1).map(|bytes| assert_eq!(bytes, b"x"))
        }),
        ("uploads", |store| store.unfinished("").map(|begun| assert!(begun.is_empty()))),
    ];
    std::thread::scope(|scope| {
        for (call, read) in reads {
            for (status, code) in [(503, "SlowDown"), (429, "TooManyRequests")] {
                scope.spawn(move || {
                    let host = Faulty::start(move |request, count| {
                        (request.call() == call && count <= 2).then_some(Fault::Answer(status, code))
                    });
                    let store = S3::open(S3Settings { attempts: 1, ..host.settings() }).unwrap();
                    write_small(&store, "a/x", b"x").unwrap();
                    read(&store).unwrap();
                    assert!(host.count(call) >= 3, "{call}, {status}");
                });
            }
        }
    });
    // Not for ever.
    std::thread::scope(|scope| {
        for (call, read) in reads {
            scope.spawn(move || {
                let is_busy = Arc::new(AtomicBool::new(false));
                let busy = Arc::clone(&is_busy);
                let host = Faulty::start(move |request, _| {
                    let refused = request.call() == call && busy.load(Ordering::SeqCst);
                    refused.then_some(Fault::Answer(503, "SlowDown"))
                });
                let settings = S3Settings { attempts: 1, timeout: Duration::from_secs(2), ..host.settings() };
                let store = S3::open(settings).unwrap();
                write_small(&store, "a/x", b"x").unwrap();
                is_busy.store(true, Ordering::SeqCst);
                let error = read(&store).unwrap_err();
                assert!(
                    format!("{error:#}").contains("answered 503") && !hints(&error).is_empty(),
                    "{call}: {error:#}"
                );
            });
        }
    });
    counted("odd", "busy answers to who reads", 2 * reads.len(), reads.len());
}

#[test]
fn a_link_that_leads_to_backups_is_no_folder_without_any() {
    let (place, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Directory::open(place.path()).unwrap();
    put(&store, "crm/crm-20261127T040000Z.meta", b"{}").unwrap();
    std::fs::create_dir(elsewhere.path().join("shop")).unwrap();
    symlink(elsewhere.path().join("shop"), place.path().join("shop")).unwrap();
    // As long as it leads to no backups of its name, it hides none.
    for name in ["notes", "crm-20261127T040000Z.meta"] {
        std::fs::write(elsewhere.path().join("shop").join(name), "{}").unwrap();
        assert_eq!(keys(&store, ""), ["crm/crm-20261127T040000Z.meta"]);
    }
    std::fs::write(elsewhere.path().join("shop/shop-20261127T040000Z.meta"), "{}").unwrap();
    for prefix in ["", "shop/", "shop/shop-2"] {
        let error = store.list(prefix).unwrap_err();
        assert_eq!(kind(&error).exit_code(), 1);
        let said = format!("cannot list {:?}: ", place.path().join("shop"));
        assert!(format!("{error:#}").starts_with(&said), "{error:#}");
        assert!(hints(&error)[0].contains("links below STORE_DIR are not followed"), "{error:#}");
    }
    assert_eq!(keys(&store, "crm/").len(), 1);
    pgbk(["list"]).directory(place.path()).expect(1).says("links below STORE_DIR are not followed");
    pgbk(["list", "--database", "crm"]).directory(place.path()).expect(0);
}

/// In a bucket with a default lock each look left a locked version and a marker, and said "delete: allowed".
#[test]
fn doctor_takes_its_probe_away_with_all_versions_and_says_where_a_lock_keeps_one() {
    use aws_sdk_s3::types::{
        BucketVersioningStatus, DefaultRetention, ObjectLockConfiguration, ObjectLockEnabled, ObjectLockRetentionMode,
        ObjectLockRule, VersioningConfiguration,
    };
    let server = support::s3::moto();
    let (client, runtime) = server.client();
    let versions = |bucket: &str| {
        let listed = runtime.block_on(client.list_object_versions().bucket(bucket).send()).unwrap();
        (listed.versions().len(), listed.delete_markers().len())
    };
    let state = tempfile::tempdir().unwrap();
    let doctor = |bucket: &str| {
        let run = connected().key().s3(server, bucket).set("STATE_DIR", state.path().display());
        run.args(["doctor", "postgres"]).end().text()
    };
    let plain = server.bucket("versioned");
    let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    runtime.block_on(client.put_bucket_versioning().bucket(&plain).versioning_configuration(on).send()).unwrap();
    let said = doctor(&plain);
    assert!(said.contains("store: delete") && said.contains("allowed"), "{said}");
    assert_eq!(versions(&plain), (0, 0), "{said}");

    let locked = "doctor-locked";
    let make = client.create_bucket().bucket(locked).object_lock_enabled_for_bucket(true);
    runtime.block_on(make.send()).unwrap();
    let retention = DefaultRetention::builder().mode(ObjectLockRetentionMode::Compliance).days(1).build();
    let rule = ObjectLockRule::builder().default_retention(retention).build();
    let lock = ObjectLockConfiguration::builder().object_lock_enabled(ObjectLockEnabled::Enabled).rule(rule).build();
    let set = client.put_object_lock_configuration().bucket(locked).object_lock_configuration(lock);
    runtime.block_on(set.send()).unwrap();
    let said = doctor(locked);
    assert!(said.contains("that may not be removed now: ") && said.contains("leaves a few bytes there"), "{said}");
}
