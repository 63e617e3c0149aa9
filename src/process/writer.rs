//! What a child reads, as a writer.

use super::Environment;
use super::child::{Child, enlarge};
use crate::error::{Fault, Result, into_io};
use crate::interrupt;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use std::io::{self, Write};
use std::path::Path;
use std::process::{ChildStdin, Stdio};

/// Writes to a child's stdin. Only [`ChildWriter::finish`] tells whether the child did its work; dropping kills it.
///
/// There is no time limit: building an index may keep the child from reading for hours.
pub struct ChildWriter {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl ChildWriter {
    pub fn spawn(program: &Path, arguments: &[String], environment: &Environment) -> Result<ChildWriter> {
        let mut child = Child::spawn(program, arguments, environment, Stdio::piped(), Stdio::null(), None)?;
        let stdin = child.process().stdin.take();
        let stdin = stdin.ok_or_else(|| Fault::failed(format!("{} has no stdin", child.name())))?;
        enlarge(&stdin);
        // A write that blocks could not look up for a signal. The child's end of the pipe is not affected.
        let flags = rustix::fs::fcntl_getfl(&stdin).map_err(io::Error::from)?;
        rustix::fs::fcntl_setfl(&stdin, flags | OFlags::NONBLOCK).map_err(io::Error::from)?;
        Ok(ChildWriter { child, stdin: Some(stdin) })
    }

    /// Closes the child's stdin and waits for its end; an exit status other than 0 is an error that quotes its stderr.
    pub fn finish(mut self) -> Result<()> {
        self.stdin = None;
        self.child.conclude(None)
    }

    /// The last part of what the child said on stderr.
    pub fn remarks(&self) -> String {
        self.child.remarks()
    }

    fn next(&mut self, bytes: &[u8]) -> Result<usize> {
        let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(interrupt::TICK.subsec_nanos()) };
        while let Some(stdin) = &mut self.stdin {
            match stdin.write(bytes) {
                Ok(length) => return Ok(length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
                Err(error) => return Err(error.into()),
            }
            interrupt::check()?;
            match rustix::event::poll(&mut [PollFd::new(&*stdin, PollFlags::OUT)], Some(&tick)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        // Nobody reads any more: how the child ended says more than "broken pipe".
        self.stdin = None;
        self.child.conclude(None)?;
        Err(Fault::failed(format!("{} ended before it had read everything", self.child.name())).into())
    }
}

impl Write for ChildWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.next(bytes).map_err(|error| {
            self.child.kill();
            into_io(error)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn shell(script: &str) -> ChildWriter {
        let path = [("PATH".to_owned(), "/usr/bin:/bin".into())];
        ChildWriter::spawn(&PathBuf::from("/bin/sh"), &["-c".to_owned(), script.to_owned()], &path).unwrap()
    }

    #[test]
    fn everything_written_arrives() {
        let mut writer = shell("test \"$(wc -c)\" -eq 3000000");
        writer.write_all(&vec![7; 3_000_000]).unwrap();
        writer.finish().unwrap();
    }

    #[test]
    fn a_child_that_stops_reading_is_reported_with_its_own_words() {
        let mut writer = shell("head -c 10 > /dev/null; echo 'not an archive' >&2; exit 4");
        let error = writer.write_all(&vec![7; 3_000_000]).unwrap_err();
        assert_eq!(error.to_string(), "sh failed with exit status 4: not an archive");
    }

    #[test]
    fn a_child_that_fails_after_the_last_byte_fails_the_finish() {
        let mut writer = shell("cat > /dev/null; exit 1");
        writer.write_all(b"data").unwrap();
        assert_eq!(writer.finish().unwrap_err().to_string(), "sh failed with exit status 1");
    }
}
