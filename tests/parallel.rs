//! Backups whose rows several connections read: they hold what pg_dump's one stream holds, of one moment.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use support::cluster::{Cluster, PATIENCE};
use support::database::{assert_same, comparable, connect, create, dump, features, small, sql, stdout_of, tool};
use support::pgbk::{KEY, Pgbk, connected, pgbk};
use support::process::until;
use support::proof;
use tempfile::TempDir;

fn place() -> (TempDir, Pgbk) {
    let folder = tempfile::tempdir().unwrap();
    let pgbk = connected().directory(folder.path());
    (folder, pgbk)
}

fn meta(folder: &Path, database: &str, id: &str) -> Value {
    serde_json::from_slice(&fs::read(folder.join(format!("{database}/{id}.meta"))).unwrap()).unwrap()
}

/// Tables by name: rows, bytes and digest.
fn tables(meta: &Value) -> Vec<(String, Value, Value, Value)> {
    let of = |table: &Value| {
        let value = |name: &str| table[name].clone();
        (table["name"].as_str().unwrap().to_owned(), value("rows"), value("bytes"), value("blake2b"))
    };
    let mut tables: Vec<_> = meta["tables"].as_array().unwrap().iter().map(of).collect();
    tables.sort_by(|one, other| one.0.cmp(&other.0));
    tables
}

#[test]
fn a_database_with_everything_is_the_same_by_one_connection_and_by_several() {
    features("parallel_features");
    let (folder, pgbk) = place();
    let pgbk = pgbk.set("NO_ENCRYPT", 1);
    let one = pgbk.backup("parallel_features", &["--jobs", "1"]);
    let before = tables(&meta(folder.path(), "parallel_features", &one));
    for jobs in ["2", "3", "8"] {
        let outcome = pgbk.args(["backup", "parallel_features", "--jobs", jobs, "--json"]).expect(0);
        assert!(!outcome.err.contains("one stream"), "{outcome:#?}");
        let id = outcome.json()["id"].as_str().unwrap().to_owned();
        // The digest of a table does not depend on the order of its rows.
        assert_eq!(tables(&meta(folder.path(), "parallel_features", &id)), before, "{jobs}");
        let to = format!("parallel_features_{jobs}");
        pgbk.args(["restore", &id, "--to", &to, "--yes"]).expect(0);
        assert_same(&dump("parallel_features"), &dump(&to));
        pgbk.args(["verify", &id, "--level", "restore"]).expect(0);
    }
}

#[test]
fn every_argument_of_pg_dump_gives_the_tables_that_its_one_stream_gives() {
    features("parallel_arguments");
    let (folder, pgbk) = place();
    let pgbk = pgbk.set("NO_ENCRYPT", 1);
    let all = [
        "--schema=public",
        "--exclude-schema=public",
        "--table=public.*",
        "--exclude-table=parted*",
        "--exclude-table-data=parted*",
        "--load-via-partition-root",
        "--no-unlogged-table-data",
        "--schema-only",
        "--no-owner --no-privileges",
        "--no-comments --no-publications --no-subscriptions --no-security-labels",
        "--no-tablespaces --no-table-access-method",
        "--use-set-session-authorization",
        "--section=pre-data --section=data",
        "--section=pre-data",
        "--disable-dollar-quoting",
        "--inserts",
        "--extra-float-digits=0",
        "--quote-all-identifiers",
        "--encoding=LATIN1 --table=parted*",
        "--role=postgres",
        "--enable-row-security",
        "--no-blobs",
    ];
    for arguments in proof::sample(all, 3, 0) {
        let run = pgbk.set("PG_DUMP_USER_ARGS", arguments);
        let one = run.backup("parallel_arguments", &["--jobs", "1"]);
        let several = run.backup("parallel_arguments", &["--jobs", "3"]);
        let of = |id: &str| tables(&meta(folder.path(), "parallel_arguments", id));
        assert_eq!(of(&several), of(&one), "{arguments}");
        let script = |id: &str| comparable(&statements(&run.args(["download", id, "-o", "-"]).expect(0).text()));
        assert_same(&script(&one), &script(&several));
    }
}

/// The statements of a script without rows, and without what pg_dump and pg_restore name differently.
fn statements(script: &str) -> Vec<u8> {
    let mut rows = false;
    let kept = script.lines().filter(|line| {
        let is_row = rows;
        rows = line.starts_with("COPY ") && line.ends_with(" FROM stdin;") || rows && *line != "\\.";
        !is_row
            && !rows
            && !line.starts_with("--")
            && !line.is_empty()
            && !line.starts_with('\\')
            && !line.starts_with("INSERT ")
    });
    kept.flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()
}

/// A table that is read in ranges, and small ones beside it.
fn large(database: &str) {
    create(database, "");
    sql(
        database,
        "CREATE TABLE big AS SELECT g, repeat(md5(g::text), 12) AS noise FROM generate_series(1, 120000) g;
         ALTER TABLE big ADD PRIMARY KEY (g);
         CREATE TABLE small AS SELECT g FROM generate_series(1, 10) g; CREATE TABLE empty (x int)",
    );
    // The size is what the server has counted.
    sql(database, "ANALYZE");
}

