//! Everything that a program can do which pgbk starts.

use super::requests::count;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::crew::go;
use support::database::{assert_same, dump, exists};
use support::fake::Fake;
use support::pgbk::Pgbk;
use support::process::until;
use support::scene::{Ended, Scene, assert_is_a_failure, database};

/// How long a killed process may take to be gone.
const DEATH: Duration = Duration::from_secs(5);

/// What a `pg_dump` does in the real one's place, and whether that may end well.
const DUMPS: &[(&str, bool)] = &[
    ("exec /nonexistent/pg_dump \"$@\"", false),
    ("chmod 0 \"$0\"; kill -9 $$", false),
    ("kill -KILL $$", false),
    ("kill -TERM $$", false),
    ("kill -SEGV $$", false),
    ("kill -PIPE $$", false),
    ("kill -HUP $$", false),
    ("kill -ABRT $$", false),
    ("\"$REAL\" \"$@\" | head -c 1; kill -KILL $$", false),
    ("\"$REAL\" \"$@\" | head -c 1000; kill -KILL $$", false),
    ("\"$REAL\" \"$@\" | head -c 65536; kill -TERM $$", false),
    ("\"$REAL\" \"$@\" | head -c 300000; kill -SEGV $$", false),
    ("\"$REAL\" \"$@\" | head -c 300000; exit 0", false),
    ("\"$REAL\" \"$@\" | head -c 300000; exit 1", false),
    ("\"$REAL\" \"$@\"; kill -KILL $$", false),
    ("\"$REAL\" \"$@\"; kill -TERM $$", false),
    ("\"$REAL\" \"$@\"; exit 1", false),
    ("\"$REAL\" \"$@\"; exit 3", false),
    ("\"$REAL\" \"$@\"; exit 127", false),
    ("\"$REAL\" \"$@\"; exit 255", false),
    ("exit 0", false),
    ("exit 1", false),
    ("echo 'pg_dump: error: out of memory' >&2; exit 1", false),
    ("\"$REAL\" \"$@\" | head -c -1; exit 0", true),
    ("\"$REAL\" \"$@\" | head -c -120; exit 0", false),
    ("\"$REAL\" \"$@\" | head -c -4000; exit 0", false),
    ("\"$REAL\" \"$@\" | tail -c +40000; exit 0", false),
    ("head -c 100000 /dev/urandom; exit 0", false),
    ("head -c 100000 /dev/zero; exit 0", false),
    ("head -c 10000000 /dev/zero | tr '\\0' x >&2; exec \"$REAL\" \"$@\"", true),
    ("\"$REAL\" \"$@\"; head -c 10000000 /dev/zero | tr '\\0' '\\n' >&2", true),
    ("head -c 1000000 /dev/urandom >&2; \"$REAL\" \"$@\"; exit 1", false),
    ("echo warning >&2; exec \"$REAL\" \"$@\"", true),
    ("exec \"$REAL\" \"$@\" 2>&-", true),
    ("exec sleep 600", false),
    ("\"$REAL\" \"$@\" | head -c 1000; exec sleep 600", false),
    ("\"$REAL\" \"$@\"; exec sleep 600", false),
    ("\"$REAL\" \"$@\"; exec >&-; exec sleep 600", false),
    ("exec >&-; exec sleep 600", false),
    ("exec >&-; exit 0", false),
    ("trap '' TERM INT HUP; \"$REAL\" \"$@\" | head -c 1000; while :; do sleep 1; done", false),
    ("(sleep 600) & exit 1", false),
    ("(sleep 600) & \"$REAL\" \"$@\"; exit 1", false),
    ("\"$REAL\" \"$@\" | while IFS= read -r line; do printf '%s\\n' \"$line\"; done | head -c 20000; exit 9", false),
    ("unset PGPASSFILE; exec \"$REAL\" --no-password \"$@\"", false),
    ("PGPASSFILE=/nowhere exec \"$REAL\" --no-password \"$@\"", false),
    ("PGDATABASE=no_such_database exec \"$REAL\" \"$@\"", false),
    ("PGPORT=1 exec \"$REAL\" \"$@\"", false),
    ("ulimit -v 1000; exec \"$REAL\" \"$@\"", false),
    ("ulimit -n 3; exec \"$REAL\" \"$@\"", false),
];

#[derive(Debug, Clone, Copy)]
struct Event {
    body: &'static str,
    may_end_well: bool,
    format: &'static str,
}

