//! Single tables of a backup: `download --table` and `restore --table`.

mod choosing;
mod forged;
mod partitions;
mod restoring;

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use support::database::{assert_same, create, sql, stdout_of, tool};
use support::pgbk::{ENC_PASSWORD, KEY, Outcome, Pgbk, connected};
use support::proof;

/// A database whose one large table takes several pieces, with small ones before it and behind it.
fn several_pieces(database: &str) {
    create(database, "");
    sql(
        database,
        "CREATE TABLE a_small AS SELECT g, 'row ' || g AS t FROM generate_series(1, 100) g;
         CREATE TABLE big AS SELECT g, md5(g::text) || md5((g + 1)::text) AS noise FROM generate_series(1, 200000) g;
         CREATE SCHEMA sales; CREATE TABLE sales.\"Odd \"\"name\" (b bytea); INSERT INTO sales.\"Odd \"\"name\" VALUES ('\\x00ff'), (NULL);
         CREATE TABLE z_small (x text); CREATE TABLE z_empty (x int);
         INSERT INTO z_small VALUES (E'tab\\there'), (E'line\\nend'), (E'\\\\.'), ('ä')",
    );
}

/// The text of COPY of a table, as the server gives it.
fn copied(database: &str, table: &str) -> String {
    let rows = sql(database, format!("COPY {table} TO STDOUT"));
    if rows.is_empty() { rows } else { rows + "\n" }
}

/// The rows between the statement of COPY and the line that ends them, of every block.
fn rows_of(script: &str) -> Vec<String> {
    let blocks = script.split("COPY ").skip(1).map(|block| block.split_once(";\n").unwrap().1);
    blocks
        .map(|block| block.strip_suffix("\\.\n").unwrap_or_else(|| block.split_once("\n\\.\n").unwrap().0).to_owned())
        .collect()
}

fn download(pgbk: &Pgbk, id: &str, tables: &[&str]) -> Outcome {
    let patterns = tables.iter().flat_map(|table| ["--table", *table]);
    pgbk.args(["download", id, "-o", "-"].into_iter().chain(patterns)).expect(0)
}

#[test]
fn the_rows_of_any_table_are_read_out_of_a_backup_however_it_is_stored() {
    several_pieces("tables_any");
    let folder = tempfile::tempdir().unwrap();
    let directory = connected().directory(folder.path());
    let keys = [directory.set("NO_ENCRYPT", 1), directory.key(), directory.set("ENC_PASSWORD", ENC_PASSWORD)];
    for (at, compress) in ["none", "zstd", "xz", "gzip"].into_iter().enumerate() {
        for pgbk in proof::sample(&keys, keys.len(), at) {
            let pgbk = pgbk.set("DB_BACKUP_COMPRESS", compress).set("DB_BACKUP_COMPRESS_LEVEL", 1);

            let id = pgbk.backup("tables_any", &[]);
            for (pattern, table) in [
                ("public.a_small", "a_small"),
                ("big", "big"),
                ("sales.*", "sales.\"Odd \"\"name\""),
                ("z_small", "z_small"),
                ("z_empty", "z_empty"),
            ] {
                let rows = rows_of(&download(&pgbk, &id, &[pattern]).text());
                assert_eq!(rows.len(), 1);
                assert_same(rows[0].as_bytes(), copied("tables_any", table).as_bytes());
            }
            // Several are in the order of the dump.
            let both = rows_of(&download(&pgbk, &id, &["z_small", "a_small"]).text());
            assert_eq!(both, [copied("tables_any", "a_small"), copied("tables_any", "z_small")]);
        }
    }
}

#[test]
fn of_the_payload_no_more_is_read_than_the_tables_need() {
    several_pieces("tables_few");
    let folder = tempfile::tempdir().unwrap();
    let pgbk = connected().directory(folder.path()).key().set("DB_BACKUP_COMPRESS", "zstd");
    let id = pgbk.backup("tables_few", &[]);
    let to = folder.path().join("rows.sql");
    let said = pgbk.args(["download", &id, "--table", "a_small", "-o", to.to_str().unwrap()]).expect(0);
    assert!(said.text().contains("(100 rows of 1 table; "), "{said:#?}");
    assert!(fs::read_to_string(&to).unwrap().starts_with("SET client_encoding = 'UTF8';\n\nCOPY public.a_small "));
    // A damaged byte in the middle fails what needs it, and nothing else.
    let payload = folder.path().join(format!("tables_few/{id}.sql.zst.enc"));
    damage(&payload, |length| length / 2);
    download(&pgbk, &id, &["a_small"]);
    download(&pgbk, &id, &["z_*"]);
    let failed = pgbk.args(["download", &id, "--table", "big", "-o", "-"]).expect(3);
    failed.says("does not match its tag");
    pgbk.args(["download", &id, "-o", "-"]).expect(3);
}

