//! The binary against PostgreSQL of several major versions, servers and programs: each by itself, and across.

mod arguments;
mod captured;
mod failover;
mod itself;
mod level;
mod locale;
mod managed;
mod privileges;
mod replication;
pub mod servers;
mod trip;

use serde_json::Value;
use servers::{Server, complete, servers};
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::pgbk::Pgbk;
use support::proof;
use tempfile::TempDir;
use trip::Trip;

/// A store of its own, and pgbk that knows it beside this server and its programs.
fn keeping(server: &Server) -> (TempDir, Pgbk) {
    let folder = tempfile::tempdir().unwrap();
    let pgbk = server.pgbk().directory(folder.path()).key();
    (folder, pgbk)
}

fn oldest() -> &'static Server {
    complete().first().unwrap()
}

fn newest() -> &'static Server {
    complete().last().unwrap()
}

fn meta(folder: &TempDir, id: &str) -> Value {
    let database = id.rsplit_once('-').unwrap().0;
    let text = fs::read(folder.path().join(database).join(format!("{id}.meta"))).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// How many files and folders there are in it.
fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn every_major_comes_back_through_its_own_programs() {
    for server in complete() {
        eprintln!("--- {}", server.version);
        let (folder, pgbk) = keeping(server);
        server.copy("own");
        assert!(pgbk.set("DB_NAME", "own").args(["doctor"]).expect(0).text().contains(&server.version));
        let id = pgbk.backup("own", &["--compress", "zstd"]);
        let meta = meta(&folder, &id);
        assert_eq!(meta["server"]["version"], server.version.as_str());
        assert_eq!(meta["tools"]["pg_dump"], server.version.as_str());
        let verified = pgbk.args(["verify", &id, "--level", "content"]).json();
        assert_eq!((&verified["backups"][0]["level"], &verified["damaged"]), (&"content".into(), &0.into()));
        let rows: u64 = meta["tables"].as_array().unwrap().iter().map(|table| table["rows"].as_u64().unwrap()).sum();
        assert_eq!((rows > 5000, &verified["backups"][0]["rows"]), (true, &rows.into()));

        pgbk.args(["restore", &id, "--yes", "--to", "own_copy"]).expect(0);
        server.has_everything_in("own_copy");
        // What each major has to be emptied of before it can be filled again is not the same.
        let several = pgbk.backup("own", &["--jobs", "3"]);
        pgbk.args(["restore", &several, "--yes", "--to", "own_copy", "--clean"]).expect(0);
        server.has_everything_in("own_copy");
    }
}

#[test]
fn a_backup_restores_into_every_newer_major() {
    for (at, old) in complete().iter().enumerate() {
        let (folder, pgbk) = keeping(old);
        old.copy("upwards");
        let id = pgbk.backup("upwards", &["--compress", "zstd"]);
        // Outside of a proof into the newest one alone.
        let first = if proof::whole() { at + 1 } else { complete().len() - 1 };
        for new in &complete()[first.max(at + 1)..] {
            eprintln!("--- {} into {}", old.version, new.version);
            let copy = format!("from_{at}");
            let pgbk = keeping(new).1.directory(folder.path());
            pgbk.args(["restore", &id, "--yes", "--to", &copy]).expect(0);
            new.has_everything_in(&copy);
        }
    }
}

#[test]
fn what_the_newest_pg_dump_takes_from_the_oldest_server_goes_back_there() {
    let (folder, pgbk) = keeping(oldest());
    let pgbk = pgbk.set("PG_BIN_DIR", newest().clients().display());
    oldest().copy("older");
    for (format, copy) in [("plain", "older_plain"), ("custom", "older_custom")] {
        let id = pgbk.backup("older", &["--format", format]);
        let meta = meta(&folder, &id);
        assert_eq!(meta["server"]["version"], oldest().version.as_str());
        assert_eq!(meta["tools"]["pg_dump"], newest().version.as_str());
        let ran = pgbk.args(["restore", &id, "--yes", "--to", copy, "--json"]).expect(0);
        let skipped = &ran.says("skipped: setting \"transaction_timeout\"").json()["skipped"];
        assert_eq!(skipped, &serde_json::json!(["setting \"transaction_timeout\""]));
        oldest().has_everything_in(copy);
        if format == "plain" {
            // A plain dump's first line for psql, which the restore went past.
            assert!(pgbk.args(["download", &id, "-o", "-"]).expect(0).text().contains("\n\\restrict "));
        }
    }
}

#[test]
fn several_jobs_are_refused_before_anything_is_made_where_pg_restore_says_what_the_server_does_not_know() {
    let (_folder, pgbk) = keeping(oldest());
    let pgbk = pgbk.set("PG_BIN_DIR", newest().clients().display());
    oldest().copy("jobs");
    let id = pgbk.backup("jobs", &["--format", "custom"]);
    let ran = pgbk.args(["restore", &id, "--yes", "--to", "jobs_copy", "--jobs", "2"]).expect(2);
    let ran = ran.says(&format!("pg_restore {}", newest().version)).says("hint: leave out --jobs");
    let ran = ran.says(&format!("a server of version {} ", oldest().major));
    assert!(!ran.err.contains(" into jobs_copy"), "it had begun: {}", ran.err);
    assert!(!oldest().has("jobs_copy"));

    let (_folder, pgbk) = keeping(newest());
    newest().copy("jobs");
    let id = pgbk.backup("jobs", &["--format", "custom"]);
    pgbk.args(["restore", &id, "--yes", "--to", "jobs_copy", "--jobs", "2"]).expect(0);
    newest().has_everything_in("jobs_copy");
}

#[test]
fn a_pg_dump_older_than_the_server_is_refused_before_anything_is_stored() {
    for (at, new) in complete().iter().enumerate() {
        for old in &complete()[..at] {
            // The distribution may have the same major as one of the others.
            if old.major < new.major {
                let (folder, pgbk) = keeping(new);
                let ran = pgbk
                    .set("PG_BIN_DIR", old.clients().display())
                    .set("DB_NAME", "postgres")
                    .args(["backup"])
                    .expect(2);
                ran.says(&format!("the server has version {}", new.major)).says(&old.version).says("hint: ");
                assert_eq!(entries(folder.path()), 0);
            }
        }
    }
}

#[test]
fn a_pg_restore_older_than_the_archive_is_refused_before_anything_is_made() {
    let (_folder, pgbk) = keeping(oldest());
    oldest().copy("archive");
    let id = pgbk.set("PG_BIN_DIR", newest().clients().display()).backup("archive", &["--format", "custom"]);
    let ran = pgbk.args(["restore", &id, "--yes", "--to", "archive_copy"]).expect(2);
    let ran = ran.says(&format!("made by pg_dump {}", newest().version)).says(&oldest().version).says("hint: ");
    assert!(!ran.err.contains(" into archive_copy"), "it had begun: {}", ran.err);
    assert!(!oldest().has("archive_copy"));
}

#[test]
fn the_newest_of_the_installed_clients_is_chosen_unless_a_directory_is_named() {
    let (folder, pgbk) = keeping(oldest());
    oldest().copy("chosen");
    // An empty variable counts as unset. The newest is neither the first nor the last.
    let [first, last] = [&complete()[1], &complete()[2]];
    let path = std::env::join_paths([first.clients(), newest().clients(), last.clients()]).unwrap();
    let along = pgbk.set("PG_BIN_DIR", "").set("PATH", path.display());
    let named = along.set("PG_BIN_DIR", first.clients().display());
    for (pgbk, version) in [(&along, &newest().version), (&named, &first.version)] {
        for format in ["plain", "custom"] {
            let id = pgbk.backup("chosen", &["--format", format]);
            assert_eq!(meta(&folder, &id)["tools"]["pg_dump"], version.as_str());
        }
        // No other pg_restore reads this archive.
        pgbk.args(["restore", "latest", "--yes", "--to", "chosen_copy", "--clean"]).expect(0);
        oldest().has_everything_in("chosen_copy");
    }
}

#[test]
fn everything_that_hurts_goes_from_every_major_into_every_other() {
    let (sample, whole) = (trip::sample(), trip::all());
    let trips = if proof::size(sample.len(), whole.len()) == whole.len() { whole } else { sample };
    let failed = made(&trips);
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), trips.len());
    let pairs: BTreeSet<(u32, u32)> = trips.iter().flat_map(Trip::pairs).collect();
    let restored = trips.iter().map(|trip| trip.to.len()).sum();
    proof::counted("majors", "servers, each of a major version of its own", servers().len(), 0);
    proof::counted("majors", "pairs of a source's and a target's major", pairs.len(), 0);
    proof::counted(
        "majors",
        "of these into the same or a newer one",
        pairs.iter().filter(|(from, to)| from <= to).count(),
        0,
    );
    proof::counted("majors", "backups, each by one pg_dump in one format", trips.len(), 0);
    proof::counted("majors", "restores of these, each equal to its source", restored, 0);
}

