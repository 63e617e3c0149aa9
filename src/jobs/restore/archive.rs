//! Archives of pg_dump's, which only pg_restore reads.

use super::{Plan, execute, lacking, monetary, properties};
use crate::error::{Fault, Result};
use crate::manifest::Manifest;
use crate::monitor::{Monitor, Silent};
use crate::postgres::load::Loaded;
use crate::postgres::preamble;
use crate::postgres::target::{APPLICATION, Target};
use crate::postgres::tools::{self, Tool};
use crate::process::{self, ChildReader};
use crate::script::Requirements;
use crate::stream::drain;
use crate::stream::tables::Tables;
use crate::vault::Opened;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;
use tempfile::NamedTempFile;

/// The major version that brought this setting, which pg_restore has set first of all ever since.
const TRANSACTION_TIMEOUT: u32 = 17;

/// How `pg_restore --list` names the schema of that name itself.
const PUBLIC: &[u8] = b" SCHEMA - public ";

/// pg_restore prints archives quickly; building an index happens elsewhere.
const ARCHIVE_STALL: Duration = Duration::from_secs(3600);

/// Archives are first verified whole into a private temporary file. Without `--jobs`, pg_restore only turns it into SQL, which
/// then takes the same way as a script: one transaction, nothing run but SQL.
pub(super) fn fill(
    opened: Opened,
    manifest: &Manifest,
    plan: &Plan,
    target: &Target,
    monitor: &dyn Monitor,
) -> Result<Loaded> {
    let pg_restore = pg_restore(manifest, plan, target)?;
    let spool = spool(opened, monitor)?;
    let environment = plan.settings.for_database(&plan.database).child_environment()?;
    let requires = requirements(&pg_restore.path, spool.path(), &environment)?;
    lacking::check(&requires, plan, target)?;
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
pub(super) fn pg_restore(manifest: &Manifest, plan: &Plan, target: &Target) -> Result<Tool> {
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
    let flags = [(plan.leave.comments, "--no-comments"), (plan.leave.tablespaces, "--no-tablespaces")];
    arguments.extend(flags.iter().filter(|(said, _)| *said).map(|(_, flag)| (*flag).to_owned()));
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
