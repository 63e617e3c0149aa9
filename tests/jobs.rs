//! `restore --jobs`: several connections bring back what one transaction brings back, or nothing.

mod failing;
mod planned;

use serde_json::Value;
use std::fs;
use std::path::Path;
use support::database::{assert_same, create, dump, sql, stdout_of, tool};
use support::pgbk::{Pgbk, connected};
use support::proof;
use tempfile::TempDir;

fn place() -> (TempDir, Pgbk) {
    let folder = tempfile::tempdir().unwrap();
    let pgbk = connected().directory(folder.path());
    (folder, pgbk)
}

/// The report of a restore into a new database.
fn restored(pgbk: &Pgbk, id: &str, to: &str, more: &[&str]) -> Value {
    pgbk.args(["restore", id, "--to", to, "--yes"].into_iter().chain(more.iter().copied())).json()
}

/// A report without what differs from run to run.
fn comparable(mut report: Value) -> Value {
    for member in ["database", "seconds", "statements"] {
        report.as_object_mut().unwrap().remove(member);
    }
    report
}

/// A database that has everything that this server knows.
fn everything(database: &str) {
    let text = [include_str!("support/features.sql"), include_str!("majors/everything.sql")].concat();
    let (mut since, mut script) = (0, String::new());
    for line in text.lines() {
        if let Some(major) = line.strip_prefix("-- since ") {
            since = major.parse().expect("a major version");
        } else if since <= 15 {
            script.extend([line, "\n"]);
        }
    }
    sql("postgres", "DO $$ BEGIN CREATE ROLE \"Load Owner\"; EXCEPTION WHEN duplicate_object THEN NULL; END $$");
    create(database, "");
    sql(database, script);
}

/// What pg_dump says of a database besides its rows.
fn definitions(database: &str) -> Vec<u8> {
    support::database::comparable(&stdout_of(tool("pg_dump", database).arg("--schema-only")))
}

/// Tables with keys of every kind, of which one is much larger than the others.
fn shop(database: &str) {
    create(database, "");
    sql(
        database,
        "CREATE TABLE customers (id int PRIMARY KEY, mail text UNIQUE);
         INSERT INTO customers SELECT g, 'c' || g FROM generate_series(1, 20000) g;
         CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, noise text);
         INSERT INTO orders SELECT g, 1 + g % 20000, repeat(md5(g::text), 10) FROM generate_series(1, 60000) g;
         CREATE INDEX orders_customer ON orders (customer); CREATE INDEX orders_noise ON orders (md5(noise));
         COMMENT ON INDEX orders_noise IS 'why'; ALTER TABLE orders CLUSTER ON orders_customer;
         CREATE TABLE lines (id int PRIMARY KEY, of_order int REFERENCES orders, customer int REFERENCES customers,
             EXCLUDE USING btree (id WITH =));
         INSERT INTO lines SELECT g, g, 1 + g % 20000 FROM generate_series(1, 30000) g;
         ALTER TABLE lines ADD CONSTRAINT self FOREIGN KEY (id) REFERENCES lines; COMMENT ON CONSTRAINT self ON lines IS 'itself';
         CREATE TABLE parts (at date NOT NULL, id int, customer int REFERENCES customers, PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
         CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
         CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
         CREATE INDEX parts_id ON parts (id);
         INSERT INTO parts SELECT '2026-01-01'::date + g % 59, g, 1 + g % 20000 FROM generate_series(1, 20000) g;
         CREATE MATERIALIZED VIEW totals AS SELECT customer, count(*) AS n FROM orders GROUP BY 1;
         CREATE UNIQUE INDEX ON totals (customer); CREATE TABLE empty (i int)",
    );
    sql(database, "ANALYZE");
}

#[test]
fn a_database_with_everything_comes_back_by_several_connections_as_by_one_transaction() {
    everything("jobs_everything");
    let (_folder, pgbk) = place();
    let pgbk = pgbk.key().set("DB_BACKUP_COMPRESS", "zstd");
    let id = pgbk.backup("jobs_everything", &[]);
    let single = restored(&pgbk, &id, "jobs_everything_single", &["--single-transaction"]);
    assert_same(&dump("jobs_everything"), &dump("jobs_everything_single"));
    for jobs in ["2", "5"] {
        let to = format!("jobs_everything_{jobs}");
        let report = restored(&pgbk, &id, &to, &["--jobs", jobs]);
        assert_same(&dump("jobs_everything"), &dump(&to));
        assert_eq!(comparable(report), comparable(single.clone()), "{jobs}");
        if jobs == "2" && !proof::whole() {
            continue;
        }
        // Into a database that is there and empty, too.
        let to = format!("jobs_everything_there_{jobs}");
        create(&to, "");
        restored(&pgbk, &id, &to, &["--jobs", jobs]);
        assert_same(&dump("jobs_everything"), &dump(&to));
    }
}

