//! What an archive holds, before any of it is written anywhere.

use super::What;
use super::entry::{Entry, each};
use crate::error::{Fault, Result};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What the entries of one archive may take, and what one takes beside its names. A small payload may unpack into very many.
const MEMORY: usize = 256 << 20;
const ENTRY: usize = 192;

/// The memory that is left for entries. Whoever packs keeps to it as whoever unpacks does: no archive is made that could not be read.
#[derive(Debug, Clone)]
pub(super) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Room(MEMORY)
    }
}

impl Room {
    #[cfg(test)]
    pub fn of(bytes: usize) -> Room {
        Room(bytes)
    }

    /// Takes what an entry needs. False: there is not so much left.
    #[must_use]
    pub fn take(&mut self, path: &Path, link: usize) -> bool {
        let left = self.0.checked_sub(2 * path.as_os_str().len() + link + ENTRY);
        left.inspect(|left| self.0 = *left).is_some()
    }
}

/// The entries of an archive that has been read to its end, and in which no entry tricks another: each name stands there once, and
/// only folders have something below them.
#[derive(Debug)]
pub struct Contents {
    entries: BTreeMap<PathBuf, Entry>,
}

impl Contents {
    pub fn read(archive: &mut dyn Read) -> Result<Contents> {
        Contents::within(archive, Room::default())
    }

    pub(super) fn within(archive: &mut dyn Read, mut room: Room) -> Result<Contents> {
        let mut entries: BTreeMap<PathBuf, Entry> = BTreeMap::new();
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
        let contents = Contents { entries };
        for path in contents.entries.keys() {
            if let Some(above) = path.ancestors().skip(1).find(|above| !contents.may_be_folder(above)) {
                return Err(trick(path, &format!("would be below \"{}\", which is no folder", above.display())).into());
            }
        }
        Ok(contents)
    }

    fn may_be_folder(&self, path: &Path) -> bool {
        self.entries.get(path).is_none_or(|entry| entry.what == What::Folder)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub(super) fn get(&self, path: &Path) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Sorted.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.entries.keys().map(PathBuf::as_path)
    }

    pub fn count(&self, what: What) -> usize {
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
