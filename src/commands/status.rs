//! `pgbk status`

use crate::base::databases::Selection;
use crate::base::error::Result;
use crate::base::shown::{Lines, many};
use crate::base::state_dir::StateDir;
use crate::base::variant::Variant;
use crate::cli::console::{Console, bytes};
use crate::cli::report_args::StatusArgs;
use crate::cli::table::TextTable;
use crate::cli::units;
use crate::config::state::state_dir;
use crate::format::run_record::Task;
use crate::monitoring::age;
use crate::monitoring::page::missing;
use crate::monitoring::source::StatusSource;
use crate::monitoring::status::{DatabaseStatus, SchedulerPulse, SchedulerStatus, Status};
use crate::repository::inventory::Inventory;
use jiff::Timestamp;

pub fn run(args: &StatusArgs, console: &Console) -> Result<u8> {
    let state = state_dir(&args.state)?;
    let mut source = StatusSource::new(state.clone());
    let status = source.status(Timestamp::now(), console)?;
    let status = match args.max_age {
        Some(most) => age::judged(status, most, &names(args)),
        None => status,
    };
    console.result(&text(args, &status, &state), &status)?;
    Ok(u8::from(!status.healthy))
}

/// Returns what the backups are judged of.
fn names(args: &StatusArgs) -> Vec<Selection> {
    args.databases.iter().map(|name| Selection::from(name.as_str())).collect()
}

fn text(args: &StatusArgs, status: &Status, state: &StateDir) -> Lines {
    let mut text = Lines::of(if status.healthy { "healthy" } else { "NOT healthy" });
    for reason in &status.reasons {
        text.push(format!("  {reason}"));
    }
    let is_ended = |scheduler: &SchedulerStatus| scheduler.state == SchedulerPulse::Ended;
    if args.max_age.is_none() && status.scheduler.as_ref().map_or(status.captures.is_empty(), is_ended) {
        text.push(format!("  STATE_DIR is \"{state}\"; newest backups: {}", newest(status)));
        text.push("  with a timer, cron or --once, ask for the age of the backups: pgbk status --max-age 26h");
    }
    if let Some(next) = status.next.first() {
        let left = units::age(next.at.duration_since(status.at));
        let task = if next.task == Task::Verify { "verification of " } else { "" };
        text.push(format!("next run in {left}: {task}{}", next.names()));
    }
    for inventory in status.store.iter().flat_map(Inventory::with_copies) {
        text.append(stored(inventory, status));
    }
    for line in missing(status) {
        text.push(format!("MISSING: {line}"));
    }
    text.append(table(status));
    text.append(captures(status));
    text
}

/// Returns how far each capture is; empty if there is none.
fn captures(status: &Status) -> Lines {
    let mut text = Lines::new();
    if status.captures.is_empty() {
        return text;
    }
    let mut table =
        TextTable::new(&["CAPTURE OF", "STATE", "RESTORABLE UP TO", "LAG", "LOG KEPT", "SEGMENTS", "STORED"]);
    for one in &status.captures {
        let or = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        table.row([
            one.label(&status.captures),
            one.state().to_owned(),
            or(one.recoverable.map(|point| format!("{:.0} {}", point.time, point.position))),
            or(one.lag_seconds.map(|lag| format!("{lag} s"))),
            or(one.retained_bytes.map(bytes)),
            one.segments.to_string(),
            bytes(one.stored_bytes),
        ]);
    }
    text.append(table.text(""));
    for one in &status.captures {
        for trouble in one.troubles.iter().filter(|trouble| !trouble.is_unhealthy()) {
            text.push_under(&format!("{}: ", one.database), &trouble.text);
        }
        if let Some(as_of) = one.large_objects_as_of {
            let told = format!("large objects have changed since, and come back as of {as_of:.0}");
            text.push_under(&format!("{}: ", one.database), &told);
        }
    }
    text
}

/// Returns what the last scan found of one output.
fn stored(inventory: &Inventory, status: &Status) -> Lines {
    let noun = match inventory.variant {
        Variant::Plain => "backup".to_owned(),
        copy => format!("{} backup", copy.name()),
    };
    let backups: u64 = inventory.databases.values().map(|total| total.backups).sum();
    let size = bytes(inventory.databases.values().map(|total| total.bytes).sum());
    let looked = units::age(status.at.duration_since(inventory.looked));
    let others: u64 = inventory.others.values().map(|total| total.backups).sum();
    let beside = if others > 0 { format!(", and {others} of other servers or uploaded") } else { String::new() };
    let mut text =
        Lines::of(format!("{}, {size}{beside} in {} ({looked} ago)", many(backups, &noun), inventory.location));
    if let Some(problem) = &inventory.problem {
        text.push(format!("the store cannot be looked into: {problem}"));
    }
    text
}

/// Names a few databases with the age of their newest backup.
fn newest(status: &Status) -> String {
    const NAMED: usize = 5;
    let made = status.databases.iter().filter_map(|one| {
        let age = status.at.duration_since(one.success.as_ref()?.ended);
        Some(format!("{} {} ago", one.name, units::age(age)))
    });
    let mut made: Vec<String> = made.collect();
    if made.is_empty() {
        return "none that this host knows of".to_owned();
    }
    let more = made.len().saturating_sub(NAMED);
    made.truncate(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    made.join(", ") + &more
}

fn table(status: &Status) -> Lines {
    let mut table = TextTable::new(&[
        "DATABASE",
        "LAST BACKUP",
        "TIME",
        "DUMP",
        "STORED",
        "ROWS",
        "PROVEN",
        "DONE",
        "FAILED",
        "SKIPPED",
    ]);
    let or = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for DatabaseStatus { name, success, proven, runs, .. } in &status.databases {
        let last = success.as_ref();
        table.row([
            name.to_string(),
            or(last.map(|last| format!("{} ago", units::age(status.at.duration_since(last.ended))))),
            or(last.map(|last| format!("{:.1} s", last.seconds))),
            or(last.map(|last| bytes(last.plain_bytes))),
            or(last.map(|last| bytes(last.stored_bytes))),
            or(last.and_then(|last| last.rows).map(|rows| rows.to_string())),
            or(proven.as_ref().map(|proof| format!("{} ago", units::age(status.at.duration_since(proof.ended))))),
            runs.done.to_string(),
            runs.failed.to_string(),
            runs.skipped.to_string(),
        ]);
    }
    table.text("")
}
