//! Signals, turned into an ordinary error at the next safe point.
//!
//! The first SIGINT or SIGTERM asks the run to stop: children are killed and uploads aborted on the way out. The second ends
//! the process at once. A time limit on a run stops it the same way.

use crate::error::{Fault, Kind, Result};
use rustix::event::Timespec;
use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How often a blocked wait looks up to see whether it should stop.
pub const TICK: Duration = Duration::from_millis(100);

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

/// Whether whoever started this process had the signal ignored. Ask before a handler is installed.
pub fn is_ignored(number: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    number > 0 && ignored >> (number - 1) & 1 == 1
}

/// The signal that asked the run to stop, if one did.
pub fn raised() -> Option<i32> {
    let number = SIGNAL.get()?.load(Ordering::Relaxed);
    (number != 0).then_some(number as i32)
}

/// An error once a signal has come, or the time of [`limit`] is over.
pub fn check() -> Result<()> {
    match (raised(), *running()) {
        (Some(number), _) => Err(fault(number).into()),
        (None, Some(Running { begun, limit })) if begun.elapsed() >= limit => Err(too_long(limit).into()),
        (None, _) => Ok(()),
    }
}

pub fn fault(number: i32) -> Fault {
    Fault::new(Kind::Interrupted(number), format!("interrupted by signal {number}"))
}

/// Sleeps, but not beyond a signal that this thread gets.
pub fn wait(time: Duration) {
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

/// As long as this value lives, the process is in a run that may take so long. There is one at a time.
pub struct Limit(());

pub fn limit(time: Option<Duration>) -> Limit {
    *running() = time.map(|limit| Running { begun: Instant::now(), limit });
    Limit(())
}

impl Drop for Limit {
    fn drop(&mut self) {
        *running() = None;
    }
}

/// How long a run goes on although its limit is over.
pub fn overdue() -> Option<Duration> {
    running().and_then(|Running { begun, limit }| begun.elapsed().checked_sub(limit))
}

fn too_long(limit: Duration) -> Fault {
    Fault::failed(format!("the run was stopped after its limit of {} s", limit.as_secs()))
        .hint("RUN_TIMEOUT sets the limit")
}

/// Ends the process as a second signal would: for a run that neither a signal nor its limit can stop.
pub fn insist() {
    let signal = if is_ignored(SIGTERM) { Signal::KILL } else { Signal::TERM };
    loop {
        // The first may be the one that arms the handlers. Only a process that may not signal itself could fail here.
        let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
        std::thread::sleep(TICK);
    }
}
