//! Bad lines: to the store and to the server, while a backup is made, verified and restored. Whatever becomes of a line, a backup is
//! complete or is none, a database is whole or is not there, and no line makes a good backup look damaged.

mod silence;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::cluster::cluster;
use support::crew::go;
use support::database::{assert_same, dump, exists, sql};
use support::pgbk::{Outcome, Pgbk, connected};
use support::proof;
use support::proxy::{Proxy, Toxic};
use support::s3::seaweedfs;
use support::scene::{Ended, Scene, assert_is_a_failure, assert_nobody_works_on, database};

const LATENCY: Toxic = Toxic::Latency(Duration::from_millis(30));
const SLOW_CLOSE: Toxic = Toxic::SlowClose(Duration::from_millis(700));
/// Too slow for any deadline.
const TRICKLE: Toxic = Toxic::Bandwidth(1_000);

#[derive(Debug, Clone, Copy)]
struct Case {
    toxic: Toxic,
    attempts: usize,
}

/// Every toxic that has a place, at so many places between the first byte and the last.
fn sweep(kinds: &[fn(u64) -> Toxic], bytes: u64, places: u64) -> Vec<Toxic> {
    let edges =
        [0, 1, 100, 500, 1_000, bytes.saturating_sub(1_000), bytes.saturating_sub(200), bytes.saturating_sub(1)];
    let between = (1..places).map(|place| bytes * place / places);
    let all: Vec<u64> = edges.into_iter().chain(between).collect();
    all.iter().flat_map(|at| kinds.iter().map(|kind| kind(*at))).collect()
}

fn cases(toxics: &[Toxic]) -> Vec<Case> {
    [1, 3].into_iter().flat_map(|attempts| toxics.iter().map(move |toxic| Case { toxic: *toxic, attempts })).collect()
}

fn to_store(toxic: Toxic) -> (Proxy, String) {
    let behind = seaweedfs().endpoint.strip_prefix("http://").unwrap().parse().unwrap();
    let proxy = Proxy::start(behind, toxic);
    let endpoint = format!("http://{}", proxy.address);
    (proxy, endpoint)
}

fn to_server(toxic: Toxic) -> Proxy {
    Proxy::start(SocketAddr::from(([127, 0, 0, 1], cluster().port)), toxic)
}

fn small(index: usize) -> String {
    database(&format!("line{index}"), 2_000)
}

fn large(index: usize) -> String {
    database(&format!("lines{index}"), 55_000)
}

/// A line that is gone lets nobody clear up, and the last answer may be lost on it: what is there is a whole backup, or is named by
/// the doctor and cleared up.
fn judge_after_the_end(scene: &Scene, outcome: &Outcome, database: &str) -> Ended {
    assert_nobody_works_on(database);
    scene.direct().args(["verify", "--all", "--level", "content"]).expect(if scene.ids().is_empty() { 4 } else { 0 });
    if outcome.code == Some(0) {
        assert_eq!(scene.ids().len(), 1);
        return Ended::Healed;
    }
    assert_is_a_failure(outcome);
    scene.clear_by_doctor(database);
    Ended::Refused
}

fn backup_over(database: &str, case: &Case) -> Ended {
    let scene = Scene::new();
    let (_proxy, endpoint) = to_store(case.toxic);
    let run = match case.toxic {
        Toxic::Slicer => scene.unhurried(&endpoint, case.attempts),
        _ => scene.through(&endpoint, case.attempts),
    };
    let outcome = run.args(["backup", database]).end();
    match case.toxic {
        Toxic::Down(_) | Toxic::Blackhole(_) | TRICKLE => judge_after_the_end(&scene, &outcome, database),
        _ => scene.judge_backup(&outcome, database),
    }
}

#[test]
fn over_a_bad_line_to_the_store_a_backup_is_complete_or_is_none() {
    let scene = Scene::new();
    let (proxy, endpoint) = to_store(Toxic::Nothing);
    scene.unhurried(&endpoint, 1).args(["backup", &large(9)]).expect(0);
    let kinds = [Toxic::ResetAfter, Toxic::LimitData, Toxic::Down, Toxic::Blackhole];
    let mut toxics = vec![LATENCY, SLOW_CLOSE, TRICKLE, Toxic::Bandwidth(20_000_000)];
    toxics.extend(sweep(&kinds, proxy.passed(), 12));
    let tally = go(&cases(&toxics), 4, large, |database, case| backup_over(database, case));
    proof::counted("network", "the store's line, backup", tally.healed, tally.refused);
    let sliced = go(&cases(&[Toxic::Slicer]), 1, small, |database, case| backup_over(database, case));
    assert_eq!(sliced.refused, 0, "packets of one byte changed something");
    proof::counted("network", "the store's line, backup in packets of one byte", sliced.healed, 0);
}

struct Stored {
    scene: Scene,
    id: String,
    plain: Vec<u8>,
}

fn stored(rows: usize) -> Stored {
    let (scene, name) = (Scene::new(), database("lined", rows));
    let id = scene.direct().backup(&name, &[]);
    Stored { scene, id, plain: dump(&name) }
}

