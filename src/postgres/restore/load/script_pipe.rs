//! Passes a script, or the rows of tables, from the thread that reads it to the one that loads it.

use crate::base::cancel;
use crate::base::error::{Fault, Result};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};

/// Rows of one table that come next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsOfTable {
    /// The name as the dump writes it.
    pub table: String,
    /// Whether all rows of the table come here, so that nobody else fills it.
    pub is_whole: bool,
}

/// One message of a pipe.
pub(crate) enum ScriptMessage {
    Piece(Vec<u8>),
    /// The pieces up to the next pause are the rows of a table.
    Table(RowsOfTable),
    /// End of what comes before something else is done.
    Pause,
    Failed(io::Error),
    /// End of the script. If the channel closes without it, the script was broken off.
    End,
}

/// Says whether the pipe takes a piece now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BufferState {
    Free,
    Busy,
    /// Nobody receives any more.
    Gone,
}

/// Sends pieces.
pub struct ScriptSender {
    full: Sender<ScriptMessage>,
    empty: Receiver<Vec<u8>>,
}

/// Reads the pieces on the loading thread.
pub(crate) struct ScriptReceiver {
    arriving: Receiver<ScriptMessage>,
    back: Sender<Vec<u8>>,
    piece: Vec<u8>,
    given: usize,
    /// Whether the piece has come by the pipe, and its buffer is to be given back.
    begun: bool,
    over: bool,
    /// Set when nothing more is to be loaded.
    stopped: Arc<AtomicBool>,
}

/// Returns the two ends of a pipe that holds at most so many pieces. It is broken off once `stopped` is set.
pub(crate) fn pipe(pieces: usize, stopped: Arc<AtomicBool>) -> (ScriptSender, ScriptReceiver) {
    let ((full, arriving), (back, empty)) = (channel(), channel());
    for _ in 0..pieces {
        // The other end is right here.
        let _ = back.send(Vec::new());
    }
    let receiver = ScriptReceiver { arriving, back, piece: Vec::new(), given: 0, begun: false, over: false, stopped };
    (ScriptSender { full, empty }, receiver)
}

impl ScriptSender {
    /// Waits for a buffer that is free. `None`: nobody receives any more. An error is a signal or the end of the run's time.
    pub fn buffer(&self) -> Result<Option<Vec<u8>>> {
        loop {
            cancel::check()?;
            match self.empty.recv_timeout(cancel::TICK) {
                Err(RecvTimeoutError::Timeout) => {}
                given => return Ok(given.ok()),
            }
        }
    }

    /// Takes a buffer if one is free now. Its place in the pipe is that of the next piece.
    pub fn free_buffer(&self) -> BufferState {
        match self.empty.try_recv() {
            Ok(_) => BufferState::Free,
            Err(TryRecvError::Empty) => BufferState::Busy,
            Err(TryRecvError::Disconnected) => BufferState::Gone,
        }
    }

    /// Sends a piece in a buffer that was free. Returns false if nobody receives any more.
    pub fn piece(&self, piece: Vec<u8>) -> bool {
        self.send(ScriptMessage::Piece(piece))
    }

    /// Begins the rows of a table.
    pub fn table(&self, rows: RowsOfTable) -> bool {
        self.send(ScriptMessage::Table(rows))
    }

    pub fn pause(&self) -> bool {
        self.send(ScriptMessage::Pause)
    }

    pub fn failed(&self, error: io::Error) -> bool {
        self.send(ScriptMessage::Failed(error))
    }

    pub fn end(&self) -> bool {
        self.send(ScriptMessage::End)
    }

    fn send(&self, message: ScriptMessage) -> bool {
        self.full.send(message).is_ok()
    }
}

impl ScriptReceiver {
    /// Waits for the next table. `None`: there is none any more.
    pub fn next_table(&mut self) -> io::Result<Option<RowsOfTable>> {
        match self.next()? {
            ScriptMessage::Table(rows) => Ok(Some(rows)),
            ScriptMessage::End => Ok(None),
            ScriptMessage::Failed(error) => Err(error),
            // The sender and this end do not agree about where they are.
            ScriptMessage::Piece(_) | ScriptMessage::Pause => Err(broken_off()),
        }
    }

