//! Several workers that go through a list of cases, and tell of every one that failed.

use crate::proof;
use crate::scene::Ended;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

/// A server has two cores for all of them.
const WORKERS: usize = 2;

/// How often runs ended well and were refused.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub healed: usize,
    pub refused: usize,
}

/// Tries all of the cases in a proof and so many else, spread evenly over the list. Each worker has a thing of its own to work with.
pub fn go<C: std::fmt::Debug + Sync, T>(
    cases: &[C],
    sample: usize,
    tool: impl Fn(usize) -> T + Sync,
    run: impl Fn(&T, &C) -> Ended + Sync,
) -> Tally {
    let count = proof::size(sample, cases.len()).min(cases.len());
    let chosen: Vec<&C> = (0..count).map(|index| &cases[index * cases.len() / count]).collect();
    let next = Mutex::new(chosen.iter());
    let (tally, failures) = (Mutex::new(Tally::default()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (next, tally, failures, tool, run) = (&next, &tally, &failures, &tool, &run);
            scope.spawn(move || {
                let tool = tool(worker);
                loop {
                    let Some(case) = next.lock().unwrap().next() else { return };
                    match catch_unwind(AssertUnwindSafe(|| run(&tool, case))) {
                        Ok(Ended::Healed) => tally.lock().unwrap().healed += 1,
                        Ok(Ended::Refused) => tally.lock().unwrap().refused += 1,
                        Err(panic) => failures.lock().unwrap().push(format!("{case:?}: {}", text(&*panic))),
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {count} cases failed:\n{}", failures.len(), failures.join("\n"));
    let tally = tally.into_inner().unwrap();
    assert_eq!(tally.healed + tally.refused, count);
    tally
}

fn text(panic: &(dyn std::any::Any + Send)) -> String {
    let owned = panic.downcast_ref::<String>().cloned();
    owned.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
