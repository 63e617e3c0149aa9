//! Failures of a restore by several connections: one error, and nothing is left.

use super::{place, shop};
use rustix::process::Signal;
use std::fs;
use support::cluster::PATIENCE;
use support::database::{create, exists, sql};
use support::pgbk::{Pgbk, Running};
use support::process::until;

/// Two tables whose rows take the server seconds; each is large enough to be read by itself.
fn slow(database: &str) {
    create(database, "");
    sql(
        database,
        "CREATE FUNCTION slow(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM pg_sleep(0.004); RETURN i; END';
         CREATE TABLE one (i int, n int GENERATED ALWAYS AS (slow(i)) STORED, noise text);
         INSERT INTO one (i, noise) SELECT g, repeat(md5(g::text), 60) FROM generate_series(1, 700) g;
         CREATE TABLE other (LIKE one INCLUDING ALL); INSERT INTO other (i, noise) SELECT i, noise FROM one",
    );
}

/// Starts a restore, and waits until connections of it copy rows.
fn copying(pgbk: &Pgbk, id: &str, to: &str) -> Running {
    let running = pgbk.args(["restore", id, "--to", to, "--yes", "--jobs", "2"]).start();
    let query = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{to}' AND query LIKE 'COPY%' AND state = 'active'"
    );
    assert!(until(PATIENCE, || sql("postgres", &query) == "2"), "the restore did not get to its rows");
    running
}

