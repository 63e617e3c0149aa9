//! What a capture says where it cannot go on, and what it outlives.

use super::*;
use crate::failure::disk::way;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use support::s3::seaweedfs;

#[test]
fn a_second_capture_of_a_database_ends_and_says_why() {
    let scene = Scene::new("second", TABLES);
    scene.set_up();
    let running = scene.start();
    // A base is due, and not for one that cannot capture.
    let second = scene.pgbk(&[]).set("CAPTURE_BASES", "1");
    second.expect(5).says("is active for PID");
    assert_eq!(second.args(["history"]).json(), serde_json::json!([]));
    scene.pgbk(&["--teardown"]).expect(5).says("stop the capture first");
    stop(running);
}

#[test]
fn a_server_whose_log_holds_no_changes_is_refused() {
    let cluster: &'static Cluster = support::cluster::cluster();
    let scene = Scene::on(cluster, "replica", TABLES);
    scene.pgbk(&["--setup"]).expect(1).says("wal_level");
    assert!(scene.keys().is_empty());
}

#[test]
fn a_slot_that_was_moved_dropped_or_left_without_publications_ends_the_chain_and_a_new_one_begins_when_told() {
    let scene = Scene::new("moved", TABLES);
    scene.set_up();
    let running = scene.start();
    scene.sql("INSERT INTO t VALUES (1, 'one')");
    scene.await_transactions(1);
    stop(running);
    let slot = format!("pgbk_{}", scene.name);
    let idle = format!("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{slot}' AND active");
    assert!(until(PATIENCE, || scene.sql(&idle) == "0"));
    let first = scene.tail().generation.id;

    scene.sql("INSERT INTO t VALUES (2, 'lost')");
    scene.sql(&format!("SELECT pg_replication_slot_advance('{slot}', pg_current_wal_lsn())"));
    scene.pgbk(&[]).expect(1).says("something else has read or moved it");
    scene.sql(&format!("SELECT pg_drop_replication_slot('{slot}')"));
    scene.pgbk(&[]).expect(1).says("there is no replication slot").says("--new-generation");

    scene.pgbk(&["--setup", "--new-generation"]).expect(0);
    assert_ne!(scene.tail().generation.id, first);
    let running = scene.start();
    scene.sql("INSERT INTO t VALUES (3, 'three')");
    scene.await_transactions(1);
    scene.sql("DROP PUBLICATION pgbk_changes; INSERT INTO t VALUES (4, 'four')");
    let outcome = running.end();
    assert_eq!(outcome.code, Some(4), "{}", outcome.err);
    assert!(outcome.err.contains("publication"), "{}", outcome.err);
}

/// A server on which captures are disturbed.
fn lone() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start_set(&["wal_level=logical"]))
}

#[test]
fn log_that_others_write_is_let_go_by_a_segment_without_transactions() {
    let scene = Scene::on(lone(), "let_go", TABLES);
    scene.set_up();
    let running = scene.start();
    scene.sql("INSERT INTO t VALUES (1, 'one')");
    scene.await_transactions(1);
    let before = scene.tail();
    let much =
        "SELECT count(pg_logical_emit_message(false, 'noise', repeat('x', 1000000))) FROM generate_series(1, 68)";
    scene.cluster.psql("postgres", much);
    let confirmed = || scene.status()["slot"]["confirmed"].as_str().unwrap().parse::<Lsn>().unwrap();
    assert!(until(PATIENCE, || confirmed().0 - before.end.0 >= 64 << 20), "{} {}", confirmed(), before.end);
    let after = scene.tail();
    assert_eq!((after.segments, after.transactions), (before.segments + 1, before.transactions));
    assert_eq!(confirmed(), after.end);
    stop(running);
}

#[test]
fn a_store_that_fails_and_a_server_that_restarts_are_waited_for() {
    let scene = Scene::on(lone(), "outlived", TABLES);
    scene.set_up();
    let running = scene.start();
    scene.sql("INSERT INTO t VALUES (1, 'one')");
    scene.await_transactions(1);
    let folder = scene.place.path.join("store/@changes").join(&scene.name);
    let generation = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let away = scene.place.path.join("away");
    fs::rename(&generation, &away).unwrap();
    fs::write(&generation, "in the way").unwrap();
    scene.sql("INSERT INTO t VALUES (2, 'while the store is away')");
    std::thread::sleep(std::time::Duration::from_secs(3));
    fs::remove_file(&generation).unwrap();
    fs::rename(&away, &generation).unwrap();
    scene.await_transactions(2);
    let ended = "SELECT count(pg_terminate_backend(active_pid)) FROM pg_replication_slots WHERE active";
    scene.sql(ended);
    scene.sql("INSERT INTO t VALUES (3, 'after the connection was lost')");
    scene.await_transactions(3);
    stop(running);
    scene.replay();
    scene.assert_same(&["t"]);
}

