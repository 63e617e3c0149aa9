//! Watches a run from other threads, and ends the process if the run hangs.

use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::base::{cancel, threads};
use crate::cli::console::Console;
use crate::monitoring::publisher::Publisher;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a run may take to stop after a signal: docker kills after 10 s.
const STOPPING: Duration = Duration::from_secs(6);
/// How long a run may take to stop after its time limit.
const OVERDUE: Duration = Duration::from_secs(60);
/// How much later the process ends, so that there is time to log the reason.
const TELLING: Duration = Duration::from_secs(1);

/// Ends the watch when it is dropped.
pub struct Guard<'a>(pub &'a AtomicBool);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Logs what the publisher has to say, and once the reason why the process is about to be ended. Returns when `over` is set.
pub fn tell(over: &AtomicBool, publisher: Option<Publisher>, console: &Console) {
    let mut patience = StopDeadline::default();
    let mut told = false;
    while !over.load(Ordering::Relaxed) {
        if let Some(publisher) = &publisher {
            publisher.tell(console);
        }
        let hangs = patience.is_over(Duration::ZERO).filter(|_| !told);
        if let Some(hangs) = hangs {
            console.warn(hangs);
            told = true;
        }
        std::thread::sleep(cancel::TICK);
    }
}

/// Starts a thread that ends the process if the ordinary way out hangs, on a server or store that does not answer or
/// on anything else. Nothing can hold this thread up, as it logs nothing and waits for nothing.
pub fn end_what_hangs() -> Result<()> {
    threads::begin("end", || {
        let mut patience = StopDeadline::default();
        while patience.is_over(TELLING).is_none() {
            std::thread::sleep(cancel::TICK);
        }
        cancel::insist();
    })?;
    Ok(())
}

#[derive(Default)]
struct StopDeadline {
    /// When the signal was first seen.
    asked: Option<Instant>,
}

impl StopDeadline {
    /// Returns the reason to end the run once its time to stop, and `more`, is over. None: no signal or time limit
    /// has come, or some time is left.
    fn is_over(&mut self, more: Duration) -> Option<&'static str> {
        if cancel::raised().is_some() && self.asked.get_or_insert_with(Instant::now).elapsed() > STOPPING + more {
            return Some("the run does not stop, and is ended with the scheduler");
        }
        let overdue = cancel::overdue().is_some_and(|overdue| overdue > OVERDUE + more);
        overdue.then_some("the run does not stop at its RUN_TIMEOUT, and is ended with the scheduler")
    }
}