/// No session of the target is left, and it is gone, or empty if it was there.
fn nothing_is_left(to: &str, was_there: bool) {
    assert_eq!(exists(to), was_there, "{to}");
    assert_eq!(sql("postgres", format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{to}'")), "0");
    if was_there {
        let objects = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
        assert_eq!(sql(to, objects), "0");
        assert_eq!(sql(to, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"), "0");
    }
}

#[test]
fn a_statement_that_fails_behind_the_rows_leaves_nothing_and_is_the_one_error() {
    shop("jobs_fails");
    // At the source it was not checked.
    sql(
        "jobs_fails",
        "INSERT INTO customers VALUES (0, 'x'); ALTER TABLE lines DISABLE TRIGGER ALL; INSERT INTO lines VALUES (0, 77777777, 0)",
    );
    let (_folder, pgbk) = place();
    let pgbk = pgbk.key().set("DB_BACKUP_COMPRESS", "zstd");
    let id = pgbk.backup("jobs_fails", &[]);
    create("jobs_fails_there", "");
    for (to, was_there) in [("jobs_fails_new", false), ("jobs_fails_there", true)] {
        let outcome = pgbk.args(["restore", &id, "--to", to, "--yes", "--jobs", "3"]).expect(1);
        let errors = outcome.err.matches("error: ").count();
        assert_eq!(errors, 1, "{outcome:#?}");
        outcome.says("\"lines_of_order_fkey\"").says("Key (of_order)=(77777777) is not present");
        nothing_is_left(to, was_there);
    }
}

#[test]
fn a_row_that_the_server_refuses_leaves_nothing_and_the_table_is_named() {
    create("jobs_row", "");
    sql(
        "jobs_row",
        "CREATE FUNCTION fits(i int) RETURNS bool LANGUAGE sql AS 'SELECT i < 900 OR current_database() = ''jobs_row''';
         CREATE TABLE a (i int); INSERT INTO a SELECT generate_series(1, 200000);
         CREATE TABLE b (i int CHECK (fits(i))); INSERT INTO b SELECT generate_series(1, 1000)",
    );
    let (_folder, pgbk) = place();
    let pgbk = pgbk.set("NO_ENCRYPT", 1);
    let id = pgbk.backup("jobs_row", &[]);
    create("jobs_row_there", "");
    for (to, was_there) in [("jobs_row_new", false), ("jobs_row_there", true)] {
        let outcome = pgbk.args(["restore", &id, "--to", to, "--yes", "--jobs", "2"]).expect(1);
        assert_eq!(outcome.err.matches("error: ").count(), 1, "{outcome:#?}");
        outcome
            .says("COPY public.b (i) FROM stdin;")
            .says("violates check constraint")
            .says("COPY b, line 900")
            .says("--single-transaction loads table after table");
        nothing_is_left(to, was_there);
    }
}

#[test]
fn a_connection_that_is_ended_ends_the_others_and_leaves_nothing() {
    slow("jobs_ended");
    let (_folder, pgbk) = place();
    let pgbk = pgbk.set("NO_ENCRYPT", 1);
    let id = pgbk.backup("jobs_ended", &[]);
    create("jobs_ended_there", "");
    for (to, was_there) in [("jobs_ended_new", false), ("jobs_ended_there", true)] {
        let running = copying(&pgbk, &id, to);
        let end =
            "SELECT pg_terminate_backend(min(pid)) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'";
        sql("postgres", format!("{end} AND datname = '{to}'"));
        let outcome = running.end();
        assert_eq!((outcome.code, outcome.err.matches("error: ").count()), (Some(1), 1), "{outcome:#?}");
        outcome.says("terminating connection due to administrator command");
        nothing_is_left(to, was_there);
    }
}

#[test]
fn a_signal_while_rows_are_loaded_leaves_nothing() {
    slow("jobs_signal");
    sql("postgres", "CREATE ROLE jobs_stranger LOGIN");
    let (_folder, pgbk) = place();
    let pgbk = pgbk.set("NO_ENCRYPT", 1);
    let id = pgbk.backup("jobs_signal", &[]);
    create("jobs_signal_there", "");
    for (to, was_there, signal, code) in
        [("jobs_signal_new", false, Signal::TERM, 143), ("jobs_signal_there", true, Signal::INT, 130)]
    {
        let running = copying(&pgbk, &id, to);
        // Who owns something of a database that is made here does not get in before all of it is there.
        let stranger = format!("SELECT has_database_privilege('jobs_stranger', '{to}', 'CONNECT')");
        assert_eq!(sql("postgres", stranger), if was_there { "t" } else { "f" });
        running.signal(signal);
        let outcome = running.end();
        assert_eq!(outcome.code, Some(code), "{outcome:#?}");
        nothing_is_left(to, was_there);
    }
}

#[test]
fn a_signal_while_indexes_are_built_cancels_all_of_them_and_leaves_nothing() {
    create("jobs_index", "");
    let index = |table: &str| {
        format!(
            "CREATE TABLE {table} AS SELECT g AS i FROM generate_series(1, 100) g; CREATE INDEX ON {table} (slow(i));"
        )
    };
    sql(
        "jobs_index",
        format!(
            "CREATE FUNCTION slow(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
                 IF pg_catalog.current_database() <> 'jobs_index' THEN PERFORM pg_catalog.pg_sleep(3600); END IF;
                 RETURN i;
             END $$; {} {}",
            index("one"),
            index("other")
        ),
    );
    let (_folder, pgbk) = place();
    let pgbk = pgbk.set("NO_ENCRYPT", 1);
    let id = pgbk.backup("jobs_index", &[]);
    create("jobs_index_there", "");
    for (to, was_there) in [("jobs_index_new", false), ("jobs_index_there", true)] {
        let running = pgbk.args(["restore", &id, "--to", to, "--yes", "--jobs", "2"]).start();
        let query = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{to}' AND query LIKE 'CREATE INDEX%' AND wait_event = 'PgSleep'"
        );
        assert!(until(PATIENCE, || sql("postgres", &query) == "2"), "the restore did not get to its indexes");
        running.signal(Signal::TERM);
        let outcome = running.end();
        assert_eq!(outcome.code, Some(143), "{outcome:#?}");
        nothing_is_left(to, was_there);
    }
}

#[test]
fn a_payload_that_is_damaged_among_the_rows_leaves_nothing() {
    shop("jobs_damaged");
    let (folder, pgbk) = place();
    let pgbk = pgbk.key();
    let made = pgbk.args(["backup", "jobs_damaged"]).json();
    let payload = folder.path().join(made["object"].as_str().unwrap());
    let mut bytes = fs::read(&payload).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&payload, bytes).unwrap();
    let outcome = pgbk
        .args(["restore", made["id"].as_str().unwrap(), "--to", "jobs_damaged_copy", "--yes", "--jobs", "2"])
        .expect(3);
    assert_eq!(outcome.err.matches("error: ").count(), 1, "{outcome:#?}");
    outcome.says("does not match its tag");
    nothing_is_left("jobs_damaged_copy", false);
}

#[test]
fn where_the_server_gives_fewer_connections_fewer_load_and_people_are_told() {
    shop("jobs_few");
    sql("postgres", "CREATE ROLE jobs_few LOGIN PASSWORD 'jobs-few-secret'");
    let (_folder, pgbk) = place();
    let pgbk = pgbk.set("NO_ENCRYPT", 1);
    let id = pgbk.backup("jobs_few", &[]);
    let own = pgbk.set("DB_USER", "jobs_few").set("DB_PASSWORD", "jobs-few-secret");
    for (limit, said) in [(3, "2 of 8 connections load: "), (1, "0 of 8 connections load: ")] {
        let to = format!("jobs_few_{limit}");
        create(&to, &format!("OWNER jobs_few CONNECTION LIMIT {limit}"));
        let more = ["--no-owner", "--no-privileges", "--no-properties"];
        let outcome = own.args(["restore", &id, "--to", &to, "--yes", "--jobs", "8"].into_iter().chain(more)).expect(0);
        outcome.says(said);
        assert_eq!(sql(&to, "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM totals)"), "60000|20000");
        sql("postgres", format!("DROP DATABASE {to}"));
    }
    sql("postgres", "DROP ROLE jobs_few");
}

/// `pg_restore` talks to the server itself then, and pgbk can leave nothing out of what it says.
#[test]
fn what_only_one_connection_can_leave_out_of_an_archive_is_refused_with_several() {
    create("jobs_archive", "");
    let (_folder, pgbk) = place();
    let id = pgbk.set("NO_ENCRYPT", 1).backup("jobs_archive", &["--format", "custom"]);
    let restore = ["restore", &id, "--to", "jobs_archive_new", "--yes"];
    for option in [&["--skip-failed"][..], &["--search-path", "public"], &["--exclude-extension", "hstore"]] {
        let several = restore.iter().chain(&["--jobs", "2"]).chain(option).copied();
        pgbk.args(several)
            .expect(2)
            .says("knows no --skip-failed, --search-path and --exclude-extension")
            .says("hint: leave out --jobs");
        assert!(!exists("jobs_archive_new"), "{option:?}");
    }
    pgbk.args(restore.into_iter().chain(["--skip-failed"])).expect(0);
}
