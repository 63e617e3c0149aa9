//! Writes to a reader that may be slow or asleep. The caller decides how long to wait for it.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::AsFd;

/// Bytes written at once. A pipe that has any room takes this many without waiting.
const PIECE: usize = 4096;
/// Length of one poll while waiting for the reader, in milliseconds.
const LOOK: i64 = 20;

/// Writes all bytes; whenever there is no room, `waits` decides whether to wait on. Returns how many bytes were
/// written, which is fewer than all only if `waits` said no.
pub(crate) fn write(to: impl AsFd, bytes: &[u8], mut waits: impl FnMut() -> bool) -> io::Result<usize> {
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

/// Returns whether a write would not block, after polling for up to `look` milliseconds. True for a reader that is
/// gone: the write then fails at once.
fn has_room(to: impl AsFd, look: i64) -> io::Result<bool> {
    let mut ends = [PollFd::new(&to, PollFlags::OUT)];
    match poll(&mut ends, Some(&Timespec { tv_sec: 0, tv_nsec: look * 1_000_000 })) {
        Ok(0) | Err(Errno::INTR) => Ok(false),
        Ok(_) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
