use super::*;
use jiff::SignedDuration;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// Every name on the disk. A name that changes here is a file that an older pgbk wrote and that is lost.
const NAMES: &[&str] = &[
    "runs/<run>.json",
    "runs/past.json",
    "runs/.forgetting",
    "removed.jsonl",
    "removed.lock",
    "schedule.json",
    "schedule.lock",
    "captures/<database>-<hash>.json",
    "store.json",
    "owners.json",
    "owners-<output>.json",
    "series/<database>-<hash>.json",
    "series/.looking",
    "documents/<store>/<folder>/<object>",
    "journals/<generation>.meta",
    "journals/<generation>.mailed.json",
    "keyring",
    "alerts/<database>-<hash>.json",
    "alerts/<database>-<hash>-verify.json",
    "alerts/<database>-<hash>-capture.json",
    "alerts/<database>-<hash>-verify-changes.json",
    "alerts/unsent/<run>.<channel>.json",
    "alerts/told/<hash>",
    "alerts/.try",
];

fn every_file(state: &StateDir) -> Vec<StateFile> {
    vec![
        state.record("<run>"),
        state.totals(),
        state.forgetting(),
        state.removed(),
        state.removed_lock(),
        state.heartbeat(),
        state.scheduler_lock(),
        state.capture("<database>", "<hash>"),
        state.inventory(),
        state.owners(),
        state.owners_of("<output>"),
        state.sight("<database>", "<hash>"),
        state.looking(),
        state.copy("<store>", "<folder>", "<object>"),
        state.journal("<generation>"),
        state.mailed_journal("<generation>"),
        state.keyring(),
        state.outage("<database>", "<hash>"),
        state.restore_test_outage("<database>", "<hash>"),
        state.capture_outage("<database>", "<hash>"),
        state.change_proof_outage("<database>", "<hash>"),
        state.unsent("<run>", "<channel>"),
        state.told("<hash>"),
        state.trial(),
    ]
}

#[test]
fn the_names_of_files_are_those_that_earlier_versions_wrote() {
    let names: Vec<String> = every_file(&StateDir::at("/s")).iter().map(ToString::to_string).collect();
    assert_eq!(names, NAMES.iter().map(|name| format!("/s/{name}")).collect::<Vec<_>>());
    let source = include_str!("../state_dir.rs");
    let public = |line: &&str| line.trim_start().starts_with("pub fn ") && line.ends_with("-> StateFile {");
    assert_eq!(source.lines().filter(public).count(), NAMES.len(), "a file of StateDir is not listed here");
}

#[test]
fn the_manual_lists_each_file_and_who_writes_it() {
    let manual = include_str!("../../../docs/architecture.md");
    let table = manual.split("## The state directory").nth(1).unwrap().split("\n## ").next().unwrap();
    let listed: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(listed, NAMES);
    for line in table.lines().filter(|line| line.starts_with("| `")) {
        let writer = line.rsplit('`').nth(1).unwrap();
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(writer).is_file(), "{line}");
    }
}

#[test]
fn each_file_is_written_whole_for_its_owner_alone_and_read_again() {
    let top = tempfile::tempdir().unwrap();
    let state = StateDir::at(top.path().join("new/state"));
    for file in every_file(&state) {
        file.write(b"first").unwrap();
        file.write_copy(b"second").unwrap();
        assert_eq!((file.read().unwrap(), file.size()), (b"second".to_vec(), Some(6)), "{file}");
        file.append(b", third").unwrap();
        assert_eq!(file.read_end(5).unwrap(), b"third", "{file}");
        let path = file.to_string();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let path = Path::new(&path);
        assert_eq!((mode(path), mode(path.parent().unwrap())), (0o600, 0o700), "{file}");
    }
    // Nothing that was being written is left beside them.
    assert_eq!(fs::read_dir(top.path().join("new/state/runs")).unwrap().count(), 3);
}

