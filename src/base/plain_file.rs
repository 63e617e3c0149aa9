//! Opens plain files: those in folders that others may write to, and those that a setting names.
//!
//! A pipe in the place of a file would block for ever, a link would lead elsewhere, a device would answer with anything. So such a file is
//! opened without blocking, and its type is checked before a byte of it is read. Links are followed only to a file that a setting names.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FsWord, OFlags, fstatfs};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// Largest size of a file that a setting names, in bytes: far more than any password, key or list of certificates.
const LONGEST: u64 = 8 << 20;
/// Longest pause of a shell's `<(command)`.
const SILENCE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };
/// The magic number of the file system of unnamed pipes, such as a shell's `<(command)`.
const PIPES: FsWord = 0x5049_5045;

/// Says whose files are accepted, besides root's and this user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptedOwner {
    /// Accepts no other owner.
    Ours,
    /// Accepts the owner of the folder too, who decides what is in it: a container's user, when root reads that user's folder.
    OfItsFolder,
}

/// Opens a file for reading. It is an error if it is no plain file, belongs to another user, or has more than `limit` bytes.
pub fn open(path: &Path, whose: AcceptedOwner, limit: u64) -> io::Result<File> {
    let file = checked(OpenOptions::new().read(true), path, whose)?;
    match file.metadata()?.len() {
        size if size > limit => {
            Err(io::Error::other(format!("it has {size} bytes, more than the {limit} that it may have")))
        }
        _ => Ok(file),
    }
}

/// Reads such a file whole.
pub fn read(path: &Path, whose: AcceptedOwner, limit: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    // It may be growing.
    open(path, whose, limit)?.take(limit).read_to_end(&mut text)?;
    Ok(text)
}

/// Opens a file that serves as a lock only, and creates it, for its owner alone, if it is missing. Its contents mean nothing.
pub fn lock_file(path: &Path) -> io::Result<File> {
    checked(OpenOptions::new().read(true).write(true).create(true).mode(0o600), path, AcceptedOwner::OfItsFolder)
}

/// Opens a file to write at its end, and creates it, for its owner alone, if it is missing.
pub fn append(path: &Path) -> io::Result<File> {
    checked(OpenOptions::new().append(true).create(true).mode(0o600), path, AcceptedOwner::OfItsFolder)
}

fn checked(how: &mut OpenOptions, path: &Path, whose: AcceptedOwner) -> io::Result<File> {
    let file = at_once(how, OFlags::NOFOLLOW, path)?;
    let seen = file.metadata()?;
    if !seen.is_file() {
        return Err(no_plain_file());
    }
    let us = rustix::process::geteuid().as_raw();
    let of_folder = |owner: u32| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        whose == AcceptedOwner::OfItsFolder && folder.metadata().is_ok_and(|folder| folder.uid() == owner)
    };
    match seen.uid() {
        owner if owner == us || owner == 0 || of_folder(owner) => Ok(file),
        owner => Err(io::Error::other(format!("it belongs to somebody else, the user {owner}"))),
    }
}

/// Opens a file that a setting names, whatever user owns it, and follows links. Anything but a plain file is an error, except the pipe
/// of a shell's `<(command)`, which has a writer.
pub fn named(path: &Path) -> io::Result<File> {
    let file = at_once(OpenOptions::new().read(true), OFlags::empty(), path)?;
    let seen = file.metadata()?;
    let piped = seen.file_type().is_fifo() && fstatfs(&file)?.f_type == PIPES;
    if seen.is_file() || piped { Ok(file) } else { Err(no_plain_file()) }
}

/// Reads such a file whole.
pub fn read_named(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    read_to_end(named(path)?, LONGEST)
}

/// Reads such a file as text.
pub fn read_text(path: &Path) -> io::Result<Zeroizing<String>> {
    let bytes = read_named(path)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(io::Error::new(ErrorKind::InvalidData, "it is no UTF-8 text")),
    }
}

