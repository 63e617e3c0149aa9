//! A backup, verified as it comes, into a database: in one transaction, or not at all.

mod archive;
mod bounded;
mod files;
mod globals;
mod lacking;
mod properties;

pub use files::{look, place};
pub use globals::{apply_globals, read_globals};
pub use properties::{Outlook, outlook, own};

use crate::error::{self, Fault, Kind, Result, kind};
use crate::manifest::{Format, Manifest, ServerNote};
use crate::monitor::Monitor;
use crate::postgres::holders::holders;
use crate::postgres::load::{self, Leave, Loaded, Untried};
use crate::postgres::properties::Own;
use crate::postgres::scratch::Loader;
use crate::postgres::settings::Settings;
use crate::postgres::target::{self, APPLICATION, State, Target};
use crate::script::inserted::Inserted;
use crate::script::{Columns, Schema};
use crate::vault::Opened;
use serde::Serialize;
use std::io::Read;
use std::path::PathBuf;
use std::time::Instant;

/// What was decided before the restore starts.
#[derive(Clone)]
pub struct Plan {
    pub settings: Settings,
    pub database: String,
    pub clean: bool,
    /// With `clean`: the target may be the database that the backup was taken from.
    pub over_source: bool,
    pub no_owner: bool,
    pub no_privileges: bool,
    /// What else is left out.
    pub leave: Leave,
    /// What the database itself is to have; None: the backup holds nothing of it.
    pub own: Option<Own>,
    /// The database may be made with another locale than its source has.
    pub any_locale: bool,
    pub jobs: u32,
    /// For a proof: what is restored runs with the rights of a role made for it, and what that may not do is set aside.
    pub loader: Option<Loader>,
    pub bin_dir: Option<PathBuf>,
}

/// What was done.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub id: String,
    pub database: String,
    pub created: bool,
    pub statements: u64,
    /// Not known where pg_restore did it, with `--jobs`.
    pub tables: Option<usize>,
    pub rows: Option<u64>,
    /// What the database itself was given.
    pub properties: Vec<String>,
    pub skipped: Vec<String>,
    /// What the server refused, each with its reason: with `--skip-failed`.
    pub left_out: Vec<String>,
    /// What was set aside in a proof.
    #[serde(skip)]
    pub untried: Untried,
    /// In a proof: the columns of each table's rows.
    #[serde(skip)]
    pub columns: Columns,
    /// In a proof: what the statements have made.
    #[serde(skip)]
    pub schema: Schema,
    /// In a proof: the rows that they have added.
    #[serde(skip)]
    pub inserted: Inserted,
    pub seconds: f64,
}

/// Whether this restore may start at all. Nothing has been touched when it says no.
pub fn admit(manifest: &Manifest, plan: &Plan) -> Result<Target> {
    if manifest.dump.format == Format::Tar {
        return Err(Fault::usage(format!("{} holds files, which no database takes", manifest.id))
            .hint("\"pgbk download\" writes it to a file for tar")
            .into());
    }
    if plan.jobs > 1 && manifest.dump.format == Format::Plain {
        return Err(Fault::usage("--jobs is for archives; this backup is an SQL script")
            .hint("leave out --jobs")
            .into());
    }
    let scripts_only = plan.leave.skip_failed || plan.leave.search_path.is_some() || !plan.leave.extensions.is_empty();
    if plan.jobs > 1 && scripts_only {
        let message = "with --jobs pg_restore loads the archive, which knows no --skip-failed, --search-path and --exclude-extension";
        return Err(Fault::usage(message).hint("leave out --jobs").into());
    }
    let target = Target::look(&plan.settings, &plan.database)?;
    if let State::Holds(count) = target.state {
        if !plan.clean {
            return Err(Fault::failed(format!(
                "database \"{}\" is not empty: it holds {count} objects",
                plan.database
            ))
            .hint(match is_source(manifest, &target) {
                // Said together: else the next try is refused for the other.
                true => {
                    "restore into another database with --to, or say --clean --over-source to replace what is there"
                }
                false => "restore into another database with --to, or say --clean to replace what is there",
            })
            .into());
        }
        if is_source(manifest, &target) && !plan.over_source {
            return Err(over_source(manifest, &target).into());
        }
        if plan.jobs > 1 {
            return Err(Fault::usage("--jobs cannot empty its target in the same transaction")
                .hint("leave out --jobs, or restore into a new database with --to")
                .into());
        }
    }
    if manifest.dump.format == Format::Custom {
        archive::pg_restore(manifest, plan, &target)?;
    }
    error::together([
        lacking::check(&manifest.requires, plan, &target),
        properties::shape(manifest, plan, &target).map(drop),
        properties::permitted(plan, &target),
    ])?;
    Ok(target)
}

/// The same name, on whichever server: what would be replaced is the source itself, or what bears its name elsewhere, such as
/// production where the backup is staging's.
pub fn is_source(manifest: &Manifest, target: &Target) -> bool {
    target.database == manifest.database
}

