//! One entry of an archive. pgbk writes only a part of what tar can express, and accepts no more than that.

use crate::base::cancel;
use crate::base::error::{Fault, Result, into_io, is_ours};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use tar::{Archive, EntryType, Header};

/// Longest name in bytes: no kernel takes a longer path.
const LONGEST_NAME: u64 = 4096;

/// An entry's metadata; its data is still in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Relative, and without any step up.
    pub path: PathBuf,
    pub what: EntryKind,
    /// Target, if it is a link.
    pub link: PathBuf,
    pub bytes: u64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970.
    pub modified: u64,
}

/// Reads an archive to its end and passes each entry to `sink`, with a reader of its data.
pub fn each(archive: &mut dyn Read, sink: &mut dyn FnMut(FileEntry, &mut dyn Read) -> Result<()>) -> Result<()> {
    let mut archive = Archive::new(CancellableReader(archive));
    let (mut long_name, mut long_link) = (None, None);
    for entry in archive.entries().map_err(no_archive)?.raw(true) {
        let mut entry = entry.map_err(no_archive)?;
        match entry.header().entry_type() {
            EntryType::GNULongName => long_name = Some(long(&mut entry)?),
            EntryType::GNULongLink => long_link = Some(long(&mut entry)?),
            _ => {
                let told = FileEntry::of(entry.header(), long_name.take(), long_link.take())?;
                sink(told, &mut entry)?;
            }
        }
    }
    end(&mut archive.into_inner())
}

/// A reader that fails once a signal has come or the run's time is over.
struct CancellableReader<'a>(&'a mut dyn Read);

impl Read for CancellableReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        cancel::check().map_err(into_io)?;
        self.0.read(buffer)
    }
}

/// Checks that only zeros follow the last entry. Reads to the end: only there is it certain that nothing is missing.
fn end(rest: &mut dyn Read) -> Result<()> {
    let mut buffer = [0; 8192];
    loop {
        match rest.read(&mut buffer)? {
            0 => return Ok(()),
            count if buffer[..count].iter().any(|byte| *byte != 0) => {
                return Err(Fault::damaged("the archive goes on behind its end").into());
            }
            _ => {}
        }
    }
}

fn long(entry: &mut impl Read) -> Result<Vec<u8>> {
    let mut name = Vec::new();
    entry.take(LONGEST_NAME + 2).read_to_end(&mut name)?;
    if name.last() == Some(&0) {
        name.pop();
    }
    if name.len() as u64 > LONGEST_NAME {
        return Err(Fault::damaged("the archive holds a name that is longer than any path").into());
    }
    Ok(name)
}

impl FileEntry {
    fn of(header: &Header, long_name: Option<Vec<u8>>, long_link: Option<Vec<u8>>) -> Result<FileEntry> {
        let name = long_name.unwrap_or_else(|| header.path_bytes().into_owned());
        let path = relative(&name).ok_or_else(|| out(&name))?;
        let what = match header.entry_type() {
            EntryType::Regular => EntryKind::File,
            EntryType::Directory => EntryKind::Folder,
            EntryType::Symlink => EntryKind::Link,
            _ => return Err(foreign(&path).into()),
        };
        let link = long_link.or_else(|| header.link_name_bytes().map(|link| link.into_owned())).unwrap_or_default();
        if what == EntryKind::Link && (link.is_empty() || link.contains(&0)) {
            return Err(Fault::damaged(format!("the link \"{}\" leads nowhere", path.display())).into());
        }
        let number = |number: io::Result<u64>| number.map_err(no_archive).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        Ok(FileEntry {
            path,
            what,
            link: OsStr::from_bytes(&link).into(),
            bytes: header.entry_size().map_err(no_archive)?,
            mode: header.mode().map_err(no_archive)? & 0o7777,
            uid: number(header.uid())?,
            gid: number(header.gid())?,
            modified: header.mtime().map_err(no_archive)?,
        })
    }
}

/// Returns the name as a relative path. `None`: it is empty or absolute, holds a NUL, or has a step that is no plain name, such as
/// `..`.
fn relative(name: &[u8]) -> Option<PathBuf> {
    let path = Path::new(OsStr::from_bytes(name));
    let steps = path.components().all(|step| matches!(step, Component::Normal(_)));
    let good = steps && !name.is_empty() && !name.contains(&0) && !name.starts_with(b"/");
    // Without a slash at its end.
    good.then(|| path.components().collect())
}

fn out(name: &[u8]) -> Fault {
    let name = String::from_utf8_lossy(name);
    Fault::damaged(format!(
        "the archive holds the name \"{}\", which leads out of where it is unpacked",
        name.escape_debug()
    ))
    .hint("pgbk writes no such archive: find out who did")
}

fn foreign(path: &Path) -> Fault {
    Fault::damaged(format!("\"{}\" in the archive is neither a file, a folder nor a link", path.display()))
        .hint("pgbk writes no such archive: find out who did")
}

/// Turns an error of the tar reader into damage. An error of pgbk's own that came through the archive keeps its kind.
fn no_archive(error: io::Error) -> anyhow::Error {
    if is_ours(&error) {
        return error.into();
    }
    Fault::damaged(format!("it is no archive as tar writes it: {error}")).into()
}

/// The kind of an entry: an archive of pgbk holds no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Folder,
    Link,
}
