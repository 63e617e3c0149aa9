//! Every request of a run, failed in every way.

use super::fault::{ALL, Fault};
use super::host::Host;
use support::crew::{Tally, go};
use support::fake::Fake;
use support::proof;
use support::s3::seaweedfs;
use support::scene::{Ended, Scene, assert_is_a_failure, database};

/// What is failed: the nth request, in this way, with so many tries.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub fault: Fault,
    pub nth: usize,
    pub attempts: usize,
}

/// Every fault at each of so many requests: where one try has to do, and where more may heal it.
pub fn cases(requests: usize, attempts: &[usize]) -> Vec<Case> {
    let mut cases = Vec::new();
    for attempts in attempts.iter().copied() {
        for nth in 1..=requests {
            cases.extend(ALL.map(|fault| Case { fault, nth, attempts }));
        }
    }
    cases
}

pub fn count(what: &str, tally: Tally) {
    proof::counted("faults", what, tally.healed, tally.refused);
}

/// How many runs are tried for one request: now and then a run makes one fewer than the first did.
const MOST_TRIES: usize = 20;

/// Fails the request of the case in a run that makes so many.
fn fail_one(case: &Case, run: impl Fn(&Host) -> Ended) -> Ended {
    for _ in 0..MOST_TRIES {
        let host = Host::spoiling(&seaweedfs().endpoint, case.nth, case.fault);
        let ended = run(&host);
        if host.fired() {
            return ended;
        }
    }
    panic!("of {MOST_TRIES} runs none made this request")
}

fn worker(index: usize) -> String {
    database(&format!("faults{index}"), 55_000)
}

fn backup(database: &str, host: &Host, attempts: usize) -> Ended {
    let scene = Scene::new();
    let outcome = scene.through(&host.endpoint, attempts).args(["backup", database, "--jobs", "2"]).end();
    scene.judge_backup(&outcome, database)
}

/// While nothing fails.
fn whole(database: &str, host: &Host) -> Ended {
    let scene = Scene::new();
    let outcome = scene.unhurried(&host.endpoint, 1).args(["backup", database, "--jobs", "2"]).end();
    scene.judge_backup(&outcome, database)
}

#[test]
fn whichever_request_of_a_backup_fails_it_is_complete_or_leaves_nothing() {
    let behind = &seaweedfs().endpoint;
    let host = Host::transparent(behind);
    assert_eq!(whole(&worker(9), &host), Ended::Healed);
    let requests = host.asked();
    assert!(requests >= 8, "only {requests} requests");
    let tally = go(&cases(requests, &[1, 3]), 8, worker, |database, case| {
        fail_one(case, |host| backup(database, host, case.attempts))
    });
    count("requests of a backup", tally);
    // One more than there are: nothing is left to fail.
    let host = Host::spoiling(behind, requests + 1, Fault::Reset);
    assert_eq!((whole(&worker(9), &host), host.fired()), (Ended::Healed, false));
}

/// Its dump is cut short, so that what was begun has to be taken back.
#[test]
fn whichever_request_of_a_backup_that_fails_anyway_fails_too_nothing_is_published() {
    let behind = &seaweedfs().endpoint;
    let fake = Fake::new("\"$REAL\" \"$@\" | head -n -8; exit 0");
    let failing = |database: &str, host: &Host, attempts: usize, fault: Option<Fault>| {
        let scene = Scene::new();
        let run = scene.through(&host.endpoint, attempts).set("PG_BIN_DIR", fake.bin().display());
        let outcome = run.args(["backup", database]).end();
        assert_is_a_failure(&outcome);
        // Told that the upload is gone, nobody can do more.
        if matches!(fault, Some(Fault::Page | Fault::Ignored | Fault::Rejected(404, _))) {
            scene.clear_by_doctor(database);
        }
        scene.judge_backup(&outcome, database)
    };
    let host = Host::transparent(behind);
    failing(&worker(9), &host, 1, None);
    let tally = go(&cases(host.asked(), &[3]), 2, worker, |database, case| {
        fail_one(case, |host| failing(database, host, case.attempts, Some(case.fault)))
    });
    count("requests of a backup that fails anyway", tally);
}