#[test]
fn a_link_is_replaced_and_never_written_through_and_what_is_too_large_is_not_read() {
    let top = tempfile::tempdir().unwrap();
    let state = StateDir::at(top.path());
    let mine = top.path().join("mine");
    fs::write(&mine, "mine").unwrap();
    for write in [StateFile::write, StateFile::write_copy] {
        let _ = fs::remove_file(state.keyring().to_string());
        symlink(&mine, state.keyring().to_string()).unwrap();
        assert!(state.keyring().read().is_err() && state.keyring().append(b"theirs").is_err());
        write(&state.keyring(), b"ours").unwrap();
        assert_eq!((fs::read(&mine).unwrap(), state.keyring().read().unwrap()), (b"mine".to_vec(), b"ours".to_vec()));
    }
    state.keyring().write(&vec![b'x'; SMALL as usize + 1]).unwrap();
    assert!(state.keyring().read().is_err());
    assert_eq!(state.keyring().read_end(u64::MAX).unwrap().len() as u64, SMALL);
}

#[test]
fn a_lock_is_held_by_one_and_a_document_shows_that_its_writer_lives() {
    let top = tempfile::tempdir().unwrap();
    let state = StateDir::at(top.path().join("state"));
    let held = state.scheduler_lock().try_lock().unwrap().unwrap();
    assert!(state.scheduler_lock().try_lock().unwrap().is_none());
    drop(held);
    drop(state.scheduler_lock().lock().unwrap());
    let life = || state.heartbeat().read_json::<u32>().map(|found| (found.value, found.life)).unwrap();
    let held = state.heartbeat().hold_json(&7).unwrap();
    assert_eq!(life(), (7, file::WriterLife::Held));
    drop(held);
    assert_eq!(life(), (7, file::WriterLife::Gone));
    state.heartbeat().write_json(&8).unwrap();
    assert_eq!(life(), (8, file::WriterLife::Gone));
    assert_eq!(state.heartbeat().read().unwrap(), b"8\n");

    let message = state.unsent("run", "mail");
    message.write(b"{}").unwrap();
    let claimed = message.claim().unwrap().unwrap();
    assert!(message.claim().unwrap().is_none());
    drop(claimed);
    message.remove().unwrap();
    assert!(message.claim().is_err() && !message.exists().unwrap() && message.size().is_none());
}

#[test]
fn what_a_killed_writer_left_is_removed_after_an_hour_and_nothing_else_is() {
    let top = tempfile::tempdir().unwrap();
    let state = StateDir::at(top.path());
    every_file(&state).iter().for_each(|file| file.write(b"whole").unwrap());
    let folders = ["", "runs", "series", "alerts", "alerts/unsent", "alerts/told"];
    let in_each = |name| folders.iter().map(|folder| top.path().join(folder).join(name)).collect::<Vec<PathBuf>>();
    let (left, foreign) = (in_each(".pgbk-state-left.partial"), in_each(".left.partial"));
    left.iter().chain(&foreign).for_each(|path| fs::write(path, "half").unwrap());
    let written = Timestamp::try_from(fs::metadata(&left[0]).unwrap().modified().unwrap()).unwrap();
    state.sweep(written + SignedDuration::from_mins(59));
    assert!(left.iter().all(|path| path.exists()));
    state.sweep(written + SignedDuration::from_mins(61));
    assert!(left.iter().all(|path| !path.exists()));
    assert!(foreign.iter().all(|path| path.exists()));
    assert!(every_file(&state).iter().all(|file| file.exists().unwrap()));
}

#[test]
fn a_folder_lists_its_own_kind_in_order_and_drops_what_is_not_wanted() {
    let top = tempfile::tempdir().unwrap();
    let state = StateDir::at(top.path());
    assert_eq!(state.all_unsent("mail").names().unwrap(), [""; 0]);
    for (run, channel) in [("2", "mail"), ("1", "mail"), ("3", "webhook")] {
        state.unsent(run, channel).write(b"{}").unwrap();
    }
    assert_eq!(state.all_unsent("mail").files(), [state.unsent("1", "mail"), state.unsent("2", "mail")]);
    for folder in ["one", "two"] {
        ["a", "b"].iter().for_each(|object| state.copy("store", folder, object).write_copy(b"x").unwrap());
    }
    state.copies("store").folder("one").retain(|name| name == "b");
    state.copies("store").retain(|name| name == "one");
    let there = |folder, object| state.copy("store", folder, object).exists().unwrap();
    assert_eq!([there("one", "a"), there("one", "b"), there("two", "b")], [false, true, false]);
}