#[test]
fn tables_keys_and_indexes_come_back_whatever_the_payload_is_like() {
    shop("jobs_shop");
    let (_folder, pgbk) = place();
    let rows = |database: &str| {
        let of = |table: &str| format!("(SELECT count(*) || '/' || sum(hashtext(t::text)) FROM {table} t)");
        sql(database, format!("SELECT {}", ["customers", "orders", "lines", "parts", "totals"].map(of).join(", ")))
    };
    let due = rows("jobs_shop");
    for (at, compress) in ["none", "zstd", "xz", "gzip"].into_iter().enumerate() {
        for by in proof::sample(["1", "3"], 2, at) {
            let run = if by == "1" { pgbk.set("NO_ENCRYPT", 1) } else { pgbk.key() };
            let run = run.set("DB_BACKUP_COMPRESS", compress);
            let id = run.backup("jobs_shop", &["--jobs", by]);
            let to = format!("jobs_shop_{compress}_{by}");
            let report = restored(&run, &id, &to, &["--jobs", "2"]);
            assert_eq!((&report["tables"], &report["rows"]), (&6.into(), &130_000.into()), "{report:#}");
            // Rows that several connections have loaded into a table lie in another order.
            assert_same(&definitions("jobs_shop"), &definitions(&to));
            assert_eq!(rows(&to), due);
            assert_eq!(sql(&to, "SELECT count(*) FROM pg_constraint WHERE NOT convalidated"), "0");
            assert_eq!(sql(&to, "SELECT count(*) FROM pg_index WHERE NOT (indisvalid AND indisready)"), "0");
        }
    }
}

#[test]
fn rows_of_one_table_go_to_one_connection_and_are_frozen_and_those_of_a_table_that_is_nearly_all_go_to_several() {
    create("jobs_frozen", "");
    sql(
        "jobs_frozen",
        "CREATE TABLE one AS SELECT g, repeat(md5(g::text), 10) AS noise FROM generate_series(1, 20000) g;
         CREATE TABLE other AS SELECT * FROM one; CREATE TABLE third AS SELECT * FROM one",
    );
    create("jobs_shared", "");
    sql(
        "jobs_shared",
        "CREATE TABLE one AS SELECT g, repeat(md5(g::text), 10) AS noise FROM generate_series(1, 80000) g;
         CREATE TABLE other AS SELECT * FROM one LIMIT 10",
    );
    let (_folder, pgbk) = place();
    let pgbk = pgbk.set("NO_ENCRYPT", 1);
    // A row that is frozen has the mark of a transaction that was committed, and of one that was rolled back, in its header.
    let frozen = "SELECT bool_and(t_infomask & 768 = 768) FROM heap_page_items(get_raw_page('one', 0))";
    for (database, is_frozen, makers) in [("jobs_frozen", "t", "1"), ("jobs_shared", "f", "2")] {
        let id = pgbk.backup(database, &[]);
        let to = format!("{database}_copy");
        restored(&pgbk, &id, &to, &["--jobs", "2"]);
        let rows = "SELECT count(*), sum(hashtext(o::text)) FROM one o";
        assert_eq!(sql(&to, rows), sql(database, rows));
        assert_eq!(sql(&to, "SELECT count(DISTINCT xmin::text) FROM one"), makers, "{database}");
        assert_eq!(sql(&to, format!("CREATE EXTENSION pageinspect; {frozen}")), is_frozen, "{database}");
    }
}

#[test]
fn backups_of_earlier_formats_and_uploads_are_loaded_by_one_connection_and_indexed_by_several() {
    for format in ["format1", "format2"] {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format).join("raw"),
            folder.path().join("raw"),
        );
        fs::create_dir(&to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        let pgbk = connected().directory(folder.path()).key();
        let restore = |to: &str, how: &[&str]| {
            let arguments = ["restore", "latest", "--database", "raw", "--to", to, "--yes"];
            pgbk.args(arguments.into_iter().chain(how.iter().copied())).expect(0)
        };
        let (single, parallel) = (format!("jobs_{format}_1"), format!("jobs_{format}_2"));
        restore(&single, &["--single-transaction"]);
        restore(&parallel, &["--jobs", "2"]).says("one of them loads the rows: the backup does not say where");
        assert_same(&dump(&single), &dump(&parallel));
    }
    let (folder, pgbk) = place();
    let pgbk = pgbk.key();
    // What stands between tables may make others.
    let script = "CREATE TABLE a (i int); COPY a (i) FROM stdin;\n1\n\\.\nCREATE TABLE b (i int); COPY b (i) FROM stdin;\n2\n\\.\n\
                  CREATE INDEX a_i ON a (i); CREATE INDEX b_i ON b (i); COPY a (i) FROM stdin;\n3\n\\.\nCREATE VIEW v AS SELECT * FROM a;\n";
    let file = folder.path().join("by-hand.sql");
    fs::write(&file, script).unwrap();
    let made = pgbk.args(["upload", file.to_str().unwrap(), "--database", "jobs_upload", "--allow-incomplete"]).json();
    restored(&pgbk, made["id"].as_str().unwrap(), "jobs_upload_copy", &["--jobs", "2"]);
    assert_eq!(sql("jobs_upload_copy", "SELECT (SELECT sum(i) FROM v), (SELECT sum(i) FROM b)"), "4|2");
    assert_eq!(sql("jobs_upload_copy", "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'"), "2");
}

