//! A folder that is held open, so that a name that is swapped meanwhile cannot lead operations elsewhere.

use crate::store::directory::case::{self, CaseCheck};
use crate::store::directory::errors::FILE_MODE;
use rustix::fs::{self, AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

pub(crate) struct StoreFolder(OwnedFd);

impl StoreFolder {
    /// Opens the folder `below` the root. None: it, or one on the way, does not exist or is no folder.
    pub fn open(root: &Path, below: &str, case: &CaseCheck) -> io::Result<Option<StoreFolder>> {
        let steps = below.split('/').filter(|name| !name.is_empty());
        let found = fs::openat(CWD, root, FLAGS, Mode::empty())
            .and_then(|root| steps.into_iter().try_fold(root, |at, name| step(&at, name, case)));
        match found {
            Ok(folder) => Ok(Some(StoreFolder(folder))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the folder `below` the root and makes what is missing of it. Returns what was made, too. `NotFound` if
    /// the root's parent is missing: while a share is not mounted, nothing is to be made on the local disk.
    pub fn create(root: &Path, below: &str, case: &CaseCheck) -> io::Result<(StoreFolder, NewFolders)> {
        create_root(root)?;
        let mut made = NewFolders(Vec::new());
        let mut at = fs::openat(CWD, root, FLAGS, Mode::empty())?;
        for name in below.split('/').filter(|name| !name.is_empty()) {
            at = made.step(&at, name, case)?;
        }
        Ok((StoreFolder(at), made))
    }

    pub fn file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(fs::openat(&self.0, name, flags, FILE_MODE)?))
    }

    pub fn stat(&self, name: &str) -> io::Result<Option<Stat>> {
        self.stat_at(&CString::new(name)?)
    }

    fn stat_at(&self, name: &std::ffi::CStr) -> io::Result<Option<Stat>> {
        match fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns every entry whose name is UTF-8, as every key is. A folder whose name is encoded has its decoded name.
    pub fn entries(&self) -> io::Result<Vec<(String, Stat)>> {
        let mut found = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name == "." || name == ".." {
                continue;
            }
            // None: removed since.
            if let Some(stat) = self.stat_at(entry.file_name())? {
                found.push((name.to_owned(), stat));
            }
        }
        let names: BTreeSet<String> = found.iter().map(|(name, _)| name.clone()).collect();
        for (name, stat) in &mut found {
            let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            let decoded = case::decoded(name).filter(|decoded| is_folder && !names.contains(decoded));
            *name = decoded.unwrap_or(std::mem::take(name));
        }
        Ok(found)
    }

    /// Fails if a name that was just made is listed as another one: the file system changes letters, and nothing in
    /// it would be found.
    pub fn keeps(&self, name: &str) -> io::Result<()> {
        keeps(&self.0, name)
    }

    /// Gives the file its final name, unless that is taken.
    pub fn publish(&self, partial: &str, name: &str) -> io::Result<()> {
        match fs::renameat_with(&self.0, partial, &self.0, name, RenameFlags::NOREPLACE) {
            // Kernels and file systems (NFS, some FUSE) that do not know the flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => self.link(partial, name),
            renamed => Ok(renamed?),
        }
    }

    fn link(&self, partial: &str, name: &str) -> io::Result<()> {
        match fs::linkat(&self.0, partial, &self.0, name, AtFlags::empty()) {
            // Some FUSE file systems know no second names either.
            Err(Errno::PERM | Errno::ACCESS | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                return self.reserve(partial, name);
            }
            linked => linked?,
        }
        // The object is there; a second name that cannot be removed is litter, not a failure.
        fs::unlinkat(&self.0, partial, AtFlags::empty()).ok();
        Ok(())
    }

    /// Takes the name with an empty file, which only one of several can do, and puts the whole file in its place.
    fn reserve(&self, partial: &str, name: &str) -> io::Result<()> {
        drop(self.file(name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?);
        fs::renameat(&self.0, partial, &self.0, name).map_err(|error| {
            fs::unlinkat(&self.0, name, AtFlags::empty()).ok();
            error.into()
        })
    }

    /// Removes a file; no error if it is not there.
    pub fn unlink(&self, name: &str) -> io::Result<()> {
        match fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) => self.sync(),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub fn sync(&self) -> io::Result<()> {
        Ok(flush(&self.0)?)
    }
}

/// The folders that were made for an upload, outermost first, each with its parent. Dropping this removes those that are empty.
pub(crate) struct NewFolders(Vec<(OwnedFd, String)>);

impl NewFolders {
    /// Opens a folder, and makes it if it is missing.
    fn step(&mut self, at: &OwnedFd, name: &str, case: &CaseCheck) -> io::Result<OwnedFd> {
        // Once more: what somebody makes meanwhile may be told from this name by case alone, and then this one is spelt otherwise.
        let mut tries = 2;
        loop {
            match step(at, name, case) {
                Err(Errno::NOENT) if tries > 0 => self.make(at, name, case)?,
                found => return Ok(found?),
            }
            tries -= 1;
        }
    }

    /// Makes a folder. No error if it is there.
    fn make(&mut self, at: &OwnedFd, name: &str, case: &CaseCheck) -> io::Result<()> {
        let spelled = case.spelled(at, name)?;
        match fs::mkdirat(at, &*spelled, Mode::RWXU) {
            Ok(()) => {
                // A folder that is lost in a power cut takes the object in it along.
                flush(at)?;
                self.0.push((at.try_clone()?, spelled.clone().into_owned()));
                keeps(at, &spelled)?;
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    pub fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for NewFolders {
    fn drop(&mut self) {
        while let Some((parent, name)) = self.0.pop() {
            if fs::unlinkat(&parent, &name, AtFlags::REMOVEDIR).and_then(|()| flush(&parent)).is_err() {
                return;
            }
        }
    }
}

fn keeps(at: impl AsFd, name: &str) -> io::Result<()> {
    // Who may not list cannot compare.
    let Ok(entries) = Dir::read_from(at) else { return Ok(()) };
    let mut shown = None;
    for entry in entries.flatten() {
        match entry.file_name().to_str() {
            Ok(entry) if entry == name => return Ok(()),
            Ok(entry) if entry.eq_ignore_ascii_case(name) => shown = Some(entry.to_owned()),
            _ => {}
        }
    }
    match shown {
        Some(shown) => Err(io::Error::other(format!(
            "its file system changes names, and shows \"{name}\" as \"{shown}\": pgbk needs one that keeps capital letters"
        ))),
        None => Ok(()),
    }
}

/// Flushes a folder to disk. Some file systems, such as shares of Windows, flush files and cannot flush folders: that
/// is no error.
fn flush(folder: impl AsFd) -> rustix::io::Result<()> {
    match fs::fsync(folder) {
        Err(
            Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::ACCESS | Errno::PERM | Errno::BADF | Errno::ISDIR,
        ) => Ok(()),
        flushed => flushed,
    }
}

fn step(at: &OwnedFd, name: &str, case: &CaseCheck) -> rustix::io::Result<OwnedFd> {
    let open = |name: &str| fs::openat(at, name, FLAGS | OFlags::NOFOLLOW, Mode::empty());
    match open(&case.spelled(at, name)?) {
        // It may have come from a folder that does not tell case.
        Err(Errno::NOENT) => open(&case::encoded(name)),
        found => found,
    }
}

/// Makes the root and its missing parents.
pub(crate) fn create_root_whole(root: &Path) -> io::Result<()> {
    if let Some(parent) = root.parent().filter(|parent| !parent.is_dir()) {
        create_root_whole(parent)?;
    }
    create_root(root)
}

/// Makes the root, and flushes its parent. No error if it exists.
fn create_root(root: &Path) -> io::Result<()> {
    if root.is_dir() {
        return Ok(());
    }
    let parent = root.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match fs::mkdir(root, Mode::RWXU) {
        Ok(()) => Ok(flush(File::open(parent)?)?),
        Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_somebody_makes_meanwhile_is_as_good_and_not_removed_with_those_made_here() -> io::Result<()> {
        let place = tempfile::tempdir()?;
        let (case, mut made) = (CaseCheck::default(), NewFolders(Vec::new()));
        let root = OwnedFd::from(File::open(place.path())?);
        std::fs::create_dir(place.path().join("theirs"))?;
        made.make(&root, "theirs", &case)?;
        made.step(&root, "theirs", &case)?;
        made.step(&root, "ours", &case)?;
        drop(made);
        assert!(place.path().join("theirs").is_dir() && !place.path().join("ours").exists());
        Ok(())
    }

    #[test]
    fn publishing_by_link_does_not_overwrite_either() -> io::Result<()> {
        let place = tempfile::tempdir()?;
        let (folder, _made) = StoreFolder::create(place.path(), "a", &CaseCheck::default())?;
        for (name, text) in [("one", "1"), ("two", "2")] {
            std::fs::write(place.path().join("a").join(name), text)?;
        }
        let refused = folder.link("two", "one").map_err(|error| error.kind());
        assert_eq!(refused, Err(io::ErrorKind::AlreadyExists));
        folder.link("two", "three")?;
        assert_eq!(std::fs::read_to_string(place.path().join("a/one"))?, "1");
        assert_eq!(std::fs::read_to_string(place.path().join("a/three"))?, "2");
        assert!(folder.stat("two")?.is_none());
        Ok(())
    }

    #[test]
    fn publishing_by_a_reserved_name_does_not_overwrite_either() -> io::Result<()> {
        let place = tempfile::tempdir()?;
        let (folder, _made) = StoreFolder::create(place.path(), "a", &CaseCheck::default())?;
        for (name, text) in [("one", "1"), ("two", "2")] {
            std::fs::write(place.path().join("a").join(name), text)?;
        }
        let refused = folder.reserve("two", "one").map_err(|error| error.kind());
        assert_eq!(refused, Err(io::ErrorKind::AlreadyExists));
        assert!(folder.reserve("missing", "four").is_err() && folder.stat("four")?.is_none());
        folder.reserve("two", "three")?;
        assert_eq!(std::fs::read_to_string(place.path().join("a/one"))?, "1");
        assert_eq!(std::fs::read_to_string(place.path().join("a/three"))?, "2");
        assert!(folder.stat("two")?.is_none());
        Ok(())
    }
}