#[test]
fn a_table_as_csv_is_loaded_by_the_server_with_the_same_rows() {
    create("tables_csv", "");
    sql(
        "tables_csv",
        "CREATE TABLE odd (\"a, b\" text, c bytea, d text[], e int);
         INSERT INTO odd VALUES (NULL, NULL, NULL, NULL), ('', '', '{}', 0), ('\\.', '\\x00', '{\"a,b\",NULL}', 1),
             (E'tab\\t line\\n return\\r quote\" back\\\\ é', 'x', '{x}', -1), ('\\N', NULL, '{NULL}', NULL);
         CREATE TABLE other AS SELECT 1 AS x; CREATE TABLE loaded (LIKE odd)",
    );
    let folder = tempfile::tempdir().unwrap();
    let pgbk = connected().directory(folder.path()).key();
    let id = pgbk.backup("tables_csv", &[]);
    let to = folder.path().join("odd.csv");
    let csv = ["download", &id, "--csv", "-o", to.to_str().unwrap()];
    let written = pgbk.args(csv.into_iter().chain(["--table", "odd"])).expect(0);
    assert!(written.text().contains("(5 rows of 1 table; "), "{written:#?}");
    let load = format!("\\copy loaded FROM '{}' (FORMAT csv, HEADER)", to.display());
    stdout_of(tool("psql", "tables_csv").args(["-X", "-v", "ON_ERROR_STOP=1", "-c", &load]));
    let rows =
        |table: &str| sql("tables_csv", format!("SELECT string_agg(t::text, '|' ORDER BY t::text) FROM {table} t"));
    assert_eq!(rows("loaded"), rows("odd"));
    pgbk.args(csv.into_iter().chain(["--table", "o*", "--force"]))
        .expect(2)
        .says("--csv writes one table, and 2 match");
    pgbk.args(csv).expect(2).says("--table");
}

fn damage(path: &Path, at: impl Fn(usize) -> usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_pattern_without_a_table_is_refused_and_nothing_is_written() {
    create("tables_none", "");
    sql("tables_none", "CREATE TABLE orders (x int)");
    let folder = tempfile::tempdir().unwrap();
    let pgbk = connected().directory(folder.path()).set("NO_ENCRYPT", 1);
    let id = pgbk.backup("tables_none", &[]);
    let to = folder.path().join("rows.sql");
    for (pattern, said) in [
        ("order", "it holds public.orders"),
        ("orders, items", "hint: say it once for each pattern: --table orders --table items"),
        ("a.b.c", "more than one dot"),
        ("(", "no regular expression"),
    ] {
        pgbk.args(["download", &id, "--table", pattern, "-o", to.to_str().unwrap()]).expect(2).says(said);
        assert!(!to.exists());
    }
    let archive = pgbk.backup("tables_none", &["--format", "custom"]);
    pgbk.args(["download", &archive, "--table", "orders"]).expect(2).says("pg_restore --table");
}

#[test]
fn the_recipe_of_the_format_reads_one_piece_with_other_programs() {
    several_pieces("tables_recipe");
    let folder = tempfile::tempdir().unwrap();
    let pgbk = connected().directory(folder.path()).key().set("DB_BACKUP_COMPRESS", "zstd");
    let id = pgbk.backup("tables_recipe", &[]);
    let below = folder.path().join("tables_recipe");
    let meta: Value = serde_json::from_slice(&fs::read(below.join(format!("{id}.meta"))).unwrap()).unwrap();
    let format = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/format.md")).unwrap();
    let recipe = format.split("```sh\n").find(|block| block.starts_with("# The piece from byte")).unwrap();
    let recipe = recipe.split("```").next().unwrap().replace("payload.enc", &format!("{id}.sql.zst.enc"));
    let dump = pgbk.args(["download", &id, "-o", "-"]).expect(0).out;
    let (mut plain, mut packed) = (0, 0);
    for piece in meta["pieces"].as_array().unwrap() {
        let (bytes, length) = piece.as_str().unwrap().split_once(':').unwrap();
        let (bytes, length): (usize, usize) = (bytes.parse().unwrap(), length.parse().unwrap());
        let mut shell = Command::new("bash");
        shell.args(["-ec", &recipe]).current_dir(&below).env("KEY", KEY).env("at", packed.to_string());
        shell.env("length", length.to_string()).env("first_iv", meta["encryption"]["iv"].as_str().unwrap());
        assert_same(&stdout_of(&mut shell), &dump[plain..plain + bytes]);
        (plain, packed) = (plain + bytes, packed + length);
    }
    assert!(plain == dump.len() && meta["pieces"].as_array().unwrap().len() > 2);
}
