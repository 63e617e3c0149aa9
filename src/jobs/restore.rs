//! A backup, verified as it comes, into a database: in one transaction, or not at all.

mod bounded;
mod files;
mod globals;
mod properties;

pub use files::{look, place};
pub use globals::{apply_globals, read_globals};
pub use properties::{Outlook, outlook, own};

use crate::error::{Fault, Result};
use crate::manifest::{Format, Manifest};
use crate::monitor::{Monitor, Silent};
use crate::postgres::load::{self, Loaded, Untried};
use crate::postgres::preamble;
use crate::postgres::properties::Own;
use crate::postgres::scratch::Loader;
use crate::postgres::settings::Settings;
use crate::postgres::target::{self, APPLICATION, State, Target};
use crate::postgres::tools::{self, Tool};
use crate::process::{self, ChildReader};
use crate::script::Requirements;
use crate::stream::drain;
use crate::stream::tables::Tables;
use crate::vault::Opened;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;

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
    /// Roles that the dump needs and the server lacks are made: on a server that nobody else uses.
    pub make_roles: bool,
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
    /// What was set aside.
    #[serde(skip)]
    pub untried: Untried,
    pub seconds: f64,
}

/// The major version that brought this setting, which pg_restore has set first of all ever since.
const TRANSACTION_TIMEOUT: u32 = 17;

/// How `pg_restore --list` names the schema of that name itself.
const PUBLIC: &[u8] = b" SCHEMA - public ";

