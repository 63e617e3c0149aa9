//! Unpacks an archive: first into staging folders, then moves each entry to its place, and undoes all of it if one cannot be moved.
//!
//! Everything is written through open folders ([`folder`]), never by path.

pub(crate) mod folder;
pub(crate) mod staging;
#[cfg(test)]
mod tests;
pub(crate) mod undo;

use crate::base::error::{Fault, Result, is_ours};
use crate::files::contents::ArchiveContents;
use crate::files::entry::{EntryKind, FileEntry, each};
use folder::UnpackFolder;
use staging::Staging;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use undo::{StagedFile, Undo};

/// The folder that an archive is unpacked into, and the checked contents of the archive.
pub struct UnpackTarget {
    /// Path of the folder, for messages and for [`existing`](UnpackTarget::existing) only.
    root: PathBuf,
    /// The nearest folder of that path that exists, and the rest of the path below it.
    base: UnpackFolder,
    rest: PathBuf,
    contents: ArchiveContents,
}

/// Counts of what was unpacked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnpackCounts {
    pub files: usize,
    pub links: usize,
    pub folders: usize,
    pub replaced: usize,
}

impl UnpackTarget {
    /// Checks that each entry can be unpacked, before anything is written.
    pub fn look(root: &Path, contents: ArchiveContents) -> Result<UnpackTarget> {
        let (base, rest) = UnpackFolder::nearest(root).map_err(|error| unwritable(root, &error))?;
        let target = UnpackTarget { root: root.to_owned(), base, rest, contents };
        for entry in target.contents.entries() {
            target.admit(entry)?;
        }
        Ok(target)
    }

    pub fn contents(&self) -> &ArchiveContents {
        &self.contents
    }

    /// Returns the full paths of the files and links that would be replaced.
    pub fn existing(&self) -> Vec<PathBuf> {
        let things = self.contents.entries().filter(|entry| entry.what != EntryKind::Folder);
        things.map(|entry| self.root.join(&entry.path)).filter(|path| path.symlink_metadata().is_ok()).collect()
    }

    /// Checks one entry: no link is on its way, and no folder is in the place of a file or the other way round.
    fn admit(&self, entry: &FileEntry) -> Result<()> {
        let (way, mut path) = (self.rest.join(&entry.path), self.root.clone());
        let failed = |path: &Path, error: &io::Error| unwritable(path, error);
        let mut folder = self.base.below(Path::new("")).map_err(|error| failed(&path, &error))?;
        let given = self.rest.iter().count();
        let mut steps = way.iter().enumerate().peekable();
        while let Some((at, step)) = steps.next() {
            if at >= given {
                path.push(step);
            }
            let Some(found) = folder.kind(step).map_err(|error| failed(&path, &error))? else { return Ok(()) };
            let wanted = steps.peek().is_some() || entry.what == EntryKind::Folder;
            match (wanted, found.is_dir()) {
                (true, false) => return Err(in_the_way(&path, found.is_symlink(), &entry.path).into()),
                (false, true) => {
                    let text = format!("\"{}\" is a folder, and no folder in the backup", path.display());
                    return Err(Fault::failed(text).hint("move it away, or restore with --into another folder").into());
                }
                (true, true) => folder = folder.step(step).map_err(|error| failed(&path, &error))?,
                (false, false) => {}
            }
        }
        Ok(())
    }

