//! Signals, turned into an ordinary error at the next safe point.
//!
//! The first SIGINT or SIGTERM asks the run to stop: children are killed and uploads aborted on the way out. The second ends
//! the process at once.

use crate::error::{Fault, Kind, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// How often a blocked wait looks up to see whether it should stop.
pub const TICK: Duration = Duration::from_millis(100);

static SIGNAL: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// Installs the handlers; call once, before any thread starts.
pub fn install() -> Result<()> {
    let signal = SIGNAL.get_or_init(|| Arc::new(AtomicUsize::new(0)));
    let asked = Arc::new(AtomicBool::new(false));
    for number in [SIGINT, SIGTERM, SIGHUP] {
        // The order matters: the shutdown is armed by the flag that the second registration sets.
        signal_hook::flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&asked))?;
        signal_hook::flag::register(number, Arc::clone(&asked))?;
        signal_hook::flag::register_usize(number, Arc::clone(signal), number as usize)?;
    }
    Ok(())
}

/// The signal that asked the run to stop, if one did.
pub fn raised() -> Option<i32> {
    let number = SIGNAL.get()?.load(Ordering::Relaxed);
    (number != 0).then_some(number as i32)
}

/// An error once a signal has come.
pub fn check() -> Result<()> {
    match raised() {
        None => Ok(()),
        Some(number) => Err(fault(number).into()),
    }
}

pub fn fault(number: i32) -> Fault {
    Fault::new(Kind::Interrupted(number), format!("interrupted by signal {number}"))
}