    fn next(&mut self) -> io::Result<ScriptMessage> {
        loop {
            match self.arriving.recv_timeout(cancel::TICK) {
                Ok(message) => return Ok(message),
                Err(RecvTimeoutError::Timeout) if !self.stopped.load(Ordering::Relaxed) => {}
                Err(_) => return Err(broken_off()),
            }
        }
    }
}

fn broken_off() -> io::Error {
    Fault::failed("the script was broken off").into()
}

impl Read for ScriptReceiver {
    /// Reads the next bytes; 0 at each pause and at the end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(broken_off());
        }
        if self.given == self.piece.len() && !self.over {
            if self.begun {
                // Where nobody reads the script any more, nobody needs the buffer.
                let _ = self.back.send(std::mem::take(&mut self.piece));
            }
            self.given = 0;
            self.begun = false;
            match self.next()? {
                ScriptMessage::Piece(piece) => {
                    self.piece = piece;
                    self.begun = true;
                }
                ScriptMessage::Pause => return Ok(0),
                ScriptMessage::Failed(error) => return Err(error),
                ScriptMessage::End => self.over = true,
                ScriptMessage::Table(_) => return Err(broken_off()),
            }
        }
        let count = buffer.len().min(self.piece.len() - self.given);
        buffer[..count].copy_from_slice(&self.piece[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_is_broken_off_does_not_look_like_one_that_has_ended() {
        for (ends, expected) in [(false, Err("the script was broken off".to_owned())), (true, Ok(3))] {
            let (sender, mut script) = pipe(1, Arc::default());
            assert!(sender.piece(b"BEG".to_vec()));
            assert!(!ends || sender.end());
            drop(sender);
            let read = script.read_to_end(&mut Vec::new());
            assert_eq!(read.map_err(|error| error.to_string()), expected);
        }
    }

    #[test]
    fn tables_come_one_after_the_other_and_a_pause_ends_each() {
        let (sender, mut rows) = pipe(2, Arc::default());
        for table in ["a", "b"] {
            let of = RowsOfTable { table: table.to_owned(), is_whole: true };
            assert!(sender.table(of.clone()) && sender.piece(table.into()) && sender.pause());
            assert_eq!(rows.next_table().unwrap(), Some(of));
            let mut text = String::new();
            rows.read_to_string(&mut text).unwrap();
            assert_eq!(text, table);
        }
        assert!(sender.end());
        assert_eq!(rows.next_table().unwrap(), None);
    }

    #[test]
    fn a_message_where_another_is_due_is_an_error_and_so_is_what_the_sender_failed_by() {
        // Where the ends do not agree about where they are, no row may go to another table, or be passed over.
        type Sent = fn(&ScriptSender) -> bool;
        let broken = "the script was broken off";
        let table = |sender: &ScriptSender| sender.table(RowsOfTable { table: "a".to_owned(), is_whole: true });
        let failed = |sender: &ScriptSender| sender.failed(Fault::damaged("chunk 7 is damaged").into());
        let of_table: [(Sent, &str); 3] = [
            (|sender| sender.piece(b"x".to_vec()), broken),
            (ScriptSender::pause, broken),
            (failed, "chunk 7 is damaged"),
        ];
        for (send, expected) in of_table {
            let (sender, mut rows) = pipe(1, Arc::default());
            assert!(send(&sender) && sender.end());
            assert_eq!(rows.next_table().unwrap_err().to_string(), expected);
        }
        for (send, expected) in [(table as Sent, broken), (failed, "chunk 7 is damaged")] {
            let (sender, mut rows) = pipe(1, Arc::default());
            assert!(send(&sender) && sender.end());
            assert_eq!(rows.read(&mut [0]).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn what_is_stopped_waits_for_nothing_more() {
        let stopped = Arc::new(AtomicBool::new(true));
        let (_sender, mut rows) = pipe(1, stopped);
        assert!(rows.next_table().is_err() && rows.read(&mut [0]).is_err());
    }

    #[test]
    fn no_more_buffers_are_given_than_the_pipe_holds() {
        let (sender, mut script) = pipe(1, Arc::default());
        let buffer = sender.buffer().unwrap().unwrap();
        assert_eq!(sender.free_buffer(), BufferState::Busy);
        assert!(sender.piece([buffer, b"x".to_vec()].concat()) && sender.end());
        script.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(sender.free_buffer(), BufferState::Free);
        drop(script);
        assert_eq!(sender.free_buffer(), BufferState::Gone);
    }
}