    /// Unpacks the archive. Everything is read, checked and written to staging folders first. On an error everything is put back as
    /// it was; if that fails too, the error says so.
    pub fn place(&self, archive: &mut dyn Read) -> Result<UnpackCounts> {
        let mut beside = Staging::new(&self.base);
        each(archive, &mut |entry, data| {
            // The archive is the one that was looked at: the same bytes by the same hash.
            if self.contents.get(&entry.path) != Some(&entry) {
                return Err(Fault::damaged("the archive has changed since it was looked at").into());
            }
            beside.add(&self.rest.join(&entry.path), &entry, data).map_err(|error| match is_ours(&error) {
                true => anyhow::Error::from(error),
                false => unwritable(&self.root.join(&entry.path), &error).into(),
            })
        })?;
        let mut undo = Undo::default();
        match self.move_in(&mut beside, &mut undo) {
            Ok(placed) => Ok(placed),
            Err(error) => Err(match undo.run(&self.base, &|way| self.shown(way)) {
                Ok(()) => error.context("nothing was changed"),
                Err(left) => error.context(format!("some of it stays replaced: {left:#}")),
            }),
        }
    }

    fn move_in(&self, beside: &mut Staging<'_>, undo: &mut Undo) -> Result<UnpackCounts> {
        let mut placed = UnpackCounts::default();
        let mut last: Option<(PathBuf, UnpackFolder)> = None;
        for entry in self.contents.entries() {
            self.admit(entry)?;
            let way = self.rest.join(&entry.path);
            match entry.what {
                EntryKind::Folder => placed.folders += 1,
                EntryKind::File => placed.files += 1,
                EntryKind::Link => placed.links += 1,
            }
            let failed = |error: io::Error| unwritable(&self.root.join(&entry.path), &error);
            if entry.what == EntryKind::Folder {
                last = Some((way.clone(), self.reach(&way, undo).map_err(failed)?));
                continue;
            }
            let parent = way.parent().unwrap_or(Path::new(""));
            if last.as_ref().is_none_or(|(open, _)| open != parent) {
                last = Some((parent.to_owned(), self.reach(parent, undo).map_err(failed)?));
            }
            if let (Some((_, folder)), Some(name)) = (&last, way.file_name()) {
                let (place, known, staged) = beside.of(&way).map_err(failed)?;
                let staged = StagedFile { place, known, name: staged };
                placed.replaced += usize::from(undo.replace(&staged, folder, parent, name).map_err(failed)?);
            }
        }
        self.dress(undo)?;
        Ok(placed)
    }

    /// Returns the path that a way stands for, for messages.
    fn shown(&self, way: &Path) -> PathBuf {
        way.strip_prefix(&self.rest).map_or_else(|_| self.root.clone(), |path| self.root.join(path))
    }

    /// Opens the folder at the end of this way, and creates what is missing of it.
    fn reach(&self, way: &Path, undo: &mut Undo) -> io::Result<UnpackFolder> {
        let (mut folder, mut path) = (self.base.below(Path::new(""))?, PathBuf::new());
        for name in way {
            path.push(name);
            folder = match folder.step(name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let made = folder.make(name)?;
                    undo.made(&path, made.id()?);
                    made
                }
                there => there?,
            };
        }
        Ok(folder)
    }

    /// Sets the owner, mode and time of the folders that were made, the deepest first: a change in a folder changes its time.
    fn dress(&self, undo: &Undo) -> Result<()> {
        for made in undo.folders() {
            let entry = made.way.strip_prefix(&self.rest).ok().and_then(|path| self.contents.get(path));
            self.base.dress(&made, entry).map_err(|error| unwritable(&self.shown(&made.way), &error))?;
        }
        Ok(())
    }
}

fn in_the_way(path: &Path, link: bool, wanted: &Path) -> Fault {
    let what = if link { "a link, which is not followed" } else { "no folder" };
    Fault::failed(format!("\"{}\" is {what}, and stands in the way of \"{}\"", path.display(), wanted.display()))
        .hint("move it away, or restore with --into another folder")
}

fn unwritable(path: &Path, error: &io::Error) -> Fault {
    let fault = Fault::failed(format!("cannot write \"{}\": {error}", path.display()));
    match error.kind() {
        io::ErrorKind::StorageFull => fault.hint("free some space; what is replaced takes room twice for a while"),
        io::ErrorKind::PermissionDenied => {
            fault.hint("restore as a user that may write there, or with --into another folder")
        }
        _ => fault,
    }
}
