//! What a choice of tables takes and leaves out, what it drops, and in which order rows are loaded.

use super::restoring::dumped;
use support::database::{assert_same, comparable, create, dump, exists, sql, stdout_of, tool};
use support::pgbk::{Outcome, Pgbk, connected};
use tempfile::TempDir;

fn backed_up(database: &str, made: &str) -> (TempDir, Pgbk, String) {
    create(database, "");
    sql(database, made);
    let folder = tempfile::tempdir().unwrap();
    let pgbk = connected().directory(folder.path()).set("NO_ENCRYPT", 1);
    let id = pgbk.backup(database, &[]);
    (folder, pgbk, id)
}

fn restore(pgbk: &Pgbk, id: &str, more: &[&str], code: i32) -> Outcome {
    pgbk.args(["restore", id, "--yes"].into_iter().chain(more.iter().copied())).expect(code)
}

#[test]
fn a_materialized_view_is_not_refreshed_over_tables_that_come_without_rows() {
    let (_folder, pgbk, id) = backed_up(
        "tables_views",
        "CREATE TABLE t AS SELECT 1 AS x; CREATE MATERIALIZED VIEW mv1 AS SELECT count(*) AS c FROM t; CREATE SCHEMA s2;
         CREATE MATERIALIZED VIEW s2.mv2 AS SELECT * FROM mv1; CREATE TABLE s2.t (id int);
         CREATE FUNCTION s2.unused() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    );
    let said = restore(&pgbk, &id, &["--schema", "s2", "--to", "tables_views_new"], 0);
    assert!(said.err.contains("left out: the rows of materialized view s2.mv2: "), "{said:#?}");
    assert!(said.err.contains("left out: function s2.unused(): no chosen table needs it"), "{said:#?}");
    assert_eq!(sql("tables_views_new", "SELECT relispopulated FROM pg_class WHERE relname = 'mv2'"), "f");
    // Over what is there, or comes with its rows, it is.
    restore(&pgbk, &id, &["--table", "*", "--to", "tables_views_all"], 0);
    assert_eq!(sql("tables_views_all", "SELECT c FROM s2.mv2"), "1");
    sql("tables_views", "DROP MATERIALIZED VIEW s2.mv2");
    restore(&pgbk, &id, &["--table", "s2.mv2"], 0);
    assert_eq!(sql("tables_views", "SELECT c FROM s2.mv2"), "1");
}

#[test]
fn tables_of_the_source_are_dropped_only_with_over_source_and_are_named_before() {
    let (_folder, pgbk, id) = backed_up(
        "tables_over",
        "CREATE TABLE orders AS SELECT 1 AS x; CREATE SCHEMA s2; CREATE TABLE s2.orders AS SELECT 2 AS x",
    );
    sql("tables_over", "INSERT INTO orders VALUES (7)");
    let before = dump("tables_over");
    let orders = ["--table", "public.orders", "--clean"];
    let refused = restore(&pgbk, &id, &orders, 1);
    refused.says("\"tables_over\" is the database that").says("say --clean --over-source to replace what is there");
    restore(&pgbk, &id, &orders[..2], 1).says("--clean --over-source replaces what is there");
    assert_same(&before, &dump("tables_over"));
    let planned = pgbk.args(["restore", &id, "--table", "orders", "--clean", "--over-source", "--dry-run"]).expect(0);
    for text in ["  drops     table public.orders\n", "  drops     table s2.orders\n", "but for what is dropped"] {
        assert!(planned.text().contains(text), "{planned:#?}");
    }
    restore(&pgbk, &id, &["--table", "public.orders", "--clean", "--over-source"], 0);
    assert_eq!(sql("tables_over", "SELECT string_agg(x::text, ',') FROM orders"), "1");
    // What needs a table must be chosen with it, and then is dropped and made again.
    sql("tables_over", "CREATE VIEW v AS SELECT * FROM orders");
    let id = pgbk.backup("tables_over", &[]);
    let said = restore(&pgbk, &id, &["--table", "public.orders", "--clean", "--over-source"], 1);
    assert!(!said.err.contains("CASCADE"), "{said:#?}");
    said.says("choose what needs it as well (--table for each)");
    let before = dump("tables_over");
    restore(&pgbk, &id, &["--table", "public.*", "--clean", "--over-source"], 0);
    assert_same(&before, &dump("tables_over"));
    sql("tables_over", "DROP VIEW v");
    let said = restore(&pgbk, &id, &["--table", "v"], 0).text();
    assert!(said.contains(": 1 view in "), "{said}");
    restore(&pgbk, &id, &["--table", "orders,v", "--to", "tables_over_no"], 2).says("--table orders --table v");
}

