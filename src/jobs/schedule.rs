//! Waits for what is due, starts it, and tries again what failed. It knows when; what a run is, it does not know.

mod agenda;

pub use agenda::{Agenda, Job, Options, Start};

use crate::databases::Databases;
use crate::error::Result;
use crate::interrupt;
use crate::monitor::Monitor;
use agenda::Step;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::time::Duration;

/// The clock on the wall may be set while nothing happens, so that it is looked at this often.
const LOOK: Duration = Duration::from_secs(1);

/// What the scheduler starts.
pub trait Work {
    /// At every look at the clock: when each job begins next, in the order of the jobs.
    fn ahead(&mut self, next: &[Option<Timestamp>], now: Timestamp);
    fn run(&mut self, start: &Start) -> Result<Worked>;
    /// So many runs came due while this one was going.
    fn skipped(&mut self, start: &Start, count: usize) -> Result<()>;
}

/// How a run ended.
pub struct Worked {
    /// What failed and is worth another try.
    pub again: Option<Databases>,
    /// The exit code that the run alone would have.
    pub code: u8,
}

pub enum End {
    Signal(i32),
    /// With `once`: the exit code of the one run.
    Once(u8),
    /// No schedule comes again.
    Over,
}

pub struct Scheduler<'a> {
    pub agenda: Agenda,
    pub once: bool,
    pub zone: TimeZone,
    pub clock: &'a dyn Fn() -> Timestamp,
    /// Sleeps up to so long.
    pub wait: &'a dyn Fn(Duration),
    pub monitor: &'a dyn Monitor,
}

impl Scheduler<'_> {
    pub fn run(&mut self, work: &mut dyn Work) -> Result<End> {
        let mut announced = None;
        loop {
            if let Some(signal) = interrupt::raised() {
                return Ok(End::Signal(signal));
            }
            let now = (self.clock)();
            if let Some(back) = self.agenda.follow(now) {
                self.monitor.warn(&format!("the clock went back by {back:#}: what is due is counted anew"));
            }
            let step = self.agenda.step(now);
            work.ahead(&self.agenda.next(), now);
            match step {
                Step::Over => return Ok(End::Over),
                Step::Wait(at) => {
                    if announced.replace(at) != Some(at) {
                        self.monitor.info(&format!("the next run begins at {}", self.local(at)));
                    }
                    let left = Duration::try_from(at.duration_since(now)).unwrap_or_default();
                    (self.wait)(left.min(LOOK));
                }
                Step::Start(start) => {
                    let worked = self.start(&start, work)?;
                    if self.once {
                        return Ok(End::Once(worked));
                    }
                }
            }
        }
    }

    fn start(&mut self, start: &Start, work: &mut dyn Work) -> Result<u8> {
        let worked = work.run(start)?;
        let ended = self.agenda.ended(start, worked.again, (self.clock)());
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

#[cfg(test)]
mod tests;
