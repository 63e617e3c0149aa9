//! What has been unpacked and is not in its place yet.

use super::folder::{Folder, Known, dress};
use crate::error::Fault;
use crate::files::What;
use crate::files::entry::Entry;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Readable by nobody else, in the folder where it goes: only there is it sure that moving it in is one step. It goes when dropped.
pub(super) struct Beside<'a> {
    base: &'a Folder,
    /// By the folder in which each is.
    places: BTreeMap<PathBuf, Known>,
    /// By its way: where it is now, and its name there.
    staged: BTreeMap<PathBuf, (PathBuf, String)>,
    /// The last that was used.
    open: Option<(PathBuf, Folder)>,
}

impl<'a> Beside<'a> {
    pub fn new(base: &'a Folder) -> Beside<'a> {
        Beside { base, places: BTreeMap::new(), staged: BTreeMap::new(), open: None }
    }

    /// Writes one entry, for this way. A folder is made when it is moved in.
    pub fn add(&mut self, way: &Path, entry: &Entry, data: &mut dyn Read) -> io::Result<()> {
        if entry.what == What::Folder {
            return Ok(());
        }
        let near = self.nearest(way)?;
        let name = self.staged.len().to_string();
        write(self.opened(&near)?, &name, entry, data)?;
        self.staged.insert(way.to_owned(), (near, name));
        Ok(())
    }

    /// The place in which the entry of this way is, and its name there.
    pub fn of(&mut self, way: &Path) -> io::Result<(&Folder, &Known, OsString)> {
        let missing = || io::Error::from(Fault::failed(format!("\"{}\" was not unpacked", way.display())));
        let (near, name) = self.staged.get(way).cloned().ok_or_else(missing)?;
        self.opened(&near)?;
        match (&self.open, self.places.get(&near)) {
            (Some((_, folder)), Some(known)) => Ok((folder, known, name.into())),
            _ => Err(missing()),
        }
    }

    /// The place in this folder, made where there is none yet.
    fn opened(&mut self, near: &Path) -> io::Result<&Folder> {
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

    /// The nearest folder above it that is there.
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

impl Drop for Beside<'_> {
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

fn make(base: &Folder, near: &Path) -> io::Result<(Folder, Known)> {
    let parent = base.below(near)?;
    loop {
        let name = format!(".pgbk-restore-{:016x}", RandomState::new().hash_one(near));
        match parent.make(OsStr::new(&name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => {
                let made = made?;
                let known = Known { way: near.join(name), id: made.id()? };
                return Ok((made, known));
            }
        }
    }
}

fn write(place: &Folder, name: &str, entry: &Entry, data: &mut dyn Read) -> io::Result<()> {
    if entry.what == What::Link {
        return place.link(name, entry);
    }
    let mut file = place.create(name)?;
    io::copy(data, &mut file)?;
    dress(&file, entry)?;
    file.sync_all()
}
