//! Copies in a folder of their own in a bucket, with a key of their own.

use crate::outputs::{OTHER_KEY, Place, RULES, ids, like_its_source, source};
use support::pgbk::Pgbk;
use support::s3::seaweedfs;

fn listed(pgbk: &Pgbk, more: &[&str]) -> Vec<String> {
    let listed = pgbk.args(["list"].iter().chain(more).copied()).json();
    listed.as_array().unwrap().iter().map(|backup| backup["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn copies_in_a_folder_of_a_bucket_are_listed_verified_restored_and_pruned_by_whoever_has_the_folder_and_their_key() {
    source("outputs_bucket");
    let (place, bucket) = (Place::new(RULES), seaweedfs().bucket("outputs"));
    let base = place.pgbk("plain,anonymised").unset("NO_ENCRYPT").unset("STORE_DIR").s3(seaweedfs(), &bucket);
    let base = base.set("DB_NAME", "outputs_bucket");
    let pgbk = base.key().set("S3_FOLDER", "production").set("ANON_S3_FOLDER", "copies");
    let pgbk = pgbk.set("ANON_ENCRYPT_KEY", OTHER_KEY).set("ANON_KEEP_LAST", 2).set("KEEP_LAST", 3);
    let text = pgbk.args(["doctor"]).expect(0).text();
    assert!(text.contains("anonymised: store: versions"), "{text}");
    let runs: Vec<(String, Vec<String>)> = (0..3).map(|_| ids(&pgbk.args(["backup"]).json())).collect();
    let copies: Vec<String> = runs.iter().map(|(_, others)| others[0].clone()).collect();
    assert_eq!(listed(&pgbk, &[]), runs.iter().map(|(plain, _)| plain.clone()).collect::<Vec<_>>());
    // The oldest went by the copies' own rule.
    assert_eq!(listed(&pgbk, &["--variant", "anonymised"]), copies[1..]);
    let all = pgbk.args(["verify", "--all"]).json();
    assert_eq!((all["checked"].as_u64(), all["backups"][3]["variant"].as_str()), (Some(5), Some("anonymised")));
    pgbk.args(["verify", "latest", "--variant", "anonymised", "--level", "restore"]).expect(0);

    let developer = base.set("OUTPUTS", "plain").set("S3_FOLDER", "copies").set("DB_BACKUP_ENCRYPT_KEY", OTHER_KEY);
    assert_eq!(listed(&developer, &["--variant", "anonymised"]), copies[1..]);
    assert_eq!(listed(&developer, &[]), [""; 0]);
    let restore = ["restore", "latest", "--variant", "anonymised", "--to", "outputs_bucket_copy", "--yes"];
    developer.args(restore).expect(0);
    like_its_source("outputs_bucket", "outputs_bucket_copy");
    let plain = developer.set("S3_FOLDER", "production");
    assert_eq!(plain.args(["verify", "latest"]).end().code, Some(3));

    pgbk.unset("ANON_KEEP_LAST").set("ANON_KEEP_LAST", 1).args(["prune", "--variant", "anonymised"]).expect(0);
    assert_eq!(listed(&pgbk, &["--variant", "anonymised"]), copies[2..]);
    assert_eq!(listed(&pgbk, &[]).len(), 3);
    pgbk.args(["status", "--max-age", "1h"]).expect(0);
}
