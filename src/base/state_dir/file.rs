//! Writes, reads and locks one file of the state directory.
//!
//! A file that another process may read is replaced as a whole: it is written under another name and then renamed. A lock ends with its
//! process, however that ends, so it shows whether a writer is alive, even across containers.

use crate::base::atomic_file::without_path;
use crate::base::plain_file::{self, AcceptedOwner};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Prefix of a file that is still being written. It tells such a file from those of others, as the state directory may be shared.
pub(super) const PARTIAL_BEGIN: &str = ".pgbk-state-";
/// Suffix of a file that is still being written.
pub(super) const PARTIAL_END: &str = ".partial";

/// A file that may not exist. Only [`super::StateDir`] names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFile {
    path: PathBuf,
    whose: AcceptedOwner,
    /// Largest size in bytes. A larger one is not read.
    limit: u64,
}

/// Says whether the writer of a file that is kept locked is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriterLife {
    /// The writer is alive and holds the lock.
    Held,
    Gone,
    /// The file system has no locks.
    Unknown,
}

/// A document as it was found.
pub struct StateDocument<T> {
    pub value: T,
    pub life: WriterLife,
    pub modified: Timestamp,
}

impl StateFile {
    /// Returns the file at this path.
    pub(super) fn new(path: PathBuf, whose: AcceptedOwner, limit: u64) -> StateFile {
        StateFile { path, whose, limit }
    }

    /// Replaces the file as a whole, on the disk when this returns. Creates a missing folder, for its owner alone.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.synced(self.partial(bytes)?).map(drop)
    }

    /// Replaces the file with a document in JSON.
    pub fn write_json<T: Serialize>(&self, value: &T) -> io::Result<()> {
        self.write(&json(value)?)
    }

    /// Replaces the file with a document in JSON that is locked from the moment it has its name. The lock lasts as long as the returned
    /// file is open. Not every file system knows locks.
    pub fn hold_json<T: Serialize>(&self, value: &T) -> io::Result<File> {
        let partial = self.partial(&json(value)?)?;
        let _ = partial.as_file().try_lock();
        self.synced(partial)
    }

    /// Replaces a file that can be made again at any time, and does not wait for the disk. Its reader notices if it is torn.
    pub fn write_copy(&self, bytes: &[u8]) -> io::Result<()> {
        self.partial(bytes)?.persist(&self.path).map(drop).map_err(|error| plainly(&error.error))
    }

    /// Adds to the end of the file, on the disk when this returns. Its writers share a lock.
    pub fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.make_folder()?;
        let mut file = plain_file::append(&self.path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Reads the file whole.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        plain_file::read(&self.path, self.whose, self.limit)
    }

    /// Reads the last bytes of the file, but no more than its largest size.
    pub fn read_end(&self, bytes: u64) -> io::Result<Vec<u8>> {
        let mut file = plain_file::open(&self.path, self.whose, u64::MAX)?;
        let most = bytes.min(self.limit);
        file.seek(SeekFrom::Start(file.metadata()?.len().saturating_sub(most)))?;
        let mut text = Vec::new();
        file.take(most).read_to_end(&mut text)?;
        Ok(text)
    }

    /// Reads a document in JSON, and whether its writer holds it.
    pub fn read_json<T: DeserializeOwned>(&self) -> io::Result<StateDocument<T>> {
        let file = plain_file::open(&self.path, self.whose, self.limit)?;
        let mut text = Vec::new();
        // It may be growing.
        (&file).take(self.limit).read_to_end(&mut text)?;
        let value =
            serde_json::from_slice(&text).map_err(|error| io::Error::other(format!("it is damaged: {error}")))?;
        let modified = Timestamp::try_from(file.metadata()?.modified()?).map_err(io::Error::other)?;
        let life = match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => WriterLife::Held,
            Err(TryLockError::Error(_)) => WriterLife::Unknown,
            Ok(()) => WriterLife::Gone,
        };
        Ok(StateDocument { value, life, modified })
    }

    /// Opens the file for this process alone, until the returned file is closed. `None`: another process has it, or has removed it. Where
    /// the file system knows no locks, two may have it.
    pub fn claim(&self) -> io::Result<Option<File>> {
        let file = plain_file::open(&self.path, self.whose, self.limit)?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Ok(None);
        }
        // It may have been removed between the opening and the lock.
        Ok((file.metadata()?.nlink() > 0).then_some(file))
    }

    /// Waits until this process alone holds this file, which serves as a lock only, and creates it if it is missing. The lock lasts as
    /// long as the returned file is open. Where the file system knows no locks, two may hold it.
    pub fn lock(&self) -> io::Result<File> {
        let file = self.lock_file()?;
        file.lock().ok();
        Ok(file)
    }

    /// Locks as [`StateFile::lock`] does, and does not wait. `None`: another process holds it.
    pub fn try_lock(&self) -> io::Result<Option<File>> {
        let file = self.lock_file()?;
        Ok(if let Err(TryLockError::WouldBlock) = file.try_lock() { None } else { Some(file) })
    }

    /// Returns whether the file is there.
    pub fn exists(&self) -> io::Result<bool> {
        self.path.try_exists()
    }

    /// Returns its size in bytes; `None` if it is not there.
    pub fn size(&self) -> Option<u64> {
        fs::symlink_metadata(&self.path).ok().map(|found| found.len())
    }

    /// Removes the file. It is an error if it is not there.
    pub fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }

    fn lock_file(&self) -> io::Result<File> {
        self.make_folder()?;
        plain_file::lock_file(&self.path)
    }

    fn partial(&self, bytes: &[u8]) -> io::Result<NamedTempFile> {
        self.make_folder()?;
        let made = tempfile::Builder::new().prefix(PARTIAL_BEGIN).suffix(PARTIAL_END).tempfile_in(self.folder());
        let mut partial = made.map_err(|error| plainly(&error))?;
        partial.write_all(bytes).map_err(|error| plainly(&error))?;
        Ok(partial)
    }

    fn synced(&self, partial: NamedTempFile) -> io::Result<File> {
        partial.as_file().sync_all()?;
        let file = partial.persist(&self.path).map_err(|error| plainly(&error.error))?;
        File::open(self.folder())?.sync_all()?;
        Ok(file)
    }

    fn make_folder(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.folder())
    }

    fn folder(&self) -> &Path {
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}

impl fmt::Display for StateFile {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

fn json<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(text)
}

/// Returns the error without the name of the temporary file, which helps nobody.
fn plainly(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), without_path(error))
}
