//! Each output is in a series of its own, which no command mixes up with another.

use crate::outputs::{OTHER_KEY, Place, RULES, ids, source};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use support::database::{create, sql, stdout_of, tool};

fn listed(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|backup| backup["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_command_keeps_to_the_output_that_is_meant() {
    source("outputs_series");
    let place = Place::new(RULES);
    let pgbk = place.pgbk("plain,custom,anonymised").set("KEEP_LAST", 2).set("ANON_KEEP_LAST", 1);
    let runs: Vec<(String, Vec<String>)> =
        (0..3).map(|_| ids(&pgbk.args(["backup", "outputs_series"]).json())).collect();
    let kept = |which: usize, from: usize| -> Vec<String> {
        let id = |(plain, others): &(String, Vec<String>)| {
            if which == 0 { plain.clone() } else { others[which - 1].clone() }
        };
        runs[from..].iter().map(id).collect()
    };
    let list = |more: &[&str]| listed(&pgbk.args(["list"].iter().chain(more).copied()).json());
    assert_eq!(list(&[]), kept(0, 1));
    assert_eq!(list(&["--variant", "custom"]), kept(1, 1));
    assert_eq!(list(&["--variant", "anonymised", "--database", "outputs_series"]), kept(2, 2));
    let checked = |more: &[&str]| pgbk.args(["verify", "--all"].iter().chain(more).copied()).json()["checked"].clone();
    let of = [checked(&[]), checked(&["--variant", "plain"]), checked(&["--variant", "anonymised"])];
    // Without a word all that OUTPUTS names.
    assert_eq!(of, [5, 2, 1].map(Value::from));
    let (plain, others) = &runs[2];
    for (variant, id) in [("plain", plain), ("custom", &others[0]), ("anonymised", &others[1])] {
        let found = pgbk.args(["verify", "latest", "--variant", variant]).json();
        assert_eq!(found["backups"][0]["id"].as_str(), Some(id.as_str()), "{variant}");
        pgbk.args(["pin", id]).expect(0);
        pgbk.args(["list", id]).expect(0);
    }
    pgbk.args(["verify", plain, "--variant", "custom"]).expect(2).says("is no backup of the output \"custom\"");
    // Nothing of another output is in the way, or swept up with what a killed run left.
    let before = files(&place);
    pgbk.args(["prune", "outputs_series", "--keep-last", "1", "--orphans"]).expect(0);
    pgbk.args(["prune", "outputs_series", "--variant", "custom", "--keep-last", "2", "--orphans"]).expect(0);
    pgbk.args(["doctor", "--clean", "--older-than", "0s"]).end();
    let after = files(&place);
    assert_eq!(before["outputs_series@anonymised"], after["outputs_series@anonymised"]);
    assert_eq!(before["outputs_series@custom"], after["outputs_series@custom"]);
    assert!(before["outputs_series"] > after["outputs_series"], "{before:?} {after:?}");
}

/// How many files each folder of the store has.
fn files(place: &Place) -> BTreeMap<String, usize> {
    let folders = fs::read_dir(place.path().join("store")).unwrap().map(|entry| entry.unwrap().path());
    let count = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read_dir(path).unwrap().count())
    };
    folders.filter(|path| path.is_dir()).map(count).collect()
}

