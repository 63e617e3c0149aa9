//! `kill -9` at random moments: what is left is no backup, can be seen, and can be removed.

use pgbk::format::backup_id::BackupId;
use pgbk::store::Store;
use pgbk::store::directory::Directory;
use pgbk::store::s3::S3;
use rustix::process::Signal;
use std::path::Path;
use std::time::Instant;
use support::cluster::{PATIENCE, cluster};
use support::pgbk::{Pgbk, pgbk};
use support::process::until;
use support::proof;
use support::random::Random;
use support::s3::seaweedfs;

/// More than 20 MB that hardly compress: several parts of 5 MB.
fn database(hint: &str) -> String {
    let name = cluster().database(hint);
    let rows = "CREATE TABLE big AS SELECT n AS id, md5(n::text) || md5((-n)::text) || md5((2*n)::text) AS noise
        FROM generate_series(1, 220000) n";
    cluster().psql(&name, rows);
    name
}

/// Whoever holds the database's lock, or dumps it, is still seen by the server for a moment after the kill.
fn await_silence(database: &str) {
    let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
    let gone = until(PATIENCE, || cluster().psql("postgres", &sessions) == "0");
    assert!(gone, "a session of a killed run lives on");
}

/// What the doctor says about this.
fn finding(doctor: &Pgbk, what: &str) -> (String, String) {
    let found = doctor.json();
    let finding = found["findings"].as_array().unwrap().iter().find(|finding| finding["what"] == what).unwrap().clone();
    (finding["status"].as_str().unwrap().to_owned(), finding["detail"].as_str().unwrap().to_owned())
}

fn backups(store: &dyn Store) -> Vec<BackupId> {
    store.list("").unwrap().iter().filter_map(|object| BackupId::of_meta_key(&object.key)).collect()
}

/// Kills runs at moments spread over the length of a whole one, and looks at the store after each.
fn survives(what: &str, store: &dyn Store, database: &str, settings: impl Fn(Pgbk) -> Pgbk) {
    let mut random = Random::new(what);
    let run = |arguments: &[&str]| settings(pgbk(arguments.iter().copied()).server(cluster()).key());
    let backup = run(&["backup", database]);
    let mut longest = {
        let begun = Instant::now();
        backup.expect(0);
        begun.elapsed()
    };
    let mut known = backups(store);
    let (mut killed, mut orphans, mut ended) = (0, 0, 0);
    let kills = proof::size(16, 100);
    // On a busy machine few moments lie within the upload: then there are more.
    while killed < kills || orphans == 0 && killed < 5 * kills {
        let moment = longest.mul_f64(random.below(1000) as f64 / 1000.0);
        let mut running = backup.start();
        std::thread::sleep(moment);
        if running.runs() {
            running.signal(Signal::KILL);
            killed += 1;
        } else {
            // The first run was a slow one: from here on the moments lie within this one.
            longest = moment;
            ended += 1;
            assert!(ended < 2 * kills, "the runs end before they can be killed");
        }
        running.end();
        for id in backups(store).into_iter().filter(|id| !known.contains(id)).collect::<Vec<_>>() {
            run(&["verify", "--level", "content", &id.to_string()]).expect(0);
            known.push(id);
        }
        await_silence(database);
        orphans = store.unfinished("").unwrap().len() + store.list("").unwrap().len() - 2 * known.len();
    }
    eprintln!(
        "{what}: {killed} killed within {longest:?}, {ended} ended, {} backups, {orphans} leftovers",
        known.len()
    );
    assert!(orphans > 0, "none was killed in its midst");

    let doctor = run(&["doctor", database]);
    let (status, detail) = finding(&doctor, "leftovers");
    assert!(status == "note" && detail.contains("unfinished upload"), "{detail}");
    let told: usize = detail.split(' ').filter_map(|word| word.parse::<usize>().ok()).sum();
    assert_eq!(told, orphans, "{detail}");
    // What is younger may belong to a run that goes on.
    assert_eq!(finding(&run(&["doctor", database, "--clean"]), "clean").1, "0 leftovers removed");
    let clean = run(&["doctor", database, "--clean", "--older-than", "0s"]);
    let leftovers = if orphans == 1 { "leftover" } else { "leftovers" };
    assert_eq!(finding(&clean, "clean").1, format!("{orphans} {leftovers} removed"));
    assert_eq!(finding(&doctor, "leftovers"), ("ok".to_owned(), "none".to_owned()));
    assert_eq!(finding(&doctor, "backup lock").0, "ok");
    assert_eq!(store.unfinished("").unwrap(), []);

    backup.expect(0);
    assert_eq!(backups(store).len(), known.len() + 1, "cleaning took a backup, or the next one was not made");
    run(&["verify", "--all", "--level", "stored"]).expect(0);
    assert_eq!(store.list("").unwrap().len(), 2 * (known.len() + 1));
    proof::counted("kills", what, killed, 0);
}

#[test]
fn a_killed_backup_to_s3_leaves_no_half_backup_and_can_be_cleaned_up() {
    let bucket = seaweedfs().bucket("kill");
    let store = S3::open(seaweedfs().settings(&bucket)).unwrap();
    let name = database("kills");
    // The rows are read by two connections here, and by pg_dump below.
    let settings = |run: Pgbk| run.s3(seaweedfs(), &bucket).set("S3_PART_SIZE", "5M").set("DUMP_JOBS", 2);
    survives("kills with S3", &store, &name, settings);
}

#[test]
fn a_killed_backup_to_a_directory_leaves_no_half_backup_and_can_be_cleaned_up() {
    let folder = tempfile::tempdir().unwrap();
    let path: &Path = folder.path();
    let store = Directory::open(path).unwrap();
    let name = database("killd");
    survives("kills with a directory", &store, &name, |run| run.directory(path));
}
