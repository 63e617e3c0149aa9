//! Proofs that are ended before their time leave nothing, or what the next one removes.

use crate::proven::{SCRATCH, left_on, of, prove};
use rustix::process::Signal;
use std::time::{Duration, Instant};
use support::cluster::{Cluster, PASSWORD, PATIENCE, cluster};
use support::database::{connect, exists, script, small};
use support::fake::Fake;
use support::pgbk::{Pgbk, Running};
use support::process::until;
use support::scheduler::Place;

/// A backup whose restore takes longer than any test.
fn endless(place: &Place, run: &Pgbk) {
    let file = place.folder.path().join("endless.sql");
    std::fs::write(&file, script("CREATE TABLE t (v text);\nSELECT pg_sleep(3600);\n")).unwrap();
    run.args(["upload", file.to_str().unwrap()]).expect(0);
}

/// A proof in the midst of its restore, and the database that this goes into.
fn begun(server: &Cluster, run: &Pgbk) -> (Running, String) {
    let running = run.args(["verify", "--level", "restore"]).start();
    let busy = "SELECT datname FROM pg_stat_activity WHERE datname LIKE 'pgbk\\_scratch\\_%' AND query LIKE '%pg_sleep(3600)%'";
    let mut name = String::new();
    assert!(until(PATIENCE, || {
        name = server.psql("postgres", busy);
        !name.is_empty()
    }));
    (running, name)
}

#[test]
fn a_signal_in_the_midst_of_a_restore_ends_it_soon_and_leaves_no_scratch() {
    let server = Cluster::start();
    for signal in [Signal::TERM, Signal::INT] {
        let place = Place::new();
        let run = of(&place, "proven_signal").server(&server).set("STATE_DIR", place.folder.path().join("s").display());
        endless(&place, &run);
        let (running, name) = begun(&server, &run);
        running.signal(signal);
        let asked = Instant::now();
        let outcome = running.end();
        assert_eq!(outcome.code, Some(128 + signal.as_raw()), "{outcome:#?}");
        assert!(asked.elapsed() < Duration::from_secs(20), "{outcome:#?}");
        assert_eq!(server.psql("postgres", SCRATCH), "", "{name} is left: {outcome:#?}");
    }
}

#[test]
fn what_a_killed_proof_has_left_is_removed_by_the_next_one_and_what_a_living_one_uses_is_not() {
    let server = Cluster::start();
    let (place, other) = (Place::new(), Place::new());
    let on = |place: &Place| {
        of(place, "proven_killed").server(&server).set("STATE_DIR", place.folder.path().join("s").display())
    };
    endless(&place, &on(&place));
    let (alive, in_use) = begun(&server, &on(&place));
    endless(&other, &on(&other));
    let killed = on(&other).args(["verify", "--level", "restore"]).start();
    assert!(until(PATIENCE, || server.psql("postgres", SCRATCH).lines().count() == 2));
    killed.signal(Signal::KILL);
    assert_eq!(killed.end().code, None);
    assert!(until(PATIENCE, || left_on(&server).len() == 1), "the server has not noticed yet");

    server.psql("postgres", "CREATE DATABASE proven_killed");
    on(&other).args(["backup"]).expect(0);
    let (outcome, _) = prove(&on(&other), 0);
    assert!(outcome.err.contains("which a run that was killed had left"), "{}", outcome.err);
    assert_eq!(server.psql("postgres", SCRATCH), in_use);
    alive.signal(Signal::TERM);
    alive.end();
    assert_eq!(server.psql("postgres", SCRATCH), "");
}

#[test]
fn a_backup_of_every_database_passes_over_what_is_being_proven() {
    let server = Cluster::start();
    let place = Place::new();
    let run = of(&place, "proven_every").server(&server).set("STATE_DIR", place.folder.path().join("s").display());
    endless(&place, &run);
    let (proof, _) = begun(&server, &run);
    let all = run.args(["backup", "*"]).unset("DB_NAME").json();
    let names: Vec<&str> = match all.as_array() {
        Some(several) => several.iter().map(|one| one["database"].as_str().unwrap()).collect(),
        None => vec![all["database"].as_str().unwrap()],
    };
    assert_eq!(names, ["postgres"]);
    proof.signal(Signal::TERM);
    proof.end();
}

#[test]
fn a_role_that_may_not_make_databases_is_told_what_to_do() {
    let place = Place::new();
    small("proven_role", &["x"]);
    let run = of(&place, "proven_role");
    run.args(["backup"]).expect(0);
    connect("postgres").batch_execute(&format!("CREATE ROLE proven_reader LOGIN PASSWORD '{PASSWORD}'")).unwrap();
    let outcome = run.set("DB_USER", "proven_reader").args(["verify", "--level", "restore"]).expect(1);
    assert!(outcome.err.contains("permission denied to create database"), "{}", outcome.err);
    assert!(
        outcome.err.contains("hint: let the role make databases: ALTER ROLE \"proven_reader\" CREATEDB"),
        "{}",
        outcome.err
    );
    connect("postgres").batch_execute("ALTER ROLE proven_reader CREATEDB").unwrap();
    // Its own rights are not lent to what a backup holds.
    let outcome = run.set("DB_USER", "proven_reader").args(["verify", "--level", "restore"]).expect(1);
    assert!(outcome.err.contains("permission denied to create role"), "{}", outcome.err);
    assert!(outcome.err.contains("let it make roles: ALTER ROLE \"proven_reader\" CREATEROLE"), "{}", outcome.err);
    assert!(!outcome.err.contains("left behind") && left_on(cluster()).is_empty(), "{}", outcome.err);
    connect("postgres").batch_execute("ALTER ROLE proven_reader CREATEROLE").unwrap();
    run.set("DB_USER", "proven_reader").args(["verify", "--level", "restore"]).expect(0);
    assert!(exists("proven_role") && left_on(cluster()).is_empty());
}

#[test]
fn a_signal_while_a_tool_is_asked_for_its_version_does_not_make_it_a_missing_one() {
    let place = Place::new();
    small("proven_tools", &["x"]);
    let run = of(&place, "proven_tools");
    run.args(["backup"]).expect(0);
    let fake = Fake::of(cluster(), "touch $NOTES/asked; sleep 600", "");
    let proof = run.set("PG_BIN_DIR", fake.bin().display()).args(["verify", "--level", "restore"]).start();
    assert!(until(PATIENCE, || fake.note("asked").exists()));
    proof.signal(Signal::TERM);
    let outcome = proof.end();
    assert!(outcome.code == Some(143) && !outcome.err.contains("no pg_dump"), "{outcome:#?}");
    assert_eq!(left_on(cluster()), Vec::<String>::new());
}
