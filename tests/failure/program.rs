//! What pg_dump can do.

use super::*;

#[test]
fn a_killed_pg_dump_leaves_no_backup_and_the_signal_is_named() {
    let fake = Fake::new("\"$REAL\" \"$@\" | head -c 11000000; kill -9 $$");
    fails(&with(backup(&large()), &fake), 1, "pg_dump was killed by signal 9");
}

#[test]
fn a_pg_dump_that_hangs_is_ended_after_the_stall_timeout() {
    let fake = Fake::new("\"$REAL\" \"$@\" | head -c 1000; sleep 600");
    let run = with(backup(&large()), &fake).set("DUMP_STALL_TIMEOUT", "1s").set("DB_BACKUP_COMPRESS", "zstd");
    let outcome = fails(&run, 1, "pg_dump wrote nothing for 1 s");
    assert!(outcome.err.contains("DUMP_STALL_TIMEOUT"), "{outcome:#?}");
    assert!(!fake.runs());
}

#[test]
fn a_dump_without_its_last_line_is_no_backup_although_pg_dump_was_content() {
    let fake = Fake::new("\"$REAL\" \"$@\" | head -n -8; exit 0");
    for (compress, database) in [("0", large()), ("zstd", large()), ("xz", small()), ("gzip", small())] {
        fails(&with(backup(&database), &fake).set("DB_BACKUP_COMPRESS", compress), 1, "cut short");
    }
    let silent = Fake::new("exit 0");
    fails(&with(backup(&small()), &silent), 1, "cut short");
}

#[test]
fn a_dump_of_more_tables_than_a_meta_can_list_is_no_backup() {
    let fake = Fake::new("seq 250000 | sed 's/.*/COPY a& (x) FROM stdin;\\n\\\\./'; exit 0");
    let place = folder();
    let outcome = with(backup(&small()), &fake).directory(place.path()).expect(1);
    outcome.says("has more tables than a .meta can list").says("hint: divide them among several backups: ");
    assert_empty(place.path());
}

#[test]
fn an_archive_that_is_none_is_no_backup() {
    for body in ["exit 0", "echo not an archive", "printf PGDM"] {
        let fake = Fake::new(body);
        fails(&with(backup(&small()), &fake).set("DUMP_FORMAT", "custom"), 1, "pg_dump gave no archive");
    }
}

#[test]
fn an_archive_without_its_end_is_no_backup_although_pg_dump_was_content() {
    // In its table of contents, before its first row, among its rows, and before the mark behind the last of them.
    for kept in ["-c 800", "-c -13000", "-c -6000", "-c -5"] {
        let fake = Fake::new(&format!("\"$REAL\" \"$@\" | head {kept}; exit 0"));
        fails(&with(backup(&small()), &fake).set("DUMP_FORMAT", "custom"), 1, "cut short");
    }
}

#[test]
fn ten_megabytes_on_stderr_block_nothing_and_fill_no_message() {
    let flood = "head -c 10000000 /dev/zero | tr '\\0' x >&2; echo >&2;";
    let place = folder();
    let fake = Fake::new(&format!("{flood} exec \"$REAL\" \"$@\""));
    with(backup(&small()), &fake).directory(place.path()).expect(0);
    let fake = Fake::new(&format!("{flood} echo the end of it >&2; exit 1"));
    let outcome = fails(&with(backup(&small()), &fake), 1, "the end of it");
    assert!(outcome.err.len() < 10_000, "{} bytes", outcome.err.len());
}

#[test]
fn a_pg_dump_older_than_the_server_is_refused_before_anything_is_stored() {
    let fake = Fake::of(cluster(), "echo 'pg_dump (PostgreSQL) 9.6.24'", "exec \"$REAL\" \"$@\"");
    let outcome = fails(&with(backup(&small()), &fake), 2, "9.6.24");
    assert!(outcome.err.contains("PG_BIN_DIR"), "{outcome:#?}");
    assert!(!fake.note("pid").exists(), "it was started");
}
