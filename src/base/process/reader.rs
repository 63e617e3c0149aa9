//! Reads a child's stdout.

use crate::base::cancel;
use crate::base::error::{Fault, Result, into_io};
use crate::base::process::child::{Child, enlarge};
use crate::base::process::environment::ChildEnvironment;
use crate::base::process::stderr_tail::StderrTail;
use rustix::event::{PollFd, PollFlags, Timespec};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::{ChildStdout, Stdio};
use std::time::{Duration, Instant};

/// Bytes of the output that are read at a time, where somebody wants few of them.
const BUFFER: usize = 64 << 10;

/// A child whose stdout is read to its end. Its warnings come with the end, so that no caller can overlook them.
pub struct ChildReader(ChildOutput);

/// A child's stdout. End of file means that the child ended with exit status 0; every other end is a read error, and stays one
/// however often it is read again. A signal ends a read within [`cancel::TICK`].
pub(crate) struct ChildOutput {
    child: Child,
    stdout: ChildStdout,
    stall: Duration,
    /// A hint about what to do after a stall.
    advice: Option<&'static str>,
    state: OutputState,
}

enum OutputState {
    Running,
    Done,
    Failed(String),
}

impl ChildReader {
    /// Starts `program`; a read that waits longer than `stall` for a byte kills it and fails.
    pub fn spawn(
        program: &Path,
        arguments: &[String],
        environment: &ChildEnvironment,
        stall: Duration,
    ) -> Result<ChildReader> {
        ChildOutput::spawn(program, arguments, environment, stall).map(ChildReader)
    }

    /// Starts `program` with this file as its stdin, like [`spawn`](ChildReader::spawn).
    pub fn spawn_with(
        program: &Path,
        arguments: &[String],
        environment: &ChildEnvironment,
        input: File,
        stall: Duration,
    ) -> Result<ChildReader> {
        ChildOutput::begin(program, arguments, environment, input.into(), stall).map(ChildReader)
    }

    /// Adds a hint to the error of a stall.
    pub fn when_stalled(self, advice: &'static str) -> ChildReader {
        ChildReader(ChildOutput { advice: Some(advice), ..self.0 })
    }

    /// The child's process id, which is also its group's.
    pub fn id(&self) -> u32 {
        self.0.child.id()
    }

    /// Passes the output to `read`, then reads what is left to the end. Returns the value of `read` and the child's warnings. An
    /// end other than exit status 0 is an error.
    pub fn through<T>(&mut self, read: impl FnOnce(&mut dyn Read) -> Result<T>) -> Result<(T, StderrTail)> {
        let value = read(&mut self.0)?;
        io::copy(&mut self.0, &mut io::sink())?;
        let child = &self.0.child;
        Ok((value, StderrTail::of(child.name(), &child.remarks())))
    }

    /// Passes the beginning of the output to `read`, and ends the child, whose rest nobody wants. Returns the value of `read` and the
    /// warnings so far.
    pub fn beginning<T>(mut self, read: impl FnOnce(&mut dyn Read) -> Result<T>) -> Result<(T, StderrTail)> {
        let value = read(&mut io::BufReader::with_capacity(BUFFER, &mut self.0))?;
        let child = &self.0.child;
        Ok((value, StderrTail::of(child.name(), &child.remarks())))
    }

    /// Returns whether the child has ended by itself, with an exit code of its own.
    pub fn has_exited(&self) -> bool {
        self.0.child.has_exited()
    }
}

impl ChildOutput {
    pub(crate) fn spawn(
        program: &Path,
        arguments: &[String],
        environment: &ChildEnvironment,
        stall: Duration,
    ) -> Result<ChildOutput> {
        ChildOutput::begin(program, arguments, environment, Stdio::null(), stall)
    }