#[test]
fn a_large_table_is_read_in_ranges_and_restored_whole_by_pgbk_and_by_psql() {
    large("parallel_large");
    let (folder, pgbk) = place();
    for compress in ["none", "zstd", "xz"].into_iter().filter(|compress| proof::whole() || *compress != "none") {
        let pgbk = pgbk.key().set("DB_BACKUP_COMPRESS", compress);
        let id = pgbk.backup("parallel_large", &["--jobs", "3"]);
        let document = meta(folder.path(), "parallel_large", &id);
        let big = tables(&document).into_iter().find(|table| table.0 == "public.big").unwrap();
        assert_eq!(big.1, 120_000, "{document:#}");
        let to = format!("parallel_large_{compress}");
        pgbk.args(["restore", &id, "--to", &to, "--yes"]).expect(0);
        let rows = |database: &str| sql(database, "SELECT count(*), sum(hashtext(b::text)) FROM big b");
        assert_eq!(rows(&to), rows("parallel_large"));
        assert_eq!(sql(&to, "SELECT (SELECT count(*) FROM small), (SELECT count(*) FROM empty)"), "10|0");
        // Without pgbk.
        let decoded = stdout_of(
            Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/decode.sh"))
                .arg(folder.path().join(format!("parallel_large/{id}.meta")))
                .env("DB_BACKUP_ENCRYPT_KEY", KEY),
        );
        let script = folder.path().join("script.sql");
        fs::write(&script, decoded).unwrap();
        let by_psql = format!("parallel_psql_{compress}");
        create(&by_psql, "");
        stdout_of(tool("psql", &by_psql).args([
            "-X",
            "-v",
            "ON_ERROR_STOP=1",
            "-1",
            "-q",
            "-f",
            script.to_str().unwrap(),
        ]));
        assert_eq!(rows(&by_psql), rows("parallel_large"));
        assert_same(&dump(&to), &dump(&by_psql));
    }
}

#[test]
fn why_a_dump_comes_from_pg_dump_alone_is_said() {
    small("parallel_alone", &["a"]);
    let (_folder, pgbk) = place();
    let pgbk = pgbk.set("NO_ENCRYPT", 1);
    let says = |pgbk: &Pgbk, why: &str| {
        pgbk.args(["backup", "parallel_alone", "--jobs", "2"]).expect(0).says(&format!("in one stream: {why}"));
    };
    says(&pgbk.set("PG_DUMP_USER_ARGS", "--inserts"), "PG_DUMP_USER_ARGS holds --inserts");
    create("parallel_latin", "ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    sql("parallel_latin", "CREATE TABLE \"é\" (x int)");
    pgbk.args(["backup", "parallel_latin", "--jobs", "2"]).expect(0).says("in one stream: the rows of");
}

#[test]
fn rows_are_in_the_encoding_of_the_dump() {
    const SUM: &str = "SELECT count(*), sum(ascii(x)), sum(length(x)) FROM t";
    create("parallel_signs", "ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    create("parallel_utf8", "");
    for (database, arguments) in [("parallel_signs", ""), ("parallel_utf8", "--encoding=LATIN1")] {
        sql(database, "CREATE TABLE t AS SELECT chr(233) || g AS x FROM generate_series(1, 100) g");
        let (_folder, pgbk) = place();
        let pgbk = pgbk.set("NO_ENCRYPT", 1).set("PG_DUMP_USER_ARGS", arguments);
        let outcome = pgbk.args(["backup", database, "--jobs", "2", "--json"]).expect(0);
        assert!(!outcome.err.contains("one stream"), "{outcome:#?}");
        let script = pgbk.args(["download", "latest", "--database", database, "-o", "-"]).expect(0).out;
        assert!(script.windows(3).any(|bytes| bytes == b"\xe91\n"), "{}", String::from_utf8_lossy(&script));
        let to = format!("{database}_restored");
        pgbk.args(["restore", "latest", "--database", database, "--to", &to, "--yes"]).expect(0);
        assert_eq!(sql(&to, SUM), sql(database, SUM));
    }
}

/// Runs statements on a connection of their own, one after the other, with a pause that is longer each time, until it is ended.
struct Disturbance(Arc<AtomicBool>, Option<JoinHandle<u32>>);

impl Disturbance {
    fn of(database: &str, statements: &'static [&'static str]) -> Disturbance {
        let over = Arc::new(AtomicBool::new(false));
        let (mut client, end) = (connect(database), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            let mut count = 0;
            while !end.load(Ordering::Relaxed) {
                statements.iter().for_each(|statement| client.batch_execute(statement).unwrap());
                count += 1;
                client.batch_execute(&format!("SELECT pg_sleep({count} * 0.05)")).unwrap();
            }
            count
        });
        Disturbance(over, Some(thread))
    }

    /// How often the statements ran.
    fn end(mut self) -> u32 {
        self.0.store(true, Ordering::Relaxed);
        self.1.take().unwrap().join().unwrap()
    }
}

