//! Files and folders of this host, as one archive.

use super::{Plan, name};
use crate::error::{Fault, Result};
use crate::files::{Found, pack, walk};
use crate::manifest::{Format, Manifest};
use crate::monitor::Monitor;
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
    let (id, previous) = name(vault, Series::Files.name(), now, monitor)?;
    monitor.begin(&format!("backup {id}"), Some(expected));
    let mut deposit = vault.begin(id, Format::Tar, plan.compression, expected)?;
    pack(&found, &mut deposit, monitor)?;
    let arguments = plan.paths.iter().map(|path| path.display().to_string()).collect();
    let manifest = deposit.finish(About { arguments, previous, ..About::default() }, monitor)?;
    monitor.end();
    Ok(manifest)
}
