//! Backs up what belongs to the server and not to a database: roles, memberships, tablespaces.

use crate::base::error::{Fault, Result};
use crate::base::process::reader::ChildReader;
use crate::base::progress::{Monitor, Progress};
use crate::base::subject::Subject;
use crate::format::manifest::origin::Origin;
use crate::format::manifest::{Format, Manifest};
use crate::jobs::backup::backup_facts::{server_note, taking};
use crate::jobs::backup::plan::BackupPlan;
use crate::jobs::backup::store::{STALLED, store};
use crate::postgres::session::control;
use crate::postgres::session::control::AdvisoryLock;
use crate::postgres::{globals, tools};
use crate::repository::Repository;
use crate::repository::writer::ManifestDetails;
use jiff::Timestamp;
use std::time::Duration;

const SUBJECT: Subject = Subject::Globals;
/// Longest wait for the lock: many times what pg_dumpall takes for the globals.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn globals(repository: &Repository, plan: &BackupPlan, now: Timestamp, monitor: &dyn Monitor) -> Result<Manifest> {
    let mut control = control::of_server(&plan.settings)?;
    if control.has_database(SUBJECT.name())? {
        return Err(taken().into());
    }
    // Runs for other databases of this server take them too.
    control.lock_within(AdvisoryLock::Globals, PATIENCE)?;
    let pg_dumpall = tools::find("pg_dumpall", control.server().major, plan.bin_dir.as_deref())?;
    let passwords = control.reads_passwords()?;
    if !passwords {
        monitor.warn("the role may not read pg_authid: roles are backed up without their passwords");
    }
    let server = server_note(control.server())?;
    let taken_at = control.now()?;
    let name = repository.name(&taking(plan, SUBJECT, Some(&server), taken_at, now), monitor)?;
    let chosen = globals::choice(passwords);
    let arguments = globals::arguments(&chosen, control.settings().database());

    let monitor = &Progress::begin(monitor, &format!("backup {}", name.id), None);
    let mut writer = repository.begin(name, Format::Plain, plan.compression, 0)?;
    let environment = control.for_dump()?.child_environment()?;
    let child = ChildReader::spawn(&pg_dumpall.path, &arguments, &environment, plan.stall)?;
    let dumped = child.when_stalled(STALLED).through(|dump| store(dump, &mut writer, monitor))?;
    let warnings = dumped.1.tell(monitor);

    let about = ManifestDetails {
        server: Some(server),
        properties: None,
        pg_dump: Some(pg_dumpall.version),
        arguments: chosen,
        snapshot: None,
        taken_at: Some(taken_at),
        origin: Some(Origin::Backup),
        anonymised: None,
        note: plan.note.clone(),
        must_be_whole: true,
        warnings,
        contents: None,
        changes: None,
    };
    let manifest = writer.finish(about, monitor)?;
    Ok(manifest)
}

fn taken() -> Fault {
    let name = SUBJECT.name();
    Fault::failed(format!("the server has a database \"{name}\", which is what backups of its globals are called"))
        .hint("rename that database: a backup of either could not be told from one of the other")
}
