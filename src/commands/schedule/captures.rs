//! The captures beside a schedule, with `CAPTURE=1`: of each database that the schedule backs up.

use crate::alerts::AlertSettings;
use crate::base::cancel::{Cancel, Stopper};
use crate::base::databases::Databases;
use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::base::subject::Subject;
use crate::base::threads;
use crate::cli::arguments::ScheduleArgs;
use crate::cli::console::Console;
use crate::config;
use crate::config::state::state_dir;
use crate::format::run_record::{Task, Trigger};
use crate::jobs::backup::outputs::BackupsMade;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::repository::Repository;
use crate::runs::bases::due_bases::DueBases;
use crate::runs::captures::capture_keeper::{CaptureKeeper, CaptureSetup};
use crate::runs::runner::Outcome;
use crate::runs::schedule::planner::{DueRun, ScheduledJob};
use jiff::Timestamp;
use std::sync::{Mutex, PoisonError};
use std::thread::Scope;

pub struct ScheduledCaptures<'a> {
    pub keeper: CaptureKeeper<'a>,
    databases: Databases,
    alerts: AlertSettings,
    /// The schedules of backups: the place of each among all, and its databases.
    schedules: Vec<(usize, Databases)>,
    /// `None`: no bases are taken but those of the schedules.
    bases: Option<Mutex<DueBases>>,
}

impl<'a> ScheduledCaptures<'a> {
    /// Reads the settings. `None`: nothing is to be captured.
    pub fn of(
        args: &ScheduleArgs,
        jobs: &[ScheduledJob],
        (server, repository): (&ConnectionSettings, &Repository),
        console: &'a Console,
    ) -> Result<Option<ScheduledCaptures<'a>>> {
        // One run alone is no time to capture anything.
        if !args.capture || args.once {
            return Ok(None);
        }
        let databases = backed_up(jobs);
        check(args, &databases)?;
        let alerts = config::alerts::alerts(&args.run.alerts, &args.run.state, server.describe()).settings;
        let keeper = CaptureKeeper::new(
            setup(args, server.clone(), repository.clone())?,
            state_dir(&args.run.state).ok(),
            Timestamp::now,
            console,
        );
        let of_backups = jobs.iter().enumerate().filter(|(_, job)| job.task == Task::Backup);
        let schedules = of_backups.map(|(slot, job)| (slot, job.databases.clone())).collect();
        let rules = args.bases.is_on.then(|| config::capture::base_rules(&args.bases, None)).transpose()?;
        let bases = rules.map(|rules| Mutex::new(DueBases::new(rules)));
        Ok(Some(ScheduledCaptures { keeper, databases, alerts, schedules, bases }))
    }

    /// Returns the run that makes a base which the captured changes need now. `None`: none is due.
    pub fn due_base(&self, now: Timestamp, monitor: &dyn Monitor) -> Option<DueRun> {
        let mut bases = self.bases.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let repository = self.keeper.repository();
        let mut captured = self.keeper.needs().into_iter();
        let (subject, _) = captured.find(|(subject, needs)| bases.is_due(subject, needs, &repository, now, monitor))?;
        let is_of = |databases: &Databases| match databases {
            Databases::All => true,
            Databases::Named(names) => names.contains(&subject),
        };
        let slot = self.schedules.iter().find(|(_, databases)| is_of(databases))?.0;
        let databases = Databases::Named(vec![subject]);
        Some(DueRun { slot, task: Task::Backup, databases, cause: Trigger::Schedule, tries: 0 })
    }

    /// Takes what backups have made: each may be a base.
    pub fn backed_up(&self, outcomes: &[Outcome<BackupsMade>], now: Timestamp) {
        let Some(bases) = &self.bases else { return };
        let (mut bases, needs) = (bases.lock().unwrap_or_else(PoisonError::into_inner), self.keeper.needs());
        for outcome in outcomes {
            let Some(subject) = outcome.record.database.subject() else { continue };
            let Some(needs) = needs.get(subject) else { continue };
            let made = outcome.result.as_ref().ok().map(|made| &made.plain);
            bases.backed_up(subject, made, needs, now);
        }
    }

    /// Begins them. They end when what is returned is dropped, or a signal comes.
    pub fn begin<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Result<Stopper> {
        let (cancel, stopper) = Cancel::of_thread().stoppable();
        threads::begin_in(scope, "keeper", move || {
            let _limits = cancel.enter();
            self.keeper.all(&self.databases, &self.alerts);
        })?;
        Ok(stopper)
    }
}

/// Returns how databases of this server are captured.
pub fn setup(args: &ScheduleArgs, server: ConnectionSettings, repository: Repository) -> Result<CaptureSetup> {
    let mut options = config::capture::options(&args.capture_options, &args.run.pipeline, server)?;
    let run = &args.run;
    options.journal =
        config::journal::journal(&args.capture_options, &run.store, &run.alerts, &run.state, &options.server)?;
    Ok(CaptureSetup { repository, options })
}

/// Refuses settings with which these databases cannot be captured.
pub fn check(args: &ScheduleArgs, databases: &Databases) -> Result<()> {
    config::capture::require_names(&args.run.store)?;
    let is_one = matches!(databases, Databases::Named(subjects) if subjects.len() < 2);
    match (&args.capture_options.slot, is_one) {
        (Some(slot), false) => Err(Fault::usage(format!("CAPTURE_SLOT: \"{slot}\" can be of one database alone"))
            .hint("unset it: each database has a slot of its own, pgbk_ and its name")
            .into()),
        _ => Ok(()),
    }
}

/// Returns the databases that the schedules of backups are for, each once.
fn backed_up(jobs: &[ScheduledJob]) -> Databases {
    let mut names: Vec<Subject> = Vec::new();
    for job in jobs.iter().filter(|job| job.task == Task::Backup) {
        let Databases::Named(subjects) = &job.databases else { return Databases::All };
        let databases = subjects.iter().filter(|subject| subject.database().is_some());
        names.extend(databases.cloned());
    }
    names.sort();
    names.dedup();
    Databases::Named(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::schedule::cron::Schedule;
    use jiff::tz::TimeZone;

    #[test]
    fn the_databases_of_all_schedules_of_backups_are_captured_once() {
        let job = |task, databases: &str| ScheduledJob {
            task,
            schedule: Schedule::parse("@daily", &TimeZone::UTC).unwrap(),
            databases: databases.parse().unwrap(),
        };
        let of = |jobs: &[ScheduledJob]| backed_up(jobs).to_string();
        let (shop, crm) = (job(Task::Backup, "shop, @globals"), job(Task::Backup, "crm, shop"));
        assert_eq!(of(&[shop.clone(), crm, job(Task::Verify, "wiki")]), "crm, shop");
        assert_eq!(of(&[shop, job(Task::Backup, "*")]), "*");
    }
}
