//! Checks what is backed up besides databases: a server's globals, and files.

use crate::base::error::Result;
use crate::base::progress::{NullMonitor, RecordingMonitor};
use crate::base::shown::many;
use crate::base::subject::Subject;
use crate::files::entry::EntryKind;
use crate::files::walk::{WalkEntry, check, walk};
use crate::monitoring::doctor::DoctorFinding;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::session::control;
use crate::postgres::session::control::Control;
use crate::postgres::tools;
use std::path::{Path, PathBuf};

/// Number of warnings that are listed at most.
const LISTED: usize = 10;

/// Checks `BACKUP_GLOBALS`: whether the server's globals can be dumped.
pub fn look_at_globals(settings: &ConnectionSettings, bin_dir: Option<&Path>) -> DoctorFinding {
    let what = Subject::Globals.name();
    let found = control::of_server(settings).and_then(|mut control| globals(&mut control, bin_dir));
    found.unwrap_or_else(|error| DoctorFinding::error(what, &error, "check DB_HOST, DB_PORT, DB_USER and DB_PASSWORD"))
}

fn globals(control: &mut Control, bin_dir: Option<&Path>) -> Result<DoctorFinding> {
    let what = Subject::Globals.name();
    if control.has_database(what)? {
        let detail = format!("the server has a database \"{what}\", which is what backups of its globals are called");
        return Ok(DoctorFinding::fail(what, detail, "rename that database"));
    }
    let tool = tools::find("pg_dumpall", control.server().major, bin_dir)?;
    let made_by = format!("pg_dumpall {} in {}", tool.version, tool.path.display());
    Ok(match control.reads_passwords()? {
        true => DoctorFinding::ok(what, format!("{made_by}; with the roles' passwords")),
        false => DoctorFinding::note(
            what,
            format!("{made_by}; the role may not read pg_authid: roles are backed up without their passwords"),
            "back them up as a superuser, where the server has one for you; else set passwords anew after a restore",
        ),
    })
}

/// Checks `BACKUP_FILES`: whether its paths can be read.
pub fn look_at_files(paths: &[PathBuf]) -> DoctorFinding {
    let (what, recording) = (Subject::Files.name(), RecordingMonitor::new(&NullMonitor));
    let found = match walk(paths, &recording).and_then(|found| check(&found).map(|()| found)) {
        Ok(found) => found,
        Err(error) => return DoctorFinding::error(what, &error, "name paths in BACKUP_FILES that can be read"),
    };
    let kind = |kind: EntryKind| found.iter().filter(|one| one.what == kind).count();
    let bytes: u64 = found.iter().map(|one: &WalkEntry| one.bytes).sum();
    let (files, folders, links) = (kind(EntryKind::File), kind(EntryKind::Folder), kind(EntryKind::Link));
    let counts = [many(files, "file"), many(folders, "folder"), many(links, "link")].join(", ");
    let held = format!("{counts}, {}", many(bytes, "byte"));
    let mut warnings = recording.warnings();
    if warnings.len() > LISTED {
        let more = warnings.split_off(LISTED).len();
        warnings.push(format!("and {more} more"));
    }
    match (files + links, warnings.as_slice()) {
        (0, _) => DoctorFinding::note(what, format!("{held}: there is nothing in it"), "check BACKUP_FILES"),
        (_, []) => DoctorFinding::ok(what, held),
        _ => DoctorFinding::note(what, format!("{held}; {}", warnings.join("; ")), "they will be missing in a backup"),
    }
}
