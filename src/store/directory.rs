//! A store in a directory: one file per object.
//!
//! An object is written to a temporary file next to its final place and published by a rename that never overwrites, after the
//! file and before the folder is flushed to disk. Files are 0600 and folders 0700; symbolic links below the root are not
//! followed, so that nobody who can write one of the folders can lead a backup elsewhere.

pub(crate) mod case;
pub(crate) mod errors;
pub(crate) mod folder;
pub(crate) mod partial_file;

use crate::base::error::{Fault, Kind, Result, kind};
use crate::store::capabilities::{Capabilities, Integrity, Medium};
use crate::store::directory::errors::{cause, taken, unreadable};
use crate::store::keys::{check, check_range, name, refuse_version};
use crate::store::{Info, Object, ObjectInfo, PendingUpload, PutOptions, Store, Upload, write_small};
use case::CaseCheck;
use folder::{StoreFolder, create_root_whole};
use jiff::Timestamp;
use partial_file::Partial;
use rustix::fs::{FileType, OFlags, Stat};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const MOST_TRIES: u32 = 20;

/// Name of the file that marks a folder as meant for backups, even if it holds none. `doctor --make-store` puts it there.
pub(crate) const MARK: &str = ".pgbk-store";
const MARK_TEXT: &str = "pgbk keeps backups in this folder, also when there are none in it yet.\n";

/// Hint for a folder that is not the one that it was.
pub(crate) const NOT_MOUNTED: &str =
    "is the share or disk mounted? If this is a new place on purpose, say so once: pgbk doctor --make-store";

/// The ending of the names of documents.
const DOCUMENT: &str = ".meta";

#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    case: CaseCheck,
    /// Set once it was seen that the file system lists files under the names that they were made with.
    keeps_names: OnceLock<()>,
    /// `None`: files may be of any size.
    largest: Option<u64>,
}

impl Directory {
    /// Opens a store. The root need not exist yet: the first object makes it, but not its parents. Its path is kept
    /// and shown as an absolute one.
    pub fn open(root: impl Into<PathBuf>) -> Result<Directory> {
        let root = root.into();
        let root = std::path::absolute(&root).map_err(|error| cause("find", &root, error))?;
        match std::fs::metadata(&root) {
            Ok(found) if !found.is_dir() => {
                Err(Fault::usage(format!("\"{}\" is not a directory", root.display())).into())
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cause("open", &root, error).into()),
            _ => Ok(Directory { root, case: CaseCheck::default(), keeps_names: OnceLock::new(), largest: None }),
        }
    }

    /// Says that no file may be larger, in bytes. `None`: files may be of any size.
    pub fn with_largest(self, largest: Option<u64>) -> Directory {
        Directory { largest, ..self }
    }

    /// Makes the folder and its missing parents, and marks it as one that may be empty.
    pub fn make(&self) -> Result<()> {
        create_root_whole(&self.root).map_err(|error| cause("create", &self.root, error))?;
        match write_small(self, MARK, MARK_TEXT.as_bytes()) {
            Err(error) if kind(&error) != Kind::Exists => Err(error),
            _ => Ok(()),
        }
    }

    fn begin(&self, key: &str) -> Result<Partial> {
        let path = self.path(key);
        if let Some(missing) = self.root.parent().filter(|parent| !parent.is_dir()) {
            let text = format!("the folder \"{}\" of STORE_DIR does not exist", missing.display());
            return Err(Fault::failed(text).hint(NOT_MOUNTED).into());
        }
        let (folder, made) =
            StoreFolder::create(&self.root, parent(key), &self.case).map_err(|error| cause("create", &path, error))?;
        if folder.stat(name(key)).map_err(|error| cause("create", &path, error))?.is_some() {
            return Err(taken(&path).into());
        }
        let partial = Partial::create(folder, made, path, name(key))?;
        if self.keeps_names.get().is_none() {
            partial.keeps_its_name()?;
            // Another thread may have seen it too.
            let _ = self.keeps_names.set(());
        }
        Ok(partial)
    }

    fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    /// Returns the folder of a key. None: it does not exist.
    fn folder(&self, key: &str) -> Result<Option<StoreFolder>> {
        StoreFolder::open(&self.root, parent(key), &self.case)
            .map_err(|error| unreadable("open the folder of", &self.path(key), error).into())
    }
}

