//! `S3_OBJECT_NAME`: every backup is a new version of the same two objects, and each of them can be had back.

use pgbk::repository::fixed_name::FixedName;
use pgbk::store::Store;
use pgbk::store::capabilities::Tags;
use pgbk::store::s3::S3;
use pgbk::store::s3::settings::S3Settings;
use std::collections::BTreeMap;
use std::sync::Arc;
use support::database::{small, sql};
use support::faulty::{Fault, Faulty};
use support::pgbk::{Pgbk, connected, pgbk};
use support::s3::{Server, moto, radosgw, seaweedfs};

/// Without moto: what it says of a bucket's versioning is under a name of its own.
fn hosts() -> [&'static Server; 2] {
    [seaweedfs(), radosgw()]
}

fn fixed(server: &Server, bucket: &str) -> Pgbk {
    connected().s3(server, bucket).set("S3_FOLDER", "prod").set("S3_OBJECT_NAME", "backup")
}

/// How many versions each key has.
fn versions(server: &Server, bucket: &str) -> BTreeMap<String, usize> {
    let (client, runtime) = server.client();
    let listed = runtime.block_on(client.list_object_versions().bucket(bucket).send()).expect("list");
    assert!(listed.delete_markers().is_empty(), "{}: {:?}", server.name, listed.delete_markers());
    let mut found = BTreeMap::new();
    for version in listed.versions() {
        *found.entry(version.key().expect("a key").to_owned()).or_default() += 1;
    }
    found
}

/// Backs up a table that holds this word.
fn backup_with(pgbk: &Pgbk, database: &str, word: &str) -> String {
    sql(database, format!("UPDATE t SET v = '{word}'"));
    pgbk.backup(database, &[])
}

fn restored(pgbk: &Pgbk, which: &str, database: &str, to: &str) -> String {
    pgbk.args(["restore", which, "--database", database, "--to", to, "--yes"]).expect(0);
    sql(to, "SELECT v FROM t")
}

#[test]
fn every_version_is_a_backup_of_its_own_on_every_host() {
    small("fixed", &["x"]);
    for server in hosts() {
        let bucket = server.versioned_bucket("fixed");
        let pgbk = fixed(server, &bucket).key().set("DB_BACKUP_COMPRESS", "xz");
        let ids: Vec<String> = ["one", "two", "three"].map(|word| backup_with(&pgbk, "fixed", word)).into();
        let expected = [("prod/backup.meta", 3), ("prod/backup.sql.xz.enc", 3)];
        assert_eq!(versions(server, &bucket), expected.map(|(key, count)| (key.to_owned(), count)).into());

        let listed = pgbk.args(["list"]).json();
        let found: Vec<&str> =
            listed.as_array().expect("a list").iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(found, ids, "{}", server.name);
        pgbk.args(["verify", "--all"]).expect(0);
        let name = server.name;
        assert_eq!(restored(&pgbk, &ids[0], "fixed", &format!("fixed_{name}_first")), "one");
        assert_eq!(restored(&pgbk, "latest", "fixed", &format!("fixed_{name}_latest")), "three");
        let dump = pgbk.args(["download", &ids[1], "-o", "-"]).expect(0);
        assert!(dump.text().contains("\ntwo\n"), "{name}");
    }
}

#[test]
fn a_bucket_without_versions_is_refused_and_nothing_is_written() {
    small("fixed_plain", &["x"]);
    for server in hosts() {
        let bucket = server.bucket("plain");
        let ran = fixed(server, &bucket).args(["backup", "fixed_plain"]).expect(2).says("keeps no versions");
        assert!(ran.err.contains("hint: turn on versioning"), "{}", ran.err);
        assert!(versions(server, &bucket).is_empty(), "{}", server.name);
    }
}

#[test]
fn a_host_whose_answer_about_versions_cannot_be_read_is_refused_and_named() {
    small("fixed_odd", &["x"]);
    let bucket = moto().versioned_bucket("odd");
    let ran = fixed(moto(), &bucket).args(["backup", "fixed_odd"]).expect(1);
    assert!(ran.err.contains("answered 200 with something that is not S3's: "), "{}", ran.err);
    assert!(versions(moto(), &bucket).is_empty());
}

#[test]
fn the_payloads_version_is_in_the_meta_and_the_one_before_is_recorded() {
    small("fixed_meta", &["x"]);
    let server = radosgw();
    let bucket = server.versioned_bucket("meta");
    let pgbk = fixed(server, &bucket);
    let first = pgbk.args(["backup", "fixed_meta"]).json();
    let second = pgbk.args(["backup", "fixed_meta"]).json();
    assert_eq!(second["previous"], first["id"]);
    let (client, runtime) = server.client();
    for made in [&first, &second] {
        let version = made["version_id"].as_str().expect("a version");
        let payload = client.get_object().bucket(&bucket).key("prod/backup.sql").version_id(version).send();
        let found = runtime.block_on(payload).expect("the payload").content_length();
        assert_eq!(found, made["stored"]["bytes"].as_i64());
    }
}

#[test]
fn a_dump_that_fails_leaves_the_backups_before_it_as_they_were() {
    small("fixed_kept", &["x"]);
    let server = seaweedfs();
    let bucket = server.versioned_bucket("kept");
    let pgbk = fixed(server, &bucket);
    backup_with(&pgbk, "fixed_kept", "whole");
    pgbk.args(["backup", "fixed_kept", "--pg-dump-args", "--table=missing"]).expect(1);
    assert_eq!(versions(server, &bucket).values().copied().collect::<Vec<_>>(), [1, 1]);
    assert_eq!(restored(&pgbk, "latest", "fixed_kept", "fixed_kept_back"), "whole");
}

