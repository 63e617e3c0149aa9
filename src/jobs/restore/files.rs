//! A backup of files, back to where they came from or into another folder.

use crate::error::Result;
use crate::files::{Contents, Placed, Target};
use crate::manifest::BackupId;
use crate::monitor::Monitor;
use crate::vault::{Opened, Vault};
use std::io::{self, Read};
use std::path::Path;

/// Reads the backup whole, and looks at where it would go. Nothing is written yet.
pub fn look(opened: Opened, root: &Path, monitor: &dyn Monitor) -> Result<Target> {
    monitor.begin(&format!("read {}", opened.manifest.id), Some(opened.manifest.plain.bytes));
    let contents = Contents::read(&mut Watched { inner: opened.plain()?, monitor });
    monitor.end();
    Target::look(root, contents?)
}

/// Reads it again, every byte checked again, and puts it into its place.
pub fn place(vault: &Vault, id: &BackupId, target: &Target, monitor: &dyn Monitor) -> Result<Placed> {
    let opened = vault.open(id)?;
    monitor.begin(&format!("restore {id}"), Some(opened.manifest.plain.bytes));
    let placed = target.place(&mut Watched { inner: opened.plain()?, monitor });
    monitor.end();
    placed
}

struct Watched<'a> {
    inner: Box<dyn Read + Send>,
    monitor: &'a dyn Monitor,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.monitor.advance(count as u64);
        Ok(count)
    }
}
