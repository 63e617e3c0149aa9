//! A file that appears under its name only when it is whole.

use crate::base::error::{Fault, Kind, Result};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file under a temporary name in its final folder, readable by its owner alone. It is removed if dropped before `commit`.
pub struct NewFile {
    path: PathBuf,
    folder: PathBuf,
    temporary: NamedTempFile,
    replace: bool,
}

impl NewFile {
    /// Creates the temporary file. Without `replace`, an existing file is an error here already, before any work is done.
    pub fn create(path: &Path, replace: bool) -> Result<NewFile> {
        if path.is_dir() {
            return Err(Fault::usage(format!("\"{}\" is a folder", path.display())).hint("name a file in it").into());
        }
        if !replace && path.symlink_metadata().is_ok() {
            return Err(taken(path).into());
        }
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        if !folder.exists() {
            return Err(Fault::not_found(format!("there is no folder \"{}\"", folder.display())).into());
        }
        let temporary = tempfile::Builder::new()
            .prefix(".pgbk-")
            .suffix(".partial")
            .tempfile_in(&folder)
            .map_err(|error| unwritable(path, &error))?;
        Ok(NewFile { path: path.to_owned(), folder, temporary, replace })
    }

    /// Syncs the file and gives it its name. Without `replace`, a file that has appeared in the meantime is an error.
    pub fn commit(self) -> Result<()> {
        let NewFile { path, folder, temporary, replace } = self;
        temporary.as_file().sync_all().map_err(|error| unwritable(&path, &error))?;
        let placed = if replace { temporary.persist(&path) } else { temporary.persist_noclobber(&path) };
        placed.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => taken(&path),
            _ => unwritable(&path, &error.error),
        })?;
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(|error| unwritable(&path, &error))?;
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.as_file_mut().write(bytes).map_err(|error| unwritable(&self.path, &error).into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns an error's text without the name of the temporary file, which the library adds and which helps nobody.
pub(crate) fn without_path(error: &io::Error) -> String {
    let why = error.to_string();
    why.split_once(" at path ").map_or(why.as_str(), |(why, _)| why).to_owned()
}

fn taken(path: &Path) -> Fault {
    Fault::new(Kind::Exists, format!("\"{}\" exists already", path.display()))
        .hint("choose another name with --output, or say --force to replace it")
}

fn unwritable(path: &Path, error: &io::Error) -> Fault {
    let fault = Fault::failed(format!("cannot write \"{}\": {}", path.display(), without_path(error)));
    match error.kind() {
        io::ErrorKind::StorageFull => fault.hint("free some space, or write to another disk with --output"),
        io::ErrorKind::NotFound => fault.hint("the folder must exist"),
        _ => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_dropped_file_leaves_nothing_and_an_existing_one_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dump.sql");
        let mut file = NewFile::create(&path, false).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

        std::fs::write(&path, "mine").unwrap();
        assert!(NewFile::create(&path, false).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn a_file_that_appears_in_the_meantime_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dump.sql");
        let file = NewFile::create(&path, false).unwrap();
        std::fs::write(&path, "theirs").unwrap();
        assert!(file.commit().is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
    }

    #[test]
    fn only_the_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dump.sql");
        NewFile::create(&path, false).unwrap().commit().unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
