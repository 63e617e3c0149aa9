//! Files and folders of this host, as one archive.

use super::{Plan, server_note, taking};
use crate::error::{Fault, Result};
use crate::files::{Found, pack, walk};
use crate::manifest::{Format, Manifest, Origin};
use crate::monitor::Monitor;
use crate::postgres::control;
use crate::series::Series;
use crate::vault::{About, Vault};
use jiff::Timestamp;

pub fn files(vault: &Vault, plan: &Plan, now: Timestamp, monitor: &dyn Monitor) -> Result<Manifest> {
    if plan.paths.is_empty() {
        return Err(Fault::usage(format!("{} is to be backed up, and no files are named", Series::Files.name()))
            .hint("set BACKUP_FILES, such as /etc/postgresql:/etc/pgbk")
            .into());
    }
    let found = walk(&plan.paths, monitor)?;
    let expected = plan.expected.unwrap_or(0).max(found.iter().map(Found::packed).sum());
    // Files are told apart by the server that this host backs up, and need none.
    let server = control::of_server(&plan.settings).ok().and_then(|control| server_note(control.server()).ok());
    let name = vault.name(&taking(plan, Series::Files.name(), server.as_ref(), now, now), monitor)?;
    monitor.begin(&format!("backup {}", name.id), Some(expected));
    let mut deposit = vault.begin(name, Format::Tar, plan.compression, expected)?;
    pack(&found, &mut deposit, monitor)?;
    let arguments = plan.paths.iter().map(|path| path.display().to_string()).collect();
    let origin = Some(Origin::Backup);
    let about = About { server, arguments, origin, note: plan.note.clone(), ..About::default() };
    let manifest = deposit.finish(about, monitor)?;
    monitor.end();
    Ok(manifest)
}