    fn begin(
        program: &Path,
        arguments: &[String],
        environment: &ChildEnvironment,
        input: Stdio,
        stall: Duration,
    ) -> Result<ChildOutput> {
        let mut child = Child::spawn(program, arguments, environment, input, Stdio::piped(), None, None)?;
        let stdout = child.process().stdout.take();
        let stdout = stdout.ok_or_else(|| Fault::failed(format!("{} has no stdout", child.name())))?;
        enlarge(&stdout);
        Ok(ChildOutput { child, stdout, stall, advice: None, state: OutputState::Running })
    }

    /// Waits until there is something to read. Returns false when a child that has ended leaves nothing more to read, although a
    /// process that it left behind may still hold its stdout. A stall is an error.
    fn wait(&self) -> Result<bool> {
        let begun = Instant::now();
        let mut over = false;
        let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(cancel::TICK.subsec_nanos()) };
        loop {
            cancel::check()?;
            match rustix::event::poll(&mut [PollFd::new(&self.stdout, PollFlags::IN)], Some(&tick)) {
                Ok(0) if begun.elapsed() >= self.stall => return Err(self.stalled().into()),
                Ok(0) if over => return Ok(false),
                // What it wrote before its end is there by the next look.
                Ok(0) => over = self.child.is_over()?,
                Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
    }

    fn stalled(&self) -> Fault {
        let name = self.child.name();
        let fault = Fault::failed(format!("{name} wrote nothing for {} s", self.stall.as_secs_f64()));
        match self.advice {
            Some(advice) => fault.hint(advice),
            None => fault,
        }
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let length = if self.wait()? { self.stdout.read(buffer)? } else { 0 };
        match length {
            0 => self.child.conclude(Some(self.stall)).map(|()| 0),
            length => Ok(length),
        }
    }
}

impl Read for ChildOutput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.state {
            OutputState::Running if buffer.is_empty() => return Ok(0),
            OutputState::Running => {}
            OutputState::Done => return Ok(0),
            OutputState::Failed(why) => return Err(Fault::failed(why.as_str()).into()),
        }
        let outcome = self.next(buffer);
        match &outcome {
            Ok(0) => self.state = OutputState::Done,
            Ok(_) => {}
            Err(error) => {
                self.child.kill();
                self.state = OutputState::Failed(format!("{error:#}"));
            }
        }
        outcome.map_err(into_io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Kind, hints, kind};
    use crate::base::progress::NullMonitor;
    use std::path::PathBuf;

    fn shell(script: &str, stall: Duration) -> ChildReader {
        let path = ChildEnvironment::of(vec![("PATH".to_owned(), "/usr/bin:/bin".into())]);
        ChildReader::spawn(&PathBuf::from("/bin/sh"), &["-c".to_owned(), script.to_owned()], &path, stall).unwrap()
    }

    const LONG: Duration = Duration::from_secs(30);

    fn failure(ChildReader(mut reader): ChildReader) -> (Vec<u8>, anyhow::Error) {
        let mut bytes = Vec::new();
        let error = reader.read_to_end(&mut bytes).unwrap_err();
        assert!(reader.read(&mut [0; 8]).is_err(), "a failed child must not turn into an end of file later");
        (bytes, error.into())
    }

    #[test]
    fn a_child_that_ends_well_is_read_to_its_end() {
        let mut reader = shell("echo half; echo careful >&2; echo whole", LONG);
        let read = reader.through(|output| Ok(io::read_to_string(output)?)).unwrap();
        assert_eq!((read.0.as_str(), read.1.tell(&NullMonitor)), ("half\nwhole\n", vec!["careful".to_owned()]));
        // Who does not read to the end learns how it ended all the same.
        let (_, remarks) = shell("echo words; echo careful >&2", LONG).through(|_| Ok(())).unwrap();
        assert_eq!(remarks.tell(&NullMonitor), ["careful"]);
        assert!(shell("echo words; exit 3", LONG).through(|_| Ok(())).is_err());
    }

