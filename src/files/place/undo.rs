//! The way back, until everything is in its place.

use crate::error::Result;
use anyhow::Context;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Default)]
pub(super) struct Undo {
    done: Vec<Step>,
    folders: BTreeSet<PathBuf>,
}

enum Step {
    Folder(PathBuf),
    New(PathBuf),
    /// What was there before, and where it is now.
    Replaced(PathBuf, PathBuf),
}

impl Undo {
    pub fn made(&mut self, folder: &Path) {
        self.done.push(Step::Folder(folder.to_owned()));
        self.folders.insert(folder.to_owned());
    }

    pub fn has_made(&self, folder: &Path) -> bool {
        self.folders.contains(folder)
    }

    /// Moves one file or link into its place, and keeps what was there beside. Says whether there was something.
    pub fn replace(&mut self, staged: &Path, path: &Path) -> io::Result<bool> {
        if path.symlink_metadata().is_err() {
            fs::rename(staged, path)?;
            self.done.push(Step::New(path.to_owned()));
            return Ok(false);
        }
        let kept = staged.with_extension("before");
        // A second name where the disk has such a thing: then there is a file under that name all the time.
        if fs::hard_link(path, &kept).is_err() {
            fs::rename(path, &kept)?;
        }
        self.done.push(Step::Replaced(path.to_owned(), kept));
        fs::rename(staged, path)?;
        Ok(true)
    }

    pub fn run(self) -> Result<()> {
        for step in self.done.into_iter().rev() {
            match &step {
                Step::Folder(path) => fs::remove_dir(path).with_context(|| path.display().to_string())?,
                Step::New(path) => fs::remove_file(path).with_context(|| path.display().to_string())?,
                Step::Replaced(path, kept) => fs::rename(kept, path).with_context(|| path.display().to_string())?,
            }
        }
        Ok(())
    }
}