#[test]
fn a_database_that_is_called_as_the_series_of_another_is_never_taken_for_it() {
    source("outputs_name");
    create("outputs_name@anonymised", "");
    sql("outputs_name@anonymised", "CREATE TABLE real AS SELECT 'anna@plantagenet.org' AS mail");
    let place = Place::new(RULES);
    let pgbk = place.pgbk("plain,anonymised");
    let (_, others) = ids(&pgbk.args(["backup", "outputs_name"]).json());
    let real = place.pgbk("plain").args(["backup", "outputs_name@anonymised", "--json"]).expect(0).json();
    assert!(real["id"].as_str().unwrap().starts_with("outputs_name%40anonymised-"), "{real}");
    let found = |arguments: &[&str]| {
        let found = pgbk.args(["verify"].iter().chain(arguments).copied()).json();
        found["backups"][0]["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(found(&["latest", "--database", "outputs_name", "--variant", "anonymised"]), others[0]);
    assert_eq!(found(&["latest", "--database", "outputs_name@anonymised"]), real["id"].as_str().unwrap());
    let history = pgbk.args(["history"]).json();
    assert!(history.to_string().contains("outputs_name"), "{history}");
}

#[test]
fn an_anonymised_backup_has_its_own_folder_and_key_and_a_custom_one_is_read_by_pg_restore() {
    source("outputs_place");
    let place = Place::new(RULES);
    let copies = place.path().join("copies");
    let pgbk = place.pgbk("plain,custom,anonymised").unset("NO_ENCRYPT").key();
    let shared = pgbk.args(["backup", "outputs_place"]).expect(0);
    shared.says("the same key as the others");
    let pgbk = pgbk.set("ANON_STORE_DIR", copies.display()).set("ANON_ENC_PASSWORD", "correct horse battery");
    let outcome = pgbk.args(["backup", "outputs_place", "--json"]).expect(0);
    assert!(!outcome.err.contains("the same key as the others"), "{outcome:#?}");
    let (_, others) = ids(&outcome.json());
    let meta = copies.join(format!("outputs_place@anonymised/{}.meta", others[1]));
    let meta: Value = serde_json::from_slice(&fs::read(meta).unwrap()).unwrap();
    assert_eq!((&meta["key"]["mode"], meta["encryption"].is_object()), (&"password".into(), true));
    assert_eq!(listed(&pgbk.args(["list", "--variant", "anonymised"]).json()), [others[1].as_str()]);
    // Who has the folder and its key alone needs nothing else.
    let developer =
        place.pgbk("plain").unset("NO_ENCRYPT").directory(&copies).set("ENC_PASSWORD", "correct horse battery");
    developer.args(["verify", "latest", "--variant", "anonymised"]).expect(0);
    for (command, code) in [(&["list"][..], 0), (&["verify", "latest"], 4)] {
        let outcome = developer.unset("DB_NAME").args(command.iter().copied()).expect(code);
        outcome.says("there are backups of another variant: --variant anonymised");
    }
    pgbk.set("ANON_ENCRYPT_KEY", OTHER_KEY).args(["backup", "outputs_place"]).expect(2).says("ANON_ENC_PASSWORD");
    let archive = place.path().join("archive.dump");
    let file = archive.display().to_string();
    pgbk.args(["download", "latest", "--variant", "custom", "-o", &file]).expect(0);
    create("outputs_archive", "");
    stdout_of(tool("pg_restore", "outputs_archive").args(["--exit-on-error", "-d", "outputs_archive"]).arg(&archive));
    assert_eq!(sql("outputs_archive", "SELECT count(*) FROM visits"), "5000");
}

/// Whoever restores gets the database, never a copy of it, however new that is.
#[test]
fn a_copy_is_never_taken_for_a_backup_of_production() {
    source("outputs_newer");
    let place = Place::new(RULES);
    let pgbk = place.pgbk("plain,custom,anonymised").set("DB_NAME", "outputs_newer");
    let (older, _) = ids(&pgbk.args(["backup"]).json());
    let (newer, _) = ids(&pgbk.args(["backup"]).json());
    let own = place.path().join("store/outputs_newer");
    let away = |id: &str| {
        let entries = fs::read_dir(&own).unwrap().map(|entry| entry.unwrap().path());
        let of_it = |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(id);
        entries.filter(of_it).for_each(|path| fs::remove_file(path).unwrap());
    };
    away(&newer);
    let restores = |more: &[&str]| pgbk.args(["restore", "--dry-run"].iter().chain(more).copied()).json();
    let one = restores(&["latest", "--to", "outputs_elsewhere"]);
    assert_eq!(one["id"].as_str().or(one["backup"]["id"].as_str()), Some(older.as_str()), "{one:#}");
    let all = restores(&["--all", "--clean", "--over-source"]).to_string();
    assert!(all.contains(&older) && !all.contains("@anonymised") && !all.contains("@custom"), "{all}");
    assert_eq!(pgbk.args(["verify", "latest"]).json()["backups"][0]["id"].as_str(), Some(older.as_str()));
    let unnamed = pgbk.unset("DB_NAME");
    assert_eq!(unnamed.args(["verify", "latest"]).json()["backups"][0]["id"].as_str(), Some(older.as_str()));
    away(&older);
    for arguments in [
        &["restore", "latest", "--to", "outputs_elsewhere", "--yes"][..],
        &["restore", "--all", "--yes"],
        &["verify", "latest"],
        &["download", "latest", "-o", "-"],
    ] {
        for pgbk in [&pgbk, &unnamed] {
            pgbk.args(arguments.iter().copied()).expect(4).says("no backup");
        }
    }
    assert_eq!(listed(&pgbk.args(["list"]).json()), [""; 0]);
}

#[test]
fn where_the_plain_series_is_of_archives_the_anonymised_one_is_of_scripts() {
    source("outputs_formats");
    let place = Place::new(RULES);
    let pgbk = place.pgbk("plain,anonymised").set("DUMP_FORMAT", "custom").set("DB_NAME", "outputs_formats");
    for jobs in ["1", "2"] {
        let (plain, others) = ids(&pgbk.args(["backup", "--jobs", jobs, "--json"]).expect(0).json());
        let object = |id: &str| place.meta(id)["object"].as_str().unwrap().to_owned();
        assert!(object(&plain).ends_with(".dump") && object(&others[0]).ends_with(".sql"), "{plain}");
        let script = pgbk.args(["download", &others[0], "-o", "-"]).expect(0).out;
        crate::outputs::holds_nothing_planted(&script);
        for id in [&plain, &others[0]] {
            pgbk.args(["verify", id, "--level", "restore"]).expect(0);
        }
    }
}
