//! Reads and checks the entries of an archive before any of it is written anywhere.

use crate::base::error::{Fault, Result};
use crate::files::entry::{EntryKind, FileEntry, each};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Memory for the entries of one archive, and what one entry takes besides its names, both in bytes. A small payload may unpack
/// into very many entries.
const MEMORY: usize = 256 << 20;
const ENTRY: usize = 192;

/// The memory left for entries, in bytes. Packing keeps to the same limit as unpacking: no archive is made that could not be read.
#[derive(Debug, Clone)]
pub(crate) struct EntryMemory(usize);

impl Default for EntryMemory {
    fn default() -> Self {
        EntryMemory(MEMORY)
    }
}

impl EntryMemory {
    #[cfg(test)]
    pub fn of(bytes: usize) -> EntryMemory {
        EntryMemory(bytes)
    }

    /// Takes the memory of one entry. Returns false, and takes nothing, if too little is left.
    #[must_use]
    pub fn take(&mut self, path: &Path, link: usize) -> bool {
        let left = self.0.checked_sub(2 * path.as_os_str().len() + link + ENTRY);
        left.inspect(|left| self.0 = *left).is_some()
    }
}

/// The entries of an archive that has been read to its end. No entry tricks another: each name occurs once, and only folders have
/// something below them.
#[derive(Debug)]
pub struct ArchiveContents {
    entries: BTreeMap<PathBuf, FileEntry>,
}

impl ArchiveContents {
    pub fn read(archive: &mut dyn Read) -> Result<ArchiveContents> {
        ArchiveContents::within(archive, EntryMemory::default())
    }

    pub(crate) fn within(archive: &mut dyn Read, mut room: EntryMemory) -> Result<ArchiveContents> {
        let mut entries: BTreeMap<PathBuf, FileEntry> = BTreeMap::new();
        each(archive, &mut |entry, data| {
            if !room.take(&entry.path, entry.link.as_os_str().len()) {
                return Err(too_many(entries.len()).into());
            }
            io::copy(data, &mut io::sink())?;
            let path = entry.path.clone();
            match entries.insert(path.clone(), entry) {
                Some(_) => Err(trick(&path, "stands in the archive twice").into()),
                None => Ok(()),
            }
        })?;
        let contents = ArchiveContents { entries };
        for path in contents.entries.keys() {
            if let Some(above) = path.ancestors().skip(1).find(|above| !contents.may_be_folder(above)) {
                return Err(trick(path, &format!("would be below \"{}\", which is no folder", above.display())).into());
            }
        }
        Ok(contents)
    }

    fn may_be_folder(&self, path: &Path) -> bool {
        self.entries.get(path).is_none_or(|entry| entry.what == EntryKind::Folder)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &FileEntry> {
        self.entries.values()
    }

    pub(crate) fn get(&self, path: &Path) -> Option<&FileEntry> {
        self.entries.get(path)
    }

    pub fn count(&self, what: EntryKind) -> usize {
        self.entries.values().filter(|entry| entry.what == what).count()
    }
}

fn too_many(count: usize) -> Fault {
    Fault::failed(format!(
        "the archive holds more than {count} files and folders, for which pgbk has no room in memory"
    ))
    .hint("\"pgbk download\" gives the archive itself, which tar unpacks")
}

fn trick(path: &Path, why: &str) -> Fault {
    Fault::damaged(format!("\"{}\" {why}", path.display())).hint("pgbk writes no such archive: find out who did")
}
