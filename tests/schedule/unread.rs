//! Logs that nobody reads any more: a collector that hangs, Docker's blocking log driver.

use super::{Fake, Pgbk, database, with};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use support::cluster::PATIENCE;
use support::process::until;
use support::scheduler::Place;

/// A log that is full already: its reader, and what pgbk is to write to.
struct Log {
    reader: File,
    writer: File,
}

impl Log {
    fn full(kind: &str) -> Log {
        let (reader, writer) = match kind {
            "socket" => UnixStream::pair().map(|(ours, theirs)| (OwnedFd::from(ours), OwnedFd::from(theirs))).unwrap(),
            _ => rustix::pipe::pipe().unwrap(),
        };
        let log = Log { reader: File::from(reader), writer: File::from(writer) };
        rustix::io::ioctl_fionbio(&log.writer, true).unwrap();
        let filled = std::iter::repeat_with(|| (&log.writer).write(&[b'x'; 1024])).find_map(Result::err).unwrap();
        assert_eq!(filled.kind(), ErrorKind::WouldBlock);
        // The flag belongs to what pgbk gets, too.
        rustix::io::ioctl_fionbio(&log.writer, kind == "pipe that does not wait").unwrap();
        log
    }

    fn start(&self, run: &Pgbk) -> Child {
        let end = || Stdio::from(self.writer.try_clone().unwrap());
        run.command().stdin(Stdio::null()).stdout(end()).stderr(end()).spawn().unwrap()
    }

    /// Reads what is in it now.
    fn read(&self) -> String {
        rustix::io::ioctl_fionbio(&self.reader, true).unwrap();
        let mut text = Vec::new();
        let error = (&self.reader).read_to_end(&mut text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        String::from_utf8(text).unwrap()
    }
}

/// The exit code after a signal.
#[track_caller]
fn ended(child: &mut Child, signal: Signal) -> Option<i32> {
    kill_process(Pid::from_child(child), signal).unwrap();
    assert!(until(PATIENCE, || child.try_wait().unwrap().is_some()), "it hangs");
    child.wait().unwrap().code()
}

/// Waits until a signal would be heard.
#[track_caller]
fn await_ears(child: &Child) {
    let status = format!("/proc/{}/status", child.id());
    let caught = || {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default().trim().to_owned();
        u64::from_str_radix(&mask, 16).is_ok_and(|mask| mask >> (Signal::TERM.as_raw() - 1) & 1 == 1)
    };
    assert!(until(PATIENCE, caught));
}

#[test]
fn a_log_that_nobody_reads_holds_up_neither_backups_nor_a_signal() {
    for kind in ["pipe", "pipe that does not wait", "socket"] {
        for (format, signal, code) in [("text", Signal::TERM, 143), ("json", Signal::INT, 130)] {
            let (place, log) = (Place::new(), Log::full(kind));
            let run =
                place.schedule("* * * * * *", &database("unread")).set("LOG_FORMAT", format).set("LOG_LEVEL", "debug");
            let mut scheduler = log.start(&run);
            place.await_count("done", 3);
            // What comes while it is read belongs to it.
            let mut said = log.read();
            // Once there is room again, the log says that something is missing.
            assert!(until(PATIENCE, || {
                said.push_str(&log.read());
                said.contains("lines were left out here, as nobody read the log")
            }));
            assert_eq!(ended(&mut scheduler, signal), Some(code), "{kind}, {format}");
            let whole = said.lines().filter(|line| line.starts_with('{') && line.ends_with('}'));
            assert!(format == "text" || whole.count() > 0, "{kind}: {said}");
            assert_eq!(place.backups(), place.count("done"));
        }
    }
}

#[test]
fn a_run_whose_log_nobody_reads_stops_at_the_first_signal() {
    for arguments in [["backup"], ["schedule"]] {
        let (place, log, fake) = (Place::new(), Log::full("pipe"), Fake::gated(super::cluster()));
        let run = place.run(&arguments).set("DB_NAME", database("unread")).set("CRON_SCHEDULE", "* * * * * *");
        let mut child = log.start(&with(run, &fake));
        fake.await_half();
        assert_eq!(ended(&mut child, Signal::TERM), Some(143), "{arguments:?}");
        assert!(place.files().is_empty() && !fake.runs());
    }
}

/// A listing is for its reader, who may take his time; who wants no more of it says so with a signal.
#[test]
fn a_result_that_nobody_reads_waits_for_its_reader_or_for_a_signal() {
    let place = Place::new();
    place.run(&["backup"]).set("DB_NAME", database("unread")).expect(0);
    let log = Log::full("pipe");
    let mut list = log.start(&place.run(&["list"]));
    await_ears(&list);
    assert_eq!(ended(&mut list, Signal::TERM), Some(143));
    let mut list = log.start(&place.run(&["list", "--json"]));
    let mut said = String::new();
    assert!(until(PATIENCE, || {
        said.push_str(&log.read());
        list.try_wait().unwrap().is_some()
    }));
    said.push_str(&log.read());
    assert!(list.wait().unwrap().success() && said.trim_end().ends_with(']'), "{said}");
}
