//! `pgbk schedule`

mod late;
mod next;
mod renewed;
mod runs;
mod watch;

use super::backup::{Prepared, Told};
use crate::cli::ScheduleArgs;
use crate::config;
use crate::console::Console;
use crate::cron::{Entry, Timetable};
use crate::databases::Databases;
use crate::environment;
use crate::error::{Fault, Result};
use crate::interrupt;
use crate::jobs::schedule::{Agenda, End, Job, Options, Scheduler};
use crate::lookout::{self, Lookout};
use crate::monitor::Monitor;
use crate::postgres::identity;
use crate::process::init;
use crate::record::Task;
use crate::roster::{self, Post, Roster};
use crate::run::Proofs;
use crate::series::Series;
use crate::status::Source;
use crate::threads;
use crate::vault::Server;
use jiff::{SignedDuration, Timestamp};
use late::Late;
use runs::{Runs, Word};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use watch::Guard;

pub fn run(args: &ScheduleArgs, console: &Console) -> Result<u8> {
    let timetable = config::timetable(args)?;
    let proofs = config::verify_timetable(args)?;
    if let Some(count) = args.next {
        return next::next(&timetable, proofs.as_ref(), args, usize::from(count), console);
    }
    console.name_runs();
    if init::is_first() {
        let (program, arguments) = environment::command_line()?;
        let taken = environment::handed_on().into_iter();
        return init::supervise(
            &program,
            &arguments,
            taken.map(|(name, value)| (name, value.reveal().into())).collect(),
        );
    }
    let prepared = Prepared::new(&args.run, Told::Everybody, console)?;
    let default = default(args, &prepared, proofs.iter().chain([&timetable]))?;
    let now = Timestamp::now();
    // Of what is due at the same time, backups come first.
    let mut jobs = jobs(Task::Backup, &timetable, &default, &prepared.beside, now)?;
    if let Some(proofs) = &proofs {
        jobs.extend(self::jobs(Task::Verify, proofs, &default, &[], now)?);
    }
    let proof = proofs.map(|_| config::proof(&args.scratch, &args.run.server)).transpose()?;
    let state_dir = config::state_dir(&args.run.state).ok();
    let _place = state_dir.as_deref().map(roster::take_place).transpose()?;
    let post = state_dir.as_deref().map(|folder| post(args, &jobs, folder, console));
    let mut word = Word { post, bell: None, silent: false };
    // Before anybody looks.
    word.leave(Timestamp::now(), console, |_| {});
    let mut lookout = lookout(args, &prepared, state_dir.as_deref(), console);
    word.bell = lookout.as_ref().map(Lookout::bell);
    let late = Late::new(state_dir.map(Source::new), lookout.as_mut().and_then(Lookout::notices));
    let proofs = proof.as_ref().map(|plan| Proofs {
        ledger: prepared.ledger(console),
        vault: &prepared.vault,
        plan,
        server: &prepared.plan.settings,
    });
    let mut work =
        Runs { args, renewed: None, backups: prepared.backups(console), proofs, console, skipped: 0, word, late };
    let mut scheduler = Scheduler {
        agenda: agenda(args, jobs, &prepared, console),
        once: args.once,
        zone: timetable.zone.clone(),
        clock: &Timestamp::now,
        wait: &interrupt::wait,
        monitor: console,
    };
    watch::end_what_hangs()?;
    let over = AtomicBool::new(false);
    let end = std::thread::scope(|scope| {
        // However this ends, the watch ends with it: it would be waited for.
        let _guard = Guard(&over);
        threads::begin_in(scope, "watch", || watch::tell(&over, lookout, console))?;
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

/// Returns what schedules are for that name no database. Where all of them do, there need be none.
fn default<'a>(
    args: &ScheduleArgs,
    prepared: &Prepared,
    timetables: impl Iterator<Item = &'a Timetable>,
) -> Result<Databases> {
    let mut entries = timetables.flat_map(|timetable| &timetable.entries);
    match entries.any(|entry| entry.databases.is_none()) {
        true => config::databases(&args.run, &prepared.plan.settings),
        false => Ok(Databases::Named(Vec::new())),
    }
}

fn agenda(args: &ScheduleArgs, jobs: Vec<Job>, prepared: &Prepared, console: &Console) -> Agenda {
    let records = match &prepared.history {
        Some(history) if args.catch_up => history.records(console),
        _ => Ok(Vec::new()),
    };
    // What was missed is not worth missing more.
    let records = records.inspect_err(|error| console.warn(&format!("{error:#}"))).unwrap_or_default();
    let options = Options { catch_up: args.catch_up, jitter: args.jitter, retry: args.retry };
    Agenda::new(jobs, options, &records, Timestamp::now())
}

/// Where others see what is scheduled.
fn post(args: &ScheduleArgs, jobs: &[Job], state_dir: &Path, console: &Console) -> Post {
    let before = roster::look(state_dir).inspect_err(|error| console.warn(&format!("{error:#}"))).ok().flatten();
    let roster = Roster {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        process: std::process::id(),
        started: Timestamp::now(),
        grace: SignedDuration::try_from(args.health_grace + args.jitter).unwrap_or(SignedDuration::MAX),
        entries: jobs
            .iter()
            .map(|job| roster::Entry {
                task: job.task,
                ..roster::Entry::new(job.schedule.clone(), job.databases.clone())
            })
            .collect(),
    };
    Post::new(state_dir, roster, before.as_ref().map(|before| &before.roster))
}

fn lookout(args: &ScheduleArgs, prepared: &Prepared, state_dir: Option<&Path>, console: &Console) -> Option<Lookout> {
    let addresses = args.listen.clone()?.0;
    let Some(state_dir) = state_dir else {
        console.warn("nothing is served on LISTEN: there is no STATE_DIR to tell how backups go");
        return None;
    };
    let settings = prepared.plan.settings.clone();
    Some(Lookout::start(lookout::Settings {
        addresses,
        state_dir: state_dir.to_owned(),
        vault: prepared.vault.clone(),
        watch: prepared.watch.clone()?,
        server: Box::new(move || identity::of_server(&settings).map_or(Server::Unasked, Server::of)),
        clock: Timestamp::now,
    }))
}

/// What each schedule is for.
fn jobs(task: Task, timetable: &Timetable, default: &Databases, beside: &[Series], now: Timestamp) -> Result<Vec<Job>> {
    all_come(task, timetable, now)?;
    let job = |entry: &Entry| Job {
        task,
        schedule: entry.schedule.clone(),
        databases: entry.databases.clone().map_or_else(|| default.clone(), |databases| databases.with(beside)),
    };
    Ok(timetable.entries.iter().map(job).collect())
}

/// Refuses a schedule that never comes.
pub(super) fn all_come(task: Task, timetable: &Timetable, now: Timestamp) -> Result<()> {
    match timetable.entries.iter().find(|entry| entry.schedule.next_after(now).is_none()) {
        Some(entry) => Err(Fault::usage(format!("\"{}\" never comes (again)", entry.schedule))
            .hint(match task {
                Task::Backup => "take it out of CRON_SCHEDULE",
                Task::Verify => "take it out of VERIFY_SCHEDULE",
            })
            .into()),
        None => Ok(()),
    }
}
