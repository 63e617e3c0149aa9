//! Holds entries that are unpacked but not moved to their places yet.

use crate::base::error::Fault;
use crate::files::entry::{EntryKind, FileEntry};
use crate::files::unpack::folder::{FolderPath, UnpackFolder, dress};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Staging folders, readable by this user only, each in the nearest existing folder above its entries: only there is it certain
/// that one step moves them in. They are removed when this value is dropped.
pub(crate) struct Staging<'a> {
    base: &'a UnpackFolder,
    /// The staging folders, by the folder that each is in.
    places: BTreeMap<PathBuf, FolderPath>,
    /// The staged entries by their ways: the folder of the staging folder, and the entry's name in it.
    staged: BTreeMap<PathBuf, (PathBuf, String)>,
    /// The staging folder that was used last, with the folder it is in.
    open: Option<(PathBuf, UnpackFolder)>,
}

impl<'a> Staging<'a> {
    pub fn new(base: &'a UnpackFolder) -> Staging<'a> {
        Staging { base, places: BTreeMap::new(), staged: BTreeMap::new(), open: None }
    }

    /// Writes one entry into the staging folder for this way. Does nothing for a folder, which is made when its place is reached.
    pub fn add(&mut self, way: &Path, entry: &FileEntry, data: &mut dyn Read) -> io::Result<()> {
        if entry.what == EntryKind::Folder {
            return Ok(());
        }
        let near = self.nearest(way)?;
        let name = self.staged.len().to_string();
        write(self.opened(&near)?, &name, entry, data)?;
        self.staged.insert(way.to_owned(), (near, name));
        Ok(())
    }

    /// Returns the staging folder of the entry of this way, and the entry's name in it. It is an error if the entry was not
    /// unpacked.
    pub fn of(&mut self, way: &Path) -> io::Result<(&UnpackFolder, &FolderPath, OsString)> {
        let missing = || io::Error::from(Fault::failed(format!("\"{}\" was not unpacked", way.display())));
        let (near, name) = self.staged.get(way).cloned().ok_or_else(missing)?;
        self.opened(&near)?;
        match (&self.open, self.places.get(&near)) {
            (Some((_, folder)), Some(known)) => Ok((folder, known, name.into())),
            _ => Err(missing()),
        }
    }

    /// Opens the staging folder in this folder, and creates it the first time.
    fn opened(&mut self, near: &Path) -> io::Result<&UnpackFolder> {
        if self.open.as_ref().is_none_or(|(open, _)| open != near) {
            let folder = match self.places.get(near) {
                Some(known) => self.base.again(known)?,
                None => {
                    let (folder, known) = make(self.base, near)?;
                    self.places.insert(near.to_owned(), known);
                    folder
                }
            };
            self.open = Some((near.to_owned(), folder));
        }
        self.open.as_ref().map(|(_, folder)| folder).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Returns the nearest folder above this way that exists.
    fn nearest(&self, way: &Path) -> io::Result<PathBuf> {
        let (mut folder, mut near) = (self.base.below(Path::new(""))?, PathBuf::new());
        for name in way.parent().into_iter().flatten() {
            match folder.step(name) {
                Ok(next) => folder = next,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            }
            near.push(name);
        }
        Ok(near)
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        for known in self.places.values() {
            // Where somebody has moved it, it stays: an empty folder, or files that only we can read.
            let _ = self.base.again(known).and_then(|place| place.clear());
            if let (Some(near), Some(name)) = (known.way.parent(), known.way.file_name()) {
                let _ = self.base.below(near).and_then(|near| near.remove_folder(name));
            }
        }
    }
}

fn make(base: &UnpackFolder, near: &Path) -> io::Result<(UnpackFolder, FolderPath)> {
    let parent = base.below(near)?;
    loop {
        let name = format!(".pgbk-restore-{:016x}", RandomState::new().hash_one(near));
        match parent.make(OsStr::new(&name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => {
                let made = made?;
                let known = FolderPath { way: near.join(name), id: made.id()? };
                return Ok((made, known));
            }
        }
    }
}

fn write(place: &UnpackFolder, name: &str, entry: &FileEntry, data: &mut dyn Read) -> io::Result<()> {
    if entry.what == EntryKind::Link {
        return place.link(name, entry);
    }
    let mut file = place.create(name)?;
    io::copy(data, &mut file)?;
    dress(&file, entry)?;
    file.sync_all()
}
