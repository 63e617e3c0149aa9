//! What a child says on stderr: read to the end so that the child never blocks on it, and only the last part kept.

use std::collections::VecDeque;
use std::io::Read;
use std::process::ChildStderr;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const KEPT: usize = 8 * 1024;

/// How long to wait for the last words of a child that has ended. Only a process that left the group can still hold the pipe.
const LAST_WORDS: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Tail {
    bytes: VecDeque<u8>,
    dropped: u64,
}

pub(super) struct Remarks {
    tail: Arc<Mutex<Tail>>,
    ended: Receiver<()>,
}

impl Remarks {
    /// Starts the thread that reads `stderr`; it ends with the pipe.
    pub(super) fn of(stderr: ChildStderr) -> Remarks {
        let tail = Arc::new(Mutex::new(Tail::default()));
        let (sender, ended) = mpsc::channel();
        let kept = Arc::clone(&tail);
        std::thread::spawn(move || {
            drain(stderr, &kept);
            // Nobody may be waiting any more.
            let _ = sender.send(());
        });
        Remarks { tail, ended }
    }

    /// Waits until everything that was said has been heard; call once the child has ended.
    pub(super) fn settle(&self) {
        // A second call finds the sender gone, which is as good as an answer.
        let _ = self.ended.recv_timeout(LAST_WORDS);
    }

    /// The last lines, with a note when there were more.
    pub(super) fn text(&self) -> String {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = tail.dropped;
        let text = String::from_utf8_lossy(tail.bytes.make_contiguous()).trim().to_owned();
        match dropped {
            0 => text,
            _ => format!("[{dropped} bytes before this are not shown] {}", from_line_start(&text)),
        }
    }
}

/// The first line of a cut text is half a line.
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
