//! Plans what begins when, as far as it can be said at a moment: the runs that are due, those to be tried again, and those that were
//! missed. Pure: moments come in, and nothing here waits.

use crate::base::databases::Databases;
use crate::base::subject::Subject;
use crate::format::run_record::{Record, RunState, Task, Trigger};
use crate::runs::schedule::cron::Schedule;
use jiff::{SignedDuration, Timestamp};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// A clock that goes back by more than this was wrong before. If it goes back by less, no time that comes again is run again.
const CORRECTION: SignedDuration = SignedDuration::from_hours(3);
/// Runs that came due in vain are counted up to this many.
const COUNTED: usize = 10_000;

/// A schedule and what it is for.
#[derive(Debug, Clone)]
pub struct ScheduledJob {
    pub task: Task,
    pub schedule: Schedule,
    pub databases: Databases,
}

#[derive(Debug, Clone, Copy)]
pub struct PlannerOptions {
    /// `SCHEDULE_CATCH_UP`: runs that were missed are made up for.
    pub catch_up: bool,
    /// `SCHEDULE_JITTER`: the longest random delay of a run.
    pub jitter: Duration,
    /// `SCHEDULE_RETRY`: the pause before the first retry; zero never tries again.
    pub retry: Duration,
}

pub struct Planner {
    slots: Vec<JobState>,
    options: PlannerOptions,
    seen: Timestamp,
}

/// The state of one job: how far it has come.
struct JobState {
    job: ScheduledJob,
    /// Time up to which all that was due has been dealt with.
    handled: Timestamp,
    coming: Option<NextRun>,
    again: Option<Retry>,
}

#[derive(Clone, Copy)]
struct NextRun {
    due: Timestamp,
    /// `due` plus the jitter.
    begins: Timestamp,
}

struct Retry {
    begins: Timestamp,
    pause: Duration,
    databases: Databases,
    cause: Trigger,
    tries: u32,
}

/// A run to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRun {
    /// Position of the job, counted from 0.
    pub slot: usize,
    pub task: Task,
    pub databases: Databases,
    pub cause: Trigger,
    /// Number of tries that have failed before.
    pub tries: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub enum PlannerStep {
    Run(DueRun),
    /// Nothing begins before this moment.
    Wait(Timestamp),
    /// Nothing ever begins again.
    Over,
}

#[derive(Debug, PartialEq, Eq)]
pub struct JobEnd {
    /// Number of runs of this job that came due while it was running.
    pub skipped: usize,
    pub again: Option<(Timestamp, Databases)>,
}

impl Planner {
    /// Plans from `now` on. The records of this host, newest first, show what was missed before.
    pub fn new(jobs: Vec<ScheduledJob>, options: PlannerOptions, records: &[Record], now: Timestamp) -> Planner {
        let slots = jobs.into_iter().map(|job| {
            let again = if options.catch_up { missed(&job, records, options.retry, now) } else { None };
            JobState { job, handled: now, coming: None, again }
        });
        Planner { slots: slots.collect(), options, seen: now }
    }

    /// Follows the clock. Returns how far it went back, if that was so far that it must have been wrong before; else `None`.
    pub fn follow(&mut self, now: Timestamp) -> Option<SignedDuration> {
        let back = self.seen.duration_since(now);
        self.seen = now;
        if back <= CORRECTION {
            return None;
        }
        for slot in &mut self.slots {
            (slot.handled, slot.coming) = (now, None);
        }
        Some(back)
    }

    pub fn step(&mut self, now: Timestamp) -> PlannerStep {
        let options = self.options;
        for slot in &mut self.slots {
            slot.look_ahead(now, options.jitter);
        }
        let begins = self.slots.iter().enumerate().filter_map(|(at, slot)| Some((slot.begins()?, at)));
        match begins.min() {
            None => PlannerStep::Over,
            Some((begins, _)) if begins > now => PlannerStep::Wait(begins),
            Some((_, at)) => self.slots[at].start(at, now).map_or(PlannerStep::Wait(now), PlannerStep::Run),
        }
    }

    /// Returns when each job begins next; `None` if that is not decided.
    pub fn next(&self) -> Vec<Option<Timestamp>> {
        self.slots.iter().map(JobState::begins).collect()
    }