/// pg_restore prints archives quickly; building an index happens elsewhere.
const ARCHIVE_STALL: Duration = Duration::from_secs(3600);

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
    let target = Target::look(&plan.settings, &plan.database)?;
    if let State::Holds(count) = target.state {
        if !plan.clean {
            return Err(Fault::failed(format!(
                "database \"{}\" is not empty: it holds {count} objects",
                plan.database
            ))
            .hint("restore into another database with --to, or say --clean to replace what is there")
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
        pg_restore(manifest, plan, &target)?;
    }
    lacking(&manifest.requires, plan)?;
    properties::shape(manifest, plan, &target)?;
    properties::permitted(plan, &target)?;
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

fn lacking(requires: &Requirements, plan: &Plan) -> Result<()> {
    let mut wanted = requires.clone();
    let mut hint = "create the roles and install the extensions, or leave out roles with --no-owner --no-privileges";
    if plan.no_owner && plan.no_privileges {
        wanted.roles = std::mem::take(&mut wanted.bound_roles);
        hint = "create the roles, which policies or user mappings of the dump name, and install the extensions";
    }
    wanted.roles.extend(plan.own.as_ref().map(Own::roles).unwrap_or_default());
    let mut missing = target::lacks(&plan.settings, &wanted)?;
    if plan.make_roles {
        target::make_roles(&plan.settings, &std::mem::take(&mut missing.roles))?;
    }
    let list = |what: &str, names: &BTreeSet<String>| {
        (!names.is_empty())
            .then(|| format!("{what} {}", names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")))
    };
    let lists: Vec<String> =
        [list("roles", &missing.roles), list("extensions", &missing.extensions)].into_iter().flatten().collect();
    if lists.is_empty() {
        return Ok(());
    }
    Err(Fault::failed(format!("the server lacks what the dump needs: {}", lists.join("; "))).hint(hint).into())
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
        untried: loaded.untried,
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
        Format::Custom => archive(opened, manifest, plan, target, monitor),
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
    let prelude = matches!(target.state, State::Holds(_)).then(|| target.wipe());
    let options = load::Options {
        no_owner: plan.no_owner,
        no_privileges: plan.no_privileges,
        require_trailer: manifest.tools.pg_dump.is_some(),
        monetary: monetary(manifest),
        prelude,
        own: plan.own.clone(),
        bounds: None,
    };
    if let Some(loader) = &plan.loader {
        return bounded::load_by(loader, script, options, monitor);
    }
    let settings = plan.settings.for_database(&plan.database);
    let client = settings.connect(APPLICATION)?;
    load::run(client, &settings, script, options, monitor)
}

/// By which locale amounts of money were written; None where nobody has noted it.
fn monetary(manifest: &Manifest) -> Option<String> {
    manifest.server.as_ref()?.session.get("lc_monetary").cloned()
}

/// Archives are first verified whole into a private temporary file. Without `--jobs`, pg_restore only turns it into SQL, which
/// then takes the same way as a script: one transaction, nothing run but SQL.
fn archive(opened: Opened, manifest: &Manifest, plan: &Plan, target: &Target, monitor: &dyn Monitor) -> Result<Loaded> {
    let pg_restore = pg_restore(manifest, plan, target)?;
    let spool = spool(opened, monitor)?;
    let environment = plan.settings.for_database(&plan.database).child_environment()?;
    let requires = requirements(&pg_restore.path, spool.path(), &environment)?;
    lacking(&requires, plan)?;
    if plan.jobs > 1 {
        return parallel(&pg_restore.path, spool.path(), plan, target, manifest, monitor);
    }
    let mut arguments = vec!["--file=-".to_owned()];
    arguments.push(spool.path().display().to_string());
    let mut script = ChildReader::spawn(&pg_restore.path, &arguments, &environment, ARCHIVE_STALL)?;
    let (loaded, remarks) = script.through(|script| execute(script, plan, target, manifest, monitor))?;
    remarks.tell(monitor);
    Ok(loaded)
}

/// With several jobs pg_restore talks to the server itself, and nobody leaves out what the server does not know.
fn pg_restore(manifest: &Manifest, plan: &Plan, target: &Target) -> Result<Tool> {
    let made_by = manifest.tools.pg_dump.as_deref();
    let tool = tools::for_archive(made_by, target.server_major, plan.bin_dir.as_deref())?;
    if plan.jobs > 1 && tool.major >= TRANSACTION_TIMEOUT && target.server_major < TRANSACTION_TIMEOUT {
        return Err(Fault::usage(format!(
            "pg_restore {} sets transaction_timeout, which a server of version {} does not know: --jobs would fail",
            tool.version, target.server_major
        ))
        .hint("leave out --jobs: pgbk then skips the setting")
        .into());
    }
    Ok(tool)
}

/// Only pg_restore can tell what an archive needs.
fn requirements(pg_restore: &Path, spool: &Path, environment: &process::Environment) -> Result<Requirements> {
    let arguments = ["--schema-only".to_owned(), "--file=-".to_owned(), spool.display().to_string()];
    let mut script = ChildReader::spawn(pg_restore, &arguments, environment, ARCHIVE_STALL)?;
    let mut tables = Tables::default();
    let count = |script: &mut dyn Read| {
        drain(script, &Silent, |bytes| {
            tables.update(bytes);
            Ok(())
        })
    };
    // What it has to say, it says again when it restores.
    let ((), _again) = script.through(count)?;
    Ok(tables.finish().requirements)
}

fn spool(opened: Opened, monitor: &dyn Monitor) -> Result<NamedTempFile> {
    let failed = |what: &str, error: &io::Error| {
        Fault::failed(format!("cannot {what} a temporary file for the archive: {error}"))
            .hint("TMPDIR names a folder with room for it, in a container a volume")
    };
    let made = tempfile::Builder::new().prefix("pgbk-").suffix(".dump").tempfile();
    let mut spool = made.map_err(|error| failed("make", &error))?;
    drain(&mut opened.plain()?, monitor, |bytes| {
        spool.write_all(bytes).map_err(|error| failed("write", &error).into())
    })?;
    Ok(spool)
}

/// Returns a list of what the archive holds without its `CREATE SCHEMA public`, which a target of pgbk's has; None where it holds none.
fn without_public(
    pg_restore: &Path,
    spool: &Path,
    environment: &process::Environment,
) -> Result<Option<NamedTempFile>> {
    let arguments = ["--list".to_owned(), spool.display().to_string()];
    let mut child = ChildReader::spawn(pg_restore, &arguments, environment, ARCHIVE_STALL)?;
    let read = |list: &mut dyn Read| {
        let mut text = Vec::new();
        list.read_to_end(&mut text)?;
        Ok(text)
    };
    let (list, _again) = child.through(read)?;
    let is_public = |line: &&[u8]| line.windows(PUBLIC.len()).any(|words| words == PUBLIC);
    if !list.split(|byte| *byte == b'\n').any(|line| is_public(&line)) {
        return Ok(None);
    }
    let mut file = tempfile::Builder::new().prefix("pgbk-").suffix(".list").tempfile()?;
    for line in list.split_inclusive(|byte| *byte == b'\n').filter(|line| !is_public(line)) {
        file.write_all(line)?;
    }
    file.flush()?;
    Ok(Some(file))
}

fn parallel(
    pg_restore: &Path,
    spool: &Path,
    plan: &Plan,
    target: &Target,
    manifest: &Manifest,
    monitor: &dyn Monitor,
) -> Result<Loaded> {
    let mut arguments = vec!["--exit-on-error".to_owned(), "--no-password".to_owned(), format!("--jobs={}", plan.jobs)];
    // The bare name would be taken for connection settings where it looks like such.
    let name = plan.database.replace('\\', "\\\\").replace('\'', "\\'");
    arguments.push(format!("--dbname=dbname='{name}'"));
    if plan.no_owner {
        arguments.push("--no-owner".to_owned());
    }
    if plan.no_privileges {
        arguments.push("--no-privileges".to_owned());
    }
    let settings = plan.settings.for_database(&plan.database);
    let list = without_public(pg_restore, spool, &settings.child_environment()?)?;
    if let Some(list) = &list {
        arguments.push(format!("--use-list={}", list.path().display()));
    }
    arguments.push(spool.display().to_string());
    let mut session = plan.own.as_ref().map(|own| properties::attempt(own, &settings)).transpose()?.unwrap_or_default();
    session.extend(preamble::for_reading(target.server_major));
    session.extend(target.other_role.then(preamble::as_logged_in));
    session.extend(monetary(manifest).map(|locale| ("lc_monetary".to_owned(), locale)));
    let mut environment = settings.with_session(&session).child_environment()?;
    environment.set("PGAPPNAME", APPLICATION);
    let mut child = ChildReader::spawn(pg_restore, &arguments, &environment, Duration::MAX)?;
    let ((), remarks) = child.through(|_| Ok(()))?;
    remarks.tell(monitor);
    let done = plan.own.as_ref().map(|own| properties::give(own, &settings)).transpose()?.unwrap_or_default();
    Ok(Loaded { skipped: done.skipped, given: done.given, ..Loaded::default() })
}
