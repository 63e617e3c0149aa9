//! Object Lock, storage classes and encryption by the host: what is asked for is there afterwards, or the run fails.

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::ServerSideEncryption;
use jiff::Timestamp;
use support::database::{create, sql};
use support::faulty::{Fault, Faulty};
use support::pgbk::{Pgbk, connected};
use support::s3::{Server, moto, radosgw, seaweedfs};

/// More than a part, and nothing that compresses: an upload in parts.
fn large(database: &str) {
    create(database, "");
    sql(database, "CREATE TABLE noise AS SELECT n, sha512(n::text::bytea) AS v FROM generate_series(1, 60000) n");
}

fn small(database: &str) {
    create(database, "");
    sql(database, "CREATE TABLE t AS SELECT 1 AS v");
}

/// The payload and the `.meta` of the only backup.
fn objects(server: &Server, bucket: &str) -> Vec<String> {
    let (client, runtime) = server.client();
    let listed = runtime.block_on(client.list_objects_v2().bucket(bucket).send()).expect("list");
    listed.contents().iter().map(|object| object.key().expect("a key").to_owned()).collect()
}

/// What the host says of an object.
fn head(server: &Server, bucket: &str, key: &str) -> HeadObjectOutput {
    let (client, runtime) = server.client();
    runtime.block_on(client.head_object().bucket(bucket).key(key).send()).expect("head")
}

/// Mode and end of its lock.
fn lock(server: &Server, bucket: &str, key: &str) -> (String, i64) {
    let found = head(server, bucket, key);
    let mode = found.object_lock_mode().unwrap_or_else(|| panic!("{}: {key} is free: {found:?}", server.name));
    (mode.as_str().to_owned(), found.object_lock_retain_until_date().expect("a date").secs())
}

fn locking(server: &Server, bucket: &str, mode: &str) -> Pgbk {
    connected().s3(server, bucket).set("S3_OBJECT_LOCK_MODE", mode).set("S3_OBJECT_LOCK_DAYS", "30")
}

fn hosts() -> [&'static Server; 3] {
    [seaweedfs(), radosgw(), moto()]
}

#[test]
fn payload_and_meta_are_locked_on_every_host_whether_sent_whole_or_in_parts() {
    large("lock_large");
    small("lock_small");
    for server in hosts() {
        for (database, mode) in [("lock_large", "GOVERNANCE"), ("lock_small", "COMPLIANCE")] {
            let bucket = server.locking_bucket("lock");
            locking(server, &bucket, mode).set("S3_PART_SIZE", "5M").backup(database, &[]);
            let keys = objects(server, &bucket);
            assert_eq!(keys.len(), 2, "{}: {keys:?}", server.name);
            for key in keys {
                let (found, until) = lock(server, &bucket, &key);
                assert_eq!(found, mode, "{}: {key}", server.name);
                let days = (until - Timestamp::now().as_second()) / 86_400;
                assert!((29..=30).contains(&days), "{}: {key}: {days} days", server.name);
            }
        }
    }
}

#[test]
fn a_locked_backup_cannot_be_deleted_by_who_wrote_it() {
    small("lock_kept");
    for server in hosts() {
        let bucket = server.locking_bucket("kept");
        locking(server, &bucket, "COMPLIANCE").backup("lock_kept", &[]);
        let (client, runtime) = server.client();
        let listed = runtime.block_on(client.list_object_versions().bucket(&bucket).send()).expect("list");
        assert_eq!(listed.versions().len(), 2);
        for version in listed.versions() {
            let delete = client.delete_object().bucket(&bucket).key(version.key().expect("a key"));
            let delete = delete.version_id(version.version_id().expect("an id")).bypass_governance_retention(true);
            assert!(runtime.block_on(delete.send()).is_err(), "{}: {version:?}", server.name);
        }
        locking(server, &bucket, "COMPLIANCE").args(["verify", "--all"]).expect(0);
    }
}

#[test]
fn the_headers_of_doubletake_lock_until_their_date() {
    small("lock_headers");
    for server in hosts() {
        let bucket = server.locking_bucket("headers");
        let headers = r"x-amz-object-lock-retain-until-date:2099-12-31T00:00:00Z\x-amz-object-lock-mode:GOVERNANCE\x-amz-meta-team:db";
        connected().s3(server, &bucket).set("S3_REQUEST_HEADERS", headers).backup("lock_headers", &[]);
        for key in objects(server, &bucket) {
            assert_eq!(lock(server, &bucket, &key), ("GOVERNANCE".to_owned(), 4_102_358_400), "{}", server.name);
            let found = head(server, &bucket, &key);
            assert_eq!(found.metadata().and_then(|all| all.get("team")).map(String::as_str), Some("db"), "{key}");
        }
    }
}

