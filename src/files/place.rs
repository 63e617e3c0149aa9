//! Puts the entries of an archive where they belong: first beside, then each under its name, and back again if one cannot be.

mod beside;
mod undo;

use super::What;
use super::contents::Contents;
use super::entry::{Entry, each};
use crate::error::{Fault, Result};
use beside::Beside;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use undo::Undo;

/// Where an archive is unpacked, and what is there already.
pub struct Target {
    root: PathBuf,
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
        let target = Target { root: root.to_owned(), contents };
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
        let mut path = self.root.clone();
        let mut steps = entry.path.components().peekable();
        while let Some(step) = steps.next() {
            path.push(step);
            let Some(found) = found(&path)? else { return Ok(()) };
            let folder = steps.peek().is_some() || entry.what == What::Folder;
            match (folder, found.is_dir()) {
                (true, false) => return Err(in_the_way(&path, found.is_symlink(), &entry.path).into()),
                (false, true) => {
                    let text = format!("\"{}\" is a folder, and no folder in the backup", path.display());
                    return Err(Fault::failed(text).hint("move it away, or restore with --into another folder").into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Unpacks. Everything is read, checked and written beside its place first; on an error nothing is different from before.
    pub fn place(&self, archive: &mut dyn Read) -> Result<Placed> {
        let mut beside = Beside::new(&self.root);
        each(archive, &mut |entry, data| {
            // The archive is the one that was looked at: the same bytes by the same hash.
            if self.contents.get(&entry.path) != Some(&entry) {
                return Err(Fault::damaged("the archive has changed since it was looked at").into());
            }
            beside.add(&entry, data)
        })?;
        let mut undo = Undo::default();
        match self.move_in(&beside, &mut undo) {
            Ok(placed) => Ok(placed),
            Err(error) => Err(match undo.run() {
                Ok(()) => error.context("nothing was changed"),
                Err(left) => error.context(format!("some of it stays replaced: {left:#}")),
            }),
        }
    }

    fn move_in(&self, beside: &Beside, undo: &mut Undo) -> Result<Placed> {
        let mut placed = Placed::default();
        let mut made = Vec::new();
        for entry in self.contents.entries() {
            self.admit(entry)?;
            let path = self.root.join(&entry.path);
            match entry.what {
                What::Folder => placed.folders += 1,
                What::File => placed.files += 1,
                What::Link => placed.links += 1,
            }
            let folder = if entry.what == What::Folder { Some(path.as_path()) } else { path.parent() };
            let missing: Vec<&Path> = folder
                .into_iter()
                .flat_map(Path::ancestors)
                .take_while(|folder| folder.symlink_metadata().is_err())
                .collect();
            for folder in missing.into_iter().rev() {
                fs::create_dir(folder).map_err(|error| unwritable(folder, &error))?;
                undo.made(folder);
            }
            if entry.what == What::Folder {
                made.push((path, entry));
                continue;
            }
            let staged = beside.of(&entry.path)?;
            placed.replaced += usize::from(undo.replace(&staged, &path).map_err(|error| unwritable(&path, &error))?);
        }
        // The deepest first: a folder's time is that of its last change.
        for (path, entry) in made.iter().rev().filter(|(path, _)| undo.has_made(path)) {
            beside::dress(path, entry).map_err(|error| unwritable(path, &error))?;
        }
        Ok(placed)
    }
}

fn found(path: &Path) -> Result<Option<fs::Metadata>> {
    match path.symlink_metadata() {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unwritable(path, &error).into()),
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