    /// Ends a run. `again` holds what failed and may be tried once more, if there is time for it before the next run is due.
    pub fn ended(&mut self, start: &DueRun, again: Option<Databases>, now: Timestamp) -> JobEnd {
        let slot = &mut self.slots[start.slot];
        // One that was about a part of the databases does not stand for the next one of all.
        let skipped = if start.databases == slot.job.databases { slot.pass(now) } else { 0 };
        let pause = pause(self.options.retry, start.tries);
        let begins = now.saturating_add(pause).unwrap_or(Timestamp::MAX);
        let time = slot.job.schedule.next_after(slot.handled).is_none_or(|next| begins < next);
        slot.again = again.filter(|_| time && !self.options.retry.is_zero()).map(|databases| Retry {
            begins,
            pause,
            databases,
            cause: start.cause,
            tries: start.tries + 1,
        });
        JobEnd { skipped, again: slot.again.as_ref().map(|again| (again.begins, again.databases.clone())) }
    }
}

impl JobState {
    fn look_ahead(&mut self, now: Timestamp, jitter: Duration) {
        if self.coming.is_none() {
            self.coming = self.job.schedule.next_after(self.handled).map(|due| self.coming(due, jitter));
        }
        if self.coming.is_some_and(|coming| coming.due <= now) {
            self.again = None;
        }
        if let Some(again) = &mut self.again {
            // A clock that went back does not make the pause longer.
            again.begins = again.begins.min(now.saturating_add(again.pause).unwrap_or(Timestamp::MAX));
        }
    }

    /// Delays a run by chance, but never to the next one or beyond.
    fn coming(&self, due: Timestamp, jitter: Duration) -> NextRun {
        let room = self.job.schedule.next_after(due).and_then(|next| Duration::try_from(next.duration_since(due)).ok());
        let most = jitter.min(room.unwrap_or(jitter)).as_millis() as u64;
        let chance = if most == 0 { 0 } else { RandomState::new().hash_one(due) % most };
        NextRun { due, begins: due.saturating_add(Duration::from_millis(chance)).unwrap_or(due) }
    }

    fn begins(&self) -> Option<Timestamp> {
        let times = [self.coming.map(|coming| coming.begins), self.again.as_ref().map(|again| again.begins)];
        times.into_iter().flatten().min()
    }

    fn start(&mut self, slot: usize, now: Timestamp) -> Option<DueRun> {
        if let Some(again) = self.again.take_if(|again| again.begins <= now) {
            let Retry { databases, cause, tries, .. } = again;
            return Some(DueRun { slot, task: self.job.task, databases, cause, tries });
        }
        let due = self.coming?.due;
        // What was due in between, while the clock leapt or another job ran, is done by this one.
        self.handled = now.max(due);
        (self.coming, self.again) = (None, None);
        let ScheduledJob { task, databases, .. } = self.job.clone();
        Some(DueRun { slot, task, databases, cause: Trigger::Schedule, tries: 0 })
    }

    /// Drops what came due up to now, and returns how many runs that were.
    fn pass(&mut self, now: Timestamp) -> usize {
        let passed = self.job.schedule.due(self.handled, now).take(COUNTED).count();
        if passed > 0 {
            (self.handled, self.coming) = (now, None);
        }
        passed
    }
}

fn pause(first: Duration, tries: u32) -> Duration {
    first.saturating_mul(1 << tries.min(16)).min(LONGEST_PAUSE.max(first))
}

/// Returns the run that makes up for what this host should have done before `now`: databases whose last run failed, or is older than the
/// last time that it was due. A database without any run has missed nothing. `None` if nothing was missed.
fn missed(job: &ScheduledJob, records: &[Record], retry: Duration, now: Timestamp) -> Option<Retry> {
    let records = || records.iter().filter(|record| record.task == job.task);
    let newest =
        |subject: &Subject| records().find(|record| record.database == *subject && record.state != RunState::Skipped);
    let late =
        |record: &Record| record.state == RunState::Failed || job.schedule.due(record.started, now).next().is_some();
    let (databases, last) = match &job.databases {
        Databases::Named(names) => {
            let behind = names.iter().filter(|name| newest(name).is_some_and(late));
            let names: Vec<Subject> = behind.cloned().collect();
            let last = names.iter().filter_map(newest).max_by_key(|record| record.started)?;
            (Databases::Named(names), last)
        }
        Databases::All => {
            let last = records().find(|record| record.state != RunState::Skipped)?;
            (Databases::All, Some(last).filter(|record| late(record))?)
        }
    };
    // A run that brings the whole container down shall not do so all the time.
    let failures = records().filter(|record| record.database == last.database);
    let tries = failures.take_while(|record| record.state == RunState::Failed).count() as u32;
    let pause = if tries == 0 { Duration::ZERO } else { pause(retry, tries - 1) };
    let begins = last.started.saturating_add(pause).unwrap_or(now).max(now);
    Some(Retry { begins, pause, databases, cause: Trigger::CatchUp, tries })
}