impl Store for Directory {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities {
            integrity: Integrity::Synced,
            medium: Medium::Folder,
            largest_object: self.largest,
            ..Capabilities::default()
        }
    }

    fn create(&self, key: &str, _creation: &PutOptions) -> Result<Box<dyn Upload>> {
        check(key)?;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.begin(key) {
                // An upload that is dropped just now takes along the folder that was made for it.
                Err(error) if kind(&error) == Kind::NotFound && tries < MOST_TRIES => {}
                begun => return Ok(Box::new(begun?)),
            }
        }
    }

    fn open(&self, key: &str, version: Option<&str>) -> Result<Box<dyn Object>> {
        check(key)?;
        refuse_version(version)?;
        let path = self.path(key);
        let missing = || Fault::not_found(format!("\"{}\" does not exist", path.display()));
        let folder = self.folder(key)?.ok_or_else(missing)?;
        let file = folder.file(name(key), OFlags::RDONLY | OFlags::NONBLOCK).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => missing(),
            _ => unreadable("open", &path, error),
        })?;
        let stat = rustix::fs::fstat(&file).map_err(|error| cause("open", &path, error.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Fault::damaged(format!("\"{}\" is not a regular file", path.display())).into());
        }
        let info = Info { bytes: stat.st_size as u64, etag: None, version: None, modified: modified(&stat) };
        Ok(Box::new(DirectoryObject { file, path, info }))
    }

    /// Lists anything in the place of a document as well, even if it is no file: opening it reports what it is, and
    /// leaving it out would hide a backup.
    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        let mut found = self.walk(prefix, |key, stat| {
            let listed =
                ObjectInfo { key: key.to_owned(), bytes: stat.st_size as u64, modified: modified(stat), etag: None };
            (Partial::final_name(name(key)).is_none() && key.starts_with(prefix)).then_some(listed)
        })?;
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    fn remove(&self, key: &str, version: Option<&str>) -> Result<()> {
        check(key)?;
        if version.is_some() {
            // No version of anything is here.
            return Ok(());
        }
        let Some(folder) = self.folder(key)? else { return Ok(()) };
        folder.unlink(name(key)).map_err(|error| cause("remove", &self.path(key), error).into())
    }

    fn unfinished(&self, prefix: &str) -> Result<Vec<PendingUpload>> {
        let mut found = self.walk(prefix, |token, stat| {
            let key = format!("{}{}", &token[..token.len() - name(token).len()], Partial::final_name(name(token))?);
            let started = modified(stat);
            key.starts_with(prefix).then_some(PendingUpload { key, token: token.to_owned(), started })
        })?;
        found.sort_by(|a, b| (&a.key, &a.token).cmp(&(&b.key, &b.token)));
        Ok(found)
    }

    fn discard(&self, unfinished: &PendingUpload) -> Result<()> {
        let PendingUpload { key, token, .. } = unfinished;
        check(key)?;
        if parent(token) != parent(key) || Partial::final_name(name(token)) != Some(name(key)) {
            return Err(Fault::failed(format!("\"{token}\" is not an unfinished upload of \"{key}\"")).into());
        }
        let Some(folder) = self.folder(key)? else { return Ok(()) };
        folder.unlink(name(token)).map_err(|error| cause("remove", &self.path(token), error).into())
    }
}

impl Directory {
    /// Fails if a link is in the place of a database's folder and leads to backups of it: none of them would be
    /// listed, and nobody would know.
    fn refuse_link(&self, name: &str) -> Result<()> {
        let path = self.path(name);
        let is_link = !name.is_empty() && std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink());
        match is_link && leads_to_backups(&path, name) {
            true => Err(cause("list", &path, io::ErrorKind::NotADirectory.into()).into()),
            false => Ok(()),
        }
    }

    /// Passes every regular file that can be under the prefix to `pick`, and anything else with the name of a
    /// document. Returns what `pick` returns.
    fn walk<T>(&self, prefix: &str, mut pick: impl FnMut(&str, &Stat) -> Option<T>) -> Result<Vec<T>> {
        if prefix.split('/').any(|name| name == "..") {
            return Err(Fault::usage(format!("prefix \"{prefix}\" has a \"..\"")).into());
        }
        let mut found = Vec::new();
        let mut folders = vec![parent(prefix).to_owned()];
        while let Some(at) = folders.pop() {
            let read = |error| cause("list", &self.path(&at), error);
            let Some(folder) = StoreFolder::open(&self.root, &at, &self.case).map_err(read)? else {
                self.refuse_link(&at)?;
                continue;
            };
            for (name, stat) in folder.entries().map_err(read)? {
                let key = if at.is_empty() { name } else { format!("{at}/{name}") };
                if stands_for_document(&key, &stat) {
                    found.extend(pick(&key, &stat));
                }
                match FileType::from_raw_mode(stat.st_mode) {
                    FileType::Symlink if at.is_empty() => self.refuse_link(&key)?,
                    // What lies in another folder than the prefix leads to is not looked at.
                    FileType::Directory if format!("{key}/").starts_with(prefix) => folders.push(key),
                    FileType::RegularFile => found.extend(pick(&key, &stat)),
                    _ => {}
                }
            }
        }
        Ok(found)
    }
}

/// Returns whether a link leads to documents of this database's backups.
fn leads_to_backups(link: &Path, name: &str) -> bool {
    let is_document = |entry: std::fs::DirEntry| {
        entry.file_name().to_str().is_some_and(|file| file.starts_with(&format!("{name}-")) && file.ends_with(DOCUMENT))
    };
    std::fs::read_dir(link).is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(is_document)))
}

/// Returns whether this is no regular file, but has the name of a backup's document.
fn stands_for_document(key: &str, stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile && key.contains('/') && key.ends_with(DOCUMENT)
}

/// An object, pinned by its open file, whatever happens to its name.
struct DirectoryObject {
    file: File,
    path: PathBuf,
    info: Info,
}

impl Object for DirectoryObject {
    fn info(&self) -> &Info {
        &self.info
    }

    fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        check_range(&self.path.display().to_string(), &range, self.info.bytes)?;
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.file.read_exact_at(&mut bytes, range.start).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Fault::damaged(format!("\"{}\" became shorter while being read", self.path.display()))
            }
            _ => cause("read", &self.path, error),
        })?;
        Ok(bytes)
    }
}

fn parent(key: &str) -> &str {
    key.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn modified(stat: &Stat) -> Option<Timestamp> {
    Timestamp::new(stat.st_mtime, stat.st_mtime_nsec as i32).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::hints;

    #[test]
    fn a_full_disk_says_which_and_what_to_do() {
        let error = cause("write", Path::new("/backups/x"), io::Error::from_raw_os_error(28)).into();
        assert!(format!("{error:#}").starts_with("cannot write \"/backups/x\": No space left"), "{error:#}");
        assert!(hints(&error)[0].contains("STORE_DIR"));
    }
}
