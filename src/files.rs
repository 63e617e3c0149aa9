//! Files and folders as a tar archive: how they are found, packed, looked at, and put back.
//!
//! Names in an archive are relative to `/` and sorted, so that the same files make the same archive. What stands in an archive is
//! believed only as far as [`Contents`] has looked at it: no name leads out of where it is unpacked.

mod contents;
mod entry;
mod pack;
mod place;
mod walk;

pub use contents::Contents;
pub use pack::pack;
pub use place::{Placed, Target};
pub use walk::{Found, check, walk};

use crate::error::Fault;
use std::io;
use std::path::Path;

/// What a file is, as far as an archive of pgbk holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    File,
    Folder,
    Link,
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    let fault = Fault::failed(format!("cannot read \"{}\": {error}", path.display()));
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            fault.hint("let the user that pgbk runs as read it, or name other paths in BACKUP_FILES")
        }
        io::ErrorKind::NotFound => fault.hint("BACKUP_FILES names what must be there"),
        _ => fault,
    }
}
