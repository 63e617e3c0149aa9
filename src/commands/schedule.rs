//! `pgbk schedule`

use super::backup::Prepared;
use super::table::Table;
use crate::cli::ScheduleArgs;
use crate::config;
use crate::console::{Console, bytes};
use crate::cron::{Entry, Timetable};
use crate::databases::Databases;
use crate::environment;
use crate::error::{Fault, Result};
use crate::interrupt;
use crate::jobs::schedule::{Agenda, End, Job, Options, Scheduler, Start, Work, Worked};
use crate::manifest::Manifest;
use crate::monitor::Monitor;
use crate::process::init;
use crate::run::{Outcome, Run, exit_code};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a run may take to stop after a signal: docker kills after 10 s.
const STOPPING: Duration = Duration::from_secs(6);
/// How long a run may take to stop after its time limit.
const OVERDUE: Duration = Duration::from_secs(60);

pub fn run(args: &ScheduleArgs, console: &Console) -> Result<u8> {
    let timetable = config::timetable(args)?;
    if let Some(count) = args.next {
        return next(&timetable, args, usize::from(count), console);
    }
    if init::is_first() {
        let (program, arguments) = environment::command_line()?;
        return init::supervise(&program, &arguments);
    }
    let prepared = Prepared::new(&args.run, console)?;
    let mut scheduler = Scheduler {
        agenda: agenda(args, &timetable, &prepared, console)?,
        once: args.once,
        zone: timetable.zone.clone(),
        clock: &Timestamp::now,
        wait: &interrupt::wait,
        monitor: console,
    };
    let mut work = Backups { run: prepared.run(console), console, skipped: 0 };
    let over = AtomicBool::new(false);
    let end = std::thread::scope(|scope| {
        // However this ends, the watch ends with it: it would be waited for.
        let _guard = Guard(&over);
        scope.spawn(|| insist(&over, console));
        let end = scheduler.run(&mut work);
        prepared.alerts.close(console);
        end
    })?;
    Ok(match end {
        End::Once(code) => code,
        End::Over => {
            console.info("no schedule comes again");
            0
        }
        End::Signal(signal) => {
            console.info(&format!("stopped by signal {signal}"));
            interrupt::fault(signal).kind().exit_code()
        }
    })
}

fn agenda(args: &ScheduleArgs, timetable: &Timetable, prepared: &Prepared, console: &Console) -> Result<Agenda> {
    let default = config::databases(&args.run, &prepared.plan.settings)?;
    let now = Timestamp::now();
    let records = match &prepared.history {
        Some(history) if args.catch_up => history.records(console),
        _ => Ok(Vec::new()),
    };
    // What was missed is not worth missing more.
    let records = records.inspect_err(|error| console.warn(&format!("{error:#}"))).unwrap_or_default();
    let options = Options { catch_up: args.catch_up, jitter: args.jitter, retry: args.retry };
    Ok(Agenda::new(jobs(timetable, &default, now)?, options, &records, now))
}

/// What each schedule is for. One that never comes is a mistake.
fn jobs(timetable: &Timetable, default: &Databases, now: Timestamp) -> Result<Vec<Job>> {
    let job = |entry: &Entry| match entry.schedule.next_after(now) {
        None => Err(Fault::usage(format!("\"{}\" never comes (again)", entry.schedule))
            .hint("take it out of CRON_SCHEDULE")
            .into()),
        Some(_) => Ok(Job {
            schedule: entry.schedule.clone(),
            databases: entry.databases.clone().unwrap_or_else(|| default.clone()),
        }),
    };
    timetable.entries.iter().map(job).collect()
}

struct Backups<'a> {
    run: Run<'a>,
    console: &'a Console,
    /// Runs that did not take place because one of the same database was going, since the start.
    skipped: usize,
}

