//! Writing to a reader who may be slow, or have gone to sleep: nothing here waits for one longer than whoever writes wants to.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::AsFd;

/// A pipe that has room at all takes so much without a wait.
const PIECE: usize = 4096;
/// How long one look at a reader who is waited for takes, in milliseconds.
const LOOK: i64 = 20;

/// Writes all of it; whenever there is no room, asks whether to wait on. Returns how many bytes were written.
pub(super) fn write(to: impl AsFd, bytes: &[u8], mut waits: impl FnMut() -> bool) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        let mut look = 0;
        while !has_room(&to, look)? {
            if !waits() {
                return Ok(written);
            }
            look = LOOK;
        }
        let piece = &bytes[written..bytes.len().min(written + PIECE)];
        match rustix::io::write(&to, piece) {
            Ok(count) => written += count,
            // Whoever shares the pipe may have filled it meanwhile, or made it one that does not wait.
            Err(Errno::INTR | Errno::AGAIN) if waits() => {}
            Err(Errno::INTR | Errno::AGAIN) => return Ok(written),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(written)
}

/// Returns whether a write would not wait, within so many milliseconds; a reader who is gone makes it fail at once.
fn has_room(to: impl AsFd, look: i64) -> io::Result<bool> {
    let mut ends = [PollFd::new(&to, PollFlags::OUT)];
    match poll(&mut ends, Some(&Timespec { tv_sec: 0, tv_nsec: look * 1_000_000 })) {
        Ok(0) | Err(Errno::INTR) => Ok(false),
        Ok(_) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
