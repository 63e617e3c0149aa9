//! Partitions of every kind: lost, kept, left out, and those whose rows stand together.

use super::restoring::dumped;
use support::database::{assert_same, comparable, create, sql, stdout_of, tool};
use support::pgbk::{Pgbk, connected};
use support::proof;
use tempfile::TempDir;

const KINDS: [(&str, [&str; 2]); 3] = [
    ("range", ["FROM (0) TO (10)", "FROM (10) TO (100)"]),
    ("list", ["IN (1, 2, 3, 4, 5)", "IN (6, 7, 8, 9, 10, 11, 12, 13, 14, 15)"]),
    ("hash", ["WITH (MODULUS 2, REMAINDER 0)", "WITH (MODULUS 2, REMAINDER 1)"]),
];

/// Makes a table of each kind of partitions, with and without an index and a key, and returns their names.
fn every_kind(database: &str) -> Vec<String> {
    create(database, "");
    let mut names = Vec::new();
    for (kind, [first, second]) in KINDS {
        for keys in ["none", "index", "key"] {
            let name = format!("{kind}_{keys}");
            let more = match keys {
                "index" => format!("CREATE INDEX {name}_v ON {name} (v)"),
                "key" => format!("ALTER TABLE {name} ADD PRIMARY KEY (id)"),
                _ => "SELECT".to_owned(),
            };
            sql(
                database,
                format!(
                    "CREATE TABLE {name} (id int NOT NULL, v text) PARTITION BY {kind} (id);
                     CREATE TABLE {name}_p1 PARTITION OF {name} FOR VALUES {first};
                     CREATE TABLE {name}_p2 PARTITION OF {name} FOR VALUES {second};
                     INSERT INTO {name} SELECT g, 'v' || g FROM generate_series(1, 15) g; {more}"
                ),
            );
            names.push(name);
        }
    }
    names
}

fn backed_up(database: &str) -> (TempDir, Pgbk, String) {
    let folder = tempfile::tempdir().unwrap();
    let pgbk = connected().directory(folder.path()).set("NO_ENCRYPT", 1);
    let id = pgbk.backup(database, &[]);
    (folder, pgbk, id)
}

fn restore(pgbk: &Pgbk, id: &str, more: &[&str]) {
    pgbk.args(["restore", id, "--yes"].into_iter().chain(more.iter().copied())).expect(0);
}

#[test]
fn a_partition_of_any_kind_is_after_a_restore_what_it_was_before() {
    let names = every_kind("tables_kinds");
    let (_folder, pgbk, id) = backed_up("tables_kinds");
    // Every fourth of nine is of another kind, and has other keys.
    for name in proof::sample(&names, 4, 0) {
        let (all, one) = (format!("{name}*"), format!("{name}_p1"));
        let before = dumped("tables_kinds", &[&all]);
        let is_same = |how: &str| {
            eprintln!("{name}: {how}");
            assert_same(&before, &dumped("tables_kinds", &[&all]));
        };
        for (lost, flags) in [
            (format!("DROP TABLE {one}"), vec!["--table", &one]),
            (format!("DROP TABLE {name}"), vec!["--table", name]),
            (format!("DELETE FROM {one}"), vec!["--table", &one, "--clean", "--over-source"]),
            (format!("DROP TABLE {one}"), vec!["--table", &one, "--clean"]),
            (format!("DROP TABLE {one}"), vec!["--table", name, "--clean", "--over-source"]),
            (format!("TRUNCATE {one}"), vec!["--table", &one, "--data-only"]),
            (format!("TRUNCATE {name}"), vec!["--table", name, "--data-only"]),
        ] {
            sql("tables_kinds", &lost);
            restore(&pgbk, &id, &flags);
            is_same(&format!("{lost}, {flags:?}"));
        }
        // Its definition alone, attached all the same.
        sql("tables_kinds", format!("DROP TABLE {one}"));
        restore(&pgbk, &id, &["--table", &one, "--schema-only"]);
        restore(&pgbk, &id, &["--table", &one, "--data-only"]);
        is_same("definition, then rows");
    }
}

