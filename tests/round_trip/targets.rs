//! What is at the place that a restore goes to.

use super::databases::{directory, restore, upload};
use std::thread;
use support::cluster::{PASSWORD, PATIENCE};
use support::database::{assert_same, connect, create, dump, exists, small, sql};
use support::process::until;

#[test]
fn a_target_that_is_not_empty_is_refused_and_stays_as_it_was() {
    let (_folder, pgbk) = directory();
    small("taken_source", &["new"]);
    small("taken", &["old"]);
    let before = dump("taken");
    let id = pgbk.backup("taken_source", &[]);
    restore(&pgbk, &id, "taken", &[]).expect(1).says("\"taken\" is not empty").says("hint: ");
    assert_same(&before, &dump("taken"));

    restore(&pgbk, &id, "taken", &["--clean"]).expect(0);
    assert_same(&dump("taken_source"), &dump("taken"));
}

#[test]
fn an_empty_database_that_is_there_is_filled() {
    let (_folder, pgbk) = directory();
    small("filler", &["one", "two"]);
    create("filled", "");
    let id = pgbk.backup("filler", &[]);
    let document = pgbk.args(["restore", &id, "--yes", "--to", "filled"]).json();
    assert_eq!((&document["created"], &document["rows"]), (&false.into(), &2.into()));
    assert_same(&dump("filler"), &dump("filled"));
}

#[test]
fn clean_replaces_everything_that_a_database_can_hold() {
    let (_folder, pgbk) = directory();
    super::features("cluttered");
    small("plain_source", &["only"]);
    let id = pgbk.backup("plain_source", &[]);
    restore(&pgbk, &id, "cluttered", &["--clean"]).expect(0);
    assert_same(&dump("plain_source"), &dump("cluttered"));
}

const SUBSCRIPTION: &str =
    "CREATE SUBSCRIPTION taps CONNECTION 'dbname=x' PUBLICATION y WITH (connect = false, slot_name = NONE)";

#[test]
fn clean_leaves_nothing_that_the_dump_would_make_again() {
    let (_folder, pgbk) = directory();
    super::features("remade");
    sql("remade", SUBSCRIPTION);
    let before = dump("remade");
    let id = pgbk.backup("remade", &[]);
    pgbk.args(["restore", &id, "--yes", "--clean", "--over-source"]).expect(0);
    assert_same(&before, &dump("remade"));
}

#[test]
fn whatever_a_database_holds_it_is_not_empty_and_clean_removes_it() {
    let (_folder, pgbk) = directory();
    small("lone_source", &["x"]);
    let id = pgbk.backup("lone_source", &[]);
    for (at, made) in [
        SUBSCRIPTION,
        "CREATE PUBLICATION p FOR ALL TABLES",
        "CREATE CAST (macaddr AS jsonb) WITH INOUT",
        "CREATE LANGUAGE \"the other\" HANDLER plpgsql_call_handler",
        "CREATE ACCESS METHOD tree TYPE INDEX HANDLER bthandler",
        "CREATE FOREIGN DATA WRAPPER bare",
        "CREATE TRANSFORM FOR integer LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal))",
        "CREATE TEXT SEARCH CONFIGURATION searched (COPY = simple)",
        "CREATE TEXT SEARCH DICTIONARY words (TEMPLATE = simple)",
        "CREATE CONVERSION converted FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
        "CREATE OPERATOR FAMILY related USING btree",
        "SELECT lo_from_bytea(0, 'x')",
    ]
    .into_iter()
    .enumerate()
    {
        eprintln!("--- {made}");
        let name = format!("lone_{at}");
        create(&name, "");
        sql(&name, made);
        restore(&pgbk, &id, &name, &[]).expect(1).says("is not empty: it holds 1 object\n");
        restore(&pgbk, &id, &name, &["--clean"]).expect(0);
        assert_same(&dump("lone_source"), &dump(&name));
        // A dump says nothing of a language without functions of its own.
        assert_eq!(sql(&name, "SELECT count(*) FROM pg_language WHERE lanname LIKE '%other'"), "0");
    }
}

#[test]
fn a_subscription_with_a_slot_on_another_server_is_left_to_the_person() {
    let (_folder, pgbk) = directory();
    small("slotted", &["kept"]);
    sql(
        "slotted",
        "CREATE SUBSCRIPTION taps CONNECTION 'dbname=x' PUBLICATION y WITH (connect = false, slot_name = 'far')",
    );
    let before = dump("slotted");
    let id = pgbk.backup("slotted", &[]);
    let clean = pgbk.args(["restore", &id, "--yes", "--clean", "--over-source"]);
    clean.expect(1).says("subscription \"taps\"").says("slot \"far\"").says("hint: ");
    assert_same(&before, &dump("slotted"));
}

