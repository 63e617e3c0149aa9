//! Restores a backup, verified as it is read, into a database: all of it, or nothing.

pub(crate) mod archive;
pub(crate) mod execute;
pub(crate) mod files;
pub(crate) mod globals;
pub(crate) mod missing_requirements;
pub(crate) mod parallel;
pub(crate) mod plan;
pub(crate) mod properties;
pub mod replay;
pub(crate) mod restricted_role;
pub(crate) mod tables;
pub(crate) mod unqualified_names;
pub(crate) mod way;

use crate::base::error::{self, Fault, Result};
use crate::base::progress::{Monitor, Progress};
use crate::base::shown::many;
use crate::format::manifest::{Format, Manifest};
use crate::format::sql::columns::TableColumns;
use crate::format::sql::inserted::InsertCounter;
use crate::format::sql::schema::Schema;
use crate::jobs::restore::execute::{execute, execute_in_parallel};
use crate::jobs::restore::plan::RestorePlan;
use crate::jobs::restore::way::{RestoreWay, way};
use crate::postgres::restore::load::options::LoadReport;
use crate::postgres::restore::load::requirements_check::UnavailableObjects;
use crate::postgres::restore::load::skipped_statements::UntriedStatements;
use crate::postgres::restore::target::{RestoreTarget, TargetState};
use crate::repository::reader::BackupReader;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Instant;

/// Reports what a restore did.
#[derive(Debug, Clone, Serialize)]
pub struct RestoreReport {
    pub id: String,
    pub database: String,
    pub created: bool,
    pub statements: u64,
    /// Number of tables; `None` if it is unknown because pg_restore did the work, with `--jobs`.
    pub tables: Option<usize>,
    pub rows: Option<u64>,
    /// Descriptions of the database's own properties that were set.
    pub properties: Vec<String>,
    pub skipped: Vec<String>,
    /// Those of `skipped` that a warning has named before the start.
    #[serde(skip)]
    pub foretold: Vec<String>,
    /// Beginnings of statements that name something which only the source's search path finds.
    pub unqualified: Vec<String>,
    /// Objects that the server refused, each with its reason; only with `--skip-failed`.
    pub left_out: Vec<String>,
    /// Objects that a restore test set aside.
    #[serde(skip)]
    pub untried: UntriedStatements,
    /// Columns of each table's rows, for a restore test.
    #[serde(skip)]
    pub columns: TableColumns,
    /// Schema that the statements have made, for a restore test.
    #[serde(skip)]
    pub schema: Schema,
    /// Rows that INSERT statements have added, for a restore test.
    #[serde(skip)]
    pub inserted: InsertCounter,
    pub seconds: f64,
}

/// Checks whether this restore may start, and returns its target. Nothing has been touched when it fails.
pub fn admit(manifest: &Manifest, plan: &RestorePlan) -> Result<RestoreTarget> {
    if manifest.dump.format == Format::Tar {
        return Err(Fault::usage(format!("{} holds files, which no database takes", manifest.id))
            .hint("\"pgbk download\" writes it to a file for tar")
            .into());
    }
    let scripts_only = plan.leave.skip_failed || plan.leave.search_path.is_some() || !plan.leave.extensions.is_empty();
    if plan.processes > 1 && scripts_only {
        let message = "with --jobs pg_restore loads the archive, which knows no --skip-failed, --search-path and --exclude-extension";
        return Err(Fault::usage(message).hint("leave out --jobs").into());
    }
    let mut target = RestoreTarget::look(&plan.settings, &plan.database)?;
    if let TargetState::Holds(count) = target.state {
        if !plan.clean || plan.into_new {
            return Err(Fault::failed(format!(
                "database \"{}\" is not empty: it holds {}",
                plan.database,
                many(count, "object")
            ))
            .hint(match (plan.into_new, is_source(manifest, &target)) {
                (true, _) => {
                    "changes are only replayed in a new database: restore into another one with --to, or drop this one first"
                }
                // Said together: else the next try is refused for the other.
                (false, true) => {
                    "restore into another database with --to, or say --clean --over-source to replace what is there"
                }
                (false, false) => "restore into another database with --to, or say --clean to replace what is there",
            })
            .into());
        }
        if is_source(manifest, &target) && !plan.over_source {
            return Err(over_source(manifest, &target).into());
        }
        if plan.processes > 1 {
            return Err(Fault::usage("--jobs cannot empty its target in the same transaction")
                .hint("leave out --jobs, or restore into a new database with --to")
                .into());
        }
    }
    if manifest.dump.format == Format::Custom {
        archive::pg_restore(manifest, plan, &target)?;
    }
    let mut unavailable = UnavailableObjects::default();
    error::together([
        missing_requirements::check(&manifest.requires, plan, &target).map(|found| unavailable = found),
        properties::shape(manifest, plan, &target).map(drop),
        properties::permitted(plan, &target),
    ])?;
    target.unavailable = unavailable;
    Ok(target)
}

