//! Finds the files to pack.

use crate::base::cancel;
use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::files::contents::EntryMemory;
use crate::files::entry::EntryKind;
use crate::files::source::{self, is_gone, open, unreadable, vanished};
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// A file, folder or link that existed during the walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkEntry {
    pub path: PathBuf,
    pub what: EntryKind,
    /// Size of a file; 0 for others.
    pub bytes: u64,
}

impl WalkEntry {
    /// Returns about how many bytes of an archive it takes.
    pub fn packed(&self) -> u64 {
        self.bytes.next_multiple_of(512) + 1024
    }
}

/// Finds everything at and below these paths, each once, sorted by name. A path that does not exist is an error. A file that
/// vanishes below it, and one that is neither file, folder nor link, is left out with a warning. More files than could be restored
/// are an error.
pub fn walk(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<Vec<WalkEntry>> {
    within(paths, EntryMemory::default(), monitor)
}

pub(crate) fn within(paths: &[PathBuf], room: EntryMemory, monitor: &dyn Monitor) -> Result<Vec<WalkEntry>> {
    let mut walk = Walk { found: BTreeMap::new(), room, monitor };
    for path in paths {
        let real = real(path)?;
        let metadata = fs::symlink_metadata(&real).map_err(|error| unreadable(path, &error))?;
        if kind(&metadata).is_none() {
            return Err(Fault::failed(format!("\"{}\" is neither a file, a folder nor a link", path.display()))
                .hint("BACKUP_FILES cannot hold sockets, pipes and devices")
                .into());
        }
        walk.add(real, &metadata)?;
    }
    Ok(walk.found.into_values().collect())
}

/// Checks that each file can be read. One that has vanished since the walk is skipped, not an error.
pub fn check(found: &[WalkEntry]) -> Result<()> {
    for file in found.iter().filter(|one| one.what == EntryKind::File) {
        cancel::check()?;
        match open(&file.path) {
            Err(error) if !is_gone(&error) => {
                return Err(unreadable(&file.path, &error).into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns the path without links on its way; a link at its end is kept.
fn real(path: &Path) -> Result<PathBuf> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(path.to_owned()) };
    let parent = parent.canonicalize().map_err(|error| unreadable(path, &error))?;
    Ok(parent.join(name))
}

fn kind(metadata: &Metadata) -> Option<EntryKind> {
    let kinds = [
        (metadata.is_file(), EntryKind::File),
        (metadata.is_dir(), EntryKind::Folder),
        (metadata.is_symlink(), EntryKind::Link),
    ];
    kinds.into_iter().find_map(|(is, what)| is.then_some(what))
}

struct Walk<'a> {
    found: BTreeMap<PathBuf, WalkEntry>,
    room: EntryMemory,
    monitor: &'a dyn Monitor,
}

impl Walk<'_> {
    fn add(&mut self, path: PathBuf, metadata: &Metadata) -> Result<()> {
        cancel::check()?;
        let Some(what) = kind(metadata) else {
            let text = format!("\"{}\" is left out: it is neither a file, a folder nor a link", path.display());
            self.monitor.warn(&text);
            return Ok(());
        };
        self.keep(&path, what, metadata.len())?;
        if what != EntryKind::Folder {
            return Ok(());
        }
        let names = match fs::read_dir(&path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.monitor.warn(&vanished(&path));
                self.found.remove(&path);
                return Ok(());
            }
            Err(error) => return Err(unreadable(&path, &error).into()),
        };
        for entry in names {
            let path = entry.path();
            match fs::symlink_metadata(&path) {
                Ok(metadata) => self.add(path, &metadata)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.monitor.warn(&vanished(&path)),
                Err(error) => return Err(unreadable(&path, &error).into()),
            }
        }
        Ok(())
    }

    /// Adds it once, even if several of the paths lead to it.
    fn keep(&mut self, path: &Path, what: EntryKind, length: u64) -> Result<()> {
        let bytes = if what == EntryKind::File { length } else { 0 };
        let link = if what == EntryKind::Link { usize::try_from(length).unwrap_or(usize::MAX / 2) } else { 0 };
        let count = self.found.len();
        let one = WalkEntry { path: path.to_owned(), what, bytes };
        if self.found.insert(path.to_owned(), one).is_none() && !self.room.take(source::name(path), link) {
            return Err(too_many(count).into());
        }
        Ok(())
    }
}

fn too_many(count: usize) -> Fault {
    Fault::failed(format!(
        "there are more than {count} files and folders to back up, and pgbk would have no room in memory to restore them"
    ))
    .hint("name less in BACKUP_FILES, or folders of many small files as one archive that is made before")
}