#[test]
fn an_error_at_the_last_statement_leaves_the_target_exactly_as_it_was() {
    let (_folder, pgbk) = directory();
    super::features("intact");
    let before = dump("intact");
    let id = upload(&pgbk, "broken", "CREATE TABLE fresh (v text);\nCOPY fresh (v) FROM stdin;\na\n\\.\nSELECT 1/0;");
    restore(&pgbk, &id, "intact", &["--clean"]).expect(1).says("division by zero").says("line 9");
    assert_same(&before, &dump("intact"));

    create("still_empty", "");
    restore(&pgbk, &id, "still_empty", &[]).expect(1);
    assert_eq!(sql("still_empty", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");

    restore(&pgbk, &id, "never_made", &[]).expect(1);
    assert!(!exists("never_made"), "the database that was made for a restore that failed is still there");
}

#[test]
fn a_name_with_a_backslash_is_cleared_up_after_where_old_strings_are_on() {
    let (_folder, pgbk) = directory();
    let role = "old_strings";
    sql("postgres", format!("CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{PASSWORD}'"));
    sql("postgres", format!("ALTER ROLE {role} SET standard_conforming_strings = off"));
    let id = upload(&pgbk, "broken", "CREATE TABLE fresh (v text);\nSELECT 1/0;");
    let of_role = pgbk.set("DB_USER", role);
    for name in ["half\\", "half\\' OR true --"] {
        restore(&of_role, &id, name, &[]).expect(1).says("division by zero");
        assert!(!exists(name), "{name}");
    }
}

#[test]
fn the_source_itself_is_replaced_only_when_that_is_said_twice() {
    let (_folder, pgbk) = directory();
    small("itself", &["first"]);
    let id = pgbk.backup("itself", &[]);
    sql("itself", "UPDATE t SET v = 'second'");
    pgbk.args(["restore", &id, "--yes", "--clean"]).expect(1).says("--over-source");
    assert_eq!(sql("itself", "SELECT v FROM t"), "second");
    pgbk.args(["restore", &id, "--yes", "--over-source"]).expect(2);
    pgbk.args(["restore", &id, "--yes", "--clean", "--over-source"]).expect(0);
    assert_eq!(sql("itself", "SELECT v FROM t"), "first");
}

/// Autovacuum does what VACUUM does: it writes into the database's row how old its transactions are, and waits for who has changed it.
#[test]
fn a_vacuum_that_meets_the_check_of_what_the_database_is_given_does_not_cost_it() {
    let (_folder, pgbk) = directory();
    small("vacuumed", &["one"]);
    // The owner is given first.
    sql("postgres", "CREATE ROLE keeper; ALTER DATABASE vacuumed OWNER TO keeper");
    sql("postgres", "ALTER DATABASE vacuumed SET application_name = 'of the shop'");
    let id = pgbk.backup("vacuumed", &[]);
    let mut holder = connect("postgres");
    // Reading goes on; what is written waits: the check, after it has changed the database's row.
    holder.batch_execute("BEGIN; LOCK TABLE pg_db_role_setting IN SHARE MODE").unwrap();
    let running = pgbk.args(["restore", &id, "--yes", "--to", "vacuumed_copy"]).start();
    let waits = |query: &str| {
        let waiting = "FROM pg_stat_activity WHERE datname = 'vacuumed_copy' AND wait_event_type = 'Lock'";
        until(PATIENCE, || sql("postgres", format!("SELECT count(*) {waiting} AND query LIKE '{query}%'")) == "1")
    };
    assert!(waits("ALTER DATABASE"));
    let vacuum = thread::spawn(|| sql("vacuumed_copy", "VACUUM pg_attrdef"));
    assert!(waits("VACUUM"));
    holder.batch_execute("ROLLBACK").unwrap();
    let outcome = running.end();
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert!(!outcome.text().contains("deadlock"), "{outcome:#?}");
    vacuum.join().unwrap();
    let owner = "SELECT datdba::regrole FROM pg_database WHERE datname = 'vacuumed_copy'";
    assert_eq!(sql("postgres", owner), "keeper");
}

#[test]
fn a_database_without_the_schema_public_comes_back_without_it() {
    let (_folder, pgbk) = directory();
    small("no_public", &["x"]);
    sql("no_public", "CREATE SCHEMA app; ALTER TABLE t SET SCHEMA app; DROP SCHEMA public");
    let id = pgbk.backup("no_public", &[]);
    let public = |database: &str| sql(database, "SELECT count(*) FROM pg_namespace WHERE nspname = 'public'");
    restore(&pgbk, &id, "no_public_copy", &[]).expect(0);
    assert_eq!((public("no_public_copy"), sql("no_public_copy", "SELECT v FROM app.t")), ("0".into(), "x".into()));
    sql("no_public_copy", "CREATE SCHEMA public; CREATE TABLE public.other ()");
    restore(&pgbk, &id, "no_public_copy", &["--clean"]).expect(0);
    assert_eq!(public("no_public_copy"), "0");
    // Where the database itself is given nothing, and where a provider has put something there, it stays.
    restore(&pgbk, &id, "no_public_left", &["--no-properties"]).expect(0);
    create("no_public_kept", "");
    sql("no_public_kept", "CREATE EXTENSION hstore SCHEMA public");
    restore(&pgbk, &id, "no_public_kept", &[]).expect(0);
    assert_eq!((public("no_public_left"), public("no_public_kept")), ("1".into(), "1".into()));
    pgbk.args(["verify", &id, "--level", "restore"]).expect(0);
}
