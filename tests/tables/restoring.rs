//! `restore --table`: a table comes back with what belongs to it, and everything else stays.

use serde_json::Value;
use support::database::{assert_same, comparable, create, features, sql, stdout_of, tool};
use support::pgbk::{Pgbk, connected};
use tempfile::TempDir;

/// A shop: a table with everything that can belong to one, and others beside it.
const SHOP: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
    CREATE TABLE customers (id serial PRIMARY KEY, mail email UNIQUE);
    INSERT INTO customers (mail) SELECT 'c' || g || '@example.com' FROM generate_series(1, 50) g;
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := coalesce(NEW.note, 'touched'); RETURN NEW; END $$;
    CREATE TABLE orders (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int NOT NULL REFERENCES customers,
        feeling mood DEFAULT 'happy', total numeric(8,2) CHECK (total >= 0), note text,
        twice numeric GENERATED ALWAYS AS (total * 2) STORED);
    CREATE INDEX orders_note ON orders (lower(note));
    CREATE TRIGGER touched BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION touch();
    ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
    CREATE POLICY all_of_them ON orders USING (true);
    COMMENT ON TABLE orders IS 'what people want';
    COMMENT ON COLUMN orders.note IS 'a word';
    GRANT SELECT ON orders TO PUBLIC;
    CREATE STATISTICS orders_stats ON customer, feeling FROM orders;
    INSERT INTO orders (customer, total) SELECT 1 + g % 50, g FROM generate_series(1, 1000) g;
    CREATE TABLE lines (id int PRIMARY KEY, of_order bigint REFERENCES orders);
    INSERT INTO lines SELECT g, g FROM generate_series(1, 1000) g;
    CREATE VIEW totals AS SELECT customer, sum(total) FROM orders GROUP BY 1;
    CREATE TABLE parts (at date NOT NULL, n int) PARTITION BY RANGE (at);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
    CREATE INDEX parts_n ON parts (n);
    INSERT INTO parts SELECT '2026-01-01'::date + g % 59, g FROM generate_series(1, 500) g;
    CREATE SCHEMA sales; CREATE TABLE sales.\"Odd \"\"name\" (b bytea); INSERT INTO sales.\"Odd \"\"name\" VALUES ('\\x00ff')";

fn shop(database: &str) -> (TempDir, Pgbk, String) {
    create(database, "");
    sql(database, SHOP);
    let folder = tempfile::tempdir().unwrap();
    let pgbk = connected().directory(folder.path()).key().set("DB_BACKUP_COMPRESS", "zstd");
    let id = pgbk.backup(database, &[]);
    (folder, pgbk, id)
}

/// What pg_dump says of some tables.
pub fn dumped(database: &str, tables: &[&str]) -> Vec<u8> {
    let mut pg_dump = tool("pg_dump", database);
    pg_dump.args(tables.iter().flat_map(|table| ["--table", *table]));
    comparable(&stdout_of(&mut pg_dump))
}

fn restored(pgbk: &Pgbk, arguments: &[&str]) -> Value {
    pgbk.args(["restore"].into_iter().chain(arguments.iter().copied()).chain(["--yes"])).json()
}

#[test]
fn a_table_that_was_lost_comes_back_where_it_was_and_all_else_stays() {
    let (_folder, pgbk, id) = shop("tables_lost");
    let before = dumped("tables_lost", &["orders", "customers"]);
    sql("tables_lost", "DROP TABLE orders CASCADE; INSERT INTO customers (mail) VALUES ('new@example.com')");
    let report = restored(&pgbk, &[&id, "--table", "public.orders"]);
    assert_eq!((&report["rows"], &report["created"]), (&1000.into(), &false.into()), "{report:#}");
    sql("tables_lost", "DELETE FROM customers WHERE mail = 'new@example.com'; SELECT setval('customers_id_seq', 50)");
    assert_same(&before, &dumped("tables_lost", &["orders", "customers"]));
    // The key to customers is there; the identity goes on behind the last row.
    assert_eq!(
        sql("tables_lost", "INSERT INTO orders (customer, total) VALUES (1, 5) RETURNING id, note"),
        "1001|touched"
    );
}

#[test]
fn a_table_in_a_new_database_has_all_that_belongs_to_it_and_says_what_is_left_out() {
    let (_folder, pgbk, id) = shop("tables_new");
    let outcome = pgbk.args(["restore", &id, "--table", "orders", "--to", "tables_fresh", "--yes"]).expect(0);
    let outline = outcome.err.clone();
    for said in [
        "with them comes type public.mood",
        "with them comes function public.touch()",
        "warning: left out: fk constraint public.orders orders_customer_fkey: table public.customers is not there",
    ] {
        assert!(outline.contains(said), "{said}: {outcome:#?}");
    }
    assert!(outcome.text().contains(" were read"), "{outcome:#?}");
    assert_eq!(sql("tables_fresh", "SELECT count(*), sum(twice) FROM orders"), "1000|1001000.00");
    let of = |what: &str| sql("tables_fresh", format!("SELECT count(*) FROM {what}"));
    assert_eq!(of("pg_trigger WHERE NOT tgisinternal"), "1");
    assert_eq!(of("pg_policies"), "1");
    assert_eq!(of("pg_indexes WHERE schemaname = 'public'"), "2");
    assert_eq!(of("pg_statistic_ext"), "1");
    assert_eq!(of("pg_constraint WHERE contype = 'f'"), "0");
    assert_eq!(of("pg_tables WHERE schemaname = 'public'"), "1");
    assert_eq!(sql("tables_fresh", "SELECT obj_description('orders'::regclass)"), "what people want");
    // With the other table the key comes, too.
    restored(&pgbk, &[&id, "--table", "orders", "--table", "customers", "--to", "tables_both"]);
    assert_same(&dumped("tables_new", &["orders", "customers"]), &dumped("tables_both", &["orders", "customers"]));
}