/// Returns whether the target has the source's name, on whichever server. It would replace the source itself, or its namesake elsewhere,
/// such as production if the backup is staging's.
pub fn is_source(manifest: &Manifest, target: &RestoreTarget) -> bool {
    target.database == manifest.subject.name()
}

fn over_source(manifest: &Manifest, target: &RestoreTarget) -> Fault {
    let (name, id) = (&target.database, &manifest.id);
    let elsewhere = match (manifest.system_identifier(), &target.system_identifier) {
        (Some(source), Some(target)) if source != target => {
            format!(
                "\"{name}\" has the name of the database that {id} was taken from, on another server than server {source}"
            )
        }
        _ => format!("\"{name}\" is the database that {id} was taken from"),
    };
    Fault::failed(elsewhere)
        .hint("restore into another database with --to, or say --clean --over-source to replace what is there")
}

/// Restores into a target that [`admit`] returned. On any error the target is as it was; a database made here is gone again.
pub fn restore(
    opened: BackupReader,
    plan: &RestorePlan,
    target: &RestoreTarget,
    monitor: &dyn Monitor,
) -> Result<RestoreReport> {
    let manifest = opened.manifest.clone();
    let way = way(&manifest, plan, target);
    if way.because.is_some() {
        monitor.info(&format!("it is restored by {}", way.describe()));
    }
    carried_out(&manifest, plan, target, way.is_parallel(), monitor, || {
        let name = format!("restore {} into {}", manifest.id, plan.database);
        let monitor = &Progress::begin(monitor, &name, Some(manifest.plain.bytes));
        fill(opened, &manifest, plan, target, &way, monitor)
    })
}

/// Makes the database where it is missing, has `load` fill it, and returns the report. On any error the target is as it was. `in_parts` says
/// whether what is loaded is committed on the way.
fn carried_out(
    manifest: &Manifest,
    plan: &RestorePlan,
    target: &RestoreTarget,
    in_parts: bool,
    monitor: &dyn Monitor,
    load: impl FnOnce() -> Result<LoadReport>,
) -> Result<RestoreReport> {
    let begun = Instant::now();
    let created = target.state == TargetState::Missing;
    if created {
        let shape = properties::shape(manifest, plan, target)?.0;
        target.create(&plan.settings, &shape, in_parts)?;
    }
    let loaded = load().inspect_err(|_| undo(plan, target, in_parts, monitor))?;
    let counted = plan.processes == 1;
    // A table may have several COPY blocks.
    let tables: BTreeSet<&String> = loaded.tables.iter().map(|(table, _)| table).collect();
    Ok(RestoreReport {
        id: manifest.id.to_string(),
        database: plan.database.clone(),
        created,
        statements: loaded.statements,
        tables: counted.then_some(tables.len()),
        rows: counted.then(|| loaded.tables.iter().map(|(_, rows)| rows).sum()),
        properties: loaded.given,
        skipped: loaded.skipped,
        foretold: loaded.foretold,
        unqualified: loaded.unqualified,
        left_out: if plan.leave.skip_failed { loaded.untried.lines("the table is not there") } else { Vec::new() },
        untried: loaded.untried,
        columns: loaded.columns,
        schema: loaded.schema,
        inserted: loaded.inserted,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Restores the target to what it was, as far as the transaction has not done so: drops a database that was made here, and
/// empties one that was filled in parts.
fn undo(plan: &RestorePlan, target: &RestoreTarget, in_parts: bool, monitor: &dyn Monitor) {
    let undone = match target.state {
        TargetState::Missing => target.drop_created(&plan.settings),
        TargetState::Empty if in_parts => target.empty(&plan.settings),
        _ => Ok(()),
    };
    if let Err(left) = undone {
        // A transaction that did not end was taken back by the server.
        let how = if in_parts {
            "is left half restored"
        } else {
            "was made for this restore, holds nothing of it or all of it"
        };
        monitor.warn(&format!("database \"{}\" {how}, and could not be removed: {left:#}", plan.database));
    }
}

fn fill(
    opened: BackupReader,
    manifest: &Manifest,
    plan: &RestorePlan,
    target: &RestoreTarget,
    way: &RestoreWay,
    monitor: &dyn Monitor,
) -> Result<LoadReport> {
    match manifest.dump.format {
        Format::Custom => archive::fill(opened, manifest, plan, target, monitor),
        // No files have been admitted; a server would take them for a script that it cannot read.
        Format::Plain if way.is_parallel() => execute_in_parallel(opened, plan, target, way, monitor),
        Format::Plain | Format::Tar => execute(&mut opened.plain()?, plan, target, manifest, monitor),
    }
}
