//! Restores a backup of files, to where they came from or into another folder.

use crate::base::error::Result;
use crate::base::progress::{Monitor, Progress};
use crate::files::contents::ArchiveContents;
use crate::files::unpack::{UnpackCounts, UnpackTarget};
use crate::format::backup_id::BackupId;
use crate::repository::Repository;
use crate::repository::reader::BackupReader;
use std::io::{self, Read};
use std::path::Path;

/// Reads the whole backup, and checks the place that it would go to. Writes nothing.
pub fn look(opened: BackupReader, root: &Path, monitor: &dyn Monitor) -> Result<UnpackTarget> {
    let monitor = &Progress::begin(monitor, &format!("read {}", opened.manifest.id), Some(opened.manifest.plain.bytes));
    let contents = ArchiveContents::read(&mut MonitoredReader { inner: opened.plain()?, monitor })?;
    UnpackTarget::look(root, contents)
}

/// Reads the backup again, checking every byte again, and puts the files into their place.
pub fn place(
    repository: &Repository,
    id: &BackupId,
    target: &UnpackTarget,
    monitor: &dyn Monitor,
) -> Result<UnpackCounts> {
    let opened = repository.open(id)?;
    let monitor = &Progress::begin(monitor, &format!("restore {id}"), Some(opened.manifest.plain.bytes));
    target.place(&mut MonitoredReader { inner: opened.plain()?, monitor })
}

struct MonitoredReader<'a> {
    inner: Box<dyn Read + Send>,
    monitor: &'a dyn Monitor,
}

impl Read for MonitoredReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.monitor.advance(count as u64);
        Ok(count)
    }
}
