//! What earlier formats of the `.meta` wrote stays restorable: the fixtures are read, proven and decoded like what is written now.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::database::{assert_same, small, sql, stdout_of};
use support::pgbk::{ENC_PASSWORD, KEY, OTHER_KEY, Pgbk, connected};
use tempfile::TempDir;

const FORMAT_1: [&str; 7] = ["plain", "raw", "password", "signed", "archive", "@files", "@globals"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format1")
}

/// A copy of what the last pgbk that wrote format 1 stored of this name, and pgbk with the key that it was made with.
fn stored(name: &str) -> (TempDir, Pgbk) {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join(name);
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(fixtures().join(name)).unwrap() {
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
fn every_backup_of_format_1_is_listed_and_verified_to_its_end() {
    for name in FORMAT_1 {
        let (_folder, pgbk) = stored(name);
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
fn every_database_of_format_1_is_restored_and_proven() {
    for name in ["plain", "raw", "password", "signed", "archive"] {
        let (_folder, pgbk) = stored(name);
        let to = format!("format1_{name}");
        pgbk.args(["restore", "latest", "--database", name, "--to", &to, "--yes"]).expect(0);
        holds_what_was_backed_up(&to);
        pgbk.args(["verify", "latest", "--database", name, "--level", "restore"]).expect(0);
    }
}

#[test]
fn another_key_is_told_from_the_right_one_in_format_1() {
    for name in ["raw", "password", "signed", "archive"] {
        let (_folder, pgbk) = stored(name);
        let foreign = pgbk.unset("ENC_PASSWORD").set("DB_BACKUP_ENCRYPT_KEY", OTHER_KEY);
        let said = foreign.args(["verify", "latest", "--database", name, "--level", "meta"]).expect(3);
        assert!(said.err.contains("wrong key") || said.text().contains("wrong key"), "{said:#?}");
    }
}

#[test]
fn the_recipe_decodes_format_1() {
    for name in ["plain", "raw", "password", "signed"] {
        let (folder, pgbk) = stored(name);
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
fn a_backup_of_today_stands_beside_those_of_format_1_in_one_store() {
    let (folder, pgbk) = stored("raw");
    small("format1_beside", &["a"]);
    let id = pgbk.backup("format1_beside", &[]);
    let meta = fs::read_to_string(folder.path().join(format!("format1_beside/{id}.meta"))).unwrap();
    assert!(meta.starts_with("{\n  \"pgbk\": 2,\n"), "{meta}");
    let found = pgbk.args(["verify", "--all", "--level", "content"]).json();
    assert_eq!(found["checked"], 2, "{found:#}");
}
