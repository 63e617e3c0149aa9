//! Gives up root. A container starts as root only to read the files of secrets that nobody else may read.

use crate::base::error::{Fault, Result};
use crate::config::environment::plain;
use rustix::fs::{Gid, Mode, OFlags, Uid, fchown, open};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// Becomes the user `PUID` and the group `PGID` for good, if this process is root and `PUID` is set. Else does nothing.
///
/// Must be called before any thread exists: the kernel changes only the calling thread and those that it starts.
pub fn give_up() -> Result<()> {
    let Some(user) = id("PUID")?.filter(|_| rustix::process::geteuid().is_root()) else { return Ok(()) };
    let group = id("PGID")?.unwrap_or(user);
    if let Some(folder) = plain("STATE_DIR") {
        hand_over(&folder, user, group);
    }
    become_another(Uid::from_raw(user), Gid::from_raw(group)).map_err(|error| {
        Fault::failed(format!("cannot give up root for {user}:{group}, which PUID and PGID name: {error}"))
            .hint("the container needs the capabilities SETUID and SETGID for that; or start it as that user (--user), and unset PUID")
            .into()
    })
}

fn become_another(user: Uid, group: Gid) -> rustix::io::Result<()> {
    set_no_new_privs(true)?;
    set_thread_groups(&[])?;
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)
}

/// Gives the state directory to the new user: its volume may have been made for another user, or by Docker for root.
/// An error is ignored here: the first write to the directory reports it.
fn hand_over(folder: &str, user: u32, group: u32) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if let Ok(folder) = open(folder, flags, Mode::empty()) {
        let _ = fchown(folder, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)));
    }
}

/// Returns the number in a variable. None: it is unset or empty.
fn id(name: &str) -> Result<Option<u32>> {
    let Some(text) = plain(name) else { return Ok(None) };
    match text.parse() {
        // The last number means "leave as it is" to the kernel.
        Ok(number) if number < u32::MAX => Ok(Some(number)),
        _ => Err(Fault::usage(format!("{name} is not the number of a user or group")).hint("for example 10001").into()),
    }
}
