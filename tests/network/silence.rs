//! Restores whose server or store falls silent, or works on one statement for hours: a signal ends them soon, and a server that has
//! vanished is found by the line itself.

use super::*;
use rustix::process::Signal;
use std::process::Command;
use std::time::Instant;
use support::cluster::PATIENCE;
use support::pgbk::Running;
use support::process::until;

/// From the signal to the end, on a machine that has other things to do.
const SOON: Duration = Duration::from_secs(8);

/// A backup whose restore elsewhere stays at an index for longer than any test.
fn endless(arguments: &[&str]) -> (Scene, String) {
    let (scene, name) = (Scene::new(), database("endless", 10));
    let index = format!(
        "CREATE FUNCTION slow(n bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
             IF pg_catalog.current_database() <> '{name}' THEN PERFORM pg_catalog.pg_sleep(3600); END IF;
             RETURN n;
         END $$;
         CREATE INDEX ON big (slow(id))"
    );
    sql(&name, index);
    let id = scene.direct().backup(&name, arguments);
    (scene, id)
}

fn await_index(target: &str) {
    let busy = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{target}' AND query LIKE '%CREATE INDEX%' AND wait_event = 'PgSleep'"
    );
    assert!(until(PATIENCE, || cluster().psql("postgres", &busy) == "1"), "the index is never begun");
}

fn terminated(running: Running) -> Outcome {
    running.signal(Signal::TERM);
    let asked = Instant::now();
    let outcome = running.end();
    assert!(asked.elapsed() < SOON, "{:?}: {outcome:#?}", asked.elapsed());
    assert_eq!(outcome.code, Some(143), "{outcome:#?}");
    outcome.says("interrupted by signal 15")
}

