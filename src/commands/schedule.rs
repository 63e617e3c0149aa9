//! `pgbk schedule`

pub(crate) mod captures;
pub(crate) mod due_runs;
pub(crate) mod next;
pub(crate) mod overdue;
pub(crate) mod renewed_settings;
pub(crate) mod watch;

use crate::base::databases::Databases;
use crate::base::error::Result;
use crate::base::process::init;
use crate::base::progress::Monitor;
use crate::base::state_dir::StateDir;
use crate::base::subject::Subject;
use crate::base::variant::Variant;
use crate::base::{cancel, threads};
use crate::cli::arguments::ScheduleArgs;
use crate::cli::console::Console;
use crate::commands::backup::{AlertAudience, BackupSetup};
use crate::commands::schedule::next::all_come;
use crate::config;
use crate::config::{environment, state};
use crate::format::run_record::Task;
use crate::jobs::restore_test::RestoreTestPlan;
use crate::monitoring::publisher;
use crate::monitoring::publisher::Publisher;
use crate::monitoring::publisher::scans::WatchedStore;
use crate::monitoring::source::StatusSource;
use crate::postgres::session::identity;
use crate::repository::Repository;
use crate::repository::newest::ServerIdentity;
use crate::runs::backups::Backups;
use crate::runs::restore_tests::RestoreTests;
use crate::runs::schedule::heartbeat;
use crate::runs::schedule::heartbeat::{Heartbeat, SchedulerState};
use crate::runs::schedule::planner::{Planner, PlannerOptions, ScheduledJob};
use crate::runs::schedule::scheduler::{End, Scheduler};
use crate::runs::schedule::timetable::{Timetable, TimetableEntry};
use captures::ScheduledCaptures;
use due_runs::{Runs, SchedulerReporter};
use jiff::{SignedDuration, Timestamp};
use overdue::OverdueAlerts;
use std::sync::atomic::AtomicBool;
use watch::Guard;

pub fn run(args: &ScheduleArgs, console: &Console) -> Result<u8> {
    let timetable = config::runs::timetable(args)?;
    let proofs = config::runs::verify_timetable(args)?;
    if let Some(count) = args.next {
        return next::next(&timetable, proofs.as_ref(), args, usize::from(count), console);
    }
    console.name_runs();
    if init::is_first() {
        let (program, arguments) = environment::command_line()?;
        return init::supervise(&program, &arguments, environment::handed_on());
    }
    let prepared = BackupSetup::new(&args.run, AlertAudience::Everybody, console)?;
    let default = default(args, &prepared, proofs.iter().chain([&timetable]))?;
    let now = Timestamp::now();
    // Of what is due at the same time, backups come first.
    let mut jobs = jobs(Task::Backup, &timetable, &default, &prepared.beside, now)?;
    if let Some(proofs) = &proofs {
        jobs.extend(self::jobs(Task::Verify, proofs, &default, &[], now)?);
    }
    let of_server = (&prepared.plan.settings, &prepared.repository);
    let captures = ScheduledCaptures::of(args, &jobs, of_server, console)?;
    let captures = captures.as_ref();
    let proof = proofs.map(|_| config::restore_test::proof(&args.scratch, &args.run.server)).transpose()?;
    let state_dir = state::state_dir(&args.run.state).ok();
    let _place = state_dir.as_ref().map(heartbeat::take_place).transpose()?;
    let outputs = prepared.plan.outputs.variants();
    let post = state_dir.as_ref().map(|state| post(args, (&jobs, &outputs), state, console));
    let mut word = SchedulerReporter { post, bell: None, silent: false };
    // Before anybody looks.
    word.leave(Timestamp::now(), console, |_| {});
    let mut publisher = publisher(args, &prepared, state_dir.as_ref(), console);
    word.bell = publisher.as_ref().map(Publisher::bell);
    let late = OverdueAlerts::new(state_dir.map(StatusSource::new), publisher.as_mut().and_then(Publisher::notices));
    let proofs = proof.as_ref().map(|plan| restore_tests(&prepared, plan, console));
    let mut work = Runs {
        args,
        renewed: None,
        backups: prepared.backups(console),
        proofs,
        console,
        skipped: 0,
        word,
        late,
        captures,
    };
    let mut scheduler = Scheduler {
        planner: planner(args, jobs, &prepared, console),
        once: args.once,
        zone: timetable.zone.clone(),
        clock: &Timestamp::now,
        wait: &cancel::wait,
        monitor: console,
    };
    watch::end_what_hangs()?;
    let over = AtomicBool::new(false);
    let end = std::thread::scope(|scope| {
        // However this ends, the watch ends with it: it would be waited for.
        let _guard = Guard(&over);
        threads::begin_in(scope, "watch", || watch::tell(&over, publisher, console))?;
        let _captures = captures.map(|captures| captures.begin(scope)).transpose()?;
        let end = scheduler.run(&mut work);
        prepared.alerts.close(console);
        end
    })?;
    Ok(exit_code(&end, console))
}

