//! Signals, turned into an ordinary error at the next safe point.
//!
//! The first SIGINT or SIGTERM asks the run to stop: children are killed and uploads aborted on the way out. The second ends
//! the process at once. A time limit on a run stops it the same way.

use crate::base::error::{Fault, Kind, Result};
use rustix::event::Timespec;
use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How often a blocked wait checks whether it should stop.
pub(crate) const TICK: Duration = Duration::from_millis(100);

static SIGNAL: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// Installs the handlers; call once, before any thread starts.
pub fn install() -> Result<()> {
    let signal = SIGNAL.get_or_init(|| Arc::new(AtomicUsize::new(0)));
    let asked = Arc::new(AtomicBool::new(false));
    // What is ignored at the start stays so: `nohup` means that the end of the terminal is not the end of the run.
    for number in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|number| !is_ignored(*number)) {
        // The order matters: the shutdown is armed by the flag that the second registration sets.
        signal_hook::flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&asked))?;
        signal_hook::flag::register(number, Arc::clone(&asked))?;
        signal_hook::flag::register_usize(number, Arc::clone(signal), number as usize)?;
    }
    // Without a handler a file that grows beyond `ulimit -f` ends the process where it stands; with one the write fails.
    signal_hook::flag::register(Signal::XFSZ.as_raw(), Arc::default())?;
    Ok(())
}

/// Returns whether the signal was ignored when this process started. Call it before a handler is installed.
pub(crate) fn is_ignored(number: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    number > 0 && ignored >> (number - 1) & 1 == 1
}

/// Returns the signal that asked the run to stop. `None`: there was none.
pub(crate) fn raised() -> Option<i32> {
    let number = SIGNAL.get()?.load(Ordering::Relaxed);
    (number != 0).then_some(number as i32)
}

/// Returns an error once a signal has come or the time of [`limit`] is over.
pub(crate) fn check() -> Result<()> {
    match (raised(), *running()) {
        (Some(number), _) => Err(fault(number).into()),
        (None, Some(Running { begun, limit })) if begun.elapsed() >= limit => Err(too_long(limit).into()),
        (None, _) => Ok(()),
    }
}

pub(crate) fn fault(number: i32) -> Fault {
    Fault::new(Kind::Interrupted(number), format!("interrupted by signal {number}"))
}

/// Sleeps for this time, or until this thread gets a signal.
pub(crate) fn wait(time: Duration) {
    let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
    // An early end is what the caller looks for itself.
    let _ = rustix::event::poll(&mut [], Some(&time));
}

static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

#[derive(Clone, Copy)]
struct Running {
    begun: Instant,
    limit: Duration,
}

fn running() -> MutexGuard<'static, Option<Running>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time limit of the current run; dropping it lifts the limit. It is process-wide: a second call of [`limit`] replaces the
/// first one's limit, and the first of the two values to be dropped lifts it.
pub(crate) struct Limit(());

pub(crate) fn limit(time: Option<Duration>) -> Limit {
    *running() = time.map(|limit| Running { begun: Instant::now(), limit });
    Limit(())
}

impl Drop for Limit {
    fn drop(&mut self) {
        *running() = None;
    }
}

/// Returns by how much the run has exceeded its limit. `None`: there is no limit, or it is not reached yet.
pub(crate) fn overdue() -> Option<Duration> {
    running().and_then(|Running { begun, limit }| begun.elapsed().checked_sub(limit))
}

fn too_long(limit: Duration) -> Fault {
    Fault::failed(format!("the run was stopped after its limit of {} s", limit.as_secs()))
        .hint("RUN_TIMEOUT sets the limit")
}

/// Ends the process as a second signal would: for a run that neither a signal nor its limit can stop.
pub(crate) fn insist() {
    let signal = if is_ignored(SIGTERM) { Signal::KILL } else { Signal::TERM };
    loop {
        // The first may be the one that arms the handlers. Only a process that may not signal itself could fail here.
        let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
        std::thread::sleep(TICK);
    }
}
