//! Several objects of one payload where buckets keep versions, fixed names and locks.

use super::{LIMIT, is_the_same, limited, noise};
use std::collections::BTreeMap;
use support::database::sql;
use support::pgbk::connected;
use support::s3::{Server, moto, radosgw, seaweedfs};

/// How many versions each key has, without marks of deletion.
fn versions(server: &Server, bucket: &str) -> BTreeMap<String, usize> {
    let (client, runtime) = server.client();
    let listed = runtime.block_on(client.list_object_versions().bucket(bucket).send()).expect("list");
    let mut found = BTreeMap::new();
    for version in listed.versions() {
        *found.entry(version.key().expect("a key").to_owned()).or_default() += 1;
    }
    found
}

/// The keys that a listing shows.
fn keys(server: &Server, bucket: &str) -> Vec<String> {
    let (client, runtime) = server.client();
    let listed = runtime.block_on(client.list_objects_v2().bucket(bucket).send()).expect("list");
    listed.contents().iter().map(|one| one.key().expect("a key").to_owned()).collect()
}

#[test]
fn under_a_fixed_name_a_smaller_backup_hides_the_surplus_and_the_larger_one_is_still_there() {
    for server in [seaweedfs(), radosgw()] {
        let database = format!("rollover_fixed_{}", server.name.to_lowercase());
        noise(&database);
        let bucket = server.versioned_bucket("rollover");
        let run =
            limited(&connected().s3(server, &bucket)).set("S3_OBJECT_NAME", "backup").set("DB_BACKUP_COMPRESS", "none");
        let large = run.backup(&database, &[]);
        let whole = keys(server, &bucket);
        assert!(whole.len() >= 5 && whole.contains(&"backup.sql.enc.part0002".to_owned()), "{whole:?}");
        sql(&database, "CREATE TABLE kept AS TABLE big; DELETE FROM big WHERE g > 10500; DROP TABLE kept");
        let small = run.backup(&database, &[]);
        assert_eq!(
            keys(server, &bucket),
            ["backup.meta", "backup.sql.enc", "backup.sql.enc.part0002"],
            "{}",
            server.name
        );
        assert_eq!(run.args(["list"]).json().as_array().unwrap().len(), 2);
        run.args(["verify", "--all", "--level", "content"]).expect(0);
        is_the_same(&run, &small, &database, &format!("{database}_small"));
        let to = format!("{database}_large");
        run.args(["restore", &large, "--to", &to, "--yes"]).expect(0);
        assert_eq!(sql(&to, "SELECT count(*) FROM big"), "28000", "{}", server.name);

        run.args(["prune", &database, "--keep-last", "1"]).expect(0);
        let left: BTreeMap<String, usize> =
            ["backup.meta", "backup.sql.enc", "backup.sql.enc.part0002"].map(|key| (key.to_owned(), 1)).into();
        assert_eq!(versions(server, &bucket), left, "{}", server.name);
        run.args(["verify", "--all", "--level", "content"]).expect(0);
    }
}

#[test]
fn retention_removes_the_versions_of_every_object() {
    noise("rollover_versions");
    let server = seaweedfs();
    let bucket = server.versioned_bucket("rollover");
    let run = limited(&connected().s3(server, &bucket)).set("DB_BACKUP_COMPRESS", "none");
    let ids: Vec<String> = (0..2).map(|_| run.backup("rollover_versions", &[])).collect();
    run.args(["prune", "rollover_versions", "--keep-last", "1"]).expect(0);
    let left = versions(server, &bucket);
    assert!(left.len() >= 5 && left.keys().all(|key| key.contains(&ids[1])), "{left:?}");
}

#[test]
fn every_object_is_locked_and_a_backup_that_fails_locks_none() {
    noise("rollover_lock");
    for server in [radosgw(), moto()] {
        let bucket = server.locking_bucket("rollover");
        let run = limited(&connected().s3(server, &bucket)).set("DB_BACKUP_COMPRESS", "none");
        let run = run.set("S3_OBJECT_LOCK_MODE", "GOVERNANCE").set("S3_OBJECT_LOCK_DAYS", "3");
        let fake = support::fake::Fake::new("\"$REAL\" \"$@\" | head -n -8; exit 0");
        run.set("PG_BIN_DIR", fake.bin().display()).args(["backup", "rollover_lock", "--jobs", "1"]).expect(1);
        assert!(versions(server, &bucket).is_empty(), "{}", server.name);

        let made = run.args(["backup", "rollover_lock"]).json();
        assert!(made["locked"].as_str().unwrap().contains("GOVERNANCE"), "{made}");
        assert!(made["stored"]["bytes"].as_u64().unwrap() > 2 * LIMIT as u64);
        let (client, runtime) = server.client();
        for key in keys(server, &bucket) {
            let head = runtime.block_on(client.head_object().bucket(&bucket).key(&key).send()).expect("head");
            assert!(head.object_lock_mode().is_some(), "{}: {key}", server.name);
        }
    }
}
