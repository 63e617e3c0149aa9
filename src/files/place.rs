//! Puts the entries of an archive where they belong: first beside, then each under its name, and back again if one cannot be.
//!
//! Everything is written through folders that are held open ([`folder`]): no path is.

mod beside;
mod folder;
mod undo;

use super::What;
use super::contents::Contents;
use super::entry::{Entry, each};
use crate::error::{Fault, Result};
use beside::Beside;
use folder::Folder;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use undo::{Staged, Undo};

/// Where an archive is unpacked, and what is there already.
pub struct Target {
    /// For messages, and to look.
    root: PathBuf,
    /// What of it was there, and the rest of the way to it.
    base: Folder,
    rest: PathBuf,
    contents: Contents,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Placed {
    pub files: usize,
    pub links: usize,
    pub folders: usize,
    pub replaced: usize,
}

impl Target {
    /// Refuses what cannot be done before anything is touched.
    pub fn look(root: &Path, contents: Contents) -> Result<Target> {
        let (base, rest) = Folder::nearest(root).map_err(|error| unwritable(root, &error))?;
        let target = Target { root: root.to_owned(), base, rest, contents };
        for entry in target.contents.entries() {
            target.admit(entry)?;
        }
        Ok(target)
    }

    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// What would be replaced, in full.
    pub fn existing(&self) -> Vec<PathBuf> {
        let things = self.contents.entries().filter(|entry| entry.what != What::Folder);
        things.map(|entry| self.root.join(&entry.path)).filter(|path| path.symlink_metadata().is_ok()).collect()
    }

    /// No link on the way, and no folder in the way of a file or the other way round.
    fn admit(&self, entry: &Entry) -> Result<()> {
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
            let wanted = steps.peek().is_some() || entry.what == What::Folder;
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

    /// Unpacks. Everything is read, checked and written beside its place first; on an error nothing is different from before.
    pub fn place(&self, archive: &mut dyn Read) -> Result<Placed> {
        let mut beside = Beside::new(&self.base);
        each(archive, &mut |entry, data| {
            // The archive is the one that was looked at: the same bytes by the same hash.
            if self.contents.get(&entry.path) != Some(&entry) {
                return Err(Fault::damaged("the archive has changed since it was looked at").into());
            }
            beside.add(&self.rest.join(&entry.path), &entry, data).map_err(|error| {
                match crate::error::is_ours(&error) {
                    true => anyhow::Error::from(error),
                    false => unwritable(&self.root.join(&entry.path), &error).into(),
                }
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

    fn move_in(&self, beside: &mut Beside<'_>, undo: &mut Undo) -> Result<Placed> {
        let mut placed = Placed::default();
        let mut last: Option<(PathBuf, Folder)> = None;
        for entry in self.contents.entries() {
            self.admit(entry)?;
            let way = self.rest.join(&entry.path);
            match entry.what {
                What::Folder => placed.folders += 1,
                What::File => placed.files += 1,
                What::Link => placed.links += 1,
            }
            let failed = |error: io::Error| unwritable(&self.root.join(&entry.path), &error);
            if entry.what == What::Folder {
                last = Some((way.clone(), self.reach(&way, undo).map_err(failed)?));
                continue;
            }
            let parent = way.parent().unwrap_or(Path::new(""));
            if last.as_ref().is_none_or(|(open, _)| open != parent) {
                last = Some((parent.to_owned(), self.reach(parent, undo).map_err(failed)?));
            }
            if let (Some((_, folder)), Some(name)) = (&last, way.file_name()) {
                let (place, known, staged) = beside.of(&way).map_err(failed)?;
                let staged = Staged { place, known, name: staged };
                placed.replaced += usize::from(undo.replace(&staged, folder, parent, name).map_err(failed)?);
            }
        }
        self.dress(undo)?;
        Ok(placed)
    }

    /// A way as people know it.
    fn shown(&self, way: &Path) -> PathBuf {
        way.strip_prefix(&self.rest).map_or_else(|_| self.root.clone(), |path| self.root.join(path))
    }

    /// The folder at the end of this way; what is missing of it is made.
    fn reach(&self, way: &Path, undo: &mut Undo) -> io::Result<Folder> {
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

    /// Gives the folders that were made what belongs to them; the deepest first: a folder's time is that of its last change.
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

#[cfg(test)]
mod tests;
