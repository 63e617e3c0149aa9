//! A child's stderr: read to the end so that the child never blocks on it, while only the last part is kept.

use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::base::shown::{agree, many};
use crate::base::threads;
use std::collections::VecDeque;
use std::io::Read;
use std::process::ChildStderr;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const KEPT: usize = 8 * 1024;

/// How long to wait for the last words of a child that has ended. Only a process that left the group can still hold the pipe.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Limits of what is reported: lines per child, and characters per line.
const MOST: usize = 20;
const LONGEST: usize = 500;

/// Warnings of a child that succeeded, without the messages that it writes only because it is asked to be verbose.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use = "a program's warnings are for people, the log and the record"]
pub struct StderrTail(Vec<String>);

impl StderrTail {
    /// Extracts the warnings from what `program` wrote. Its lines of detail and hint stay with their warning.
    pub(crate) fn of(program: &str, text: &str) -> StderrTail {
        let own = format!("{program}: ");
        let mut told: Vec<String> = Vec::new();
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            let said = line.strip_prefix(&own);
            match (said, told.last_mut()) {
                (Some(said), Some(last)) if said.starts_with("detail: ") || said.starts_with("hint: ") => {
                    last.push_str("; ");
                    last.push_str(said);
                }
                (Some(said), _) if !(said.starts_with("warning: ") || said.starts_with("error: ")) => {}
                _ => told.push(line.to_owned()),
            }
        }
        let more = told.len().saturating_sub(MOST);
        told.truncate(MOST);
        told.iter_mut().for_each(shorten);
        if more > 0 {
            told.push(format!("{program}: and {more} more"));
        }
        StderrTail(told)
    }

    /// Passes each warning to the monitor, and returns them for the run record.
    pub fn tell(self, monitor: &dyn Monitor) -> Vec<String> {
        self.0.iter().for_each(|remark| monitor.warn(remark));
        self.0
    }
}

/// Cuts a line that is too long, and removes NUL, which the run record cannot hold.
fn shorten(line: &mut String) {
    line.retain(|c| c != '\0');
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
}

#[derive(Default)]
struct Tail {
    bytes: VecDeque<u8>,
    dropped: u64,
}

pub(crate) struct StderrListener {
    tail: Arc<Mutex<Tail>>,
    ended: Receiver<()>,
}

impl StderrListener {
    /// Starts the thread that reads `stderr`; it ends with the pipe.
    pub(crate) fn of(stderr: ChildStderr) -> Result<StderrListener> {
        let tail = Arc::new(Mutex::new(Tail::default()));
        let (sender, ended) = mpsc::channel();
        let kept = Arc::clone(&tail);
        threads::begin("stderr", move || {
            drain(stderr, &kept);
            // Nobody may be waiting any more.
            let _ = sender.send(());
        })?;
        Ok(StderrListener { tail, ended })
    }

    /// Waits until the stderr has been read to its end, at most a second. Call it once the child has ended.
    pub(crate) fn settle(&self) {
        // A second call finds the sender gone, which is as good as an answer.
        let _ = self.ended.recv_timeout(LAST_WORDS);
    }

    /// Returns the last lines, with a note if earlier ones were dropped.
    pub(crate) fn text(&self) -> String {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = tail.dropped;
        let text = String::from_utf8_lossy(tail.bytes.make_contiguous()).trim().to_owned();
        match dropped {
            0 => text,
            _ => format!(
                "[{} before this {} not shown] {}",
                many(dropped, "byte"),
                agree(&dropped, "is", "are"),
                from_line_start(&text)
            ),
        }
    }
}

/// Skips the first line, of which a cut text holds only the end.
fn from_line_start(text: &str) -> &str {
    text.split_once('\n').map_or(text, |(_, rest)| rest)
}

fn drain(mut stderr: ChildStderr, kept: &Mutex<Tail>) {
    let mut buffer = [0; 4096];
    loop {
        match stderr.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => keep(&mut kept.lock().unwrap_or_else(PoisonError::into_inner), &buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn keep(tail: &mut Tail, bytes: &[u8]) {
    tail.bytes.extend(bytes);
    let over = tail.bytes.len().saturating_sub(KEPT);
    tail.bytes.drain(..over);
    tail.dropped += over as u64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_told_from_chatter_and_keep_what_explains_them() {
        let said = "pg_dump: last built-in OID is 16383\npg_dump: warning: there are circular constraints on this table:\n\
                    pg_dump: detail: n\npg_dump: hint: You might not be able to restore it.\npg_dump: reading schemas\n\
                    could not change directory\n\npg_dump: warning: two\n";
        let told = [
            "pg_dump: warning: there are circular constraints on this table:; detail: n; hint: You might not be able to restore it.",
            "could not change directory",
            "pg_dump: warning: two",
        ];
        assert_eq!(StderrTail::of("pg_dump", said).0, told);
        assert!(StderrTail::of("pg_dump", "pg_dump: detail: of nothing\n").0.is_empty());
        let many = StderrTail::of("x", &format!("{}\n", "\u{e9}".repeat(600)).repeat(30)).0;
        assert_eq!((many.len(), many[0].chars().count(), many[20].as_str()), (21, 501, "x: and 10 more"));
    }
}
