//! What a server, and those who work on it, can do to a dump.

use super::*;
use support::database::{connect, script};

#[test]
fn a_role_from_whom_rows_are_hidden_makes_no_backup_of_the_others() {
    let database = small();
    cluster().psql(
        &database,
        &format!(
            "CREATE ROLE half_{database} LOGIN PASSWORD '{PASSWORD}'; GRANT SELECT ON client TO half_{database};
             ALTER TABLE client ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON client USING (id < 10)"
        ),
    );
    let run = backup(&database).set("DB_USER", format!("half_{database}"));
    fails(&run, 1, "row-level security");
}

#[test]
fn a_table_that_somebody_holds_ends_the_dump_when_its_time_to_wait_is_over() {
    let database = small();
    let mut other = connect(&database);
    other.batch_execute("BEGIN; LOCK TABLE client IN ACCESS EXCLUSIVE MODE").unwrap();
    fails(&backup(&database).set("DUMP_LOCK_TIMEOUT", "1s"), 1, "LOCK TABLE public.client");
}

/// It was there when the snapshot was taken, and is gone when pg_dump wants to lock it.
#[test]
fn a_table_that_is_dropped_before_it_is_dumped_is_missed_and_the_dump_taken_anew() {
    let fake = Fake::new(
        "touch $NOTES/half; while [ ! -e $NOTES/gate ]; do [ -d $NOTES ] || exit 1; sleep 0.02; done; exec \"$REAL\" \"$@\"",
    );
    let (database, place) = (small(), folder());
    let running = with(backup(&database), &fake).directory(place.path()).start();
    fake.await_half();
    cluster().psql(&database, "DROP TABLE client");
    fake.open_gate();
    let outcome = running.end().says("public.client").says("replaced, renamed or dropped since the snapshot was taken");
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    pgbk(["restore", "--yes", "--to", "dropped_back"]).server(cluster()).key().directory(place.path()).expect(0);
    assert_eq!(cluster().psql("dropped_back", "SELECT to_regclass('public.client') IS NULL"), "t");
}

#[test]
fn a_server_with_room_for_too_few_locks_is_told_of_with_what_to_raise() {
    let (server, place) = (Cluster::start_set(&["max_connections=10", "max_locks_per_transaction=10"]), folder());
    let database = server.database("many");
    let one = "EXECUTE format('CREATE TABLE t%s (id int)', n); COMMIT";
    server.psql(&database, &format!("DO $$ BEGIN FOR n IN 1..2000 LOOP {one}; END LOOP; END $$"));
    let run = pgbk(["backup", &database]).server(&server).key();
    for format in ["plain", "custom"] {
        let outcome = fails(&run.set("DUMP_FORMAT", format), 1, "out of shared memory");
        assert!(outcome.err.contains("hint: pg_dump locks every table at once: raise"), "{}", outcome.err);
    }

    let file = place.path().join("many.sql");
    let create: String = (0..2000).map(|n| format!("CREATE TABLE t{n} (id int);\n")).collect();
    fs::write(&file, script(&create)).unwrap();
    let run = run.directory(place.path());
    run.args(["upload", file.to_str().unwrap(), "--database", "other"]).expect(0);
    let restore = run.args(["restore", "latest", "--database", "other", "--to", "target", "--yes"]);
    let outcome = restore.expect(1).says("out of shared memory");
    assert!(
        outcome.err.contains("hint: a restore locks every table and index until its end: raise"),
        "{}",
        outcome.err
    );
}