/// Puts the store on a disk of its own that is full until `room` is there, and keeps what is on it when `over` is.
const FULL: &str = r#"
    mount -t tmpfs -o size=1m none "$0/store" && cp -a "$0/before/." "$0/store" || exit 99
    head -c 2M /dev/zero > "$0/store/filler"
    "$@" 2> "$0/said" & capture=$!
    until [ -e "$0/room" ]; do sleep 0.05; done
    rm "$0/store/filler"
    until [ -e "$0/over" ]; do sleep 0.05; done
    kill -TERM $capture; wait $capture
    cp -a "$0/store" "$0/after"; umount "$0/store""#;

#[test]
fn a_full_disk_is_waited_for_and_leaves_nothing_of_a_segment_that_is_not_whole() {
    let scene = Scene::new("full_disk", TABLES);
    scene.set_up();
    let at = |name: &str| scene.place.path.join(name);
    fs::rename(at("store"), at("before")).unwrap();
    fs::create_dir(at("store")).unwrap();
    let place = scene.place.path.display().to_string();
    let wrapper: Vec<&str> =
        ["unshare"].into_iter().chain(way().iter().copied()).chain(["sh", "-c", FULL, &place]).collect();
    let mut child = scene.pgbk(&[]).command_by(&wrapper).spawn().unwrap();
    scene.sql("INSERT INTO t VALUES (1, 'one')");
    let said = || fs::read_to_string(at("said")).unwrap_or_default();
    assert!(until(PATIENCE, || said().contains("No space left on device")), "{}", said());
    let begun = scene.position();
    fs::write(at("room"), "").unwrap();
    let is_stored = format!(
        "SELECT count(*) FROM pg_replication_slots WHERE database = current_database() AND confirmed_flush_lsn >= '{begun}'"
    );
    let goes_on = || {
        scene.sql("INSERT INTO u SELECT coalesce(max(id), 0) + 1, 0 FROM u");
        scene.sql(&is_stored) == "1"
    };
    assert!(until(PATIENCE, goes_on), "{}", said());
    fs::write(at("over"), "").unwrap();
    assert!(child.wait().unwrap().success());
    fs::remove_dir(at("store")).unwrap();
    fs::rename(at("after"), at("store")).unwrap();
    let found = Command::new("find").arg(at("store/@changes")).args(["-type", "f"]).output().unwrap();
    let files = String::from_utf8(found.stdout).unwrap();
    assert_eq!(files.lines().count(), scene.keys().len(), "{files}");
    scene.replay();
    scene.assert_same(&["t"]);
}

/// Returns a server whose clock is moved by what is written into this file.
fn with_a_clock() -> (&'static Cluster, PathBuf) {
    let place = Box::leak(Box::new(Place::new("clock")));
    let file = place.path.join("clock");
    fs::write(&file, "+0").unwrap();
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o755)).unwrap();
    let library =
        fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path().join("faketime/libfaketime.so.1"));
    let library = library.into_iter().find(|path| path.exists()).expect("libfaketime");
    let variables =
        [format!("LD_PRELOAD={}", library.display()), format!("FAKETIME_TIMESTAMP_FILE={}", file.display())];
    let server =
        Cluster::start_under(&["env", "DONT_FAKE_MONOTONIC=1", "FAKETIME_NO_CACHE=1", &variables[0], &variables[1]]);
    server.psql("postgres", "ALTER SYSTEM SET wal_level = logical");
    server.stop_immediately();
    server.run();
    (Box::leak(Box::new(server)), file)
}