impl Work for Backups<'_> {
    fn run(&mut self, start: &Start) -> Result<Worked> {
        let console = self.console;
        let outcomes = self.run.all(&start.databases, start.cause, |outcome| match &outcome.result {
            Ok(manifest) => console.info(&line(manifest)),
            Err(error) => console.tell(error),
        })?;
        let busy = outcomes.iter().filter(|outcome| outcome.is_skipped()).count();
        self.count(busy);
        let failed: Vec<String> =
            outcomes.iter().filter(|one| one.is_worth_another_try()).map(|one| one.record.database.clone()).collect();
        Ok(Worked { again: again(start, failed, &outcomes), code: exit_code(&outcomes) })
    }

    fn skipped(&mut self, start: &Start, count: usize) -> Result<()> {
        let message = format!("{count} runs came due while the one before them was going");
        self.run.skipped(&start.databases, start.cause, &message)?;
        self.console.warn(&format!("{}: {message}", start.databases));
        self.count(count);
        Ok(())
    }
}

impl Backups<'_> {
    fn count(&mut self, more: usize) {
        self.skipped += more;
        if more > 0 {
            self.console.info(&format!("{} runs skipped since the start", self.skipped));
        }
    }
}

/// Of all databases, those that failed are tried again by name; where not even their names could be had, all are.
fn again(start: &Start, failed: Vec<String>, outcomes: &[Outcome]) -> Option<Databases> {
    let unnamed = start.databases == Databases::All && outcomes.iter().all(|outcome| outcome.record.database == "*");
    match failed.is_empty() {
        true => None,
        false if unnamed => Some(Databases::All),
        false => Some(Databases::Named(failed)),
    }
}

fn line(manifest: &Manifest) -> String {
    let seconds: f64 = manifest.seconds.values().sum();
    let (plain, stored) = (bytes(manifest.plain.bytes), bytes(manifest.stored.bytes));
    format!("{} is stored: {plain} dumped, {stored} stored in {seconds:.1} s", manifest.id)
}

struct Guard<'a>(&'a AtomicBool);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Ends the process where the ordinary way out hangs: on a server or store that does not answer.
fn insist(over: &AtomicBool, console: &Console) {
    let mut asked: Option<std::time::Instant> = None;
    while !over.load(Ordering::Relaxed) {
        if interrupt::raised().is_some() && asked.get_or_insert_with(std::time::Instant::now).elapsed() > STOPPING {
            console.warn("the run does not stop, and is ended with the scheduler");
            interrupt::insist();
        }
        if interrupt::overdue().is_some_and(|overdue| overdue > OVERDUE) {
            console.warn("the run does not stop at its RUN_TIMEOUT, and is ended with the scheduler");
            interrupt::insist();
        }
        std::thread::sleep(interrupt::TICK);
    }
}

fn next(timetable: &Timetable, args: &ScheduleArgs, count: usize, console: &Console) -> Result<u8> {
    let now = Timestamp::now();
    let default = Databases::of(&args.run.databases)?;
    let databases = |entry: &Entry| entry.databases.clone().or_else(|| default.clone());
    let mut table = Table::new(&["RUN", "IN", "SCHEDULE", "DATABASES"]);
    let mut documents = Vec::new();
    for (at, entry) in timetable.coming(now, count) {
        let local = at.to_zoned(timetable.zone.clone());
        let names = databases(entry).map_or("-".to_owned(), |databases| databases.to_string());
        let left = in_words(at.duration_since(now));
        table.row([local.strftime("%a %F %T %:z %Z").to_string(), left, entry.schedule.to_string(), names.clone()]);
        documents.push(json!({
            "at": at,
            "local": local.strftime("%FT%T%:z").to_string(),
            "zone": timetable.zone.iana_name(),
            "schedule": entry.schedule.to_string(),
            "databases": databases(entry).map(|_| names),
        }));
    }
    console.result(&table.text("no schedule comes again\n"), &documents)?;
    Ok(0)
}

/// The two largest units.
fn in_words(left: SignedDuration) -> String {
    let seconds = left.as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}
