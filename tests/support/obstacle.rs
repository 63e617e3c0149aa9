//! What stands in the place of a file: pipes, sockets, folders, links and devices.

use rustix::fs::{CWD, Mode, mkfifoat};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

/// Puts a thing of this kind under the name, in the place of a file that is there; false where this user cannot.
pub fn put(kind: &str, path: &Path) -> bool {
    let _ = fs::remove_file(path);
    let beside = path.with_extension("beside");
    match kind {
        "pipe" => mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap(),
        "socket" => drop(UnixListener::bind(path).unwrap()),
        "folder" => fs::create_dir(path).unwrap(),
        "link to a pipe" => {
            mkfifoat(CWD, &beside, Mode::RUSR | Mode::WUSR).unwrap();
            symlink(&beside, path).unwrap();
        }
        "link to a folder" => symlink("/", path).unwrap(),
        "link to a device" => symlink("/dev/zero", path).unwrap(),
        "dangling link" => symlink("/nowhere/at/all", path).unwrap(),
        _ => return Command::new("mknod").arg(path).args(["c", "1", "5"]).status().is_ok_and(|done| done.success()),
    }
    true
}