#[test]
fn what_cannot_be_done_in_parts_is_one_transaction_and_people_are_told_why() {
    create("jobs_why", "");
    sql("jobs_why", "CREATE EXTENSION hstore; CREATE TABLE t (i int PRIMARY KEY); INSERT INTO t VALUES (1)");
    create("jobs_why_full", "");
    sql("jobs_why_full", "CREATE TABLE old (i int)");
    let (_folder, pgbk) = place();
    let pgbk = pgbk.set("NO_ENCRYPT", 1);
    let id = pgbk.backup("jobs_why", &[]);
    let says = |to: &str, more: &[&str], why: &str| {
        let arguments = ["restore", &id, "--to", to, "--yes", "--jobs", "2"];
        let outcome = pgbk.args(arguments.into_iter().chain(more.iter().copied())).expect(0);
        outcome.says(&format!("restored by one transaction: {why}"));
    };
    says("jobs_why_full", &["--clean"], "--clean empties the target in it");
    says("jobs_why_skip", &["--skip-failed"], "--skip-failed takes back");
    says("jobs_why_without", &["--exclude-extension", "hstore"], "an extension is left out");
    says("jobs_why_table", &["--table", "t"], "single tables come beside what is there");
    let both = pgbk.args(["restore", &id, "--to", "x", "--yes", "--jobs", "2", "--single-transaction"]).expect(2);
    both.says("cannot be used with");
}

#[test]
fn a_tablespace_in_which_an_index_is_made_and_a_search_path_hold_for_every_connection() {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().join("space");
    fs::create_dir(&location).unwrap();
    for place in [folder.path(), &location] {
        std::process::Command::new("chown").args(["-R", "postgres"]).arg(place).status().unwrap();
    }
    sql("postgres", format!("CREATE TABLESPACE jobs_space LOCATION '{}'", location.display()));
    create("jobs_places", "");
    sql(
        "jobs_places",
        "CREATE SCHEMA app; CREATE FUNCTION app.norm(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';
         CREATE FUNCTION app.unqualified(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN norm($1); END';
         ALTER DATABASE jobs_places SET search_path = app;
         CREATE TABLE app.t (a text, b text); INSERT INTO app.t SELECT 'A' || g, 'B' || g FROM generate_series(1, 100) g;
         CREATE INDEX t_a ON app.t (a) TABLESPACE jobs_space; CREATE INDEX t_b ON app.t (b); CREATE INDEX t_c ON app.t (a, b) TABLESPACE jobs_space",
    );
    sql("jobs_places", "CREATE INDEX t_d ON app.t (app.unqualified(a))");
    let (_folder, pgbk) = place();
    let pgbk = pgbk.set("NO_ENCRYPT", 1);
    let id = pgbk.backup("jobs_places", &[]);
    let report = restored(&pgbk, &id, "jobs_places_copy", &["--jobs", "2"]);
    assert_eq!(report["unqualified"].as_array().unwrap().len(), 1, "{report:#}");
    let spaces = "SELECT string_agg(indexname || coalesce(tablespace, ''), ' ' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'app'";
    assert_eq!(sql("jobs_places_copy", spaces), "t_ajobs_space t_b t_cjobs_space t_d");
    assert_same(&dump("jobs_places"), &dump("jobs_places_copy"));
    // Others are let in again.
    let all = |database: &str| {
        let of = "SELECT coalesce(datacl, acldefault('d', datdba)) FROM pg_database WHERE datname = ";
        sql("postgres", format!("{of}'{database}'"))
    };
    assert_eq!(all("jobs_places_copy"), all("jobs_places"));
    for database in ["jobs_places", "jobs_places_copy"] {
        sql("postgres", format!("DROP DATABASE {database}"));
    }
    sql("postgres", "DROP TABLESPACE jobs_space");
}
