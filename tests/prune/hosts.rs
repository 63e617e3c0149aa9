//! Retention on real hosts: versions go for good, and what is locked stays.

use crate::prune::past::{daily, made, repository};
use pgbk::format::backup_id::BackupId;
use pgbk::repository::Repository;
use pgbk::repository::fixed_name::FixedName;
use pgbk::store::s3::S3;
use pgbk::store::s3::settings::{LockMode, LockSettings, LockTerm, S3Settings};
use std::collections::BTreeSet;
use std::sync::Arc;
use support::pgbk::{Pgbk, pgbk};
use support::s3::{Server, moto, radosgw, seaweedfs};

fn hosts() -> [&'static Server; 3] {
    [seaweedfs(), radosgw(), moto()]
}

fn settings(server: &Server, bucket: &str) -> S3Settings {
    S3Settings { folder: "prod".to_owned(), ..server.settings(bucket) }
}

fn in_bucket(server: &Server, bucket: &str) -> Repository {
    repository(S3::open(settings(server, bucket)).expect("open"))
}

fn prune(server: &Server, bucket: &str, rules: &[&str]) -> Pgbk {
    pgbk(["prune", "shop"].iter().chain(rules).copied()).s3(server, bucket).set("S3_FOLDER", "prod")
}

/// Key and id of every version, and of every mark of a deletion.
fn versions(server: &Server, bucket: &str) -> BTreeSet<(String, String)> {
    let (client, runtime) = server.client();
    let listed = runtime.block_on(client.list_object_versions().bucket(bucket).send()).expect("list");
    let versions = listed.versions().iter().map(|one| (one.key(), one.version_id()));
    let marks = listed.delete_markers().iter().map(|one| (one.key(), one.version_id()));
    let text = |text: Option<&str>| text.expect("a key and an id").to_owned();
    versions.chain(marks).map(|(key, version)| (text(key), text(version))).collect()
}

fn of(ids: &[BackupId], versions: &BTreeSet<(String, String)>) -> BTreeSet<(String, String)> {
    let ours = |key: &str| {
        ids.iter().any(|id| key == format!("prod/{}", id.meta_key()) || key == format!("prod/{}", id.object_key("sql")))
    };
    versions.iter().filter(|(key, _)| ours(key)).cloned().collect()
}

#[test]
fn a_bucket_with_versions_keeps_nothing_of_what_goes_and_all_of_what_stays() {
    for server in hosts() {
        let bucket = server.versioned_bucket("prune");
        let repository = in_bucket(server, &bucket);
        let ids = daily(&repository, "shop", "2024-03", 4);
        daily(&repository, "shop_staging", "2024-03", 2);
        let before = versions(server, &bucket);
        assert_eq!(before.len(), 12, "{}", server.name);
        let run = prune(server, &bucket, &["--keep-last", "2"]).expect(0);
        assert!(run.text().contains("2 of 4 backups of \"shop\" removed"), "{}: {run:?}", server.name);
        let gone = of(&ids[..2], &before);
        assert_eq!(versions(server, &bucket), before.difference(&gone).cloned().collect(), "{}", server.name);
        pgbk(["verify", "--all"]).s3(server, &bucket).set("S3_FOLDER", "prod").expect(0);
    }
}

