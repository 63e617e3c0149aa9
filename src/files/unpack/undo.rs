//! Undoes a restore that fails before everything is in its place.

use crate::base::error::Result;
use crate::files::unpack::folder::{FolderId, FolderPath, UnpackFolder};
use anyhow::Context;
use rustix::fs::FileType;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

#[derive(Default)]
pub(crate) struct Undo {
    done: Vec<UndoStep>,
    folders: BTreeMap<PathBuf, FolderId>,
}

enum UndoStep {
    Folder(PathBuf),
    New(FolderPath, OsString),
    /// A file or link that was replaced, now kept in the staging folder `beside` under the name `kept`.
    Replaced {
        folder: FolderPath,
        name: OsString,
        beside: FolderPath,
        kept: OsString,
    },
}

/// A file or link that is ready to be moved in.
pub(crate) struct StagedFile<'a> {
    pub place: &'a UnpackFolder,
    pub known: &'a FolderPath,
    pub name: OsString,
}

impl Undo {
    pub fn made(&mut self, folder: &Path, id: FolderId) {
        self.done.push(UndoStep::Folder(folder.to_owned()));
        self.folders.insert(folder.to_owned(), id);
    }

    /// Returns the folders that were made, the deepest first.
    pub fn folders(&self) -> impl Iterator<Item = FolderPath> {
        self.folders.iter().rev().map(|(way, id)| FolderPath { way: way.clone(), id: *id })
    }

    /// Moves one file or link to its place, and keeps what was there in the staging folder. Returns whether there was something.
    pub fn replace(
        &mut self,
        staged: &StagedFile<'_>,
        folder: &UnpackFolder,
        way: &Path,
        name: &OsStr,
    ) -> io::Result<bool> {
        let known = FolderPath { way: way.to_owned(), id: folder.id()? };
        match folder.kind(name)? {
            None => {
                staged.place.hand(&staged.name, folder, name)?;
                self.done.push(UndoStep::New(known, name.to_owned()));
                return Ok(false);
            }
            Some(FileType::Directory) => return Err(io::ErrorKind::IsADirectory.into()),
            Some(_) => {}
        }
        let mut kept = staged.name.clone();
        kept.push(".before");
        // A second name where the disk has such a thing: then there is a file under that name all the time.
        if folder.double(name, staged.place, &kept).is_err() {
            folder.hand(name, staged.place, &kept)?;
        }
        let beside = staged.known.clone();
        self.done.push(UndoStep::Replaced { folder: known, name: name.to_owned(), beside, kept });
        staged.place.hand(&staged.name, folder, name)?;
        Ok(true)
    }

    /// Undoes everything, the last step first; `shown` turns a way into a path for messages. It stops at the first error.
    pub fn run(self, base: &UnpackFolder, shown: &dyn Fn(&Path) -> PathBuf) -> Result<()> {
        for step in self.done.into_iter().rev() {
            match &step {
                UndoStep::Folder(way) => {
                    let parent = base.below(way.parent().unwrap_or(Path::new("")));
                    let name = way.file_name().unwrap_or_default();
                    parent
                        .and_then(|parent| parent.remove_folder(name))
                        .with_context(|| shown(way).display().to_string())?;
                }
                UndoStep::New(folder, name) => {
                    let removed = base.again(folder).and_then(|folder| folder.remove(name));
                    removed.with_context(|| shown(&folder.way.join(name)).display().to_string())?;
                }
                UndoStep::Replaced { folder, name, beside, kept } => {
                    let there = base.again(folder);
                    let back = there.and_then(|there| base.again(beside)?.hand(kept, &there, name));
                    back.with_context(|| shown(&folder.way.join(name)).display().to_string())?;
                }
            }
        }
        Ok(())
    }
}
