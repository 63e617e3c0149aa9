//! `pgbk list ID`: what is in one backup.

use support::database;
use support::pgbk::connected;

#[test]
fn a_backup_tells_its_tables_with_rows_and_sizes_and_what_has_none_says_why() {
    let folder = tempfile::tempdir().unwrap();
    database::create("listed", "");
    database::sql("listed", "CREATE TABLE b AS SELECT 'x' FROM generate_series(1, 3)");
    database::sql("listed", "CREATE SCHEMA s; CREATE TABLE s.\"odd\u{1b}[1m name\" (a int)");
    let run = connected().directory(folder.path()).set("NO_ENCRYPT", 1);
    let id = run.backup("listed", &[]);

    let told = run.args(["list", &id]).json();
    assert_eq!(told["id"], id.as_str());
    let tables = told["tables"].as_array().unwrap();
    assert_eq!(tables[0]["name"], "public.b");
    // Of each row a letter and the end of the line.
    assert_eq!((&tables[0]["rows"], &tables[0]["bytes"]), (&3.into(), &6.into()));
    assert_eq!((&tables[1]["rows"], &tables[1]["bytes"]), (&0.into(), &0.into()));

    let text = run.args(["list", &id]).expect(0).text();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("TABLE") && lines[0].ends_with("ROWS  SIZE"), "{text}");
    assert!(lines[1].starts_with("public.b ") && lines[1].ends_with("3     6 B"), "{text}");
    // What a database calls a table does not reach the terminal as it is.
    assert!(lines[2].starts_with("s.\"odd") && !text.contains('\u{1b}'), "{text}");

    let archive = run.backup("listed", &["--format", "custom"]);
    assert!(run.args(["list", &archive]).expect(0).text().contains("pg_restore --list"));
    let missing = run.args(["list", "listed-20200101T000000Z"]).expect(4);
    missing.says("listed-20200101T000000Z");
    run.args(["list", &id, "--database", "listed"]).expect(2).says("cannot be used with");
}