fn over_source(manifest: &Manifest, target: &Target) -> Fault {
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

/// Restores into an admitted target. On any error the target is as it was; a database made here is gone again.
pub fn restore(opened: Opened, plan: &Plan, target: &Target, monitor: &dyn Monitor) -> Result<Report> {
    let begun = Instant::now();
    let manifest = opened.manifest.clone();
    let created = target.state == State::Missing;
    if created {
        target.create(&plan.settings, &properties::shape(&manifest, plan, target)?.0)?;
    }
    monitor.begin(&format!("restore {} into {}", manifest.id, plan.database), Some(manifest.plain.bytes));
    let loaded = fill(opened, &manifest, plan, target, monitor);
    monitor.end();
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            undo(plan, target, monitor);
            return Err(error);
        }
    };
    let counted = plan.jobs == 1;
    Ok(Report {
        id: manifest.id.to_string(),
        database: plan.database.clone(),
        created,
        statements: loaded.statements,
        tables: counted.then_some(loaded.tables.len()),
        rows: counted.then(|| loaded.tables.iter().map(|(_, rows)| rows).sum()),
        properties: loaded.given,
        skipped: loaded.skipped,
        left_out: if plan.leave.skip_failed { loaded.untried.lines("the table is not there") } else { Vec::new() },
        untried: loaded.untried,
        columns: loaded.columns,
        schema: loaded.schema,
        inserted: loaded.inserted,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Makes the target what it was, where the transaction has not done so already: a database made here goes, and one that parallel
/// jobs were filling is emptied again.
fn undo(plan: &Plan, target: &Target, monitor: &dyn Monitor) {
    let undone = match target.state {
        State::Missing => target.drop_created(&plan.settings),
        State::Empty if plan.jobs > 1 => target.empty(&plan.settings),
        _ => Ok(()),
    };
    if let Err(left) = undone {
        // A transaction that did not end was taken back by the server.
        let how = if plan.jobs > 1 {
            "is left half restored"
        } else {
            "was made for this restore, holds nothing of it or all of it"
        };
        monitor.warn(&format!("database \"{}\" {how}, and could not be removed: {left:#}", plan.database));
    }
}

fn fill(opened: Opened, manifest: &Manifest, plan: &Plan, target: &Target, monitor: &dyn Monitor) -> Result<Loaded> {
    match manifest.dump.format {
        Format::Custom => archive::fill(opened, manifest, plan, target, monitor),
        // No files have been admitted; a server would take them for a script that it cannot read.
        Format::Plain | Format::Tar => execute(&mut opened.plain()?, plan, target, manifest, monitor),
    }
}

fn execute(
    script: &mut dyn Read,
    plan: &Plan,
    target: &Target,
    manifest: &Manifest,
    monitor: &dyn Monitor,
) -> Result<Loaded> {
    let wipe = matches!(target.state, State::Holds(_)).then(|| target.wipe());
    let lacks_public =
        plan.loader.is_none() && plan.own.as_ref().is_some_and(|own| own.rules.is_some() && own.wanted.lacks_public);
    let prelude = match (wipe, lacks_public) {
        (wipe, false) => wipe,
        (wipe, true) => Some([wipe.as_deref().unwrap_or_default(), target::DROP_PUBLIC].join(";\n")),
    };
    let options = load::Options {
        no_owner: plan.no_owner,
        no_privileges: plan.no_privileges,
        require_trailer: manifest.tools.pg_dump.is_some(),
        monetary: monetary(manifest),
        prelude,
        own: plan.own.clone(),
        bounds: None,
        leave: plan.leave.clone(),
        other_major: major(manifest).is_some_and(|major| major != target.server_major),
    };
    if let Some(loader) = &plan.loader {
        return bounded::load_by(loader, script, options, monitor);
    }
    let settings = plan.settings.for_database(&plan.database);
    let client = settings.connect(APPLICATION)?;
    let loaded = load::run(client, &settings, script, options, monitor);
    loaded.map_err(|error| between_majors(manifest, target, held(&settings, error)))
}

/// Says who holds what the restore has waited for in vain.
fn held(settings: &Settings, error: anyhow::Error) -> anyhow::Error {
    let waited = error.to_string().contains("(SQLSTATE 55P03)");
    let by = if waited { holders(settings).unwrap_or_default() } else { Vec::new() };
    if by.is_empty() {
        return error;
    }
    let hint = "let these sessions end, or end them: SELECT pg_terminate_backend(pid)";
    Fault::new(kind(&error), format!("{error:#}; held by {}", by.join("; "))).hint(hint).into()
}

/// Says so where a statement is refused by a server of another major version than its own.
fn between_majors(manifest: &Manifest, target: &Target, error: anyhow::Error) -> anyhow::Error {
    let theirs = major(manifest).filter(|theirs| *theirs != target.server_major);
    let refused = kind(&error) == Kind::Refused || error.to_string().contains("(SQLSTATE 0A");
    let Some(theirs) = theirs.filter(|_| refused) else { return error };
    let versions = format!("the backup is from PostgreSQL {theirs}, this server is {}", target.server_major);
    let hints = error::hints(&error).into_iter().map(str::to_owned).chain([versions]);
    Fault::new(kind(&error), format!("{error:#}")).hint(hints.collect::<Vec<_>>().join("; ")).into()
}

/// Returns the major version of the server that was backed up; None of an upload.
pub fn major(manifest: &Manifest) -> Option<u32> {
    manifest.server.as_ref().map(ServerNote::major)
}

/// By which locale amounts of money were written; None where nobody has noted it.
fn monetary(manifest: &Manifest) -> Option<String> {
    manifest.server.as_ref()?.session.get("lc_monetary").cloned()
}
