//! Whether backups go as they are scheduled, and why not.

use super::{Facts, HANGS, is_over};
use crate::document::Life;
use crate::record::{Record, State, Task};
use crate::roster::{EVERY, Entry, Seen};
use jiff::{SignedDuration, Timestamp};

pub fn of_scheduler(seen: Option<&Seen>, now: Timestamp) -> Option<String> {
    let Some(seen) = seen else { return Some("no scheduler has left word of itself".to_owned()) };
    let working = seen.roster.entries.iter().any(|entry| entry.working.is_some());
    let quiet = now.duration_since(seen.pulse);
    match seen.life {
        Life::Gone => Some("the scheduler is not running".to_owned()),
        // A run may take its time; when it should be over, `of_database` knows.
        _ if working || quiet <= HANGS => None,
        _ => Some(format!("the scheduler hangs: it has not looked at the clock for {} s", quiet.as_secs())),
    }
}

/// What is wrong by the first schedule of this database that finds fault with it: with its backups, or with what proves them.
pub fn of_database(name: &str, facts: &Facts) -> Option<String> {
    let seen = facts.seen.as_ref()?;
    let known = [Task::Backup, Task::Verify].map(|task| Known::of(name, task, facts));
    let entries = seen.roster.entries.iter().filter(|entry| entry.names().any(|other| other == name));
    let (started, grace) = (seen.roster.started, seen.roster.grace);
    let known = |task| known.iter().find(|known| known.task == task);
    let mut troubles = entries.filter_map(|entry| trouble(entry, known(entry.task)?, started, grace, facts.now));
    troubles.next().map(|trouble| match name {
        EVERY => trouble,
        name => format!("{name}: {trouble}"),
    })
}

/// What is known of a database's runs.
struct Known<'a> {
    task: Task,
    success: Option<&'a Record>,
    /// The newest failure, if nothing succeeded after it.
    failure: Option<&'a Record>,
    /// When the run that is going began.
    running: Option<Timestamp>,
}

impl Known<'_> {
    /// For all databases together, any success is one, and a failure is that of finding out which there are.
    fn of<'a>(name: &str, task: Task, facts: &'a Facts) -> Known<'a> {
        let records = || facts.records.iter().filter(move |record| record.task == task);
        let own = |record: &&Record| record.database == name;
        let done = |record: &&Record| record.state == State::Done && (name == EVERY || own(record));
        let success = records().find(done).or_else(|| match task {
            Task::Backup => facts.past.success(name),
            Task::Verify => facts.past.proven(name),
        });
        let newest = records().filter(own).find(|record| is_over(record));
        let failure = newest.filter(|record| {
            record.state == State::Failed && success.is_none_or(|success| record.started > success.started)
        });
        let going = records().filter(own).find(|record| record.state == State::Running);
        Known { task, success, failure, running: going.map(|record| record.started) }
    }
}

fn trouble(entry: &Entry, known: &Known, started: Timestamp, grace: SignedDuration, now: Timestamp) -> Option<String> {
    let noun = entry.task.noun();
    let last = known.success.and_then(|success| success.ended);
    // What is due while the last one is still going is done by it.
    let due = entry.schedule.next_after(last.unwrap_or(started));
    let is_due = due.is_some_and(|due| due <= now);
    if let Some(failure) = known.failure.filter(|_| is_due || last.is_none()) {
        let why = failure.problem.as_ref().map_or("it was not said why", |problem| &problem.message);
        return Some(format!("the {noun} that began at {:.0} failed: {why}", failure.started));
    }
    let due = due.filter(|_| is_due)?;
    // One that is at work has time until it is due again.
    let working = [entry.working, known.running].into_iter().flatten().max();
    let late = working.map_or(Some(due), |since| entry.schedule.next_after(since))?;
    let over = now.duration_since(late) > grace;
    over.then(|| match last {
        Some(last) => format!("the {noun} that was due at {late:.0} is overdue, the last one ended at {last:.0}"),
        None => format!("the {noun} that was due at {late:.0} is overdue, and there is none before it"),
    })
}
