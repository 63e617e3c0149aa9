//! Writes an archive.

use super::walk::{Found, vanished};
use super::{What, unreadable};
use crate::error::{Result, into_io};
use crate::interrupt;
use crate::monitor::Monitor;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// Packs what was found, in that order. A file that has vanished since is told and left out; one whose size changes while it is read
/// keeps the size that it had first, is filled up with zeros where it must be, and is told.
pub fn pack(found: &[Found], out: &mut dyn Write, monitor: &dyn Monitor) -> Result<()> {
    let mut archive = Builder::new(Counted { out, monitor });
    for one in found {
        interrupt::check()?;
        let added = match one.what {
            What::File => file(&mut archive, &one.path, monitor),
            What::Folder => folder(&mut archive, &one.path),
            What::Link => link(&mut archive, &one.path),
        };
        match added {
            Err(Trouble::Source(error)) if is_gone(&error) => {
                monitor.warn(&vanished(&one.path));
            }
            Err(Trouble::Source(error)) => return Err(unreadable(&one.path, &error).into()),
            Err(Trouble::Sink(error)) => return Err(error.into()),
            Ok(()) => {}
        }
    }
    archive.finish()?;
    Ok(())
}

/// On which side it is.
enum Trouble {
    Source(io::Error),
    Sink(io::Error),
}

fn gone() -> Trouble {
    Trouble::Source(io::Error::from(io::ErrorKind::NotFound))
}

/// Or something else has taken its place: a link where a file was, a file where a link was, a socket.
pub(super) fn is_gone(error: &io::Error) -> bool {
    let others = [Errno::NOTDIR, Errno::LOOP, Errno::NXIO, Errno::INVAL].map(Errno::raw_os_error);
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error().is_some_and(|code| others.contains(&code))
}

/// What has become a pipe since does not hold up the backup, and a link is not followed.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)
}

fn file(archive: &mut Builder<impl Write>, path: &Path, monitor: &dyn Monitor) -> std::result::Result<(), Trouble> {
    let mut file = open(path).map_err(Trouble::Source)?;
    let metadata = file.metadata().map_err(Trouble::Source)?;
    if !metadata.is_file() {
        return Err(gone());
    }
    let header = header(&metadata, EntryType::Regular, metadata.len());
    let mut exact = Exact { inner: &mut file, left: metadata.len(), missing: 0, error: None };
    archive.append_data(&mut header.clone(), name(path), &mut exact).map_err(Trouble::Sink)?;
    let Exact { missing, error, .. } = exact;
    if let Some(error) = error {
        return Err(Trouble::Source(error));
    }
    if let Some(how) = changed(&mut file, &metadata, missing) {
        monitor.warn(&format!("\"{}\" {how}", path.display()));
    }
    Ok(())
}

fn changed(file: &mut File, before: &Metadata, missing: u64) -> Option<String> {
    let size = before.len();
    if missing > 0 {
        return Some(format!("shrank while it was read: {missing} of its {size} bytes are zeros in the backup"));
    }
    if file.read(&mut [0]).unwrap_or(0) > 0 {
        return Some(format!("grew while it was read: its first {size} bytes are in the backup"));
    }
    let after = file.metadata().ok()?;
    let time = |metadata: &Metadata| (metadata.mtime(), metadata.mtime_nsec());
    (time(&after) != time(before)).then(|| "changed while it was read".to_owned())
}

fn folder(archive: &mut Builder<impl Write>, path: &Path) -> std::result::Result<(), Trouble> {
    let metadata = fs::symlink_metadata(path).map_err(Trouble::Source)?;
    if !metadata.is_dir() {
        return Err(gone());
    }
    let mut header = header(&metadata, EntryType::Directory, 0);
    let name = name(path);
    // The root itself has no name, and is there wherever something is unpacked.
    if name.as_os_str().is_empty() {
        return Ok(());
    }
    archive.append_data(&mut header, name, io::empty()).map_err(Trouble::Sink)
}

fn link(archive: &mut Builder<impl Write>, path: &Path) -> std::result::Result<(), Trouble> {
    let metadata = fs::symlink_metadata(path).map_err(Trouble::Source)?;
    let to = fs::read_link(path).map_err(Trouble::Source)?;
    let mut header = header(&metadata, EntryType::Symlink, 0);
    archive.append_link(&mut header, name(path), to).map_err(Trouble::Sink)
}

/// Nothing of it depends on the time or on the order of things, and owners are numbers.
fn header(metadata: &Metadata, what: EntryType, bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(what);
    header.set_size(bytes);
    header.set_mode(metadata.mode() & 0o7777);
    header.set_uid(metadata.uid().into());
    header.set_gid(metadata.gid().into());
    header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
    header
}

pub(super) fn name(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// So many bytes of a file, whatever becomes of it. An archive's entry is as long as its header says.
struct Exact<'a, R> {
    inner: &'a mut R,
    left: u64,
    /// Zeros that stand for what was not there.
    missing: u64,
    error: Option<io::Error>,
}

