//! `pgbk restore --table`

use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::base::shown::{Lines, many};
use crate::cli::arguments::RestoreArgs;
use crate::cli::console::{Console, bytes};
use crate::commands::restore::agreement::agreed;
use crate::commands::restore::dry_run;
use crate::commands::restore::plan::plan;
use crate::commands::restore::summary::{declined, summary_of, tell};
use crate::format::archive::selection::TablePart;
use crate::jobs::restore::RestoreReport;
use crate::jobs::restore::tables::choice::TableChoice;
use crate::jobs::restore::tables::{self, TableRestore};
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::restore::target::TargetState;
use crate::repository::reader::BackupReader;
use serde_json::{Value, json};

/// Restores the tables that were chosen. `source` is the name of the database that was backed up.
pub(crate) fn run(
    args: &RestoreArgs,
    opened: BackupReader,
    server: &ConnectionSettings,
    source: &str,
    console: &Console,
) -> Result<u8> {
    let database = args.to.clone().unwrap_or_else(|| source.to_owned());
    let mut plan = plan(args, &opened, server, database)?;
    let choice = choice(args);
    // What belongs to the database itself stays as it is; a new one is made with the locale of the source.
    if let Some(own) = plan.own.as_mut().filter(|_| !choice.is_all_definitions()) {
        own.rules = None;
    }
    let tables = tables::plan(&opened, &choice, &plan)?;
    let mut outline = outline(&opened, &tables, server);
    if args.dry_run {
        let (more, document) = dry_run::of_tables(args, &opened.manifest, &plan, &tables, tables.expected(&opened)?);
        outline.append(more);
        console.result(&outline, &document)?;
        return Ok(0);
    }
    if args.jobs.is_some_and(|jobs| jobs > 1) {
        let why = if tables.is_whole { "no rows are loaded" } else { "single tables come beside what is there" };
        console.info(&format!("it is restored by one transaction: {why}"));
    }
    console.note(outline.as_str());
    if args.yes {
        tell_outline(&tables, console);
    } else if !agreed(&opened.manifest, &tables.target, tables.replaces(), &outline, console)? {
        return Err(declined());
    }
    let stored = opened.manifest.stored.bytes;
    let (report, fetched) = tables::restore(&opened, &tables, &plan, console)?;
    tell(&report, console);
    let read = format!("  {} of {} were read", bytes(fetched), bytes(stored));
    let document = document(&report, &tables, fetched)?;
    console.result(&summary_of(&report, &tables.without_rows()).and(read), &document)?;
    Ok(u8::from(!report.left_out.is_empty()))
}

/// Returns the report as a document, with what came along and how much was read.
pub(crate) fn document(report: &RestoreReport, tables: &TableRestore, fetched: u64) -> Result<Value> {
    let mut document = serde_json::to_value(report)?;
    document["read_bytes"] = json!(fetched);
    document["with"] = json!(tables.with);
    document["without"] = json!(tables.without);
    Ok(document)
}

/// Tells what comes along and what does not, to those who are not asked.
pub(crate) fn tell_outline(tables: &TableRestore, console: &Console) {
    tables.with.iter().for_each(|object| console.info(&format!("with them comes {object}")));
    tables.without.iter().for_each(|object| console.warn(&format!("left out: {object}")));
    tables.warnings.iter().for_each(|warning| console.warn(warning));
}

/// Returns which tables the arguments mean.
pub(crate) fn choice(args: &RestoreArgs) -> TableChoice {
    let limits = args.limits.clone();
    TableChoice {
        tables: limits.table,
        schemas: limits.schema,
        exclude_tables: limits.exclude_table,
        exclude_data: limits.exclude_table_data,
        part: match (limits.data_only, limits.schema_only) {
            (true, _) => TablePart::Data,
            (_, true) => TablePart::Definitions,
            _ => TablePart::Whole,
        },
    }
}

/// Describes what will be restored and where, before anything happens.
pub(crate) fn outline(opened: &BackupReader, tables: &TableRestore, server: &ConnectionSettings) -> Lines {
    let state = match tables.target.state {
        TargetState::Missing => "does not exist and will be created".to_owned(),
        TargetState::Empty => "is empty".to_owned(),
        TargetState::Holds(count) if tables.is_whole => {
            format!("holds {}, ALL OF WHICH WILL BE REPLACED", many(count, "object"))
        }
        TargetState::Holds(_) if tables.replaced.is_empty() => "keeps what it holds".to_owned(),
        TargetState::Holds(_) => "keeps what it holds, but for what is dropped".to_owned(),
    };
    let mut text = Lines::of(format!("  backup    {}", opened.manifest.id));
    for (name, own) in &tables.tables {
        let rows = own.map(|(rows, size)| format!(", {}, {}", many(rows, "row"), bytes(size))).unwrap_or_default();
        text.push(format!("  restores  {name}{rows}"));
    }
    let lists = [
        ("drops   ", &tables.replaced),
        ("with    ", &tables.with),
        ("without ", &tables.without),
        ("warning ", &tables.warnings),
    ];
    for (what, list) in lists {
        list.iter().for_each(|object| text.push(format!("  {what}  {object}")));
    }
    text.and(format!("  server    {}", server.describe()))
        .and(format!("  database  \"{}\" {state}", tables.target.database))
}