/// Reads to the end. A pipe that stays silent for too long is an error, and so is a file of more than `limit` bytes.
fn read_to_end(mut file: File, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut all = Zeroizing::new(Vec::new());
    loop {
        match (&mut file).take(limit + 1 - all.len() as u64).read_to_end(&mut all) {
            Ok(_) if all.len() as u64 > limit => {
                return Err(io::Error::other(format!("it has more than {} MiB", limit >> 20)));
            }
            Ok(_) => return Ok(all),
            Err(error) if error.kind() == ErrorKind::WouldBlock => heard(&file)?,
            Err(error) => return Err(error),
        }
    }
}

/// Waits until there is something to read, or the end. It is an error if nothing comes in time.
fn heard(file: &File) -> io::Result<()> {
    match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&SILENCE)) {
        Ok(0) => Err(io::Error::new(ErrorKind::TimedOut, "nothing came out of the pipe in time")),
        Err(error) if error != rustix::io::Errno::INTR => Err(error.into()),
        _ => Ok(()),
    }
}

/// Opens the file without blocking.
fn at_once(how: &mut OpenOptions, more: OFlags, path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY | more;
    how.custom_flags(flags.bits() as i32).open(path)
}

fn no_plain_file() -> io::Error {
    io::Error::other("it is no plain file")
}

#[cfg(test)]
mod tests {
    use super::AcceptedOwner::{OfItsFolder, Ours};
    use super::*;
    use std::os::unix::fs::{chown, symlink};
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_a_plain_file_of_ours_is_opened_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("plain"), "text").unwrap();
        assert_eq!(read(&at("plain"), Ours, 4).unwrap(), b"text");
        assert!(read(&at("plain"), Ours, 3).unwrap_err().to_string().contains("4 bytes, more than the 3"));
        lock_file(&at("plain")).unwrap();
        lock_file(&at("made")).unwrap();

        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        symlink("plain", at("link")).unwrap();
        symlink("/dev/zero", at("device by link")).unwrap();
        let other = ["pipe", "socket", "folder", "link", "device by link", "nothing"];
        for path in other.map(at).into_iter().chain(["/dev/zero".into(), "/dev/tty".into()]) {
            assert!(read(&path, Ours, u64::MAX).is_err(), "{path:?}");
            assert!(path.ends_with("nothing") || lock_file(&path).is_err(), "{path:?}");
        }
        if rustix::process::geteuid().is_root() {
            chown(at("plain"), Some(65534), None).unwrap();
            assert!(read(&at("plain"), OfItsFolder, 4).unwrap_err().to_string().contains("somebody else"));
            chown(folder.path(), Some(65534), None).unwrap();
            assert!(read(&at("plain"), Ours, 4).unwrap_err().to_string().contains("somebody else"));
            assert_eq!(read(&at("plain"), OfItsFolder, 4).unwrap(), b"text");
        }
    }

    #[test]
    fn what_a_setting_names_may_be_a_link_and_a_shell_s_pipe_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("plain"), "text").unwrap();
        symlink("plain", at("link")).unwrap();
        for path in ["plain", "link"] {
            assert_eq!(*read_named(&at(path)).unwrap(), b"text", "{path}");
        }
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        symlink("pipe", at("link to a pipe")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        let other = ["pipe", "link to a pipe", "socket", "folder", "nothing"];
        for path in other.map(at).into_iter().chain(["/dev/zero".into(), "/dev/null".into(), "/dev/tty".into()]) {
            assert!(read_named(&path).is_err(), "{path:?}");
        }

        let (from, mut to) = io::pipe().unwrap();
        let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&from));
        // It is read before all of it is written.
        let writer = std::thread::spawn(move || {
            for piece in ["a", "b", "c"] {
                io::Write::write_all(&mut to, piece.as_bytes()).unwrap();
                std::thread::yield_now();
            }
        });
        assert_eq!(read_text(path.as_ref()).unwrap().as_str(), "abc");
        writer.join().unwrap();
        std::fs::write(at("large"), vec![b'x'; LONGEST as usize + 1]).unwrap();
        assert!(read_named(&at("large")).unwrap_err().to_string().contains("more than 8 MiB"));
    }
}
