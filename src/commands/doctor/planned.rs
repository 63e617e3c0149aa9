//! Settings that only the scheduler reads, tried before it is started: a mistake in one would keep it from starting at night.

use crate::cli::{self, ScheduleArgs};
use crate::commands::schedule::all_come;
use crate::commands::{naming_the_variable, told};
use crate::config;
use crate::error::Result;
use crate::jobs::doctor::Finding;
use crate::record::Task;
use jiff::Timestamp;

const WHAT: &str = "scheduler's settings";

/// Returns a finding for each mistake, or one for all that is well.
pub fn look() -> Vec<Finding> {
    let args = match cli::of_schedule() {
        Ok(args) => args,
        Err(error) => return vec![fault(&told(naming_the_variable(error)))],
    };
    let looks: [fn(&ScheduleArgs) -> Result<()>; 4] = [zone, schedules, dumps, rules];
    // What has the time zone in it fails with it.
    let mut mistakes: Vec<String> = Vec::new();
    let mut findings = Vec::new();
    for error in looks.into_iter().filter_map(|look| look(&args).err()) {
        let text = format!("{error:#}");
        if !mistakes.contains(&text) {
            findings.push(fault(&error));
            mistakes.push(text);
        }
    }
    if findings.is_empty() {
        let detail = "TZ, CRON_SCHEDULE, VERIFY_SCHEDULE, PG_DUMP_USER_ARGS and the rules of retention make sense";
        findings.push(Finding::ok(WHAT, detail));
    }
    findings
}

fn fault(error: &anyhow::Error) -> Finding {
    Finding::error(WHAT, error, "correct it, or the scheduler does not start")
}

fn zone(args: &ScheduleArgs) -> Result<()> {
    config::zone(&args.run.zone).map(drop)
}

fn schedules(args: &ScheduleArgs) -> Result<()> {
    let now = Timestamp::now();
    all_come(Task::Backup, &config::timetable(args)?, now)?;
    config::verify_timetable(args)?.map_or(Ok(()), |proofs| all_come(Task::Verify, &proofs, now))
}

fn dumps(args: &ScheduleArgs) -> Result<()> {
    config::compression(&args.run.pipeline)?;
    config::pg_dump_arguments(args.run.pg_dump_args.as_deref()).map(drop)
}

fn rules(args: &ScheduleArgs) -> Result<()> {
    config::upkeep(&args.run.upkeep, &args.run.zone).map(drop)
}