#[test]
fn partitions_come_with_their_table_and_one_may_come_alone() {
    let (_folder, pgbk, id) = shop("tables_parts");
    restored(&pgbk, &[&id, "--table", "parts", "--to", "tables_parts_all"]);
    assert_same(&dumped("tables_parts", &["parts*"]), &dumped("tables_parts_all", &["parts*"]));
    restored(&pgbk, &[&id, "--table", "parts_2", "--to", "tables_parts_one"]);
    assert_eq!(
        sql("tables_parts_one", "SELECT count(*) FROM parts_2"),
        sql("tables_parts", "SELECT count(*) FROM parts_2")
    );
}

#[test]
fn schemas_exclusions_rows_and_definitions_are_chosen_as_pg_dump_chooses_them() {
    let (_folder, pgbk, id) = shop("tables_chosen");
    restored(&pgbk, &[&id, "--schema", "sales", "--to", "tables_schema"]);
    assert_eq!(sql("tables_schema", "SELECT b FROM sales.\"Odd \"\"name\""), "\\x00ff");
    assert_eq!(sql("tables_schema", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
    restored(
        &pgbk,
        &[
            &id,
            "--exclude-table",
            "lines",
            "--exclude-table-data",
            "customers",
            "--table",
            "*",
            "--schema-only",
            "--to",
            "tables_empty",
        ],
    );
    assert_eq!(sql("tables_empty", "SELECT (SELECT count(*) FROM orders), to_regclass('lines') IS NULL"), "0|t");
    restored(&pgbk, &[&id, "--exclude-table-data", "orders", "--exclude-table", "lines", "--to", "tables_without"]);
    assert_eq!(sql("tables_without", "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM customers)"), "0|50");
    // Rows into a table that is there.
    restored(&pgbk, &[&id, "--table", "orders", "--data-only", "--to", "tables_without"]);
    assert_eq!(sql("tables_without", "SELECT count(*), max(id) FROM orders"), "1000|1000");
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_touched() {
    let (_folder, pgbk, id) = shop("tables_refused");
    let refused = |arguments: &[&str], code, said: &str| {
        let all = ["restore", id.as_str(), "--yes"].into_iter().chain(arguments.iter().copied());
        pgbk.args(all).expect(code).says(said);
    };
    let before = dumped("tables_refused", &["public.*"]);
    refused(&["--table", "orders"], 1, "table public.orders is in database \"tables_refused\" already");
    refused(&["--table", "nothing"], 2, "no table of ");
    refused(&["--schema", "nothing"], 2, "no schema of ");
    refused(&["--table", "orders", "--exclude-table", "orders"], 2, "each is excluded");
    refused(&["--table", "orders", "--data-only", "--to", "tables_refused_new"], 1, "has no table public.orders");
    assert_same(&before, &dumped("tables_refused", &["public.*"]));
    assert_eq!(sql("postgres", "SELECT count(*) FROM pg_database WHERE datname = 'tables_refused_new'"), "0");
    // Columns that do not fit: the server says so, and nothing is left.
    create("tables_other", "");
    sql("tables_other", "CREATE TABLE orders (id bigint)");
    refused(&["--table", "orders", "--data-only", "--to", "tables_other"], 1, "column");
    assert_eq!(sql("tables_other", "SELECT count(*) FROM orders"), "0");
    // --clean replaces it, in one transaction.
    sql("tables_other", "INSERT INTO orders VALUES (7)");
    restored(&pgbk, &[&id, "--table", "orders", "--clean", "--to", "tables_other"]);
    assert_eq!(sql("tables_other", "SELECT count(*) FROM orders"), "1000");
}

#[test]
fn every_table_of_a_database_with_everything_is_restored_alone_with_the_same_rows() {
    features("tables_features");
    let folder = tempfile::tempdir().unwrap();
    let pgbk = connected().directory(folder.path()).set("NO_ENCRYPT", 1);
    let id = pgbk.backup("tables_features", &[]);
    let told = pgbk.args(["list", &id]).json();
    let tables: Vec<String> =
        told["tables"].as_array().unwrap().iter().map(|table| table["name"].as_str().unwrap().to_owned()).collect();
    assert!(tables.len() > 5, "{tables:?}");
    for table in &tables {
        restored(&pgbk, &[&id, "--table", table, "--to", "tables_alone"]);
        let rows = |database| {
            sql(
                database,
                format!("SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM ONLY {table} t"),
            )
        };
        assert_eq!(rows("tables_alone"), rows("tables_features"), "{table}");
        sql("postgres", "DROP DATABASE tables_alone");
    }
}

#[test]
fn a_database_that_was_made_for_a_table_is_gone_again_where_the_payload_is_damaged() {
    let (folder, pgbk, id) = shop("tables_damaged");
    let payload = folder.path().join(format!("tables_damaged/{id}.sql.zst.enc"));
    let mut bytes = std::fs::read(&payload).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&payload, bytes).unwrap();
    let said = pgbk.args(["restore", &id, "--table", "orders", "--to", "tables_damaged_new", "--yes"]).expect(3);
    said.says("does not match its tag");
    assert_eq!(sql("postgres", "SELECT count(*) FROM pg_database WHERE datname = 'tables_damaged_new'"), "0");
}