/// Each of these toxics while a backup is read by this run.
fn read(what: &str, rows: usize, more: &[Toxic], run: fn(&Stored, Pgbk) -> Ended) {
    let stored = stored(rows);
    let (proxy, endpoint) = to_store(Toxic::Nothing);
    assert_eq!(run(&stored, stored.scene.unhurried(&endpoint, 1)), Ended::Healed);
    let kinds = [Toxic::ResetAfter, Toxic::LimitData, Toxic::Down, Toxic::Blackhole];
    let toxics: Vec<Toxic> = more.iter().copied().chain(sweep(&kinds, proxy.passed(), 5)).collect();
    let tally = go(
        &cases(&toxics),
        3,
        |_| (),
        |(), case| {
            let (_proxy, endpoint) = to_store(case.toxic);
            run(&stored, stored.scene.through(&endpoint, case.attempts))
        },
    );
    proof::counted("network", what, tally.healed, tally.refused);
}

#[test]
fn over_a_bad_line_to_the_store_nothing_that_is_well_is_called_damaged() {
    read("the store's line, verify", 20_000, &[LATENCY, SLOW_CLOSE, TRICKLE, Toxic::Slicer], |stored, run| {
        let outcome = run.args(["verify", &stored.id, "--level", "content"]).end();
        match outcome.code {
            Some(0) => return Ended::Healed,
            code => assert_eq!(code, Some(1), "{outcome:#?}"),
        }
        assert_is_a_failure(&outcome);
        Ended::Refused
    });
}

/// The same database, or none.
fn judge_restore(outcome: &Outcome, target: &str, plain: &[u8]) -> Ended {
    if outcome.code == Some(0) {
        assert_same(&dump(target), plain);
        sql("postgres", format!("DROP DATABASE {target}"));
        return Ended::Healed;
    }
    assert_is_a_failure(outcome);
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert!(!exists(target), "a target is left: {outcome:#?}");
    Ended::Refused
}

fn target() -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(1);
    format!("line_back{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn over_a_bad_line_to_the_store_a_restore_is_whole_or_is_none() {
    read("the store's line, restore", 3_000, &[LATENCY, SLOW_CLOSE, TRICKLE, Toxic::Slicer], |stored, run| {
        let target = target();
        let outcome = run.args(["restore", &stored.id, "--yes", "--to", &target]).end();
        judge_restore(&outcome, &target, &stored.plain)
    });
}

#[test]
fn over_a_bad_line_to_the_server_a_backup_is_complete_or_is_none() {
    let run = |scene: &Scene, proxy: &Proxy, database: &str| {
        let run = scene.direct().set("DB_PORT", proxy.address.port()).set("DUMP_STALL_TIMEOUT", "2s");
        run.set("RUN_TIMEOUT", "8s").args(["backup", database]).end()
    };
    let (scene, proxy) = (Scene::new(), to_server(Toxic::Nothing));
    assert_eq!(run(&scene, &proxy, &small(9)).code, Some(0));
    let kinds = [Toxic::ResetAfter, Toxic::LimitData, Toxic::Down, Toxic::Blackhole];
    let mut toxics = vec![LATENCY, SLOW_CLOSE, TRICKLE, Toxic::Slicer];
    toxics.extend(sweep(&kinds, proxy.passed(), 6));
    let tally = go(&toxics, 4, small, |database, toxic| {
        let (scene, proxy) = (Scene::new(), to_server(*toxic));
        let outcome = run(&scene, &proxy, database);
        // The server learns of the end of a session once its line is.
        drop(proxy);
        scene.judge_backup(&outcome, database)
    });
    proof::counted("network", "the server's line, backup", tally.healed, tally.refused);
}

#[test]
fn over_a_bad_line_to_the_server_a_restore_is_whole_or_is_none() {
    let stored = stored(2_000);
    let run = |proxy: &Proxy, target: &str| {
        let run = stored.scene.direct().set("DB_PORT", proxy.address.port());
        run.args(["restore", &stored.id, "--yes", "--to", target]).end()
    };
    let proxy = to_server(Toxic::Nothing);
    let first = target();
    assert_eq!(judge_restore(&run(&proxy, &first), &first, &stored.plain), Ended::Healed);
    let mut toxics = vec![LATENCY, SLOW_CLOSE, Toxic::Slicer, Toxic::Bandwidth(2_000_000)];
    toxics.extend(sweep(&[Toxic::ResetAfter, Toxic::LimitData], proxy.passed(), 10));
    let tally = go(
        &toxics,
        3,
        |_| (),
        |(), toxic| {
            let (proxy, target) = (to_server(*toxic), target());
            judge_restore(&run(&proxy, &target), &target, &stored.plain)
        },
    );
    proof::counted("network", "the server's line, restore", tally.healed, tally.refused);
}

#[test]
fn a_name_that_nobody_knows_is_told_at_once_and_leaves_nothing() {
    let scene = Scene::new();
    let name = small(8);
    let outcome = scene.through("http://no-such-host.invalid:9000", 1).args(["backup", &name]).expect(1);
    assert!(outcome.err.contains("no-such-host.invalid:9000") && outcome.err.contains("hint:"), "{outcome:#?}");
    assert_eq!(scene.judge_backup(&outcome, &name), Ended::Refused);
    let outcome = connected().key().set("STORE_DIR", "/nonexistent/x").set("DB_HOST", "no-such-host.invalid");
    outcome.args(["backup", &name]).expect(1).says("no-such-host.invalid").says("hint:");
}
