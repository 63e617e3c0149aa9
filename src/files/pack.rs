//! Writes an archive.

use crate::base::cancel;
use crate::base::error::{Result, into_io};
use crate::base::progress::Monitor;
use crate::base::shown::{agree, many};
use crate::files::entry::EntryKind;
use crate::files::source::{is_gone, name, open, unreadable, vanished};
use crate::files::walk::WalkEntry;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// Packs the files in the given order. A file that has vanished is left out with a warning. A file whose size changes while it is
/// read keeps its first size, is filled up with zeros where it must be, and gets a warning.
pub fn pack(found: &[WalkEntry], out: &mut dyn Write, monitor: &dyn Monitor) -> Result<()> {
    let mut archive = Builder::new(CountingWriter { out, monitor });
    for one in found {
        cancel::check()?;
        let added = match one.what {
            EntryKind::File => file(&mut archive, &one.path, monitor),
            EntryKind::Folder => folder(&mut archive, &one.path),
            EntryKind::Link => link(&mut archive, &one.path),
        };
        match added {
            Err(PackError::Source(error)) if is_gone(&error) => {
                monitor.warn(&vanished(&one.path));
            }
            Err(PackError::Source(error)) => return Err(unreadable(&one.path, &error).into()),
            Err(PackError::Sink(error)) => return Err(error.into()),
            Ok(()) => {}
        }
    }
    archive.finish()?;
    Ok(())
}

/// The side on which an error occurred.
enum PackError {
    Source(io::Error),
    Sink(io::Error),
}

fn gone() -> PackError {
    PackError::Source(io::Error::from(io::ErrorKind::NotFound))
}

fn file(archive: &mut Builder<impl Write>, path: &Path, monitor: &dyn Monitor) -> std::result::Result<(), PackError> {
    let mut file = open(path).map_err(PackError::Source)?;
    let metadata = file.metadata().map_err(PackError::Source)?;
    if !metadata.is_file() {
        return Err(gone());
    }
    let header = header(&metadata, EntryType::Regular, metadata.len());
    let mut exact = ExactReader { inner: &mut file, left: metadata.len(), missing: 0, error: None };
    archive.append_data(&mut header.clone(), name(path), &mut exact).map_err(PackError::Sink)?;
    let ExactReader { missing, error, .. } = exact;
    if let Some(error) = error {
        return Err(PackError::Source(error));
    }
    if let Some(how) = changed(&mut file, &metadata, missing) {
        monitor.warn(&format!("\"{}\" {how}", path.display()));
    }
    Ok(())
}

fn changed(file: &mut File, before: &Metadata, missing: u64) -> Option<String> {
    let size = before.len();
    if missing > 0 {
        return Some(format!(
            "shrank while it was read: {missing} of its {} {} zeros in the backup",
            many(size, "byte"),
            agree(&size, "is", "are")
        ));
    }
    if file.read(&mut [0]).unwrap_or(0) > 0 {
        return Some(format!(
            "grew while it was read: its first {} {} in the backup",
            many(size, "byte"),
            agree(&size, "is", "are")
        ));
    }
    let after = file.metadata().ok()?;
    let time = |metadata: &Metadata| (metadata.mtime(), metadata.mtime_nsec());
    (time(&after) != time(before)).then(|| "changed while it was read".to_owned())
}

fn folder(archive: &mut Builder<impl Write>, path: &Path) -> std::result::Result<(), PackError> {
    let metadata = fs::symlink_metadata(path).map_err(PackError::Source)?;
    if !metadata.is_dir() {
        return Err(gone());
    }
    let mut header = header(&metadata, EntryType::Directory, 0);
    let name = name(path);
    // The root itself has no name, and is there wherever something is unpacked.
    if name.as_os_str().is_empty() {
        return Ok(());
    }
    archive.append_data(&mut header, name, io::empty()).map_err(PackError::Sink)
}

fn link(archive: &mut Builder<impl Write>, path: &Path) -> std::result::Result<(), PackError> {
    let metadata = fs::symlink_metadata(path).map_err(PackError::Source)?;
    let to = fs::read_link(path).map_err(PackError::Source)?;
    let mut header = header(&metadata, EntryType::Symlink, 0);
    archive.append_link(&mut header, name(path), to).map_err(PackError::Sink)
}

