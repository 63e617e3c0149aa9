//! What looks on while a run is at work.

use crate::console::Console;
use crate::error::Result;
use crate::interrupt;
use crate::lookout::Lookout;
use crate::monitor::Monitor;
use crate::threads;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a run may take to stop after a signal: docker kills after 10 s.
const STOPPING: Duration = Duration::from_secs(6);
/// How long a run may take to stop after its time limit.
const OVERDUE: Duration = Duration::from_secs(60);
/// How much later the process ends, so that this can be told.
const TELLING: Duration = Duration::from_secs(1);

/// Ends the watch when it is dropped.
pub struct Guard<'a>(pub &'a AtomicBool);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Tells what the lookout says, and what the process is about to be ended for.
pub fn tell(over: &AtomicBool, lookout: Option<Lookout>, console: &Console) {
    let mut patience = Patience::default();
    let mut told = false;
    while !over.load(Ordering::Relaxed) {
        if let Some(lookout) = &lookout {
            lookout.tell(console);
        }
        let hangs = patience.is_over(Duration::ZERO).filter(|_| !told);
        if let Some(hangs) = hangs {
            console.warn(hangs);
            told = true;
        }
        std::thread::sleep(interrupt::TICK);
    }
}

/// Ends the process where the ordinary way out hangs: on a server or store that does not answer, or on whatever else. Nothing can hold this
/// up, for it tells nobody and waits for nothing.
pub fn end_what_hangs() -> Result<()> {
    threads::begin("end", || {
        let mut patience = Patience::default();
        while patience.is_over(TELLING).is_none() {
            std::thread::sleep(interrupt::TICK);
        }
        interrupt::insist();
    })?;
    Ok(())
}

#[derive(Default)]
struct Patience {
    /// When the signal was first seen.
    asked: Option<Instant>,
}

impl Patience {
    /// Returns what the run has been given time enough for, and so much more; None while it has some left.
    fn is_over(&mut self, more: Duration) -> Option<&'static str> {
        if interrupt::raised().is_some() && self.asked.get_or_insert_with(Instant::now).elapsed() > STOPPING + more {
            return Some("the run does not stop, and is ended with the scheduler");
        }
        let overdue = interrupt::overdue().is_some_and(|overdue| overdue > OVERDUE + more);
        overdue.then_some("the run does not stop at its RUN_TIMEOUT, and is ended with the scheduler")
    }
}
