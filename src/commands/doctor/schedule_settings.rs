//! Checks the settings that only the scheduler reads. A mistake in one would keep the scheduler from starting, perhaps at night.

use crate::base::error::Result;
use crate::cli::arguments::ScheduleArgs;
use crate::commands::schedule::next::all_come;
use crate::config;
use crate::config::arguments::{of_schedule, told};
use crate::format::run_record::Task;
use crate::monitoring::doctor::DoctorFinding;
use jiff::Timestamp;

const WHAT: &str = "scheduler's settings";

/// Returns one finding for each mistake; without mistakes, one that says so.
pub fn look() -> Vec<DoctorFinding> {
    let args = match of_schedule() {
        Ok(args) => args,
        Err(error) => return vec![fault(&told(error))],
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
        findings.push(DoctorFinding::ok(WHAT, detail));
    }
    findings
}

fn fault(error: &anyhow::Error) -> DoctorFinding {
    DoctorFinding::error(WHAT, error, "correct it, or the scheduler does not start")
}

fn zone(args: &ScheduleArgs) -> Result<()> {
    config::retention::zone(&args.run.zone).map(drop)
}

fn schedules(args: &ScheduleArgs) -> Result<()> {
    let now = Timestamp::now();
    all_come(Task::Backup, &config::runs::timetable(args)?, now)?;
    config::runs::verify_timetable(args)?.map_or(Ok(()), |proofs| all_come(Task::Verify, &proofs, now))
}

fn dumps(args: &ScheduleArgs) -> Result<()> {
    config::pipeline::compression(&args.run.pipeline)?;
    config::pipeline::pg_dump_arguments(args.run.pg_dump_args.as_deref()).map(drop)
}

fn rules(args: &ScheduleArgs) -> Result<()> {
    let upkeep = config::retention::upkeep(&args.run.upkeep, &args.run.zone)?;
    config::retention::copy_upkeep(&upkeep).map(drop)
}
