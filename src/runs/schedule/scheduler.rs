//! Waits for what is due, starts it, and tries again what failed. It knows when a run begins, and not what a run does.

#[cfg(test)]
mod tests;

use crate::base::cancel;
use crate::base::databases::Databases;
use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::runs::schedule::planner::PlannerStep;
use crate::runs::schedule::planner::{DueRun, Planner};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::time::Duration;

/// Interval between two checks of the clock on the wall, which may be set while nothing happens.
const LOOK: Duration = Duration::from_secs(1);

/// Does the work that the scheduler starts.
pub trait ScheduledWork {
    /// Receives, at every check of the clock, when each job begins next, in the order of the jobs.
    fn ahead(&mut self, next: &[Option<Timestamp>], now: Timestamp);
    /// Returns a run that is due for another reason than its schedule. `None`: there is none.
    fn due_besides(&mut self, now: Timestamp) -> Option<DueRun>;
    fn run(&mut self, start: &DueRun) -> Result<RunResult>;
    /// Receives how many runs came due while this one was going.
    fn skipped(&mut self, start: &DueRun, count: usize) -> Result<()>;
}

/// The result of a run.
pub struct RunResult {
    /// Databases that failed and are worth another try; `None` if there are none.
    pub again: Option<Databases>,
    /// Exit code that the run alone would have.
    pub code: u8,
}

pub enum End {
    Signal(i32),
    /// Exit code of the one run, with `once`.
    Once(u8),
    /// No schedule comes again.
    Over,
}

pub struct Scheduler<'a> {
    pub planner: Planner,
    pub once: bool,
    pub zone: TimeZone,
    pub clock: &'a dyn Fn() -> Timestamp,
    /// Sleeps for at most this long.
    pub wait: &'a dyn Fn(Duration),
    pub monitor: &'a dyn Monitor,
}

impl Scheduler<'_> {
    pub fn run(&mut self, work: &mut dyn ScheduledWork) -> Result<End> {
        let mut announced = None;
        loop {
            if let Some(signal) = cancel::raised() {
                return Ok(End::Signal(signal));
            }
            let now = (self.clock)();
            if let Some(back) = self.planner.follow(now) {
                self.monitor.warn(&format!("the clock went back by {back:#}: what is due is counted anew"));
            }
            let step = self.planner.step(now);
            work.ahead(&self.planner.next(), now);
            match step {
                PlannerStep::Over => return Ok(End::Over),
                PlannerStep::Wait(at) => {
                    if let Some(start) = work.due_besides(now) {
                        // No schedule waits for its end: whoever asked for it asks again.
                        work.run(&start)?;
                        continue;
                    }
                    if announced.replace(at) != Some(at) {
                        self.monitor.info(&format!("the next run begins at {}", self.local(at)));
                    }
                    let left = Duration::try_from(at.duration_since(now)).unwrap_or_default();
                    (self.wait)(left.min(LOOK));
                }
                PlannerStep::Run(start) => {
                    let worked = self.start(&start, work)?;
                    if self.once {
                        return Ok(End::Once(worked));
                    }
                }
            }
        }
    }

    fn start(&mut self, start: &DueRun, work: &mut dyn ScheduledWork) -> Result<u8> {
        let worked = work.run(start)?;
        let ended = self.planner.ended(start, worked.again, (self.clock)());
        if ended.skipped > 0 {
            work.skipped(start, ended.skipped)?;
        }
        if let Some((at, databases)) = ended.again.filter(|_| !self.once) {
            self.monitor.info(&format!("{databases}: the next try begins at {}", self.local(at)));
        }
        Ok(worked.code)
    }

    fn local(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%F %T %:z").to_string()
    }
}