#[test]
fn a_backup_that_could_not_be_locked_stands_and_is_a_failure() {
    small("lock_dropped");
    // A host that takes the headers, drops them, and knows no retention; nor does it list.
    let host = Faulty::start(|request, _| match request.query.as_str() {
        query if query.contains("retention") => Some(Fault::Answer(501, "NotImplemented")),
        query if query.contains("list-type") => Some(Fault::Answer(403, "AccessDenied")),
        _ => None,
    });
    let locking = connected()
        .at(&host.endpoint, "bucket", "key", "secret")
        .set("S3_OBJECT_LOCK_MODE", "GOVERNANCE")
        .set("S3_OBJECT_LOCK_DAYS", "30");
    let ran = locking.args(["backup", "lock_dropped"]).expect(1).says("is stored whole, but").says("NOT LOCKED");
    assert!(ran.err.contains("hint: "), "{}", ran.err);
    assert_eq!(host.objects().len(), 2);
    let id = ran.err.split_whitespace().find(|word| word.starts_with("lock_dropped-")).expect("an id");
    locking.args(["verify", id]).expect(0);
}

#[test]
fn a_lock_in_a_bucket_without_object_lock_is_refused_and_leaves_no_backup() {
    small("lock_nowhere");
    for server in [seaweedfs(), radosgw()] {
        let bucket = server.bucket("nolock");
        let ran = locking(server, &bucket, "GOVERNANCE").args(["backup", "lock_nowhere"]).expect(1);
        assert!(ran.err.contains("S3_OBJECT_LOCK_MODE"), "{}: {}", server.name, ran.err);
        assert_eq!(objects(server, &bucket), [""; 0], "{}", server.name);
    }
}

#[test]
fn what_doctor_tries_is_not_locked() {
    let server = seaweedfs();
    let bucket = server.locking_bucket("doctor");
    locking(server, &bucket, "COMPLIANCE").args(["doctor", "postgres"]).expect(0);
    let (client, runtime) = server.client();
    let listed = runtime.block_on(client.list_object_versions().bucket(&bucket).send()).expect("list");
    for version in listed.versions() {
        let delete = client.delete_object().bucket(&bucket).key(version.key().expect("a key"));
        runtime.block_on(delete.version_id(version.version_id().expect("an id")).send()).expect("delete");
    }
}

#[test]
fn the_storage_class_is_the_payloads_alone() {
    large("class_large");
    small("class_small");
    for server in [seaweedfs(), moto()] {
        for database in ["class_large", "class_small"] {
            let bucket = server.bucket("class");
            connected().s3(server, &bucket).set("S3_STORAGE_CLASS", "STANDARD_IA").backup(database, &[]);
            for key in objects(server, &bucket) {
                let found = head(server, &bucket, &key);
                let class = found.storage_class().map(|class| class.as_str());
                let wanted = (!key.ends_with(".meta")).then_some("STANDARD_IA");
                assert_eq!(class.filter(|class| *class != "STANDARD"), wanted, "{}: {key}", server.name);
            }
        }
    }
}

#[test]
fn a_storage_class_that_the_host_does_not_have_names_the_setting() {
    small("class_none");
    let server = radosgw();
    let bucket = server.bucket("noclass");
    let run = connected().s3(server, &bucket).set("S3_STORAGE_CLASS", "STANDARD_IA");
    run.args(["backup", "class_none"]).expect(1).says("S3_STORAGE_CLASS");
    assert_eq!(objects(server, &bucket), [""; 0]);
}

#[test]
fn what_the_host_encrypts_is_still_checked_after_the_upload() {
    large("sse_large");
    small("sse_small");
    for server in [seaweedfs(), moto()] {
        for (sse, kind) in [("AES256", ServerSideEncryption::Aes256), ("aws:kms", ServerSideEncryption::AwsKms)] {
            for database in ["sse_large", "sse_small"] {
                let bucket = server.bucket("sse");
                let store = connected().s3(server, &bucket).set("S3_SSE", sse);
                if server.name == "seaweedfs" && sse == "aws:kms" {
                    continue;
                }
                let made = store.args(["backup", database]).json();
                assert!(["md5", "read back"].iter().any(|how| made["verified"] == *how), "{}: {sse}", server.name);
                for key in objects(server, &bucket) {
                    let found = head(server, &bucket, &key);
                    assert_eq!(found.server_side_encryption(), Some(&kind), "{}: {key}", server.name);
                }
                store.args(["verify", "--all"]).expect(0);
            }
        }
    }
}