#[test]
fn of_versions_of_one_name_the_very_ones_go() {
    // Moto says under a name of its own whether it keeps versions.
    for server in [seaweedfs(), radosgw()] {
        let bucket = server.versioned_bucket("fixed");
        let s3 = Arc::new(S3::open(settings(server, &bucket)).expect("open"));
        let repository = repository(FixedName::new(s3, "backup").expect("a name"));
        let ids = daily(&repository, "shop", "2024-03", 3);
        let other = made(&repository, "crm", "2024-03-02T15:00:00Z");
        let before = versions(server, &bucket);
        assert_eq!(before.len(), 8, "{}", server.name);
        let run = prune(server, &bucket, &["--keep-last", "1", "--force"]).set("S3_OBJECT_NAME", "backup").expect(0);
        assert!(run.text().contains("2 of 3 backups of \"shop\" removed"), "{}: {run:?}", server.name);
        let after = versions(server, &bucket);
        assert!(after.is_subset(&before) && after.len() == 4, "{}: {after:?}", server.name);
        assert_eq!(repository.catalog(None).expect("ids").ids(), [other, ids[2].clone()], "{}", server.name);
        let verify = pgbk(["verify", "--all"]).s3(server, &bucket).set("S3_FOLDER", "prod");
        verify.set("S3_OBJECT_NAME", "backup").expect(0);
    }
}

#[test]
fn what_is_locked_is_left_and_counted_and_the_rest_goes() {
    for server in hosts() {
        let bucket = server.locking_bucket("locked");
        let free = in_bucket(server, &bucket);
        let gone = made(&free, "shop", "2024-03-02T03:00:00Z");
        let lock = Some(LockSettings { mode: LockMode::Compliance, term: LockTerm::Days(1) });
        let locking = repository(S3::open(S3Settings { lock, ..settings(server, &bucket) }).expect("open"));
        for day in [1, 3, 4] {
            made(&locking, "shop", &format!("2024-03-{day:02}T03:00:00Z"));
        }
        let before = versions(server, &bucket);
        let run = prune(server, &bucket, &["--keep-last", "1", "--force"]).expect(0).text();
        let left = run.lines().filter(|line| line.contains("Z  left     ")).count();
        assert_eq!(left, 2, "{}: {run}", server.name);
        assert!(run.contains("1 of 4 backups of \"shop\" removed"), "{}: {run}", server.name);
        let count = "2 more should go, but the store does not let them: locked, or not allowed\n";
        assert!(run.contains(count), "{}: {run}", server.name);
        // Not even a mark hides them.
        let expected = before.difference(&of(&[gone], &before)).cloned().collect();
        assert_eq!(versions(server, &bucket), expected, "{}", server.name);

        let again = prune(server, &bucket, &["--keep-last", "1", "--force"]).json();
        assert_eq!((&again[0]["removed"], &again[0]["left"]), (&0.into(), &2.into()), "{}", server.name);
        pgbk(["verify", "--all"]).s3(server, &bucket).set("S3_FOLDER", "prod").expect(0);
    }
}

#[test]
fn an_aborted_upload_older_than_a_day_is_offered_and_removed() {
    // This host says of every unfinished upload that it was begun in 2010.
    let server = moto();
    let bucket = server.bucket("aborted");
    let repository = in_bucket(server, &bucket);
    daily(&repository, "shop", "2024-03", 2);
    let (client, runtime) = server.client();
    let begin = |key: &str| {
        runtime.block_on(client.create_multipart_upload().bucket(&bucket).key(key).send()).expect("begin");
    };
    let ours = "shop/shop-20240401T030000Z.sql.xz.enc";
    let foreign = ["prod/shop/holiday.mp4", "prod/crm/crm-20240401T030000Z.sql", "shop/shop-20240401T030000Z.sql"];
    begin(&format!("prod/{ours}"));
    foreign.iter().for_each(|key| begin(key));
    let open = || {
        let listed = runtime.block_on(client.list_multipart_uploads().bucket(&bucket).send()).expect("list");
        listed.uploads().iter().map(|upload| upload.key().expect("a key").to_owned()).collect::<BTreeSet<_>>()
    };
    let told = prune(server, &bucket, &["--keep-last", "9"]).expect(0).text();
    assert!(told.ends_with(&format!("1 leftover of killed runs, which --orphans removes: {ours}\n")), "{told}");
    assert_eq!(open().len(), 4);
    prune(server, &bucket, &["--keep-last", "9", "--orphans"]).expect(0);
    assert_eq!(open(), foreign.iter().map(|key| (*key).to_owned()).collect());
}
