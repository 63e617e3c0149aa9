//! What a server, and those who work on it, can do to a dump.

use super::*;
use support::database::connect;

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
fn a_table_that_is_dropped_before_it_is_dumped_is_in_the_backup_or_there_is_none() {
    let fake = Fake::new(
        "touch $NOTES/half; while [ ! -e $NOTES/gate ]; do [ -d $NOTES ] || exit 1; sleep 0.02; done; exec \"$REAL\" \"$@\"",
    );
    let (database, place) = (small(), folder());
    let running = with(backup(&database), &fake).directory(place.path()).start();
    fake.await_half();
    cluster().psql(&database, "DROP TABLE client");
    fake.open_gate();
    let outcome = running.end();
    if outcome.code == Some(0) {
        pgbk(["restore", "--yes", "--to", "dropped_back"]).server(cluster()).key().directory(place.path()).expect(0);
        assert_eq!(cluster().psql("dropped_back", "SELECT count(*) FROM client"), "300");
    } else {
        assert_eq!(outcome.code, Some(1), "{outcome:#?}");
        assert_empty(place.path());
    }
}