impl<R: Read> Read for Exact<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        interrupt::check().map_err(into_io)?;
        let room = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if room == 0 {
            return Ok(0);
        }
        let buffer = &mut buffer[..room];
        let read = match self.missing {
            0 if self.error.is_none() => self.inner.read(buffer),
            _ => Ok(0),
        };
        let count = match read {
            Ok(0) => {
                buffer.fill(0);
                self.missing += room as u64;
                room
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                self.error = Some(error);
                return self.read(buffer);
            }
        };
        self.left -= count as u64;
        Ok(count)
    }
}

struct Counted<'a> {
    out: &'a mut dyn Write,
    monitor: &'a dyn Monitor,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.monitor.advance(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::contents::Room;
    use super::super::walk::within;
    use super::super::{Contents, walk};
    use super::*;
    use crate::monitor::{Noting, Silent};
    use std::path::PathBuf;

    fn packed(found: &[Found], monitor: &dyn Monitor) -> Vec<u8> {
        let mut out = Vec::new();
        pack(found, &mut out, monitor).unwrap();
        out
    }

    fn names(archive: &[u8]) -> Vec<PathBuf> {
        Contents::read(&mut &*archive).unwrap().paths().map(Path::to_owned).collect()
    }

    #[test]
    fn what_vanishes_or_changes_its_kind_between_search_and_reading_is_told_and_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        ["gone", "here", "link", "piped"].iter().for_each(|name| fs::write(at(name), name).unwrap());
        let found = walk(&[folder.path().to_owned()], &Silent).unwrap();
        fs::remove_file(at("gone")).unwrap();
        fs::remove_file(at("piped")).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, at("piped"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let noting = Noting::new(&Silent);
        let archive = packed(&found, &noting);
        let left: Vec<PathBuf> = ["", "here", "link"].iter().map(|name| name_of(folder.path(), name)).collect();
        assert_eq!(names(&archive), left);
        let warnings = noting.warnings();
        assert!(warnings.len() == 2 && warnings.iter().all(|text| text.contains("vanished")), "{warnings:?}");
    }

    fn name_of(folder: &Path, name: &str) -> PathBuf {
        super::name(&if name.is_empty() { folder.to_owned() } else { folder.join(name) }).to_owned()
    }

    #[test]
    fn an_entry_is_as_long_as_its_header_says_whatever_becomes_of_the_file() {
        for (text, left, expected, missing) in
            [("abc", 5, &b"abc\0\0"[..], 2), ("abcdef", 5, b"abcde", 0), ("", 3, b"\0\0\0", 3)]
        {
            let mut inner = text.as_bytes();
            let mut exact = Exact { inner: &mut inner, left, missing: 0, error: None };
            let mut read = Vec::new();
            exact.read_to_end(&mut read).unwrap();
            assert_eq!((read.as_slice(), exact.missing), (expected, missing));
        }
    }

    #[test]
    fn what_could_not_be_unpacked_in_the_memory_there_is_is_not_packed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("b")).unwrap();
        ["a", "b/a file with a longer name", "b/\u{e9}"].iter().for_each(|name| fs::write(at(name), name).unwrap());
        std::os::unix::fs::symlink("somewhere else", at("c")).unwrap();
        let paths = [folder.path().to_owned()];
        let archive = packed(&walk(&paths, &Silent).unwrap(), &Silent);
        let mut refused = 0;
        for bytes in 0..4_000 {
            let room = Room::of(bytes);
            let (walked, read) = (within(&paths, room.clone(), &Silent), Contents::within(&mut &*archive, room));
            assert_eq!(walked.is_ok(), read.is_ok(), "{bytes}: {:?} {:?}", walked.err(), read.err());
            refused += usize::from(walked.is_err());
        }
        assert!((1_000..3_000).contains(&refused), "{refused}");
        // Named twice, it is there once.
        let twice = [folder.path().to_owned(), at("b")];
        assert_eq!(within(&twice, Room::of(refused), &Silent).unwrap().len(), 6);
    }

    #[test]
    fn the_same_files_make_the_same_archive_with_links_as_links() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("b")).unwrap();
        fs::write(at("b/2"), "two").unwrap();
        fs::write(at("a"), "one").unwrap();
        std::os::unix::fs::symlink("/etc", at("c")).unwrap();
        let paths = [at("b"), folder.path().to_owned(), at("a")];
        let found = walk(&paths, &Silent).unwrap();
        let archive = packed(&found, &Silent);
        assert_eq!(archive, packed(&walk(&paths[1..2], &Silent).unwrap(), &Silent));
        let expected: Vec<PathBuf> =
            ["", "a", "b", "b/2", "c"].iter().map(|name| name_of(folder.path(), name)).collect();
        assert_eq!(names(&archive), expected);
    }
}
