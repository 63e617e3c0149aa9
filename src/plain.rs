//! Plain files in folders that others may write to.
//!
//! A pipe in the place of a file would be waited for without end, a link would lead elsewhere, a device would answer with anything. So such
//! a file is opened without waiting and without following, and looked at before a byte of it is read.

use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Whose file is taken for ours, beside root's and this user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Nobody else's.
    Ours,
    /// That of the folder's owner, who says what is in it: a container's user, when root looks into his folder.
    OfItsFolder,
}

/// Opens a file for reading. What is no plain file, somebody else's, or larger than `limit`, is an error.
pub fn open(path: &Path, whose: Whose, limit: u64) -> io::Result<File> {
    let file = checked(OpenOptions::new().read(true), path, whose)?;
    match file.metadata()?.len() {
        size if size > limit => {
            Err(io::Error::other(format!("it has {size} bytes, more than the {limit} that it may have")))
        }
        _ => Ok(file),
    }
}

/// Reads such a file whole.
pub fn read(path: &Path, whose: Whose, limit: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    // It may be growing.
    open(path, whose, limit)?.take(limit).read_to_end(&mut text)?;
    Ok(text)
}

/// Opens the file that is there to be locked, and makes it, for its owner alone, where it is missing. Its contents mean nothing.
pub fn lock_file(path: &Path) -> io::Result<File> {
    checked(OpenOptions::new().read(true).write(true).create(true).mode(0o600), path, Whose::OfItsFolder)
}

fn checked(how: &mut OpenOptions, path: &Path, whose: Whose) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = how.custom_flags(flags.bits() as i32).open(path)?;
    let seen = file.metadata()?;
    if !seen.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let us = rustix::process::geteuid().as_raw();
    let of_folder = |owner: u32| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        whose == Whose::OfItsFolder && folder.metadata().is_ok_and(|folder| folder.uid() == owner)
    };
    match seen.uid() {
        owner if owner == us || owner == 0 || of_folder(owner) => Ok(file),
        owner => Err(io::Error::other(format!("it belongs to somebody else, the user {owner}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::Whose::{OfItsFolder, Ours};
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
}
