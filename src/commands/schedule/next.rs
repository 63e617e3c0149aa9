//! `pgbk schedule --next`

use crate::base::databases::Databases;
use crate::base::error::{Fault, Result};
use crate::cli::arguments::ScheduleArgs;
use crate::cli::console::Console;
use crate::cli::table::TextTable;
use crate::cli::units;
use crate::config;
use crate::format::run_record::Task;
use crate::runs::schedule::timetable::{Timetable, TimetableEntry};
use jiff::Timestamp;
use serde_json::json;

pub fn next(
    timetable: &Timetable,
    proofs: Option<&Timetable>,
    args: &ScheduleArgs,
    count: usize,
    console: &Console,
) -> Result<u8> {
    let now = Timestamp::now();
    all_come(Task::Backup, timetable, now)?;
    proofs.map_or(Ok(()), |proofs| all_come(Task::Verify, proofs, now))?;
    let default = Databases::of(&args.run.databases)?;
    let beside = config::runs::extras(&args.run)?;
    let databases = |task: Task, entry: &TimetableEntry| {
        let beside = if task == Task::Backup { beside.as_slice() } else { &[] };
        Some(entry.databases.clone().or_else(|| default.clone())?.with(beside))
    };
    let mut table = TextTable::new(&["RUN", "IN", "TASK", "SCHEDULE", "DATABASES"]);
    let mut documents = Vec::new();
    for (at, task, entry) in coming(timetable, proofs, now, count) {
        let local = at.to_zoned(timetable.zone.clone());
        let names = databases(task, entry).map_or("-".to_owned(), |databases| databases.to_string());
        let left = units::left(at.duration_since(now));
        let word = if task == Task::Verify { "verify" } else { "backup" }.to_owned();
        table.row([local.strftime("%a %F %T %Z").to_string(), left, word, entry.schedule.to_string(), names.clone()]);
        documents.push(json!({
            "at": at,
            "local": local.strftime("%FT%T%:z").to_string(),
            "zone": timetable.zone.iana_name(),
            "task": task,
            "schedule": entry.schedule.to_string(),
            "databases": databases(task, entry).map(|_| names),
        }));
    }
    console.result(&table.text(""), &documents)?;
    Ok(0)
}

/// Returns the next `count` runs of both timetables, in the order of time.
fn coming<'a>(
    timetable: &'a Timetable,
    proofs: Option<&'a Timetable>,
    now: Timestamp,
    count: usize,
) -> Vec<(Timestamp, Task, &'a TimetableEntry)> {
    let of =
        |task, table: &'a Timetable| table.coming(now, count).into_iter().map(move |(at, entry)| (at, task, entry));
    let backups = of(Task::Backup, timetable);
    let mut coming: Vec<_> = backups.chain(proofs.into_iter().flat_map(|table| of(Task::Verify, table))).collect();
    coming.sort_by_key(|(at, _, _)| *at);
    coming.truncate(count);
    coming
}

/// Refuses a schedule that never comes.
pub(crate) fn all_come(task: Task, timetable: &Timetable, now: Timestamp) -> Result<()> {
    match timetable.entries.iter().find(|entry| entry.schedule.next_after(now).is_none()) {
        Some(entry) => Err(Fault::usage(format!("\"{}\" never comes (again)", entry.schedule))
            .hint(match task {
                Task::Backup => "take it out of CRON_SCHEDULE",
                Task::Verify | Task::VerifyChanges => "take it out of VERIFY_SCHEDULE",
            })
            .into()),
        None => Ok(()),
    }
}