#[test]
fn tables_that_are_emptied_and_filled_again_all_the_time_are_never_backed_up_empty() {
    create("parallel_etl", "");
    sql(
        "parallel_etl",
        "CREATE TABLE stage AS SELECT g FROM generate_series(1, 1000) g; CREATE TABLE live AS SELECT g FROM generate_series(1, 1000) g",
    );
    let disturbance = Disturbance::of(
        "parallel_etl",
        &[
            "BEGIN; TRUNCATE stage; INSERT INTO stage SELECT generate_series(1, 1000); COMMIT",
            "CREATE TABLE next AS SELECT g FROM generate_series(1, 1000) g",
            "BEGIN; DROP TABLE live; ALTER TABLE next RENAME TO live; COMMIT",
        ],
    );
    let (_folder, pgbk) = place();
    let pgbk = pgbk.set("NO_ENCRYPT", 1);
    // On a slow machine a snapshot and its locks take longer than the first pauses.
    let (mut whole, mut refused) = (0, 0);
    while whole < 5 && refused < 100 {
        let outcome = pgbk.args(["backup", "parallel_etl", "--jobs", "2", "--json"]).end();
        if outcome.code == Some(1) {
            outcome.says("since the snapshot was taken, at each of 3 tries");
            refused += 1;
            continue;
        }
        for table in outcome.json()["tables"].as_array().unwrap() {
            // A table that is being made is there or is not.
            assert_eq!(table["rows"], 1000, "{table:#}");
        }
        whole += 1;
    }
    let count = disturbance.end();
    assert!(count > 2 && whole == 5, "{count} {whole} {refused}");
}

#[test]
fn ranges_are_read_of_the_servers_own_tables_alone_and_of_those_that_it_has_not_counted_too() {
    let server = Cluster::start_set(&["log_statement=all", "autovacuum=off"]);
    server.psql(
        "postgres",
        "CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
         CREATE TABLE own AS SELECT g, repeat('x', 400) AS x FROM generate_series(1, 100000) g;
         CREATE TABLE others USING heap2 AS SELECT * FROM own; CREATE TABLE small AS SELECT 1 AS g",
    );
    let folder = tempfile::tempdir().unwrap();
    pgbk(["backup", "postgres", "--jobs", "2"]).server(&server).directory(folder.path()).key().expect(0);
    let log = fs::read_to_string(server.directory.join("log")).unwrap();
    let count = |text: &str| log.matches(text).count();
    assert!(count("COPY (SELECT g, x FROM ONLY \"public\".\"own\" WHERE ctid >=") > 1);
    assert_eq!(count("COPY \"public\".\"others\" (g, x) TO STDOUT"), 1);
    assert_eq!(count("COPY \"public\".\"small\" (g) TO STDOUT"), 1);
}

#[test]
fn a_connection_that_is_ended_fails_the_run_and_leaves_nothing() {
    large("parallel_ended");
    let (folder, pgbk) = place();
    let pgbk = pgbk.key().set("DB_BACKUP_COMPRESS", "xz").set("DB_BACKUP_COMPRESS_LEVEL", 9);
    let running = pgbk.args(["backup", "parallel_ended", "--jobs", "2"]).start();
    let reads =
        "FROM pg_stat_activity WHERE datname = 'parallel_ended' AND query LIKE 'COPY (SELECT%' AND state = 'active'";
    assert!(until(PATIENCE, || sql("postgres", format!("SELECT count(*) {reads}")) != "0"));
    sql("postgres", format!("SELECT pg_terminate_backend(min(pid)) {reads}"));
    let outcome = running.end();
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    // A session that waits for its rows to be taken cannot say why it ends.
    let said = ["terminating connection due to administrator command", "the server closed the connection"];
    assert!(said.iter().any(|said| outcome.err.contains(said)), "{outcome:#?}");
    assert_eq!(fs::read_dir(folder.path().join("parallel_ended")).map_or(0, Iterator::count), 0);
    // A session ends a moment after its connection.
    let are_gone = || sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE datname = 'parallel_ended'") == "0";
    assert!(until(PATIENCE, are_gone));
}

#[test]
fn where_the_server_gives_fewer_connections_fewer_read_and_people_are_told() {
    small("parallel_few", &["a", "b"]);
    sql("postgres", "CREATE ROLE parallel_few SUPERUSER LOGIN PASSWORD 'parallel-few-secret'");
    let (_folder, pgbk) = place();
    let pgbk = pgbk.set("NO_ENCRYPT", 1).set("DB_USER", "parallel_few").set("DB_PASSWORD", "parallel-few-secret");
    sql(
        "postgres",
        "ALTER DATABASE parallel_few CONNECTION LIMIT 4; ALTER ROLE parallel_few NOSUPERUSER; GRANT pg_read_all_data TO parallel_few",
    );
    let outcome = pgbk.args(["backup", "parallel_few", "--jobs", "8"]).expect(0);
    outcome.says(" of 8 connections read the tables: ");
    sql("postgres", "ALTER DATABASE parallel_few CONNECTION LIMIT 2");
    pgbk.args(["backup", "parallel_few", "--jobs", "8"]).expect(0).says("1 of 8 connections read the tables: ");
    sql("postgres", "DROP OWNED BY parallel_few; DROP ROLE parallel_few");
}
