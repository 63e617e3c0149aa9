//! The matrix that Doubletake is tried with before a release: each combination of 32 forms of a dump, 8 ways to speak to S3
//! and 3 kinds of buckets is backed up and restored, against a real server and a real host, and compared with its source.

mod cell;
mod cycle;
mod stored;
mod wire;

use cell::{BUCKETS, Cell, WHOLE, all, sample};
use cycle::{Ground, Worker};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::proof;

/// A cycle waits now and then, so that two cores have something to do for three.
const WORKERS: usize = 3;

#[derive(Default)]
struct Tried {
    passed: Vec<Cell>,
    failed: Vec<String>,
    removals_refused: usize,
}

#[test]
fn every_combination_comes_back_as_it_was_and_every_setting_shows() {
    let sample = sample();
    let cells = if proof::size(sample.len(), WHOLE) == WHOLE { all() } else { sample };
    let tried = run(&cells);
    assert!(tried.failed.is_empty(), "{} of {}: {:#?}", tried.failed.len(), cells.len(), tried.failed);
    for bucket in BUCKETS {
        let passed = tried.passed.iter().filter(|cell| cell.bucket == bucket).count();
        proof::counted("combinations", &format!("backup and restore, {} bucket", bucket.name()), passed, 0);
    }
    let locked = tried.passed.iter().filter(|cell| cell.locks()).count();
    assert_eq!(tried.removals_refused, 2 * locked);
    proof::counted("combinations", "removal of what its headers locked", 0, tried.removals_refused);
}

fn run(cells: &[Cell]) -> Tried {
    let ground = Ground::new();
    let (next, tried) = (AtomicUsize::new(0), Mutex::new(Tried::default()));
    std::thread::scope(|scope| {
        for number in 0..WORKERS {
            let (ground, next, tried) = (&ground, &next, &tried);
            scope.spawn(move || {
                let mut worker = Worker::new(ground, number);
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(cell) = cells.get(at) else { return };
                    // One that fails says so on its thread, and the others are still tried.
                    let cycle = catch_unwind(AssertUnwindSafe(|| worker.cycle(at, cell)));
                    let mut tried = tried.lock().unwrap();
                    match cycle {
                        Ok(refused) => {
                            tried.passed.push(*cell);
                            tried.removals_refused += refused;
                        }
                        Err(_) => tried.failed.push(cell.to_string()),
                    }
                }
            });
        }
    });
    tried.into_inner().unwrap()
}

#[test]
fn the_whole_has_every_combination_once_and_the_sample_every_two_values_together() {
    let all = all();
    assert_eq!(all.len(), 32 * 8 * 3);
    assert_eq!(all.iter().map(Cell::to_string).collect::<BTreeSet<_>>().len(), all.len());
    let sample = sample();
    let pairs = |cells: &[Cell]| cells.iter().flat_map(Cell::pairs).collect::<BTreeSet<_>>();
    // 28 pairs of two switches, and 8 of a switch and the bucket.
    assert_eq!(pairs(&all).len(), 28 * 4 + 8 * 6);
    assert_eq!(pairs(&sample), pairs(&all));
    assert!((6..=16).contains(&sample.len()), "{} cells", sample.len());
}