/// Returns the header of an entry. It depends neither on the present time nor on the order of the files, and owners are numbers.
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

/// Reads exactly as many bytes as the header of the entry says, whatever happens to the file in the meantime.
struct ExactReader<'a, R> {
    inner: &'a mut R,
    left: u64,
    /// How many zeros replace bytes that were missing.
    missing: u64,
    error: Option<io::Error>,
}

impl<R: Read> Read for ExactReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        cancel::check().map_err(into_io)?;
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

struct CountingWriter<'a> {
    out: &'a mut dyn Write,
    monitor: &'a dyn Monitor,
}

impl Write for CountingWriter<'_> {
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
    use super::*;
    use crate::base::progress::{NullMonitor, RecordingMonitor};
    use crate::files::contents::{ArchiveContents, EntryMemory};
    use crate::files::walk::{self, within};
    use std::path::PathBuf;

    fn packed(found: &[WalkEntry], monitor: &dyn Monitor) -> Vec<u8> {
        let mut out = Vec::new();
        pack(found, &mut out, monitor).unwrap();
        out
    }

    fn names(archive: &[u8]) -> Vec<PathBuf> {
        ArchiveContents::read(&mut &*archive).unwrap().entries().map(|entry| entry.path.clone()).collect()
    }

    #[test]
    fn what_vanishes_or_changes_its_kind_between_search_and_reading_is_told_and_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        ["gone", "here", "link", "piped"].iter().for_each(|name| fs::write(at(name), name).unwrap());
        let found = walk::walk(&[folder.path().to_owned()], &NullMonitor).unwrap();
        fs::remove_file(at("gone")).unwrap();
        fs::remove_file(at("piped")).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, at("piped"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let recording = RecordingMonitor::new(&NullMonitor);
        let archive = packed(&found, &recording);
        let left: Vec<PathBuf> = ["", "here", "link"].iter().map(|name| name_of(folder.path(), name)).collect();
        assert_eq!(names(&archive), left);
        let warnings = recording.warnings();
        assert!(warnings.len() == 2 && warnings.iter().all(|text| text.contains("vanished")), "{warnings:?}");
    }

    fn name_of(folder: &Path, name: &str) -> PathBuf {
        crate::files::source::name(&if name.is_empty() { folder.to_owned() } else { folder.join(name) }).to_owned()
    }

    #[test]
    fn an_entry_is_as_long_as_its_header_says_whatever_becomes_of_the_file() {
        for (text, left, expected, missing) in
            [("abc", 5, &b"abc\0\0"[..], 2), ("abcdef", 5, b"abcde", 0), ("", 3, b"\0\0\0", 3)]
        {
            let mut inner = text.as_bytes();
            let mut exact = ExactReader { inner: &mut inner, left, missing: 0, error: None };
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
        let archive = packed(&walk::walk(&paths, &NullMonitor).unwrap(), &NullMonitor);
        let mut refused = 0;
        for bytes in 0..4_000 {
            let room = EntryMemory::of(bytes);
            let (walked, read) =
                (within(&paths, room.clone(), &NullMonitor), ArchiveContents::within(&mut &*archive, room));
            assert_eq!(walked.is_ok(), read.is_ok(), "{bytes}: {:?} {:?}", walked.err(), read.err());
            refused += usize::from(walked.is_err());
        }
        assert!((1_000..3_000).contains(&refused), "{refused}");
        // Named twice, it is there once.
        let twice = [folder.path().to_owned(), at("b")];
        assert_eq!(within(&twice, EntryMemory::of(refused), &NullMonitor).unwrap().len(), 6);
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
        let found = walk::walk(&paths, &NullMonitor).unwrap();
        let archive = packed(&found, &NullMonitor);
        assert_eq!(archive, packed(&walk::walk(&paths[1..2], &NullMonitor).unwrap(), &NullMonitor));
        let expected: Vec<PathBuf> =
            ["", "a", "b", "b/2", "c"].iter().map(|name| name_of(folder.path(), name)).collect();
        assert_eq!(names(&archive), expected);
    }
}
