//! Restores archives of pg_dump's, which only pg_restore reads.

use crate::base::error::{Fault, Result};
use crate::base::process::environment::ChildEnvironment;
use crate::base::process::reader::ChildReader;
use crate::base::progress::{Monitor, NullMonitor};
use crate::format::manifest::Manifest;
use crate::format::sql::requirements::Requirements;
use crate::jobs::restore::execute::{execute, monetary};
use crate::jobs::restore::plan::RestorePlan;
use crate::jobs::restore::{missing_requirements, properties};
use crate::pipeline::drain;
use crate::pipeline::table_counter::TableCounter;
use crate::postgres::connect::preamble;
use crate::postgres::restore::load::options::LoadReport;
use crate::postgres::restore::target::{APPLICATION, RestoreTarget};
use crate::postgres::tools::{self, Tool};
use crate::repository::reader::BackupReader;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;
use tempfile::NamedTempFile;

/// First major version that has this setting. pg_restore sets it before anything else since then.
const TRANSACTION_TIMEOUT: u32 = 17;

/// Line part with which `pg_restore --list` names the schema `public` itself.
const PUBLIC: &[u8] = b" SCHEMA - public ";

/// Longest time that pg_restore may print nothing. It prints archives quickly; indexes are built elsewhere.
const ARCHIVE_STALL: Duration = Duration::from_secs(3600);

/// Restores an archive, which is first verified whole into a private temporary file. Without `--jobs`, pg_restore only turns it into SQL,
/// which then takes the same way as a script: one transaction, nothing run but SQL.
pub(crate) fn fill(
    opened: BackupReader,
    manifest: &Manifest,
    plan: &RestorePlan,
    target: &RestoreTarget,
    monitor: &dyn Monitor,
) -> Result<LoadReport> {
    let pg_restore = pg_restore(manifest, plan, target)?;
    let spool = spool(opened, monitor)?;
    let environment = plan.settings.for_database(&plan.database).child_environment()?;
    let requires = requirements(&pg_restore.path, spool.path(), &environment)?;
    let unavailable = missing_requirements::check(&requires, plan, target)?;
    missing_requirements::without(&unavailable, plan).iter().for_each(|warning| monitor.warn(warning));
    let target = &RestoreTarget { unavailable, ..target.clone() };
    if plan.processes > 1 {
        return parallel(&pg_restore.path, spool.path(), plan, target, manifest, monitor);
    }
    let mut arguments = vec!["--file=-".to_owned()];
    arguments.push(spool.path().display().to_string());
    let mut script = ChildReader::spawn(&pg_restore.path, &arguments, &environment, ARCHIVE_STALL)?;
    let (loaded, remarks) = script.through(|script| execute(script, plan, target, manifest, monitor))?;
    remarks.tell(monitor);
    Ok(loaded)
}

/// Finds the pg_restore to use. Refuses `--jobs` if pg_restore would set what the server does not know: it talks to the server
/// itself then, and pgbk cannot skip the setting.
pub(crate) fn pg_restore(manifest: &Manifest, plan: &RestorePlan, target: &RestoreTarget) -> Result<Tool> {
    let made_by = manifest.tools.pg_dump.as_deref();
    let tool = tools::for_archive(made_by, target.server_major, plan.bin_dir.as_deref())?;
    if plan.processes > 1 && tool.major >= TRANSACTION_TIMEOUT && target.server_major < TRANSACTION_TIMEOUT {
        return Err(Fault::usage(format!(
            "pg_restore {} sets transaction_timeout, which a server of version {} does not know: --jobs would fail",
            tool.version, target.server_major
        ))
        .hint("leave out --jobs: pgbk then skips the setting")
        .into());
    }
    Ok(tool)
}

/// Returns what an archive needs, which only pg_restore can read from it.
fn requirements(pg_restore: &Path, spool: &Path, environment: &ChildEnvironment) -> Result<Requirements> {
    let arguments = ["--schema-only".to_owned(), "--file=-".to_owned(), spool.display().to_string()];
    let mut script = ChildReader::spawn(pg_restore, &arguments, environment, ARCHIVE_STALL)?;
    let mut tables = TableCounter::default();
    let count = |script: &mut dyn Read| {
        drain(script, &NullMonitor, |bytes| {
            tables.update(bytes);
            Ok(())
        })
    };
    // What it has to say, it says again when it restores.
    let ((), _again) = script.through(count)?;
    Ok(tables.finish().requirements)
}

fn spool(opened: BackupReader, monitor: &dyn Monitor) -> Result<NamedTempFile> {
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

/// Returns a table of contents without `CREATE SCHEMA public`, which a target that pgbk made has
/// already; `None` if the archive does not make it.
fn without_public(pg_restore: &Path, spool: &Path, environment: &ChildEnvironment) -> Result<Option<NamedTempFile>> {
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
    plan: &RestorePlan,
    target: &RestoreTarget,
    manifest: &Manifest,
    monitor: &dyn Monitor,
) -> Result<LoadReport> {
    let mut arguments =
        vec!["--exit-on-error".to_owned(), "--no-password".to_owned(), format!("--jobs={}", plan.processes)];
    // The bare name would be taken for connection settings where it looks like such.
    let name = plan.database.replace('\\', "\\\\").replace('\'', "\\'");
    arguments.push(format!("--dbname=dbname='{name}'"));
    if plan.no_owner {
        arguments.push("--no-owner".to_owned());
    }
    if plan.no_privileges {
        arguments.push("--no-privileges".to_owned());
    }
    let no_tablespaces = plan.leave.tablespaces || !target.unavailable.tablespaces.is_empty();
    let flags = [(plan.leave.comments, "--no-comments"), (no_tablespaces, "--no-tablespaces")];
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
    Ok(LoadReport { skipped: done.skipped, given: done.given, ..LoadReport::default() })
}
