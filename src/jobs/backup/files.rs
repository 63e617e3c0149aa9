//! Backs up files and folders of this host as one archive.

use crate::base::error::{Fault, Result};
use crate::base::progress::{Monitor, Progress};
use crate::base::subject::Subject;
use crate::files::pack::pack;
use crate::files::walk::{WalkEntry, walk};
use crate::format::manifest::origin::Origin;
use crate::format::manifest::{Format, Manifest};
use crate::jobs::backup::backup_facts::{server_note, taking};
use crate::jobs::backup::plan::BackupPlan;
use crate::postgres::session::control;
use crate::repository::Repository;
use crate::repository::writer::ManifestDetails;
use jiff::Timestamp;

pub fn files(repository: &Repository, plan: &BackupPlan, now: Timestamp, monitor: &dyn Monitor) -> Result<Manifest> {
    if plan.paths.is_empty() {
        return Err(Fault::usage(format!("{} is to be backed up, and no files are named", Subject::Files))
            .hint("set BACKUP_FILES, such as /etc/postgresql:/etc/pgbk")
            .into());
    }
    let found = walk(&plan.paths, monitor)?;
    let expected = plan.expected.unwrap_or(0).max(found.iter().map(WalkEntry::packed).sum());
    // Files are told apart by the server that this host backs up, and need none.
    let server = control::of_server(&plan.settings).ok().and_then(|control| server_note(control.server()).ok());
    let name = repository.name(&taking(plan, Subject::Files, server.as_ref(), now, now), monitor)?;
    let monitor = &Progress::begin(monitor, &format!("backup {}", name.id), Some(expected));
    let mut writer = repository.begin(name, Format::Tar, plan.compression, expected)?;
    pack(&found, &mut writer, monitor)?;
    let arguments = plan.paths.iter().map(|path| path.display().to_string()).collect();
    let origin = Some(Origin::Backup);
    let about = ManifestDetails { server, arguments, origin, note: plan.note.clone(), ..ManifestDetails::default() };
    let manifest = writer.finish(about, monitor)?;
    Ok(manifest)
}