#[test]
fn databases_doubletakes_versions_and_backups_under_ids_live_beside_each_other() {
    for name in ["fixed_a", "fixed_b"] {
        small(name, &[name]);
    }
    let server = seaweedfs();
    let bucket = server.versioned_bucket("beside");
    let (client, runtime) = server.client();
    for (key, body) in [("prod/backup.meta", "0123 /dump/backup.sql\n"), ("prod/backup.sql", "SELECT 1;\n")] {
        let put = client.put_object().bucket(&bucket).key(key).body(body.as_bytes().to_vec().into());
        runtime.block_on(put.send()).expect("put");
    }
    let pgbk = fixed(server, &bucket);
    let named = pgbk.unset("S3_OBJECT_NAME").backup("fixed_a", &[]);
    let (a, b) = (pgbk.backup("fixed_a", &[]), pgbk.backup("fixed_b", &[]));
    let listed = pgbk.args(["list"]).json();
    let mut found: Vec<&str> =
        listed.as_array().expect("a list").iter().map(|row| row["id"].as_str().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, [named.as_str(), a.as_str(), b.as_str()]);
    pgbk.args(["verify", "--all"]).expect(0);
    assert_eq!(restored(&pgbk, &a, "fixed_a", "fixed_a_back"), "fixed_a");
    assert_eq!(restored(&pgbk, &named, "fixed_a", "fixed_a_named"), "fixed_a");
    assert_eq!(restored(&pgbk, "latest", "fixed_b", "fixed_b_back"), "fixed_b");
}

#[test]
fn one_backup_is_removed_and_tagged_without_touching_the_others() {
    small("fixed_gone", &["x"]);
    for server in hosts() {
        let bucket = server.versioned_bucket("gone");
        let pgbk = fixed(server, &bucket);
        let made: Vec<_> = (0..3).map(|_| pgbk.args(["backup", "fixed_gone"]).json()).collect();
        let settings = S3Settings { folder: "prod".to_owned(), ..server.settings(&bucket) };
        let store = FixedName::new(Arc::new(S3::open(settings).expect("open")), "backup").expect("a name");
        let key = |at: usize, end: &str| format!("fixed_gone/{}.{end}", made[at]["id"].as_str().expect("an id"));
        let tags = [("lifecycle".to_owned(), "weekly".to_owned())];
        store.tag(&key(0, "sql"), None, &tags).expect("tag");
        assert_eq!(store.tags(&key(0, "sql"), None).expect("tags"), tags);
        assert!(store.tags(&key(2, "sql"), None).expect("tags").is_empty(), "{}", server.name);

        store.remove(&key(1, "meta"), None).expect("remove");
        store.remove(&key(1, "sql"), None).expect("remove");
        store.remove(&key(1, "sql"), None).expect("remove again");
        assert_eq!(versions(server, &bucket).values().copied().collect::<Vec<_>>(), [2, 2], "{}", server.name);
        let listed = pgbk.args(["list"]).json();
        let found: Vec<_> = listed.as_array().expect("a list").iter().map(|row| &row["id"]).collect();
        assert_eq!(found, [&made[0]["id"], &made[2]["id"]], "{}", server.name);
        pgbk.args(["verify", "--all"]).expect(0);
    }
}

#[test]
fn a_name_that_is_none_is_refused_before_a_host_is_asked() {
    let host = Faulty::start(|_, _| None);
    for name in ["a/b", "a b", "..", "jméno"] {
        let run = pgbk(["list"]).at(&host.endpoint, "bucket", "key", "secret").set("S3_OBJECT_NAME", name).expect(2);
        run.says(&format!("S3_OBJECT_NAME {name:?} is not a name of letters, digits, - and _"))
            .says("hint: for example backup, which makes backup.sql and backup.meta");
    }
    assert!(host.seen().is_empty());
}

/// A host whose bucket keeps versions, and which tells these of them.
fn telling(versions: &'static str) -> (Faulty, Pgbk) {
    let host = Faulty::start(move |request, _| {
        let asked = |name: &str| request.query.split('&').any(|part| part.split('=').next() == Some(name));
        let says = [
            ("versions", versions),
            ("versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
            ("list-type", "<ListBucketResult></ListBucketResult>"),
        ];
        says.into_iter().find(|(name, _)| asked(name)).map(|(_, text)| Fault::Says(text.to_owned()))
    });
    let run = connected().at(&host.endpoint, "bucket", "key", "secret").set("S3_OBJECT_NAME", "backup");
    (host, run)
}

#[test]
fn a_version_that_goes_while_versions_are_looked_at_is_no_error() {
    let (host, run) = telling(
        "<ListVersionsResult><Version><Key>backup.meta</Key><VersionId>gone</VersionId><Size>900</Size></Version></ListVersionsResult>",
    );
    assert_eq!(run.args(["list"]).json(), serde_json::json!([]));
    assert!(
        host.seen()
            .iter()
            .any(|request| request.path.ends_with("/backup.meta") && request.query.contains("versionId=gone"))
    );
}

#[test]
fn a_host_that_does_not_tell_which_version_it_has_stored_is_named_and_makes_no_backup() {
    small("fixed_mute", &["x"]);
    let (host, run) = telling("<ListVersionsResult></ListVersionsResult>");
    run.args(["backup", "fixed_mute"])
        .expect(1)
        .says("the host does not tell the version of \"backup.sql\" that it has just stored")
        .says("hint: unset S3_OBJECT_NAME");
    assert!(!host.seen().iter().any(|request| request.path.ends_with(".meta") && request.call() == "put"));
}