/// Gives those that failed; why, each has said on its thread.
fn made(trips: &[Trip]) -> Vec<String> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(trip) = trips.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if catch_unwind(AssertUnwindSafe(|| trip.make())).is_err() {
                        failed.lock().unwrap().push(trip.name());
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

#[test]
fn what_an_older_server_does_not_know_is_refused_by_it_and_leaves_nothing() {
    let (folder, pgbk) = keeping(newest());
    newest().cluster.psql("postgres", "CREATE DATABASE ranges");
    newest().cluster.psql("ranges", "CREATE TABLE t AS SELECT 1 AS v; CREATE TYPE span AS RANGE (subtype = float8)");
    let id = pgbk.backup("ranges", &[]);
    let older: Vec<&Server> = servers().iter().filter(|server| server.major < 14).collect();
    for old in &older {
        let restoring = keeping(old).1.directory(folder.path());
        let ran = restoring.args(["restore", &id, "--yes", "--to", "ranges_copy"]).expect(1);
        ran.says("CREATE TYPE public.span AS RANGE").says("\"multirange_type_name\" not recognized");
        assert!(!old.has("ranges_copy"), "{}", old.version);
    }
    assert_eq!(older.len(), 2);
    proof::counted("majors", "dumps that say what the server does not know", 0, older.len());
}

#[test]
fn no_server_of_any_major_lets_a_nul_into_a_text() {
    // And so no dump holds one: there is nothing to bring back. A bytea's are in everything.sql.
    let nuls =
        ["SELECT chr(0)", r"SELECT E'a\000b'", r#"SELECT '"\u0000"'::jsonb"#, r"SELECT convert_from('\x6100', 'UTF8')"];
    for server in servers() {
        for nul in nuls {
            assert!(!server.takes(nul), "{}: {nul}", server.version);
        }
        assert!(server.takes(r"SELECT convert_from('\x6101', 'UTF8')"));
    }
    proof::counted("majors", "NULs in a text, to the servers", 0, servers().len() * nuls.len());
}