    #[test]
    fn a_child_that_exits_3_half_way_is_a_read_error() {
        let (bytes, error) = failure(shell("echo half; echo 'connection lost' >&2; exit 3", LONG));
        assert_eq!(bytes, b"half\n");
        assert_eq!(format!("{error:#}"), "sh failed with exit status 3: connection lost");
    }

    #[test]
    fn a_child_killed_by_a_signal_is_a_read_error_that_names_it() {
        let (_, error) = failure(shell("echo half; kill -9 $$", LONG));
        assert!(format!("{error:#}").contains("was killed by signal 9"), "{error:#}");
        let (_, error) = failure(shell("kill -TERM $$", LONG));
        assert!(format!("{error:#}").contains("was killed by signal 15"), "{error:#}");
    }

    #[test]
    fn a_flood_on_stderr_neither_blocks_nor_fills_memory() {
        let script = "head -c 10000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo the end >&2; echo data; exit 1";
        let (bytes, error) = failure(shell(script, LONG));
        let message = format!("{error:#}");
        assert_eq!(bytes, b"data\n");
        assert!(message.ends_with("the end") && message.contains("bytes before this are not shown"), "{message}");
        assert!(message.len() < 9000);
    }

    #[test]
    fn a_child_that_hangs_is_killed_after_the_stall_timeout() {
        let begun = Instant::now();
        let (bytes, error) = failure(shell("echo half; sleep 60", Duration::from_millis(300)));
        assert_eq!(bytes, b"half\n");
        assert!(format!("{error:#}").contains("sh wrote nothing for 0.3 s"), "{error:#}");
        assert!(hints(&error).is_empty(), "what to do is known to who started it");
        let (_, error) = failure(shell("sleep 60", Duration::from_millis(300)).when_stalled("wait longer"));
        assert_eq!(hints(&error), ["wait longer"]);
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn who_is_left_behind_with_the_output_is_not_waited_for() {
        let begun = Instant::now();
        let (bytes, error) = failure(shell("echo words; sleep 60 & exit 3", Duration::MAX));
        assert!(bytes == b"words\n" && error.to_string().contains("exit status 3"), "{error:#}");
        let mut text = String::new();
        shell("sleep 60 & sleep 0.3; echo words", Duration::MAX).0.read_to_string(&mut text).unwrap();
        assert!(text == "words\n" && begun.elapsed() < LONG);
    }

    #[test]
    fn a_child_that_closes_its_output_and_stays_is_killed_too() {
        let (_, error) = failure(shell("exec >&-; sleep 60", Duration::from_millis(300)));
        assert!(format!("{error:#}").contains("did not end"), "{error:#}");
    }

    #[test]
    fn dropping_the_reader_kills_the_whole_group() {
        let ChildReader(mut reader) = shell("sleep 300 & echo $!; wait", LONG);
        let mut line = [0; 16];
        let length = reader.read(&mut line).unwrap();
        let grandchild = String::from_utf8_lossy(&line[..length]).trim().to_owned();
        assert!(runs(&grandchild));
        drop(reader);
        let deadline = Instant::now() + LONG;
        while runs(&grandchild) {
            assert!(Instant::now() < deadline, "process {grandchild} survived");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A zombie that its new parent has not reaped yet does not run.
    fn runs(process: &str) -> bool {
        std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[test]
    fn a_missing_program_is_a_settings_mistake() {
        let error = ChildReader::spawn(&PathBuf::from("/nonexistent/pg_dump"), &[], &ChildEnvironment::default(), LONG)
            .err()
            .unwrap();
        assert_eq!(kind(&error), Kind::Usage);
        assert!(format!("{error:#}").starts_with("cannot run \"/nonexistent/pg_dump\""));
    }

    #[test]
    fn a_child_sees_only_the_environment_it_is_given() {
        let mut text = String::new();
        shell("env", LONG).0.read_to_string(&mut text).unwrap();
        assert!(!text.contains("CARGO"), "{text}");
    }
}
