//! What has been unpacked and is not in its place yet.

use super::unwritable;
use crate::error::{Fault, Result};
use crate::files::What;
use crate::files::entry::Entry;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Readable by nobody else, in the folder where it goes: only there is it sure that moving it in is one step. It goes when dropped.
pub(super) struct Beside {
    root: PathBuf,
    /// By the folder in which each is.
    folders: BTreeMap<PathBuf, TempDir>,
    staged: BTreeMap<PathBuf, PathBuf>,
}

impl Beside {
    pub fn new(root: &Path) -> Beside {
        Beside { root: root.to_owned(), folders: BTreeMap::new(), staged: BTreeMap::new() }
    }

    /// Writes one entry. A folder is made when it is moved in.
    pub fn add(&mut self, entry: &Entry, data: &mut dyn Read) -> Result<()> {
        if entry.what == What::Folder {
            return Ok(());
        }
        let number = self.staged.len();
        let path = self.folder(&entry.path)?.join(number.to_string());
        write(&path, entry, data).map_err(|error| match crate::error::is_ours(&error) {
            true => anyhow::Error::from(error),
            false => unwritable(&self.root.join(&entry.path), &error).into(),
        })?;
        self.staged.insert(entry.path.clone(), path);
        Ok(())
    }

    pub fn of(&self, path: &Path) -> Result<PathBuf> {
        let missing = || Fault::failed(format!("\"{}\" was not unpacked", path.display()));
        Ok(self.staged.get(path).cloned().ok_or_else(missing)?)
    }

    /// In the nearest folder that is there.
    fn folder(&mut self, path: &Path) -> Result<&Path> {
        let whole = self.root.join(path);
        let near = whole.ancestors().skip(1).find(|folder| folder.is_dir()).unwrap_or(Path::new("/")).to_owned();
        if !self.folders.contains_key(&near) {
            let made = tempfile::Builder::new().prefix(".pgbk-restore-").tempdir_in(&near);
            self.folders.insert(near.clone(), made.map_err(|error| unwritable(&near, &error))?);
        }
        Ok(self.folders.get(&near).map_or(Path::new("/"), TempDir::path))
    }
}

fn write(path: &Path, entry: &Entry, data: &mut dyn Read) -> io::Result<()> {
    if entry.what == What::Link {
        symlink(&entry.link, path)?;
        return dress(path, entry);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::copy(data, &mut file)?;
    dress(path, entry)?;
    file.sync_all()
}

/// Owner where this is root, then mode, then time: each undoes a part of the one before.
pub(super) fn dress(path: &Path, entry: &Entry) -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        lchown(path, Some(entry.uid), Some(entry.gid))?;
    }
    if entry.what != What::Link {
        fs::set_permissions(path, Permissions::from_mode(entry.mode))?;
    }
    let time = Timespec { tv_sec: i64::try_from(entry.modified).unwrap_or(0), tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}
