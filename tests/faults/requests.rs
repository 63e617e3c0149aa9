//! Every request of a run, failed in every way.

use super::crew::{Tally, go};
use super::fault::{ALL, Fault};
use super::host::Host;
use super::scene::{Ended, Scene, assert_is_a_failure, assert_nobody_works_on, database};
use crate::support::fake::Fake;
use crate::support::proof;
use crate::support::s3::seaweedfs;

/// What is failed: the nth request, in this way, with so many tries.
#[derive(Debug, Clone, Copy)]
struct Case {
    fault: Fault,
    nth: usize,
    attempts: usize,
}

/// Every fault at each of so many requests, where one try has to do and where more may heal it.
fn cases(requests: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    for attempts in [1, 3] {
        for nth in 1..=requests {
            cases.extend(ALL.map(|fault| Case { fault, nth, attempts }));
        }
    }
    cases
}

fn count(what: &str, tally: Tally) {
    proof::counted("faults", what, tally.healed, tally.refused);
}

fn worker(index: usize) -> String {
    database(&format!("faults{index}"), 55_000)
}

fn backup(database: &str, host: &Host, attempts: usize) -> Ended {
    let scene = Scene::new();
    let outcome = scene.through(&host.endpoint, attempts).args(["backup", database]).end();
    scene.judge_backup(&outcome, database)
}

#[test]
fn whichever_request_of_a_backup_fails_it_is_complete_or_leaves_nothing() {
    let behind = &seaweedfs().endpoint;
    let host = Host::transparent(behind);
    assert_eq!(backup(&worker(9), &host, 1), Ended::Healed);
    let requests = host.asked();
    assert!(requests >= 8, "only {requests} requests");
    let tally = go(&cases(requests), 14, worker, |database, case| {
        let host = Host::spoiling(behind, case.nth, case.fault);
        let ended = backup(database, &host, case.attempts);
        assert!(host.fired(), "there was no such request");
        ended
    });
    count("requests of a backup", tally);
    // One more than there are: nothing is left to fail.
    let host = Host::spoiling(behind, requests + 1, Fault::Reset);
    assert_eq!((backup(&worker(9), &host, 1), host.fired()), (Ended::Healed, false));
}
