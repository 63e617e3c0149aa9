//! Turns errors of the file system into messages for people.

use crate::base::error::{Fault, Kind};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::io;
use std::path::Path;

/// The mode of files that hold backups: nobody else may read them.
pub const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Errors that mean that something else is in the place: a link, a file where a folder should be or the other way
/// round, a socket, a device that is not there.
const IN_THE_WAY: [Errno; 6] = [Errno::LOOP, Errno::NOTDIR, Errno::ISDIR, Errno::NXIO, Errno::NODEV, Errno::OPNOTSUPP];

pub fn taken(path: &Path) -> Fault {
    Fault::new(Kind::Exists, format!("\"{}\" exists already", path.display()))
}

pub fn cause(doing: &str, path: &Path, error: io::Error) -> Fault {
    let message = format!("cannot {doing} \"{}\": {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Fault::failed(message).hint("free some space there, or set STORE_DIR to a place with more")
        }
        io::ErrorKind::PermissionDenied => Fault::new(Kind::Denied, message)
            .hint(format!("let the user that runs pgbk (uid {}) write there", rustix::process::getuid().as_raw())),
        io::ErrorKind::NotFound => Fault::not_found(message),
        io::ErrorKind::NotADirectory => Fault::failed(message).hint(
            "a link or a file is in the way; links below STORE_DIR are not followed: move the folder there, or set STORE_DIR to where the link leads",
        ),
        _ => Fault::failed(message),
    }
}

/// Returns the error of opening an object. If something else is in its place, the object counts as damaged: unlike
/// the failure of a disk, that does not pass.
pub fn unreadable(doing: &str, path: &Path, error: io::Error) -> Fault {
    let in_the_way = error.raw_os_error().is_some_and(|code| IN_THE_WAY.contains(&Errno::from_raw_os_error(code)));
    let fault = cause(doing, path, error);
    if in_the_way { fault.with_kind(Kind::Damaged) } else { fault }
}