#[test]
fn a_clock_of_the_server_that_is_moved_costs_no_change_and_a_time_ends_before_the_first_later_commit() {
    let (server, clock) = with_a_clock();
    let scene = Scene::on(server, "moved", TABLES);
    scene.pgbk(&["--setup"]).expect(0);
    scene.pgbk(&[]).args(["backup", &scene.name]).expect(0);
    let running = scene.start();
    let mut places = Vec::new();
    let mut times = Vec::new();
    for (id, offset) in (1..).zip(["+0", "+3600", "-7200", "+0"]) {
        fs::write(&clock, offset).unwrap();
        times.push(
            scene.sql("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"),
        );
        scene.sql(&format!("INSERT INTO t VALUES ({id}, 'at {offset}')"));
        places.push(scene.position().to_string());
        scene.await_transactions(id);
    }
    stop(running);
    let restored = |at: &str, into: &str| {
        scene.pgbk(&[]).args(["restore", "--at", at, "--database", &scene.name, "--to", into, "--yes"]).expect(0);
        let ids = scene.cluster.psql(into, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM t");
        scene.cluster.psql("postgres", &format!("DROP DATABASE {into}"));
        ids
    };
    for (place, ids) in places.iter().zip(["0 1", "0 1 2", "0 1 2 3", "0 1 2 3 4"]) {
        assert_eq!(restored(place, "moved_copy"), ids);
    }
    assert_eq!(restored("latest", "moved_copy"), "0 1 2 3 4");
    // The first that is later than this commits an hour ahead; what came behind it, by an earlier time, counts no more.
    assert_eq!(restored(&times[1], "moved_copy"), "0 1");
    scene.pgbk(&[]).args(["verify", "--changes", "--database", &scene.name, "--level", "content"]).expect(0);
}

#[test]
fn a_slot_for_which_the_server_keeps_too_much_is_given_up() {
    let scene = Scene::new("kept", TABLES);
    scene.set_up();
    scene.sql("CREATE TABLE other AS SELECT i, repeat('x', 100) FROM generate_series(1, 100000) i");
    scene.pgbk(&["--wal-limit", "1M"]).expect(1).says("was given up").says("--new-generation");
    assert_eq!(scene.status()["slot"], Value::Null);
}

#[test]
fn the_statements_are_shown_and_a_role_that_may_not_run_them_takes_over_what_an_administrator_made() {
    let scene = Scene::new("shown", &format!("{TABLES}; CREATE SEQUENCE seen; CREATE SEQUENCE \"Hidden\""));
    let outcome = scene.pgbk(&["--print-sql"]).expect(0);
    let script = outcome.text();
    assert!(
        script.contains("CREATE PUBLICATION \"pgbk_changes\"") && script.contains("pg_create_logical_replication_slot")
    );
    assert!(scene.keys().is_empty() && scene.sql("SELECT count(*) FROM pg_publication") == "0");
    for statement in script.lines() {
        scene.sql(statement);
    }
    let role = format!("{}_role", scene.name);
    scene.cluster.psql("postgres", &format!("CREATE ROLE {role} LOGIN REPLICATION PASSWORD '{PASSWORD}'"));
    let restricted = |more: &[&str]| scene.pgbk(more).set("DB_USER", &role);
    scene.sql(&format!("GRANT SELECT ON SEQUENCE seen TO {role}"));
    restricted(&["--setup"]).expect(0);
    let outcome = restricted(&["--print-sql"]).expect(0).says("nothing is to be done");
    assert_eq!(outcome.text(), "");
    assert_eq!(restricted(&["--print-sql"]).json()["statements"], serde_json::json!([]));
    let running = restricted(&[]).start();
    scene.sql("INSERT INTO t VALUES (1, 'one')");
    scene.await_transactions(1);
    stop(running);
    assert_eq!(scene.status()["unread_sequences"], serde_json::json!(["\"public\".\"Hidden\""]));
    let said = restricted(&["--status"]).expect(0).text();
    assert!(said.contains("the role may not read them (GRANT SELECT): 1 sequence"), "{said}");
}

#[test]
fn a_bucket_takes_encrypted_segments_and_a_capture_goes_on_from_them() {
    let scene = Scene::new("bucket", TABLES);
    let bucket = seaweedfs().bucket("capture");
    let to_bucket = |more: &[&str]| {
        scene.pgbk(more).unset("STORE_DIR").s3(seaweedfs(), &bucket).key().set("DB_BACKUP_COMPRESS", "zstd")
    };
    to_bucket(&[]).set("S3_OBJECT_NAME", "backup").expect(2).says("S3_OBJECT_NAME");
    to_bucket(&["--setup"]).expect(0);
    for round in 1..=3 {
        let running = to_bucket(&[]).start();
        scene.sql(&format!("INSERT INTO t SELECT i, 'round' FROM generate_series({round}00, {round}99) i"));
        let before = scene.position();
        let is_stored = format!(
            "SELECT count(*) FROM pg_replication_slots WHERE database = current_database() AND confirmed_flush_lsn >= '{before}'"
        );
        assert!(until(PATIENCE, || {
            scene.sql("INSERT INTO u SELECT coalesce(max(id), 0) + 1, 0 FROM u");
            scene.sql(&is_stored) == "1"
        }));
        stop(running);
    }
    let status = to_bucket(&["--status"]).json();
    assert!(status["chain"]["segments"].as_u64() >= Some(4), "{status:#}");
    assert_eq!(status["uncovered"], serde_json::json!([]));
}

#[test]
fn a_capture_can_begin_before_the_first_table() {
    let scene = Scene::new("tableless", "SELECT 1");
    scene.set_up();
    assert_eq!(scene.tail().segments, 1);
    assert_eq!(scene.status()["uncovered"], serde_json::json!([]));
}
