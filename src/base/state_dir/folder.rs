//! Lists and cleans a folder of the state directory.

use crate::base::plain_file::AcceptedOwner;
use crate::base::state_dir::file::{PARTIAL_BEGIN, PARTIAL_END, StateFile};
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::fs::{self, DirEntry};
use std::io;
use std::path::PathBuf;

/// Age from which a partial file was left by a process that was killed.
const STALE: SignedDuration = SignedDuration::from_hours(1);

/// The files of one kind in a folder. They have one end of the name, and one largest size.
pub struct StateFolder {
    path: PathBuf,
    end: String,
    whose: AcceptedOwner,
    limit: u64,
}

impl StateFolder {
    /// Returns the folder at this path, with the files whose names end so.
    pub(super) fn new(path: PathBuf, end: &str, whose: AcceptedOwner, limit: u64) -> StateFolder {
        StateFolder { path, end: end.to_owned(), whose, limit }
    }

    /// Returns the file with this name, to which the end is added.
    pub fn file(&self, name: &str) -> StateFile {
        StateFile::new(self.path.join(format!("{name}{}", self.end)), self.whose, self.limit)
    }

    /// Returns a folder in it.
    pub fn folder(&self, name: &str) -> StateFolder {
        StateFolder::new(self.path.join(name), &self.end, self.whose, self.limit)
    }

    /// Returns the names of its files without their end, in no order. A folder that is missing has none.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.filter_map(|name| name.strip_suffix(&self.end).map(str::to_owned)).collect())
    }

    /// Returns its files, sorted by name; none if the folder cannot be read.
    pub fn files(&self) -> Vec<StateFile> {
        let mut names = self.names().unwrap_or_default();
        names.sort();
        names.iter().map(|name| self.file(name)).collect()
    }

    /// Removes all files and folders in it that are not wanted. Errors are ignored: nothing depends on it.
    pub fn retain(&self, wanted: impl Fn(&str) -> bool) {
        for entry in self.entries() {
            if entry.file_name().to_str().is_some_and(&wanted) {
                continue;
            }
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let _ = if is_folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        }
    }

    /// Removes partial files that nobody writes any more.
    pub(super) fn sweep(&self, now: Timestamp) {
        for entry in self.entries() {
            let stale = || {
                let written = Timestamp::try_from(entry.metadata().ok()?.modified().ok()?).ok()?;
                Some(now.duration_since(written) > STALE)
            };
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(PARTIAL_BEGIN) && name.ends_with(PARTIAL_END) && stale() == Some(true) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn entries(&self) -> impl Iterator<Item = DirEntry> {
        fs::read_dir(&self.path).into_iter().flatten().flatten()
    }
}

impl fmt::Display for StateFolder {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.path.display().fmt(f)
    }
}