#[test]
fn definitions_of_a_whole_backup_are_all_of_them_as_pg_dump_has_them() {
    let made = "CREATE FUNCTION unused() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE mood AS ENUM ('a');
         CREATE DOMAIN small AS int CHECK (VALUE < 9); CREATE TABLE t (id serial PRIMARY KEY); INSERT INTO t DEFAULT VALUES;
         CREATE TABLE u (t int REFERENCES t); CREATE MATERIALIZED VIEW m AS SELECT * FROM t; COMMENT ON TYPE mood IS 'x';
         CREATE SEQUENCE alone; CREATE PUBLICATION p FOR TABLE t; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC";
    let (_folder, pgbk, id) = backed_up("tables_all", made);
    restore(&pgbk, &id, &["--schema-only", "--to", "tables_all_new"], 0);
    let definitions = |database| comparable(&stdout_of(tool("pg_dump", database).arg("--schema-only")));
    assert_same(&definitions("tables_all"), &definitions("tables_all_new"));
    assert_eq!(sql("tables_all_new", "SELECT count(*) FROM t"), "0");
    // The same is asked of the target as for the whole backup.
    restore(&pgbk, &id, &["--schema-only", "--to", "tables_all_new"], 1).says("is not empty");
    restore(&pgbk, &id, &["--schema-only", "--clean"], 1).says("--over-source");
    sql("tables_all_new", "CREATE TABLE other (x int)");
    restore(&pgbk, &id, &["--schema-only", "--clean", "--to", "tables_all_new"], 0);
    assert_same(&definitions("tables_all"), &definitions("tables_all_new"));
    // All but some tables, with what no table needs.
    restore(&pgbk, &id, &["--exclude-table", "u", "--to", "tables_all_but"], 0);
    let but = comparable(&stdout_of(tool("pg_dump", "tables_all").args(["--exclude-table", "u"])));
    assert_same(&but, &dump("tables_all_but"));
}

#[test]
fn rows_come_after_those_that_they_refer_to() {
    let (_folder, pgbk, id) = backed_up(
        "tables_keys",
        "CREATE SCHEMA sales; CREATE TABLE sales.z_root (id int PRIMARY KEY);
         CREATE TABLE sales.m_part (id int PRIMARY KEY, r int REFERENCES sales.z_root) PARTITION BY RANGE (id);
         CREATE TABLE sales.a_part PARTITION OF sales.m_part FOR VALUES FROM (0) TO (100);
         CREATE TABLE sales.a_leaf (id int, m int REFERENCES sales.m_part, self int); INSERT INTO sales.z_root VALUES (1);
         INSERT INTO sales.m_part VALUES (2, 1); INSERT INTO sales.a_leaf VALUES (3, 2, 3);
         CREATE TABLE b1 (id int PRIMARY KEY, o int); CREATE TABLE b2 (id int PRIMARY KEY, o int REFERENCES b1);
         INSERT INTO b1 VALUES (1, 1); INSERT INTO b2 VALUES (1, 1); ALTER TABLE b1 ADD FOREIGN KEY (o) REFERENCES b2",
    );
    let before = dumped("tables_keys", &["sales.*"]);
    sql("tables_keys", "TRUNCATE sales.z_root, sales.m_part, sales.a_leaf, b1, b2");
    restore(&pgbk, &id, &["--table", "sales.a_leaf", "--data-only"], 1).says("--table for each");
    restore(&pgbk, &id, &["--table", "sales.*", "--data-only"], 0);
    assert_same(&before, &dumped("tables_keys", &["sales.*"]));
    let said = restore(&pgbk, &id, &["--table", "b?", "--data-only"], 1);
    said.says("foreign keys lead from each to the next and back again: table public.b");
    sql("tables_keys", "ALTER TABLE b1 ALTER CONSTRAINT b1_o_fkey DEFERRABLE INITIALLY DEFERRED");
    sql("tables_keys", "ALTER TABLE b2 ALTER CONSTRAINT b2_o_fkey DEFERRABLE INITIALLY DEFERRED");
    restore(&pgbk, &id, &["--table", "b?", "--data-only"], 0);
    assert_eq!(sql("tables_keys", "SELECT (SELECT count(*) FROM b1), (SELECT count(*) FROM b2)"), "1|1");
}

