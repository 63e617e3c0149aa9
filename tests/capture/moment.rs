//! The stored changes bring a database to any moment behind a backup.

use super::*;

#[test]
fn what_a_capture_stored_brings_the_database_to_any_moment_behind_a_backup() {
    let scene = Scene::new("any_moment", TABLES);
    let run = scene.pgbk(&[]).key().set("DB_BACKUP_COMPRESS", "zstd");
    let capture = run.args(["capture", &scene.name]);
    run.args(["capture", &scene.name, "--setup"]).expect(0);
    let mut running = capture.start();
    scene.sql(WORK);
    run.args(["backup", &scene.name]).expect(0);
    scene.sql("INSERT INTO t SELECT i, 'behind', repeat('y', 5000) FROM generate_series(100, 140) i");
    scene.sql("UPDATE t SET v = v || '!' WHERE id % 2 = 0; DELETE FROM u");
    let (moment, due) = (scene.position(), ["t", "u"].map(|table| scene.rows(&scene.name, table)));
    // The accident.
    scene.sql("DELETE FROM t");
    // Other tests write into the server's log as well: what comes last lies behind this place, and ends the chain.
    let before_last = scene.position();
    scene.sql("INSERT INTO u VALUES (7, 7)");
    scene.await_beyond(&run, &mut running, before_last);
    let restored = |at: &str, into: &str| {
        let arguments = ["restore", "--at", at, "--database", &scene.name, "--to", into, "--yes"];
        run.args(arguments).expect(0);
        ["t", "u"].map(|table| scene.rows(into, table))
    };
    assert_eq!(restored(&moment.to_string(), "any_moment_before"), due);
    let latest = ["t", "u"].map(|table| scene.rows(&scene.name, table));
    assert_eq!(restored("latest", "any_moment_latest"), latest);
    let log = run.args(["log", "--database", &scene.name]).json();
    assert_eq!(log.as_array().map(Vec::len), Some(6), "{log:#}");
    // A moment before a table changes has nothing to warn of, though no transaction is between: the tables were looked at since.
    let place = scene.position();
    scene.sql("INSERT INTO u VALUES (8, 8)");
    let time = scene.sql("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
    scene.await_beyond(&run, &mut running, place);
    let place = scene.position();
    scene.sql("ALTER TABLE t RENAME v TO w; INSERT INTO t (id) VALUES (9000)");
    scene.await_beyond(&run, &mut running, place);
    let uncovered = |at: &str| {
        let arguments = ["restore", "--at", at, "--database", &scene.name, "--to", "any_moment_seen", "--dry-run"];
        let plan = run.args(arguments).json();
        plan["changes"]["uncovered"].as_array().map(Vec::len)
    };
    assert_eq!((uncovered(&time), uncovered("latest")), (Some(0), Some(1)));
    stop(running);
}
