//! Opens files to pack them; one that vanishes in the meantime is no error.

use crate::base::error::Fault;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Returns whether the file has vanished, or something else has taken its place: a link where a file was, a file where a link was,
/// a socket.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    let others = [Errno::NOTDIR, Errno::LOOP, Errno::NXIO, Errno::INVAL].map(Errno::raw_os_error);
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error().is_some_and(|code| others.contains(&code))
}

/// Opens a file for reading. Does not block if a pipe has taken its place, and does not follow a link.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)
}

pub(crate) fn name(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

pub fn unreadable(path: &Path, error: &io::Error) -> Fault {
    let fault = Fault::failed(format!("cannot read \"{}\": {error}", path.display()));
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            fault.hint("let the user that pgbk runs as read it, or name other paths in BACKUP_FILES")
        }
        io::ErrorKind::NotFound => fault.hint("BACKUP_FILES names what must be there"),
        _ => fault,
    }
}

pub(crate) fn vanished(path: &Path) -> String {
    format!(
        "\"{}\" vanished before it was read, or something else took its place: it is not in the backup",
        path.display()
    )
}
