//! Whether backups go as they are scheduled, and why not.

use super::{Facts, HANGS, is_over};
use crate::document::Life;
use crate::missed;
use crate::record::{Record, State, Task};
use crate::roster::{EVERY, Entry, Seen};
use jiff::{SignedDuration, Timestamp};

pub fn of_scheduler(seen: Option<&Seen>, now: Timestamp) -> Option<String> {
    let Some(seen) = seen else { return Some("no scheduler has been started with this STATE_DIR".to_owned()) };
    let working = seen.roster.entries.iter().any(|entry| entry.working.is_some());
    let quiet = now.duration_since(seen.pulse);
    match seen.life {
        Life::Gone => Some("the scheduler is not running".to_owned()),
        // A run may take its time; when it should be over, `of_database` knows.
        _ if working || quiet <= HANGS => None,
        _ => Some(format!("the scheduler hangs: it has not looked at the clock for {} s", quiet.as_secs())),
    }
}

/// What is wrong by the first schedule of this database that finds fault with it: with its backups, or with what proves them; or that
/// the newest of its backups is gone.
pub fn of_database(name: &str, facts: &Facts) -> Option<String> {
    let known = [Task::Backup, Task::Verify].map(|task| Known::of(name, task, facts));
    let of = |task| known.iter().find(|known| known.task == task);
    let mut troubles = faults(name, facts, |entry| of(entry.task));
    let trouble = troubles.next().map(|fault| fault.text).or_else(|| newest_is_gone(name, facts));
    trouble.map(|trouble| match name {
        EVERY => trouble,
        name => format!("{name}: {trouble}"),
    })
}

/// That backups of this database are overdue, and none has failed since the last one.
pub fn overdue(name: &str, facts: &Facts) -> Option<String> {
    let known = Known::of(name, Task::Backup, facts);
    let mut faults = faults(name, facts, |entry| (entry.task == Task::Backup).then_some(&known));
    faults.find(|fault| fault.is_overdue).map(|fault| fault.text)
}

struct Fault {
    text: String,
    is_overdue: bool,
}

/// What the schedules of this database find, as far as something is known of its runs.
fn faults<'a>(
    name: &'a str,
    facts: &'a Facts,
    known: impl Fn(&Entry) -> Option<&'a Known<'a>> + 'a,
) -> impl Iterator<Item = Fault> + 'a {
    let roster = facts.seen.as_ref().map(|seen| &seen.roster);
    let entries = roster.into_iter().flat_map(move |roster| roster.entries.iter().map(move |entry| (roster, entry)));
    let own = entries.filter(move |(_, entry)| entry.names().any(|other| other == name));
    own.filter_map(move |(roster, entry)| fault(entry, known(entry)?, roster.started, roster.grace, facts.now))
}

/// Until the next one is made: then there is again what a restore begins with.
fn newest_is_gone(name: &str, facts: &Facts) -> Option<String> {
    let entries = &facts.seen.as_ref()?.roster.entries;
    let is_scheduled = entries.iter().any(|entry| entry.names().any(|other| other == name));
    let gone = facts
        .sights_of(name)
        .filter(|seen| seen.sight.missed.first().is_some_and(|missed| Some(&missed.id) == seen.sight.newest.as_ref()));
    gone.filter(|_| is_scheduled).find_map(|seen| missed::describe(&seen.sight.missed, &seen.location))
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

fn fault(entry: &Entry, known: &Known, started: Timestamp, grace: SignedDuration, now: Timestamp) -> Option<Fault> {
    let noun = entry.task.noun();
    let last = known.success.and_then(|success| success.ended);
    // What is due while the last one is still going is done by it.
    let due = entry.schedule.next_after(last.unwrap_or(started));
    let is_due = due.is_some_and(|due| due <= now);
    if let Some(failure) = known.failure.filter(|_| is_due || last.is_none()) {
        let why = failure.problem.as_ref().map_or("it was not said why", |problem| &problem.message);
        let text = format!("the {noun} that began at {:.0} failed: {why}", failure.started);
        return Some(Fault { text, is_overdue: false });
    }
    let due = due.filter(|_| is_due)?;
    // One that is at work has time until it is due again.
    let working = [entry.working, known.running].into_iter().flatten().max();
    let late = working.map_or(Some(due), |since| entry.schedule.next_after(since))?;
    let over = now.duration_since(late) > grace;
    let before = match last {
        Some(last) => format!("the last one ended at {last:.0}"),
        None => "and there is none before it".to_owned(),
    };
    let text = format!("the {noun} that was due at {late:.0} is overdue, {before}");
    over.then_some(Fault { text, is_overdue: true })
}
