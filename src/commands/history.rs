//! `pgbk history`

use crate::base::error::{Fault, Result};
use crate::base::shown::Lines;
use crate::cli::console::{Console, bytes};
use crate::cli::report_args::HistoryArgs;
use crate::cli::table::TextTable;
use crate::commands::summary::{stages, tables_and_rows};
use crate::config;
use crate::format::run_record::{Record, RestoreTest, RunState, StoredBackup, Task, Trigger};
use serde_json::{Value, json};

pub fn run(args: &HistoryArgs, console: &Console) -> Result<u8> {
    let history = config::state::history(&args.state)?;
    if let Some(run) = &args.run {
        let record = history.find(run)?.ok_or_else(|| {
            Fault::not_found(format!("there is no run {run} in {}", history.location()))
                .hint("\"pgbk history\" shows which there are; STATE_DIR says where they are written down")
        })?;
        console.result(&whole(&record), &document(&record)?)?;
        return Ok(0);
    }
    let mut records = history.records(console)?;
    records.retain(|record| match record.state {
        RunState::Failed => !args.running,
        RunState::Running => !args.failed,
        RunState::Done | RunState::Skipped => !args.failed && !args.running,
    });
    records.truncate(usize::from(args.limit));
    let documents = records.iter().map(document).collect::<Result<Vec<_>>>()?;
    console.result(&table(&records), &documents)?;
    Ok(0)
}

/// Returns the record as a document, with its duration in seconds and the file name of its backup.
fn document(record: &Record) -> Result<Value> {
    let mut value = serde_json::to_value(record)?;
    value["seconds"] = json!(record.seconds());
    if let Some(backup) = &record.backup {
        value["backup"]["file"] = json!(file(backup));
    }
    Ok(value)
}

fn file(backup: &StoredBackup) -> &str {
    backup.object.rsplit('/').next().unwrap_or(&backup.object)
}

fn table(records: &[Record]) -> Lines {
    let mut table = TextTable::new(&["RUN", "TASK", "DATABASE", "STATE", "CAUSE", "TIME", "STORED", "RESULT"]);
    for record in records {
        let result = match (&record.backup, &record.problem) {
            (Some(backup), _) => backup.id.to_string(),
            (None, Some(problem)) => first_line(&problem.message),
            (None, None) => record.proof.as_ref().map_or("-".to_owned(), |proof| proof.id.to_string()),
        };
        table.row([
            record.run.clone(),
            task(record.task).to_owned(),
            record.database.to_string(),
            state(record.state).to_owned(),
            cause(record.cause).to_owned(),
            record.seconds().map_or("-".to_owned(), |seconds| format!("{seconds:.1} s")),
            record.backup.as_ref().map_or("-".to_owned(), |backup| bytes(backup.stored_bytes)),
            result,
        ]);
    }
    table.text("no runs")
}

/// Returns the first line of a message, cut to what a table has room for. The output for a single run shows the whole message.
fn first_line(message: &str) -> String {
    const LONGEST: usize = 120;
    let line = message.lines().next().unwrap_or_default();
    let short: String = line.chars().take(LONGEST).collect();
    if short.len() < message.trim_end().len() { format!("{}…", short.trim_end()) } else { short }
}

fn whole(record: &Record) -> Lines {
    let mut text = Lines::of(&record.run)
        .and(format!("  task      {}", task(record.task)))
        .and(format!("  database  {}", record.database))
        .and(format!("  state     {}", state(record.state)))
        .and(format!("  cause     {}", cause(record.cause)))
        .and(format!("  started   {}", record.started));
    if let (Some(ended), Some(seconds)) = (record.ended, record.seconds()) {
        text.push(format!("  ended     {ended} after {seconds:.1} s"));
    }
    if let Some(backup) = &record.backup {
        text.append(stored(backup));
    }
    for copy in &record.outputs {
        text.push(format!("  output    {}, {} stored in {}", copy.id, bytes(copy.stored_bytes), copy.location));
    }
    if let Some(proof) = &record.proof {
        text.append(restored(proof));
    }
    for warning in &record.warnings {
        text.push_under("  warning   ", warning);
    }
    if let Some(problem) = &record.problem {
        text.push_under("  error     ", &format!("{} (exit code {})", problem.message, problem.exit_code));
        for hint in &problem.hints {
            text.push_under("  hint      ", hint);
        }
    }
    text
}

fn stored(backup: &StoredBackup) -> Lines {
    let rows = backup.rows.map(|rows| format!(" in {}", tables_and_rows(backup.tables, rows))).unwrap_or_default();
    let cipher = if backup.encrypted { "encrypted" } else { "not encrypted" };
    let checked = backup.verified.describe();
    Lines::of(format!("  backup    {}", backup.id))
        .and(format!("  dump      {}{rows}", bytes(backup.plain_bytes)))
        .and(format!("  stored    {} ({cipher}, {checked})", bytes(backup.stored_bytes)))
        .and(format!("  stages    {}", stages(&backup.seconds)))
        .and(format!("  file      {}", file(backup)))
        .and(format!("  key       {}", backup.object))
        .and(format!("  store     {}", backup.location))
}

fn restored(proof: &RestoreTest) -> Lines {
    let RestoreTest { id, scratch, tables, rows, with_owners, upload: _ } = proof;
    let without = if *with_owners { "" } else { ", without owners and privileges" };
    Lines::of(format!("  backup    {id}"))
        .and(format!("  scratch   {scratch}"))
        .and(format!("  restored  {}{without}", tables_and_rows(*tables, *rows)))
}

fn task(task: Task) -> &'static str {
    match task {
        Task::Backup => "backup",
        Task::Verify => "verify",
        Task::VerifyChanges => "verify changes",
    }
}

fn state(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Done => "done",
        RunState::Failed => "FAILED",
        RunState::Skipped => "skipped",
    }
}

fn cause(cause: Trigger) -> &'static str {
    match cause {
        Trigger::Schedule => "schedule",
        Trigger::CatchUp => "catch-up",
        Trigger::Manual => "manual",
    }
}