fn tables(database: &str) -> usize {
    sql(database, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").parse().unwrap()
}

/// A restore over this line to the server.
fn over(proxy: &Proxy, stored: &Stored, target: &str, more: &[&str]) -> Pgbk {
    let run = stored.scene.direct().set("DB_PORT", proxy.address.port());
    run.args([&["restore", stored.id.as_str(), "--yes", "--to", target], more].concat())
}

/// Ends a restore by a signal, once the line to its server has fallen silent after so many bytes.
fn ended_in_silence(at: u64, stored: &Stored, target: &str, more: &[&str]) -> Outcome {
    let proxy = to_server(Toxic::Blackhole(at));
    let running = over(&proxy, stored, target, more).start();
    assert!(until(PATIENCE, || proxy.passed() > at));
    let outcome = terminated(running);
    drop(proxy);
    assert_nobody_works_on(target);
    outcome
}

#[test]
fn a_signal_ends_a_restore_whose_server_has_fallen_silent() {
    let stored = stored(20_000);
    let (proxy, first) = (to_server(Toxic::Nothing), target());
    sql("postgres", format!("CREATE DATABASE {first}"));
    over(&proxy, &stored, &first, &[]).expect(0);
    let bytes = proxy.passed();
    // In the midst of the rows, shortly before the commit, and while the server is still asked what it is.
    for at in [bytes / 2, bytes - 400, 3_000] {
        let target = target();
        sql("postgres", format!("CREATE DATABASE {target}"));
        let outcome = ended_in_silence(at, &stored, &target, &[]);
        match tables(&target) {
            0 => {}
            _ => {
                assert_same(&dump(&target), &stored.plain);
                assert!(at > bytes / 2 && outcome.err.contains("restored whole"), "{outcome:#?}");
            }
        }
    }
    // What was made for the restore can be reached no more, and is named.
    let target = target();
    ended_in_silence(bytes / 2, &stored, &target, &[]).says(&format!(
        "database \"{target}\" was made for this restore, holds nothing of it or all of it, and could not be removed"
    ));
}

#[test]
fn a_signal_ends_a_restore_by_several_connections_whose_server_has_fallen_silent_and_what_is_left_is_named() {
    let (stored, jobs) = (stored(20_000), ["--jobs", "2"]);
    let (proxy, first) = (to_server(Toxic::Nothing), target());
    over(&proxy, &stored, &first, &jobs).expect(0);
    let bytes = proxy.passed();
    for is_given in [false, true] {
        let target = target();
        if is_given {
            sql("postgres", format!("CREATE DATABASE {target}"));
        }
        ended_in_silence(bytes / 2, &stored, &target, &jobs)
            .says(&format!("database \"{target}\" is left half restored, and could not be removed"));
    }
}

#[test]
fn a_signal_ends_a_restore_at_a_statement_that_takes_hours() {
    let (scene, id) = endless(&[]);
    let run = |port: u16, target: &str| {
        scene.direct().set("DB_PORT", port).args(["restore", &id, "--yes", "--to", target]).start()
    };
    // A server that is far away takes its time for a new connection.
    let far = to_server(LATENCY);
    for port in [cluster().port, far.address.port()] {
        let made = target();
        let running = run(port, &made);
        await_index(&made);
        terminated(running);
        assert!(!exists(&made), "a target is left");
        let given = target();
        sql("postgres", format!("CREATE DATABASE {given}"));
        let running = run(port, &given);
        await_index(&given);
        terminated(running);
        assert_nobody_works_on(&given);
        assert_eq!(tables(&given), 0, "something of the restore is left");
    }
}

#[test]
fn a_signal_ends_a_restore_whose_store_has_fallen_silent() {
    let stored = stored(20_000);
    let run = |endpoint: &str, target: &str, jobs: &str| {
        let run = stored.scene.through(endpoint, 3).set("S3_TIMEOUT", "10m");
        run.args(["restore", &stored.id, "--yes", "--to", target, "--jobs", jobs])
    };
    for jobs in ["1", "2"] {
        let ((proxy, endpoint), first) = (to_store(Toxic::Nothing), target());
        run(&endpoint, &first, jobs).expect(0);
        for at in [proxy.passed() / 2, 200] {
            let ((proxy, endpoint), target) = (to_store(Toxic::Blackhole(at)), target());
            let running = run(&endpoint, &target, jobs).start();
            assert!(until(PATIENCE, || proxy.passed() > at));
            terminated(running);
            assert!(!exists(&target), "a target is left");
        }
    }
}

/// How soon the kernel asks whether the other side is still there, by `ss`, of each connection of a program to the server.
fn keepalives(program: &str) -> Vec<String> {
    let port = format!("127.0.0.1:{}", cluster().port);
    let told = Command::new("ss").args(["-Htnop", "dst", &port]).output().expect("ss");
    let told = String::from_utf8(told.stdout).unwrap();
    let timer = |line: &str| line.split("timer:(").nth(1).unwrap_or("none").split(",0)").next().unwrap().to_owned();
    told.lines().filter(|line| line.contains(program)).map(timer).collect()
}

fn asks_within_a_minute(timer: &str) -> bool {
    let seconds = timer.strip_prefix("keepalive,").and_then(|time| time.strip_suffix("sec"));
    timer == "keepalive,1min" || seconds.is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|time| time <= 60))
}

#[test]
fn a_server_that_vanishes_while_it_works_is_asked_within_a_minute_whether_it_is_there() {
    for (format, jobs, program) in [("plain", "1", "pgbk"), ("custom", "2", "pg_restore")] {
        let (scene, id) = endless(&["--format", format]);
        let target = target();
        let running = scene.direct().args(["restore", &id, "--yes", "--to", &target, "--jobs", jobs]).start();
        await_index(&target);
        let program = if program == "pgbk" { format!("\"pgbk\",pid={},", running.id()) } else { program.to_owned() };
        // Right after an answer the timer is another.
        let asked = until(PATIENCE, || {
            let timers = keepalives(&program);
            !timers.is_empty() && timers.iter().all(|timer| asks_within_a_minute(timer))
        });
        assert!(asked, "{program} {:?}", keepalives(&program));
        terminated(running);
        assert!(!exists(&target), "a target is left");
    }
}