#[test]
fn a_backup_that_does_not_say_what_its_tables_are_is_refused_with_the_way_to_their_rows() {
    let (folder, pgbk, _) = backed_up("tables_unlisted", "CREATE TABLE orders AS SELECT 1 AS x");
    let script = folder.path().join("dump.sql");
    std::fs::write(&script, stdout_of(&mut tool("pg_dump", "tables_unlisted"))).unwrap();
    let uploaded = pgbk.args(["upload", script.to_str().unwrap(), "--database", "tables_unlisted"]).json();
    let archive = pgbk.backup("tables_unlisted", &["--format", "custom"]);
    for (id, way) in [(uploaded["id"].as_str().unwrap(), "pgbk download --table"), (&archive, "pg_restore --table")] {
        for part in [&["--table", "orders"][..], &["--schema", "public"], &["--schema-only"], &["--data-only"]] {
            let refused = restore(&pgbk, id, &[part, &["--to", "tables_unlisted_new"]].concat(), 2);
            refused.says("has no table of contents, by which single tables are restored").says(way);
            assert!(!exists("tables_unlisted_new"), "{id} {part:?}");
        }
    }
    let to = folder.path().join("rows.sql");
    let rows = ["download", uploaded["id"].as_str().unwrap(), "--table", "orders", "-o", to.to_str().unwrap()];
    assert!(pgbk.args(rows).expect(0).text().contains("(1 row of 1 table; "));
}

#[test]
fn rows_that_are_statements_are_not_taken_for_none() {
    create("tables_inserts", "");
    sql("tables_inserts", "CREATE TABLE orders AS SELECT 1 AS x");
    let folder = tempfile::tempdir().unwrap();
    let pgbk = connected().directory(folder.path()).set("NO_ENCRYPT", 1);
    let id = pgbk.backup("tables_inserts", &["--pg-dump-args=--inserts"]);
    let to = ["--table", "orders", "--to", "tables_inserts_new"];
    let refused = restore(&pgbk, &id, &to, 2).says("the rows of table public.orders are no COPY blocks");
    refused.says("--schema-only restores the table without them; a restore of the whole backup has them");
    let rows = folder.path().join("rows.sql");
    let download = ["download", &id, "--table", "orders", "-o", rows.to_str().unwrap()];
    pgbk.args(download).expect(2).says("hint: it holds no tables with rows in COPY blocks");
    assert!(!exists("tables_inserts_new") && !rows.exists());
    restore(&pgbk, &id, &[&to[..], &["--schema-only"]].concat(), 0);
    assert_eq!(sql("tables_inserts_new", "SELECT count(*) FROM orders"), "0");
    sql("postgres", "DROP DATABASE tables_inserts_new");
    restore(&pgbk, &id, &["--to", "tables_inserts_new"], 0);
    assert_eq!(sql("tables_inserts_new", "SELECT count(*) FROM orders"), "1");
}
