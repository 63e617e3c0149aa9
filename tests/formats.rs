//! What earlier formats of the `.meta` wrote stays restorable: the fixtures are read, proven and decoded like what is written now.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::database::{assert_same, small, sql, stdout_of};
use support::pgbk::{ENC_PASSWORD, KEY, OTHER_KEY, Pgbk, connected};
use tempfile::TempDir;

const FORMATS: [&str; 2] = ["format1", "format2"];
const NAMES: [&str; 7] = ["plain", "raw", "password", "signed", "archive", "@files", "@globals"];

fn fixtures(format: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format)
}

/// Each of these names in each format.
fn all<'a>(names: &'a [&'a str]) -> impl Iterator<Item = (&'a str, &'a str)> {
    FORMATS.into_iter().flat_map(move |format| names.iter().map(move |name| (format, *name)))
}

/// A copy of what the last pgbk that wrote this format stored of this name, and pgbk with the key that it was made with.
fn stored(format: &str, name: &str) -> (TempDir, Pgbk) {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join(name);
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(fixtures(format).join(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let pgbk = connected().directory(folder.path());
    let keyed = match name {
        "plain" => pgbk,
        "password" => pgbk.set("ENC_PASSWORD", ENC_PASSWORD),
        _ => pgbk.key(),
    };
    (folder, keyed)
}

/// What each of the databases of the fixtures holds.
fn holds_what_was_backed_up(database: &str) {
    let rows = "SELECT count(*), sum(paid), min(length(name)), count(DISTINCT at) FROM client";
    assert_eq!(sql(database, rows), "50|1593.75|11|1");
    assert_eq!(
        sql(database, "SELECT string_agg(coalesce(b::text, 'null'), ' ') FROM \"Odd \"\"name\""),
        "\\x00ff null"
    );
    assert_eq!(sql(database, "SELECT count(*) FROM empty"), "0");
}

#[test]
fn every_backup_of_an_earlier_format_is_listed_and_verified_to_its_end() {
    for (format, name) in all(&NAMES) {
        let (_folder, pgbk) = stored(format, name);
        let listed = pgbk.args(["list", "--database", name]).json();
        assert_eq!(listed.as_array().unwrap().len(), 1, "{listed:#}");
        for level in ["meta", "stored", "content"] {
            pgbk.args(["verify", "latest", "--database", name, "--level", level]).expect(0);
        }
        let raw = tempfile::tempdir().unwrap();
        pgbk.args(["download", "latest", "--database", name, "--raw", "-o", raw.path().to_str().unwrap()]).expect(0);
    }
}

#[test]
fn every_database_of_an_earlier_format_is_restored_and_proven() {
    for (format, name) in all(&["plain", "raw", "password", "signed", "archive"]) {
        let (_folder, pgbk) = stored(format, name);
        let to = format!("{format}_{name}");
        pgbk.args(["restore", "latest", "--database", name, "--to", &to, "--yes"]).expect(0);
        holds_what_was_backed_up(&to);
        pgbk.args(["verify", "latest", "--database", name, "--level", "restore"]).expect(0);
    }
}

#[test]
fn another_key_is_told_from_the_right_one_in_an_earlier_format() {
    for (format, name) in all(&["raw", "password", "signed", "archive"]) {
        let (_folder, pgbk) = stored(format, name);
        let foreign = pgbk.unset("ENC_PASSWORD").set("DB_BACKUP_ENCRYPT_KEY", OTHER_KEY);
        let said = foreign.args(["verify", "latest", "--database", name, "--level", "meta"]).expect(3);
        assert!(said.err.contains("wrong key") || said.text().contains("wrong key"), "{said:#?}");
    }
}

#[test]
fn the_recipe_decodes_earlier_formats() {
    for (format, name) in all(&["plain", "raw", "password", "signed"]) {
        let (folder, pgbk) = stored(format, name);
        let meta = fs::read_dir(folder.path().join(name)).unwrap().map(|entry| entry.unwrap().path());
        let meta = meta.into_iter().find(|path| path.extension().is_some_and(|end| end == "meta")).unwrap();
        let password = folder.path().join("password.txt");
        fs::write(&password, ENC_PASSWORD).unwrap();
        let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/decode.sh"));
        script.arg(&meta).env("DB_BACKUP_ENCRYPT_KEY", KEY).env("ENC_PASSWORD_FILE", &password);
        let ours = pgbk.args(["download", "latest", "--database", name, "-o", "-"]).expect(0);
        assert_same(&ours.out, &stdout_of(&mut script));
        assert!(ours.text().contains("COPY public.client "), "{ours:#?}");
    }
}

#[test]
fn the_rows_of_a_table_are_read_out_of_a_backup_of_an_earlier_format() {
    for (format, name) in all(&["plain", "raw", "password", "signed"]) {
        let (_folder, pgbk) = stored(format, name);
        let rows = pgbk.args(["download", "latest", "--database", name, "--table", "client", "-o", "-"]).expect(0);
        let text = rows.text();
        assert!(
            text.starts_with("SET client_encoding = 'UTF8';\n\nCOPY public.client (") && text.ends_with("\n\\.\n"),
            "{text}"
        );
        assert_eq!(text.lines().filter(|line| line.contains("\tclient ")).count(), 50, "{text}");
    }
}

#[test]
fn a_backup_of_today_stands_beside_those_of_format_1_in_one_store() {
    let (folder, pgbk) = stored("format1", "raw");
    small("format1_beside", &["a"]);
    let id = pgbk.backup("format1_beside", &[]);
    let meta = fs::read_to_string(folder.path().join(format!("format1_beside/{id}.meta"))).unwrap();
    assert!(meta.starts_with("{\n  \"pgbk\": 3,\n"), "{meta}");
    let found = pgbk.args(["verify", "--all", "--level", "content"]).json();
    assert_eq!(found["checked"], 2, "{found:#}");
}
