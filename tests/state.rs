//! What is in `STATE_DIR` after all that pgbk does: the files that the manual lists, and no other.

use pgbk::store::Store;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use support::cluster::PATIENCE;
use support::database::small;
use support::faulty::Faulty;
use support::pgbk::{ENC_PASSWORD, Pgbk, connected};
use support::process::{root, until};
use support::scheduler::Place;

/// The names of files in the manual's table, with parts such as `<run>` that differ.
fn listed() -> Vec<String> {
    let manual = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let table = manual.split("## The state directory").nth(1).unwrap().split("\n## ").next().unwrap();
    let name = |line: &str| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned());
    table.lines().filter_map(name).collect()
}

/// Whether a file may have this name.
fn fits(name: &str, file: &str) -> bool {
    let Some((before, rest)) = name.split_once('<') else { return name == file };
    let (Some(file), Some((_, after))) = (file.strip_prefix(before), rest.split_once('>')) else { return false };
    let part = |end: &usize| file.is_char_boundary(*end) && !file[..*end].contains('/');
    (1..=file.len()).filter(part).any(|end| fits(after, &file[end..]))
}

/// The files below this folder, by their paths in it.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for path in fs::read_dir(next).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// Which of the names each file has: the one with the most text of its own. A file that the scheduler was writing when it ended is not
/// looked at: the next run removes it.
fn names_of(state: &Path, listed: &[String]) -> BTreeSet<String> {
    let own = |name: &str| name.split('<').map(|part| part.split_once('>').map_or(part, |part| part.1).len()).sum();
    let name = |file: &String| {
        let fitting = listed.iter().filter(|name| fits(name, file));
        fitting.max_by_key::<usize, _>(|name| own(name)).unwrap_or_else(|| panic!("no name of the manual fits {file}"))
    };
    let being_written = |file: &&String| file.starts_with(".pgbk-state-") && file.ends_with(".partial");
    files(state).iter().filter(|file| !being_written(file)).map(|file| name(file).clone()).collect()
}

/// Makes a thousand older records of one that is there.
fn fill(state: &Path) {
    let runs = state.join("runs");
    let record = fs::read_dir(&runs).unwrap().map(|entry| entry.unwrap().path()).next().unwrap();
    let text = fs::read_to_string(&record).unwrap();
    let run = record.file_stem().unwrap().to_str().unwrap().to_owned();
    for number in 0..1000 {
        let older = format!("20200101T000000Z-{number:08x}");
        fs::write(runs.join(format!("{older}.json")), text.replace(&run, &older)).unwrap();
    }
}

#[test]
fn after_all_commands_the_state_directory_holds_the_files_that_the_manual_lists_and_no_other() {
    let (database, place) = ("state_listed", Place::new());
    small(database, &["x"]);
    let (host, state) = (Faulty::start(|_, _| None), place.folder.path().join("state"));
    let run = connected().at(&host.endpoint, "bucket", "key", "topsecret").set("STATE_DIR", state.display());
    let run = run.set("ENC_PASSWORD", ENC_PASSWORD);
    // Nobody listens there, and the other has no scheme.
    let alerted =
        run.set("WEBHOOK_URL", "http://127.0.0.1:9/hook").set("PING_URL", "nowhere").set("ALERT_TIMEOUT", "1s");
    let call = |run: &Pgbk, arguments: &[&str], code: i32| drop(run.args(arguments.iter().copied()).expect(code));

    call(&alerted, &["backup", database], 0);
    call(&alerted, &["backup", "state_missing"], 4);
    fill(&state);
    call(&run, &["backup", database], 0);
    call(&run, &["list"], 0);
    call(&run, &["verify", "--all"], 0);
    call(&alerted, &["verify", "latest", "--database", database, "--level", "restore", "--alert"], 0);
    call(&run.set("KEEP_LAST", "1"), &["prune", database], 0);
    call(&run, &["status"], 1);
    call(&run, &["history"], 0);
    drop(run.args(["doctor"]).end());
    let schedule = alerted.args(["schedule"]).set("CRON_SCHEDULE", "* * * * * *").set("DB_NAME", database);
    // This server's log holds no changes, of which people hear.
    let schedule = schedule.set("OUTPUTS", "plain,custom").set("CAPTURE", "1");
    let scheduler = place.start(&schedule.set("LISTEN", "127.0.0.1:0"));
    let wanted = ["store.json", "owners.json", "owners-custom.json"].map(|name| state.join(name));
    let is_told = || files(&state).iter().any(|file| file.ends_with("-capture.json"));
    let is_all = || wanted.iter().all(|path| path.exists()) && is_told();
    assert!(until(PATIENCE, is_all), "{}", scheduler.said());
    scheduler.stop();
    assert!(!host.store().list("").unwrap().is_empty());

    let listed = listed();
    let mut left: BTreeSet<String> = listed.iter().cloned().collect();
    // It is removed at once.
    assert!(left.remove("alerts/.try"));
    // No changes are stored here that could be proven: tests/replay/proof.rs.
    assert!(left.remove("alerts/<database>-<hash>-verify-changes.json"));
    // Nor of which there could be a journal: tests/capture/journal.rs.
    for name in ["journals/<generation>.meta", "journals/<generation>.mailed.json"] {
        assert!(left.remove(name), "{name}");
    }
    assert_eq!(names_of(&state, &listed), left);
}

#[test]
fn a_name_of_the_manual_fits_its_files_alone() {
    for (name, file, expected) in [
        ("runs/<run>.json", "runs/20260101T000000Z-0.json", true),
        ("runs/<run>.json", "runs/.json", false),
        ("runs/<run>.json", "runs/a/b.json", false),
        ("runs/<run>.json", "runs/.abc.partial", false),
        ("a/<b>-<c>.json", "a/b-c-d.json", true),
        ("keyring", "keyring2", false),
    ] {
        assert_eq!(fits(name, file), expected, "{name} {file}");
    }
}