#[test]
fn partitions_are_left_out_as_pg_dump_leaves_them_out_and_one_without_its_parent_says_so() {
    let names = every_kind("tables_left");
    let (_folder, pgbk, id) = backed_up("tables_left");
    for name in proof::sample(&names, 4, 0) {
        let (all, one, other) = (format!("{name}*"), format!("{name}_p1"), format!("{name}_p2"));
        restore(&pgbk, &id, &["--table", name, "--exclude-table", &one, "--to", "tables_left_new"]);
        let kept = stdout_of(tool("pg_dump", "tables_left").args(["--table", &all, "--exclude-table", &one]));
        assert_same(&comparable(&kept), &dumped("tables_left_new", &[&all]));
        sql("postgres", "DROP DATABASE tables_left_new");
        restore(&pgbk, &id, &["--table", name, "--exclude-table-data", &one, "--to", "tables_left_new"]);
        assert_eq!(
            sql("tables_left_new", format!("SELECT (SELECT count(*) FROM {one}), (SELECT count(*) FROM {other})")),
            sql("tables_left", format!("SELECT 0, count(*) FROM {other}"))
        );
        sql("postgres", "DROP DATABASE tables_left_new");
        let said = pgbk.args(["restore", &id, "--table", &one, "--to", "tables_left_new", "--yes"]).expect(0);
        assert!(said.err.contains(&format!("table public.{name} is not there")), "{said:#?}");
        assert_eq!(
            sql("tables_left_new", format!("SELECT (SELECT count(*) FROM {one}), to_regclass('{name}') IS NULL")),
            sql("tables_left", format!("SELECT count(*), true FROM {one}"))
        );
        sql("postgres", "DROP DATABASE tables_left_new");
        // What is left out would go with its parent.
        let refused = ["restore", &id, "--table", name, "--exclude-table", &one, "--clean", "--over-source", "--yes"];
        pgbk.args(refused).expect(1).says("would be dropped with it, and is not restored");
    }
}

#[test]
fn rows_that_stand_together_in_the_backup_are_not_taken_apart() {
    create("tables_root", "");
    sql(
        "tables_root",
        "CREATE TYPE mood AS ENUM ('a', 'b', 'c'); CREATE TABLE hp (m mood, id int) PARTITION BY HASH (m);
         CREATE TABLE hp0 PARTITION OF hp FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE hp1 PARTITION OF hp FOR VALUES WITH (MODULUS 2, REMAINDER 1);
         INSERT INTO hp SELECT (ARRAY['a', 'b', 'c']::mood[])[1 + g % 3], g FROM generate_series(1, 30) g",
    );
    let before = dumped("tables_root", &["hp*"]);
    let (folder, pgbk, by_hash) = backed_up("tables_root");
    let root = pgbk.set("PG_DUMP_USER_ARGS", "--load-via-partition-root");
    let by_root = root.backup("tables_root", &[]);
    for id in [&by_hash, &by_root] {
        let refused = |arguments: &[&str]| {
            let all = arguments[..1].iter().copied().chain([id.as_str()]).chain(arguments[1..].iter().copied());
            let said = pgbk.args(all).expect(2);
            for text in ["together", "cannot be left out", "--table 'public.hp'"] {
                assert!(said.err.contains(text), "{text}: {said:#?}");
            }
        };
        refused(&["restore", "--table", "hp0", "--data-only", "--yes"]);
        refused(&["restore", "--table", "hp", "--exclude-table-data", "hp0", "--to", "tables_root_new", "--yes"]);
        refused(&["restore", "--table", "hp", "--exclude-table", "hp1", "--to", "tables_root_new", "--yes"]);
        refused(&["restore", "--table", "hp0", "--to", "tables_root_new", "--yes"]);
        refused(&["download", "--table", "public.hp0", "-o", folder.path().join("hp0").to_str().unwrap()]);
        // The root has all of them, and so have all of its partitions.
        let rows = pgbk.args(["download", id, "--table", "hp0", "--table", "hp1", "-o", "-"]).expect(0).text();
        assert_eq!(rows.lines().filter(|line| line.contains('\t')).count(), 30);
        sql("tables_root", "TRUNCATE hp");
        restore(&pgbk, id, &["--table", "hp", "--data-only"]);
        assert_eq!(sql("tables_root", "SELECT count(*), count(DISTINCT id) FROM hp"), "30|30");
        restore(&pgbk, id, &["--table", "hp", "--clean", "--over-source"]);
        restore(&pgbk, id, &["--table", "hp0", "--schema-only", "--to", "tables_root_bare"]);
        sql("postgres", "DROP DATABASE tables_root_bare");
    }
    assert_same(&before, &dumped("tables_root", &["hp*"]));
}
