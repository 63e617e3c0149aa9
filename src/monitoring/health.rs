//! Judges whether backups go as they are scheduled, and says why not.

use crate::base::databases::Selection;
use crate::base::state_dir::file::WriterLife;
use crate::format::run_record::{Record, RunState, Task};
use crate::monitoring::status_facts::{Facts, HANGS, is_over};
use crate::runs::missing_backups;
use crate::runs::schedule::heartbeat::HeartbeatEntry;
use jiff::{SignedDuration, Timestamp};

/// Returns what is wrong with the scheduler. None: all is well, or there is none because changes are captured without one.
pub fn of_scheduler(facts: &Facts) -> Option<String> {
    let Some(seen) = &facts.seen else {
        return (!is_captured_alone(facts)).then(|| "no scheduler has been started with this STATE_DIR".to_owned());
    };
    let now = facts.now;
    let working = seen.scheduler_state.entries.iter().any(|entry| entry.running_since.is_some());
    let quiet = now.duration_since(seen.pulse);
    match seen.life {
        WriterLife::Gone => Some("the scheduler is not running".to_owned()),
        // A run may take its time; when it should be over, `of_database` knows.
        _ if working || quiet <= HANGS => None,
        _ => Some(format!("the scheduler hangs: it has not looked at the clock for {} s", quiet.as_secs())),
    }
}

/// Returns the first fault that a schedule of this database finds with its backups or its restore tests, or that its
/// newest backup is gone. None: all is well.
pub fn of_database(name: &Selection, facts: &Facts) -> Option<String> {
    let known = [Task::Backup, Task::Verify].map(|task| TaskHistory::of(name, task, facts));
    let of = |task| known.iter().find(|known| known.task == task);
    let mut troubles = faults(name, facts, |entry| of(entry.task));
    let trouble = troubles.next().map(|fault| fault.text).or_else(|| newest_is_gone(name, facts));
    let unscheduled = || of(Task::Backup).filter(|_| is_captured_alone(facts)).and_then(TaskHistory::newest_failure);
    let trouble = trouble.or_else(unscheduled);
    trouble.map(|trouble| match name {
        Selection::Every => trouble,
        Selection::One(subject) => format!("{subject}: {trouble}"),
    })
}

/// Returns why backups of this database are overdue. None: they are not, or one has failed since the last success.
pub fn overdue(name: &Selection, facts: &Facts) -> Option<String> {
    let known = TaskHistory::of(name, Task::Backup, facts);
    let mut faults = faults(name, facts, |entry| (entry.task == Task::Backup).then_some(&known));
    faults.find(|fault| fault.is_overdue).map(|fault| fault.text)
}

/// Returns whether captures run here, and no scheduler ever did: then each capture is judged, and the last backup of each database.
fn is_captured_alone(facts: &Facts) -> bool {
    facts.seen.is_none() && !facts.captures.is_empty()
}

struct HealthFault {
    text: String,
    is_overdue: bool,
}

/// Returns the faults that the schedules of this database find. `known` gives what is known of its runs; None: the
/// schedule is left out.
fn faults<'a>(
    name: &'a Selection,
    facts: &'a Facts,
    known: impl Fn(&HeartbeatEntry) -> Option<&'a TaskHistory<'a>> + 'a,
) -> impl Iterator<Item = HealthFault> + 'a {
    let scheduler_state = facts.seen.as_ref().map(|seen| &seen.scheduler_state);
    let entries = scheduler_state
        .into_iter()
        .flat_map(move |scheduler_state| scheduler_state.entries.iter().map(move |entry| (scheduler_state, entry)));
    let own = entries.filter(move |(_, entry)| entry.selections().contains(name));
    own.filter_map(move |(scheduler_state, entry)| {
        fault(entry, known(entry)?, scheduler_state.started, scheduler_state.grace, facts.now)
    })
}

/// Returns that the newest backup is gone from the store. None: it is not, or the database is not scheduled. The next
/// backup ends this fault: then there is again one to restore.
fn newest_is_gone(name: &Selection, facts: &Facts) -> Option<String> {
    let entries = &facts.seen.as_ref()?.scheduler_state.entries;
    let is_scheduled = entries.iter().any(|entry| entry.selections().contains(name));
    let gone = facts
        .sights_of(name)
        .filter(|seen| seen.sight.missed.first().is_some_and(|missed| Some(&missed.id) == seen.sight.newest.as_ref()));
    gone.filter(|_| is_scheduled).find_map(|seen| missing_backups::describe(&seen.sight.missed, &seen.location))
}

/// Holds what is known of a database's runs of one task.
struct TaskHistory<'a> {
    task: Task,
    success: Option<&'a Record>,
    /// The newest failure, if nothing succeeded after it.
    failure: Option<&'a Record>,
    /// When the current run began. None: no run is going.
    running: Option<Timestamp>,
}

impl TaskHistory<'_> {
    /// Collects what is known. For all databases together, a success of any one counts, and a failure is that of listing them.
    fn of<'a>(name: &Selection, task: Task, facts: &'a Facts) -> TaskHistory<'a> {
        let records = || facts.records.iter().filter(move |record| record.task == task);
        let own = |record: &&Record| record.database == *name;
        let done = |record: &&Record| record.state == RunState::Done && (*name == Selection::Every || own(record));
        let success = records().find(done).or_else(|| match task {
            Task::Backup => facts.past.success(name),
            Task::Verify => facts.past.proven(name),
            Task::VerifyChanges => None,
        });
        let newest = records().filter(own).find(|record| is_over(record));
        let failure = newest.filter(|record| {
            record.state == RunState::Failed && success.is_none_or(|success| record.started > success.started)
        });
        let going = records().filter(own).find(|record| record.state == RunState::Running);
        TaskHistory { task, success, failure, running: going.map(|record| record.started) }
    }

    /// Says how the newest run failed. None: it succeeded, or there is none.
    fn newest_failure(&self) -> Option<String> {
        let failure = self.failure?;
        let why = failure.problem.as_ref().map_or("it was not said why", |problem| &problem.message);
        Some(format!("the {} that began at {:.0} failed: {why}", self.task.noun(), failure.started))
    }
}

fn fault(
    entry: &HeartbeatEntry,
    known: &TaskHistory,
    started: Timestamp,
    grace: SignedDuration,
    now: Timestamp,
) -> Option<HealthFault> {
    let noun = entry.task.noun();
    let last = known.success.and_then(|success| success.ended);
    // What is due while the last one is still going is done by it.
    let due = entry.schedule.next_after(last.unwrap_or(started));
    let is_due = due.is_some_and(|due| due <= now);
    if let Some(text) = known.newest_failure().filter(|_| is_due || last.is_none()) {
        return Some(HealthFault { text, is_overdue: false });
    }
    let due = due.filter(|_| is_due)?;
    // One that is at work has time until it is due again.
    let working = [entry.running_since, known.running].into_iter().flatten().max();
    let late = working.map_or(Some(due), |since| entry.schedule.next_after(since))?;
    let over = now.duration_since(late) > grace;
    let before = match last {
        Some(last) => format!("the last one ended at {last:.0}"),
        None => "and there is none before it".to_owned(),
    };
    let text = format!("the {noun} that was due at {late:.0} is overdue, {before}");
    over.then_some(HealthFault { text, is_overdue: true })
}
