//! Writes log lines to stderr. A reader that has stopped reading holds up nothing: lines that do not fit are left out
//! and counted.

use crate::base::cancel;
use crate::cli::console::reader;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

/// How long a line waits for its reader. After a line was left out, the next ones do not wait until there is room again.
const PATIENCE: Duration = Duration::from_secs(1);

static LOG: Log = Log::new(PATIENCE);

struct Log {
    patience: Duration,
    /// Whether the last line was cut off in its middle. The thread that writes holds the lock.
    torn: Mutex<bool>,
    /// Number of lines left out since the last one that arrived.
    left_out: AtomicU64,
}

/// Writes a line to stderr. `told` makes the line that says how many were left out before it.
pub(crate) fn line(text: &str, told: impl Fn(u64) -> String) {
    LOG.line(&io::stderr(), text, told);
}

impl Log {
    const fn new(patience: Duration) -> Log {
        Log { patience, torn: Mutex::new(false), left_out: AtomicU64::new(0) }
    }

    fn line(&self, to: &(impl AsFd + IsTerminal), text: &str, told: impl Fn(u64) -> String) {
        let begun = Instant::now();
        let patience = if self.left_out.load(Ordering::Relaxed) == 0 { self.patience } else { Duration::ZERO };
        // A person who has stopped the terminal means it, but not against a signal.
        let waits = || begun.elapsed() < patience || to.is_terminal() && cancel::raised().is_none();
        let Some(mut torn) = self.lock(&waits) else {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let left_out = self.left_out.load(Ordering::Relaxed);
        let mut bytes = if *torn { "\n".to_owned() } else { String::new() };
        if left_out > 0 {
            bytes.push_str(&told(left_out));
            bytes.push('\n');
        }
        bytes.push_str(text);
        bytes.push('\n');
        // A closed stderr is no reason to stop a backup.
        let written = reader::write(to, bytes.as_bytes(), waits).unwrap_or(bytes.len());
        *torn = written > 0 && written < bytes.len() || written == 0 && *torn;
        match written == bytes.len() {
            true => self.left_out.fetch_sub(left_out, Ordering::Relaxed),
            false => self.left_out.fetch_add(1, Ordering::Relaxed),
        };
    }

    /// Locks the log for a line. None: another thread is still waiting for the reader, and this line may wait no longer.
    fn lock(&self, waits: &impl Fn() -> bool) -> Option<MutexGuard<'_, bool>> {
        loop {
            match self.torn.try_lock() {
                Ok(guard) => return Some(guard),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if waits() => std::thread::sleep(Duration::from_millis(1)),
                Err(TryLockError::WouldBlock) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::OwnedFd;

    /// Returns pipes and a socket, each with its name, its reader and its writer.
    fn readers() -> Vec<(&'static str, File, File)> {
        let pipe = || {
            let (reader, writer) = rustix::pipe::pipe().unwrap();
            (File::from(reader), File::from(writer))
        };
        let (small, big) = (pipe(), pipe());
        rustix::pipe::fcntl_setpipe_size(&small.1, 4096).unwrap();
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let nonblocking = pipe();
        rustix::io::ioctl_fionbio(&nonblocking.1, true).unwrap();
        vec![
            ("a small pipe", small.0, small.1),
            ("a pipe", big.0, big.1),
            ("a pipe that does not wait", nonblocking.0, nonblocking.1),
            ("a socket", File::from(OwnedFd::from(ours)), File::from(OwnedFd::from(theirs))),
        ]
    }

    fn told(count: u64) -> String {
        format!("{count} left out")
    }

    /// Reads all that has arrived, without waiting.
    fn drained(reader: &File) -> String {
        rustix::io::ioctl_fionbio(reader, true).unwrap();
        let mut text = Vec::new();
        let mut reader = reader;
        reader
            .read_to_end(&mut text)
            .map(drop)
            .or_else(|error| match error.kind() {
                io::ErrorKind::WouldBlock => Ok(()),
                _ => Err(error),
            })
            .unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn whoever_reads_no_more_holds_up_no_line_and_is_told_how_many_were_left_out() {
        for (kind, reader, writer) in readers() {
            for length in [10, 4095, 4096, 9000] {
                let log = Log::new(Duration::from_millis(20));
                let line = "x".repeat(length);
                let mut lines = 0;
                while log.left_out.load(Ordering::Relaxed) == 0 {
                    log.line(&writer, &line, told);
                    lines += 1;
                }
                (0..100).for_each(|_| log.line(&writer, &line, told));
                let text = drained(&reader);
                let whole = text.matches(&format!("{line}\n")).count();
                assert_eq!(whole, lines - 1, "{kind}, {length}");
                assert_eq!(log.left_out.load(Ordering::Relaxed), 101, "{kind}, {length}");
                log.line(&writer, "again", told);
                let after = drained(&reader);
                assert!(
                    after.ends_with("101 left out\nagain\n") && after.trim_start().lines().count() == 2,
                    "{kind}: {after}"
                );
                log.line(&writer, "on", told);
                assert_eq!(drained(&reader), "on\n", "{kind}");
            }
        }
    }

    #[test]
    fn a_reader_that_is_gone_is_no_reason_to_wait() {
        for (_, reader, writer) in readers() {
            let log = Log::new(Duration::from_millis(20));
            drop(reader);
            (0..10).for_each(|_| log.line(&writer, "text", told));
            assert_eq!(log.left_out.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn a_line_that_waits_for_its_reader_holds_up_no_other_for_longer() {
        let (_reader, writer) = rustix::pipe::pipe().unwrap();
        let writer = File::from(writer);
        let log = Log::new(Duration::from_millis(20));
        let held = log.torn.lock().unwrap();
        log.line(&writer, "text", told);
        drop(held);
        assert_eq!(log.left_out.load(Ordering::Relaxed), 1);
    }
}
