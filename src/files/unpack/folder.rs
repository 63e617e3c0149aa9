//! Folders of the target, held open: even if a name is swapped while files are restored, nothing is written through a link or
//! outside the target.
//!
//! Each step of a way is opened by itself and follows no link, and no way has a step up. So a user who owns a folder on the way can
//! make a restore fail, and no more.

use crate::files::entry::{EntryKind, FileEntry};
use rustix::fs::{self, AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Enough for everything but reading and changing the folder itself, and needs no right to read it.
const WAY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const WHOLE: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const PRIVATE: Mode = Mode::RWXU;

pub(crate) struct UnpackFolder(OwnedFd);

/// Identifies a folder, whatever it is called: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FolderId(u64, u64);

/// A folder that was open once and can be opened again: there may be too many to keep all of them open.
#[derive(Debug, Clone)]
pub(crate) struct FolderPath {
    pub way: PathBuf,
    pub id: FolderId,
}

impl UnpackFolder {
    /// Opens the nearest folder of this path that exists, and returns it with the rest of the path. Links are followed, because the
    /// user named the path.
    pub fn nearest(path: &Path) -> io::Result<(UnpackFolder, PathBuf)> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        for folder in path.ancestors() {
            match fs::openat(CWD, folder, flags, Mode::empty()) {
                Ok(opened) => return Ok((UnpackFolder(opened), path.strip_prefix(folder).unwrap_or(path).to_owned())),
                // What is in the way is told by who looks at the rest.
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// Opens the folder of this name in it.
    pub fn step(&self, name: &OsStr) -> io::Result<UnpackFolder> {
        moment();
        Ok(UnpackFolder(fs::openat(&self.0, name, WAY, Mode::empty())?))
    }

    /// Opens the folder at the end of this way.
    pub fn below(&self, way: &Path) -> io::Result<UnpackFolder> {
        let start = UnpackFolder(self.0.try_clone()?);
        way.iter().try_fold(start, |folder, name| folder.step(name))
    }

    /// Opens a known folder again. It is an error if another folder has taken its place.
    pub fn again(&self, known: &FolderPath) -> io::Result<UnpackFolder> {
        let folder = self.below(&known.way)?;
        if folder.id()? != known.id {
            return Err(io::Error::other("somebody put another folder in its place"));
        }
        Ok(folder)
    }

    pub fn id(&self) -> io::Result<FolderId> {
        let stat = fs::fstat(&self.0)?;
        Ok(FolderId(stat.st_dev, stat.st_ino))
    }

    /// Returns the type of what has this name; a link is not followed. `None`: nothing has it.
    pub fn kind(&self, name: &OsStr) -> io::Result<Option<FileType>> {
        match fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates a folder that only this user can read and change.
    pub fn make(&self, name: &OsStr) -> io::Result<UnpackFolder> {
        moment();
        fs::mkdirat(&self.0, name, PRIVATE)?;
        let made = self.step(name)?;
        let stat = fs::fstat(&made.0)?;
        // What is not ours was put there in the moment between.
        let ours = stat.st_uid == rustix::process::geteuid().as_raw() && stat.st_mode & 0o077 == 0;
        if ours { Ok(made) } else { Err(io::Error::other("somebody put another folder in its place")) }
    }

    /// Gives a known folder the owner, mode and time of the entry. Without an entry it gets the mode of any new folder.
    pub fn dress(&self, known: &FolderPath, entry: Option<&FileEntry>) -> io::Result<()> {
        let way = self.again(known)?;
        moment();
        let whole = fs::openat(&way.0, ".", WHOLE, Mode::empty())?;
        match entry {
            Some(entry) => dress(&whole, entry),
            None => Ok(fs::fchmod(&whole, Mode::from_raw_mode(0o777 & !umask()))?),
        }
    }

    /// Creates a new file, which only this user can open.
    pub fn create(&self, name: &str) -> io::Result<File> {
        moment();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    /// Creates a new link with the owner and time of the entry. Call it only in a folder that no other user can change.
    pub fn link(&self, name: &str, entry: &FileEntry) -> io::Result<()> {
        fs::symlinkat(&entry.link, &self.0, name)?;
        if let Some((owner, group)) = owner(entry) {
            fs::chownat(&self.0, name, Some(owner), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(fs::utimensat(&self.0, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Moves what has this name to another folder, where it replaces what may be there.
    pub fn hand(&self, name: &OsStr, there: &UnpackFolder, called: &OsStr) -> io::Result<()> {
        moment();
        Ok(fs::renameat(&self.0, name, &there.0, called)?)
    }

    /// Gives a file or link a second name in another folder.
    pub fn double(&self, name: &OsStr, there: &UnpackFolder, called: &OsStr) -> io::Result<()> {
        moment();
        Ok(fs::linkat(&self.0, name, &there.0, called, AtFlags::empty())?)
    }

    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        moment();
        Ok(fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Removes a folder, if it is empty.
    pub fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
        moment();
        Ok(fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// Removes every file and link in it.
    pub fn clear(&self) -> io::Result<()> {
        let whole = fs::openat(&self.0, ".", WHOLE, Mode::empty())?;
        for entry in Dir::read_from(&whole)? {
            let entry = entry?;
            // A folder stays; none of ours is here.
            fs::unlinkat(&whole, entry.file_name(), AtFlags::empty()).ok();
        }
        Ok(())
    }
}

/// Sets the owner if this is root, then the mode, then the time: each undoes a part of the one before. Works on the open file,
/// whatever its name is by now.
pub(crate) fn dress(open: impl AsFd, entry: &FileEntry) -> io::Result<()> {
    if let Some((owner, group)) = owner(entry) {
        fs::fchown(&open, Some(owner), Some(group))?;
    }
    if entry.what != EntryKind::Link {
        fs::fchmod(&open, Mode::from_raw_mode(entry.mode))?;
    }
    Ok(fs::futimens(&open, &times(entry))?)
}

fn owner(entry: &FileEntry) -> Option<(Uid, Gid)> {
    // Those that stand for "as it is" are nobody's.
    let given = entry.uid != u32::MAX && entry.gid != u32::MAX && rustix::process::geteuid().is_root();
    given.then(|| (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid)))
}

fn times(entry: &FileEntry) -> Timestamps {
    let time = Timespec { tv_sec: i64::try_from(entry.modified).unwrap_or(0), tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

/// Returns the mode bits that new folders must not have.
fn umask() -> u32 {
    let mask = rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::umask(mask);
    mask.as_raw_mode()
}

/// Marks where a test may act between two steps.
#[cfg(not(test))]
fn moment() {}

#[cfg(test)]
fn moment() {
    crate::files::unpack::tests::between();
}