/// Returns the exit code, and says why the scheduler ended.
fn exit_code(end: &End, console: &Console) -> u8 {
    match end {
        End::Once(code) => *code,
        End::Over => {
            console.info("no schedule comes again");
            0
        }
        End::Signal(signal) => {
            console.info(&format!("stopped by signal {signal}"));
            cancel::fault(*signal).kind().exit_code()
        }
    }
}

fn restore_tests<'a>(prepared: &'a BackupSetup, plan: &'a RestoreTestPlan, console: &'a Console) -> RestoreTests<'a> {
    RestoreTests {
        runner: prepared.runner(console),
        repository: &prepared.repository,
        further: &prepared.plan.outputs,
        plan,
        server: &prepared.plan.settings,
    }
}

/// Returns the databases of schedules that name none. Empty if every schedule names its own: then no default is needed.
fn default<'a>(
    args: &ScheduleArgs,
    prepared: &BackupSetup,
    timetables: impl Iterator<Item = &'a Timetable>,
) -> Result<Databases> {
    let mut entries = timetables.flat_map(|timetable| &timetable.entries);
    match entries.any(|entry| entry.databases.is_none()) {
        true => config::runs::databases(&args.run, &prepared.plan.settings),
        false => Ok(Databases::Named(Vec::new())),
    }
}

fn planner(args: &ScheduleArgs, jobs: Vec<ScheduledJob>, prepared: &BackupSetup, console: &Console) -> Planner {
    let records = match &prepared.history {
        Some(history) if args.catch_up => history.records(console),
        _ => Ok(Vec::new()),
    };
    // What was missed is not worth missing more.
    let records = records.inspect_err(|error| console.warn(&format!("{error:#}"))).unwrap_or_default();
    let options = PlannerOptions { catch_up: args.catch_up, jitter: args.jitter, retry: args.retry };
    Planner::new(jobs, options, &records, Timestamp::now())
}

/// Makes the heartbeat, in which other processes see what is scheduled.
fn post(
    args: &ScheduleArgs,
    (jobs, outputs): (&[ScheduledJob], &[Variant]),
    state: &StateDir,
    console: &Console,
) -> Heartbeat {
    let before = heartbeat::look(state).inspect_err(|error| console.warn(&format!("{error:#}"))).ok().flatten();
    let scheduler_state = SchedulerState {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        process: std::process::id(),
        started: Timestamp::now(),
        grace: SignedDuration::try_from(args.health_grace + args.jitter).unwrap_or(SignedDuration::MAX),
        entries: jobs
            .iter()
            .map(|job| heartbeat::HeartbeatEntry {
                task: job.task,
                outputs: outputs.to_vec(),
                ..heartbeat::HeartbeatEntry::new(job.schedule.clone(), job.databases.clone())
            })
            .collect(),
    };
    Heartbeat::new(state, scheduler_state, before.as_ref().map(|before| &before.scheduler_state))
}

fn publisher(
    args: &ScheduleArgs,
    prepared: &BackupSetup,
    state: Option<&StateDir>,
    console: &Console,
) -> Option<Publisher> {
    let addresses = args.listen.clone()?.0;
    let Some(state) = state else {
        console.warn("nothing is served on LISTEN: there is no STATE_DIR to tell how backups go");
        return None;
    };
    let settings = prepared.plan.settings.clone();
    Some(Publisher::start(publisher::PublisherSettings {
        addresses,
        state: state.clone(),
        stores: watched_stores(&prepared.backups(console))?,
        server: Box::new(move || identity::of_server(&settings).map_or(ServerIdentity::Unasked, ServerIdentity::of)),
        clock: Timestamp::now,
    }))
}

/// Returns what the publisher scans, the plain backups first. `None`: nothing can be remembered.
fn watched_stores(backups: &Backups) -> Option<Vec<WatchedStore>> {
    let watched = |repository: &Repository| {
        Some(WatchedStore { repository: repository.clone(), watch: backups.watch_of(repository.variant)? })
    };
    backups.repositories().map(watched).collect()
}

/// Returns one job for each schedule. A schedule that never comes is an error.
fn jobs(
    task: Task,
    timetable: &Timetable,
    default: &Databases,
    beside: &[Subject],
    now: Timestamp,
) -> Result<Vec<ScheduledJob>> {
    all_come(task, timetable, now)?;
    let job = |entry: &TimetableEntry| ScheduledJob {
        task,
        schedule: entry.schedule.clone(),
        databases: entry.databases.clone().map_or_else(|| default.clone(), |databases| databases.with(beside)),
    };
    Ok(timetable.entries.iter().map(job).collect())
}
