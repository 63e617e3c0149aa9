//! A JSON document in a file of its own, replaced as a whole. Its writer keeps it locked for as long as it holds the file. The lock
//! ends with the process, however that ends, so it shows whether the writer is alive, even across containers.

use crate::base::plain::{self, Whose};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Suffix of a document that is still being written.
pub const PARTIAL: &str = ".partial";
const LARGEST: u64 = 16 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// The writer is alive and holds the lock.
    Held,
    Gone,
    /// The file system has no locks.
    Unknown,
}

pub struct Found<T> {
    pub value: T,
    pub life: Life,
    pub modified: Timestamp,
}

/// Writes a temporary file, locks it and renames it, so that the file is locked from the moment it has its name. Creates a missing
/// folder. The lock lasts as long as the returned file is open.
pub fn write<T: Serialize>(path: &Path, value: &T) -> io::Result<File> {
    let folder = path.parent().unwrap_or(Path::new("."));
    make_folder(path)?;
    let mut partial = tempfile::Builder::new().prefix(".").suffix(PARTIAL).tempfile_in(folder)?;
    // Not every file system knows locks.
    let _ = partial.as_file().try_lock();
    serde_json::to_writer_pretty(&mut partial, value)?;
    partial.write_all(b"\n")?;
    partial.as_file().sync_all()?;
    let file = partial.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()?;
    Ok(file)
}

/// Creates the folder of this file if it is missing, for its owner alone.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap_or(Path::new(".")))
}

/// Locks a file that serves as a lock only, and creates it and its folder if they are missing. The lock ends with the process,
/// however that ends. `None`: the file system has no locks, or nothing can be written there.
pub fn lock(path: &Path) -> Result<Option<File>, Taken> {
    let Ok(file) = make_folder(path).and_then(|()| plain::lock_file(path)) else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Taken),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Another process holds the lock.
#[derive(Debug)]
pub struct Taken;

pub fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Found<T>> {
    let file = plain::open(path, Whose::OfItsFolder, LARGEST)?;
    let mut text = Vec::new();
    // It may be growing.
    (&file).take(LARGEST).read_to_end(&mut text)?;
    let value = serde_json::from_slice(&text).map_err(|error| io::Error::other(format!("it is damaged: {error}")))?;
    let modified = Timestamp::try_from(file.metadata()?.modified()?).map_err(io::Error::other)?;
    let life = match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Life::Held,
        Err(TryLockError::Error(_)) => Life::Unknown,
        Ok(()) => Life::Gone,
    };
    Ok(Found { value, life, modified })
}
