//! Signals, turned into an ordinary error at the next safe point.
//!
//! The first SIGINT or SIGTERM asks the run to stop: children are killed and uploads aborted on the way out. The second ends
//! the process at once. A time limit on a run stops it the same way.

use crate::base::error::{Fault, Kind, Result};
use rustix::event::Timespec;
use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::cell::RefCell;
use std::marker::PhantomData;
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

/// Returns an error once a signal has come, or the time of the work that this thread does is over.
pub(crate) fn check() -> Result<()> {
    match (raised(), CANCEL.with_borrow(Cancel::over)) {
        (Some(number), _) => Err(fault(number).into()),
        (None, Some(limit)) => Err(too_long(limit).into()),
        (None, None) => Ok(()),
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

/// Waits for this time. A signal, or the end of this thread's work, ends the wait with an error.
pub(crate) fn rest(time: Duration) -> Result<()> {
    let begun = Instant::now();
    while let Some(left) = time.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
        check()?;
        wait(left.min(TICK));
    }
    check()
}

thread_local! {
    static CANCEL: RefCell<Cancel> = RefCell::default();
}

/// The time limits that a thread's work heeds, besides signals. A thread begins with those of the thread that began it, so two jobs of
/// one process do not stop each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cancel(Option<Arc<Deadline>>);

#[derive(Debug)]
struct Deadline {
    begun: Instant,
    limit: Duration,
    /// Set when nobody wants the work any more.
    stopped: AtomicBool,
    /// Holds the limits of the work that this is a part of.
    outer: Cancel,
}

/// The limit of work that only its [`Stopper`] ends.
const UNTIL_STOPPED: Duration = Duration::MAX;

/// Stops the work of other threads when it is dropped.
#[derive(Debug)]
pub(crate) struct Stopper(Arc<Deadline>);

impl Drop for Stopper {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }
}

/// Keeps limits in force on this thread. Dropping it brings back those that were in force before.
#[derive(Debug)]
pub(crate) struct LimitGuard {
    before: Cancel,
    /// The limit belongs to the thread.
    _stays: PhantomData<*const ()>,
}

impl Cancel {
    /// Returns the limits of this thread's work.
    pub fn of_thread() -> Cancel {
        CANCEL.with_borrow(Cancel::clone)
    }

    /// Returns these limits, and one more that begins now; `None` adds no limit.
    pub fn child(self, limit: Option<Duration>) -> Cancel {
        match limit {
            Some(limit) => Cancel(Some(self.deadline(limit))),
            None => self,
        }
    }

    /// Returns these limits for the work of other threads, which also ends when what is returned with them is dropped.
    pub fn stoppable(self) -> (Cancel, Stopper) {
        let deadline = self.deadline(UNTIL_STOPPED);
        (Cancel(Some(Arc::clone(&deadline))), Stopper(deadline))
    }

    fn deadline(self, limit: Duration) -> Arc<Deadline> {
        Arc::new(Deadline { begun: Instant::now(), limit, stopped: AtomicBool::new(false), outer: self })
    }

    /// Puts these limits in force on this thread.
    pub fn enter(self) -> LimitGuard {
        LimitGuard { before: CANCEL.replace(self), _stays: PhantomData }
    }

    /// Returns the innermost limit that is over; `None` if there is time left.
    fn over(&self) -> Option<Duration> {
        let deadline = self.0.as_ref()?;
        let over = deadline.stopped.load(Ordering::Relaxed) || deadline.begun.elapsed() >= deadline.limit;
        if over { Some(deadline.limit) } else { deadline.outer.over() }
    }
}

impl Drop for LimitGuard {
    fn drop(&mut self) {
        CANCEL.set(std::mem::take(&mut self.before));
    }
}

/// The time limits of the runs that are going on.
static RUNS: Mutex<Vec<Arc<Deadline>>> = Mutex::new(Vec::new());

fn runs() -> MutexGuard<'static, Vec<Arc<Deadline>>> {
    RUNS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the time limit of a run in force on this thread and on those that it begins. Dropping it lifts the limit.
pub(crate) struct Limit {
    /// `None` for a run without a limit.
    run: Option<Arc<Deadline>>,
    _entered: LimitGuard,
}

/// Gives the run that begins now a time limit; `None` gives it none.
pub(crate) fn limit(time: Option<Duration>) -> Limit {
    let cancel = Cancel::of_thread().child(time);
    let run = cancel.0.clone().filter(|_| time.is_some());
    runs().extend(run.clone());
    Limit { run, _entered: cancel.enter() }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // A thread that outlives the run, as it waits for a server that is silent, keeps the limit, and the run is over all the same.
        let is_this = |run: &Arc<Deadline>| self.run.as_ref().is_some_and(|own| Arc::ptr_eq(run, own));
        runs().retain(|run| !is_this(run));
    }
}

/// Returns by how much the most belated run has exceeded its limit; `None` if no run has.
pub(crate) fn overdue() -> Option<Duration> {
    runs().iter().filter_map(|run| run.begun.elapsed().checked_sub(run.limit)).max()
}

fn too_long(limit: Duration) -> Fault {
    if limit == UNTIL_STOPPED {
        return Fault::failed("other work that belongs to it has failed");
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::worker::Worker;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_run_that_is_over_stops_its_own_threads_and_no_other_run() {
        let (over, told) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || {
            let _limit = limit(Some(LONG));
            told.recv().unwrap();
            (check().is_ok(), Worker::begin(|| check().is_ok()).end().unwrap())
        });
        let ended = limit(Some(Duration::ZERO));
        assert!(check().unwrap_err().to_string().contains("its limit of 0 s"));
        // A worker's result is not waited for by whoever is stopped.
        assert_eq!(Worker::begin(|| check().is_err()).within(LONG).unwrap(), Some(true));
        over.send(()).unwrap();
        assert_eq!(other.join().unwrap(), (true, true));
        drop(ended);
        assert!(check().is_ok());
    }

    #[test]
    fn a_part_of_a_run_has_what_is_left_of_the_runs_time_at_most() {
        let run = Cancel::default().child(Some(Duration::ZERO));
        assert_eq!(run.clone().child(Some(LONG)).over(), Some(Duration::ZERO));
        assert_eq!(run.child(None).over(), Some(Duration::ZERO));
        let run = Cancel::default().child(Some(LONG));
        assert_eq!((run.clone().child(Some(Duration::ZERO)).over(), run.over()), (Some(Duration::ZERO), None));
    }

    #[test]
    fn work_whose_stopper_is_gone_is_over_and_what_it_is_a_part_of_is_not() {
        let run = Cancel::default().child(Some(LONG));
        let (part, stopper) = run.clone().stoppable();
        assert_eq!(part.over(), None);
        drop(stopper);
        assert_eq!((part.over().is_some(), run.over()), (true, None));
    }

    #[test]
    fn the_most_belated_run_is_the_one_that_is_overdue() {
        let late = limit(Some(Duration::ZERO));
        let _early = limit(Some(LONG));
        assert!(overdue().is_some());
        drop(late);
    }

    #[test]
    fn a_run_that_has_ended_is_not_overdue_though_a_thread_of_it_goes_on() {
        let limit = limit(Some(Duration::ZERO));
        let run = limit.run.clone().unwrap();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let outlives = Worker::begin(move || ended.recv().is_err());
        let is_going = || runs().iter().any(|one| Arc::ptr_eq(one, &run));
        assert!(is_going());
        drop(limit);
        assert!(!is_going());
        drop(end);
        assert!(outlives.within(LONG).unwrap().unwrap());
    }
}
