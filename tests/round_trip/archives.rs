//! Backups of `pg_dump --format=custom`, and the jobs that only they can be restored by.

use super::databases::{directory, restore};
use support::database::{assert_same, dump, exists, small, sql};

#[test]
fn an_archive_is_restored_by_several_jobs() {
    let (_folder, pgbk) = directory();
    super::features("jobs_source");
    let id = pgbk.backup("jobs_source", &["--format", "custom", "--compress", "zstd"]);
    let ran = restore(&pgbk, &id, "jobs_copy", &["--jobs", "3"]).expect(0);
    assert!(!ran.text().contains(" 0 rows"), "{}", ran.text());
    assert_same(&dump("jobs_source"), &dump("jobs_copy"));
    // As an argument of pg_restore, this name would be connection settings.
    restore(&pgbk, &id, "name=jobs 'copy", &["--jobs", "2"]).expect(0);
    assert_same(&dump("jobs_source"), &dump("name=jobs 'copy"));
}

#[test]
fn several_jobs_cannot_empty_a_target_and_leave_it_as_it_was() {
    let (_folder, pgbk) = directory();
    small("jobs_full_source", &["new"]);
    small("jobs_full", &["old"]);
    let id = pgbk.backup("jobs_full_source", &["--format", "custom"]);
    restore(&pgbk, &id, "jobs_full", &["--clean", "--jobs", "2"])
        .expect(2)
        .says("--jobs cannot empty its target in the same transaction")
        .says("hint: leave out --jobs, or restore into a new database with --to");
    assert_eq!(sql("jobs_full", "SELECT v FROM t"), "old");
}

#[test]
fn a_damaged_archive_is_told_as_such_and_nothing_is_made() {
    let (folder, pgbk) = directory();
    small("spoiled", &["x"]);
    let made = pgbk.args(["backup", "spoiled", "--format", "custom"]).json();
    let payload = folder.path().join(made["object"].as_str().unwrap());
    let mut bytes = std::fs::read(&payload).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&payload, bytes).unwrap();
    let id = made["id"].as_str().unwrap();
    for jobs in ["1", "2"] {
        let ran = restore(&pgbk, id, "spoiled_copy", &["--jobs", jobs]).expect(3).says("chunk 0, bytes 0 to ");
        ran.says("hint: restore an older backup");
        assert!(!exists("spoiled_copy"));
    }
}