fn events() -> Vec<Event> {
    let of = |format| DUMPS.iter().map(move |(body, may_end_well)| Event { body, may_end_well: *may_end_well, format });
    // The end of an archive is where its data ends.
    of("plain")
        .chain(
            of("custom").map(|event| Event {
                may_end_well: !event.body.contains("head -c -1;") && event.may_end_well,
                ..event
            }),
        )
        .collect()
}

fn worker(index: usize) -> String {
    database(&format!("programs{index}"), 8_000)
}

/// The process that the fake was, and what it started, are gone.
fn assert_gone(fake: &Fake) {
    let group = fs::read_to_string(fake.note("pid")).unwrap_or_default();
    let Ok(group) = group.trim().parse::<i32>() else { return };
    let lives = |stat: &str| {
        let rest: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        rest.first() != Some(&"Z") && rest.get(2).and_then(|group| group.parse().ok()) == Some(group)
    };
    let left = || {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
        stats.filter(|stat| lives(stat)).collect::<Vec<_>>()
    };
    // Who is killed lives until the kernel comes to it.
    assert!(until(DEATH, || left().is_empty()), "what pg_dump started lives on: {:?}", left());
}

#[test]
fn whatever_becomes_of_pg_dump_the_backup_is_complete_or_leaves_nothing() {
    let tally = go(&events(), 5, worker, |database, event| {
        let (scene, fake) = (Scene::new(), Fake::new(event.body));
        let run = scene.direct().set("S3_PART_SIZE", "5M").set("DUMP_STALL_TIMEOUT", "2s");
        let run = run.set("PG_BIN_DIR", fake.bin().display()).set("DUMP_FORMAT", event.format);
        let outcome = run.args(["backup", database]).end();
        assert_gone(&fake);
        assert!(event.may_end_well || outcome.code != Some(0), "{outcome:#?}");
        scene.judge_backup(&outcome, database)
    });
    count("events of pg_dump", tally);
}

/// What a `pg_restore` does in the real one's place.
const RESTORES: &[(&str, bool)] = &[
    ("exec /nonexistent/pg_restore \"$@\"", false),
    ("kill -KILL $$", false),
    ("kill -TERM $$", false),
    ("exit 1", false),
    ("head -c 100 >/dev/null; exit 1", false),
    ("exec <&-; sleep 0.2; exit 1", false),
    ("\"$REAL\" \"$@\"; exit 1", false),
    ("\"$REAL\" \"$@\"; kill -SEGV $$", false),
    ("echo 'pg_restore: error: no' >&2; exit 1", false),
    ("head -c 10000000 /dev/zero | tr '\\0' x >&2; exec \"$REAL\" \"$@\"", true),
    ("head -c 10000000 /dev/zero | tr '\\0' x >&2; exit 1", false),
    // It writes a script, and asks no server.
    ("unset PGPASSFILE; exec \"$REAL\" \"$@\"", true),
    ("(sleep 600) & \"$REAL\" \"$@\"", true),
    ("ulimit -v 1000; exec \"$REAL\" \"$@\"", false),
    ("(sleep 600) & exit 1", false),
];

/// An archive in a store, to restore again and again.
fn archive(_: usize) -> (Scene, Pgbk, String, Vec<u8>) {
    let scene = Scene::new();
    let name = database("archive", 500);
    let id = scene.direct().backup(&name, &["--format", "custom"]);
    let run = scene.direct();
    (scene, run, id, dump(&name))
}

#[test]
fn whatever_becomes_of_pg_restore_the_database_is_whole_or_is_not_there() {
    static NUMBER: AtomicUsize = AtomicUsize::new(1);
    let tally = go(RESTORES, 2, archive, |(_scene, run, id, plain), (body, may_end_well)| {
        let fake = Fake::of_program("pg_restore", body);
        let target = format!("archive_back{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let run = run.set("PG_BIN_DIR", fake.bin().display());
        let outcome = run.args(["restore", id, "--yes", "--to", &target]).end();
        assert_gone(&fake);
        assert!(*may_end_well || outcome.code != Some(0), "{outcome:#?}");
        if outcome.code == Some(0) {
            assert_same(&dump(&target), plain);
            return Ended::Healed;
        }
        assert_is_a_failure(&outcome);
        assert!(!exists(&target), "a target is left: {outcome:#?}");
        Ended::Refused
    });
    count("events of pg_restore", tally);
}
