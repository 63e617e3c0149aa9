//! Every request of a download, a restore and a pruning, failed in every way.

use super::host::Host;
use super::requests::{Case, cases, count};
use pgbk::format::backup_id::BackupId;
use pgbk::store::{read_small, write_small};
use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::crew::go;
use support::database::{assert_same, comparable, dump, exists};
use support::process::until;
use support::s3::seaweedfs;
use support::scene::{Ended, Scene, assert_is_a_failure, database};

/// A backup in the store, and the dump that it is of.
struct Stored {
    scene: Scene,
    id: String,
    database: String,
    plain: Vec<u8>,
}

fn stored(rows: usize) -> Stored {
    let scene = Scene::new();
    let database = database("reading", rows);
    let id = scene.direct().backup(&database, &["--compress", "zstd"]);
    Stored { scene, id, plain: dump(&database), database }
}

/// The file is whole, or there is none.
fn download(stored: &Stored, host: &Host, attempts: usize) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.sql");
    let run = stored.scene.through(&host.endpoint, attempts);
    let outcome = run.args(["download", &stored.id, "-o", file.to_str().unwrap()]).end();
    if outcome.code == Some(0) {
        assert_same(&comparable(&fs::read(&file).unwrap()), &stored.plain);
        return Ended::Healed;
    }
    assert_is_a_failure(&outcome);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "a part of a file is left: {outcome:#?}");
    Ended::Refused
}

/// The database is there and the same, or it is not there.
fn restore(stored: &Stored, host: &Host, attempts: usize) -> Ended {
    static NUMBER: AtomicUsize = AtomicUsize::new(1);
    let target = format!("{}_back{}", stored.database, NUMBER.fetch_add(1, Ordering::Relaxed));
    let run = stored.scene.through(&host.endpoint, attempts);
    let outcome = run.args(["restore", &stored.id, "--yes", "--to", &target]).end();
    if outcome.code == Some(0) {
        assert_same(&dump(&target), &stored.plain);
        support::database::sql("postgres", format!("DROP DATABASE {target}"));
        return Ended::Healed;
    }
    assert_is_a_failure(&outcome);
    assert!(!exists(&target), "a target is left: {outcome:#?}");
    Ended::Refused
}

/// What a transparent run asks for is what is failed.
fn each(what: &str, sample: usize, rows: usize, attempts: &[usize], run: fn(&Stored, &Host, usize) -> Ended) {
    let behind = &seaweedfs().endpoint;
    let stored = stored(rows);
    let host = Host::transparent(behind);
    assert_eq!(run(&stored, &host, 1), Ended::Healed);
    let tally = go(
        &cases(host.asked(), attempts),
        sample,
        |_| (),
        |(), case| {
            let host = Host::spoiling(behind, case.nth, case.fault);
            let ended = run(&stored, &host, case.attempts);
            assert!(host.fired(), "there was no such request");
            ended
        },
    );
    count(what, tally);
}

#[test]
fn whichever_request_of_a_download_fails_the_file_is_whole_or_is_not_there() {
    each("requests of a download", 3, 20_000, &[1, 3], download);
}

#[test]
fn whichever_request_of_a_restore_fails_the_database_is_whole_or_is_not_there() {
    each("requests of a restore", 2, 2_000, &[1], restore);
}

/// Three small backups, newest last, as they are stored.
fn history() -> Vec<(String, Vec<u8>)> {
    let scene = Scene::new();
    let name = database("pruned", 10);
    for _ in 0..3 {
        scene.direct().backup(&name, &[]);
    }
    // Three within one second have times that are still to come, and such a backup is left alone.
    let newest = scene.ids().into_iter().max().unwrap();
    assert!(until(Duration::from_secs(10), || jiff::Timestamp::now() > newest.taken_at()));
    scene.keys().into_iter().map(|key| (key.clone(), read_small(&scene.store, &key, 1 << 20).unwrap())).collect()
}

/// Nothing is lost that should stay, and no `.meta` is without its payload.
fn prune(history: &[(String, Vec<u8>)], endpoint: &str, attempts: usize) -> Ended {
    let scene = Scene::new();
    for (key, bytes) in history {
        write_small(&scene.store, key, bytes).unwrap();
    }
    let newest = history.iter().filter_map(|(key, _)| BackupId::of_meta_key(key)).max().unwrap();
    let run = scene.through(endpoint, attempts);
    let outcome = run.args(["prune", newest.subject().name(), "--keep-last", "1", "--force"]).end();
    let ids: BTreeSet<BackupId> = scene.ids().into_iter().collect();
    assert!(ids.contains(&newest), "the newest backup is gone: {outcome:#?}");
    scene.direct().args(["verify", "--all", "--level", "content"]).expect(0);
    if outcome.code == Some(0) && ids.len() == 1 && scene.keys().len() == 2 {
        return Ended::Healed;
    }
    // What could not be seen, or looked no good, stays; the next run takes it.
    scene.direct().args(["prune", newest.subject().name(), "--keep-last", "1", "--force"]).expect(0);
    assert_eq!(scene.ids(), [newest]);
    Ended::Refused
}

#[test]
fn whichever_request_of_a_pruning_fails_what_should_stay_stays() {
    let behind = &seaweedfs().endpoint;
    let history = history();
    let host = Host::transparent(behind);
    assert_eq!(prune(&history, &host.endpoint, 1), Ended::Healed);
    let tally = go(
        &cases(host.asked(), &[1]),
        4,
        |_| (),
        |(), Case { fault, nth, attempts }| {
            let host = Host::spoiling(behind, *nth, *fault);
            let ended = prune(&history, &host.endpoint, *attempts);
            assert!(host.fired(), "there was no such request");
            ended
        },
    );
    count("requests of a pruning", tally);
}
