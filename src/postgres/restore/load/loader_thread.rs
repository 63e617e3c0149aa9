//! Loads a script on a thread of its own, while this one reads it. The other thread may wait for the server for as long as a
//! statement takes; this one makes sure that a signal or the run's time limit ends both soon.

use crate::base::cancel;
use crate::base::error::{Fault, Result, into_io};
use crate::base::progress::{Monitor, NullMonitor};
use crate::base::worker::Worker;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::restore::load::load;
use crate::postgres::restore::load::options::{LoadOptions, LoadReport};
use postgres::Client;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

const BUFFER: usize = 256 << 10;
/// Number of buffers between the threads, which limits the memory.
const IN_FLIGHT: usize = 4;
/// Time that the server has after a signal to cancel its statement and roll back.
const GRACE: Duration = Duration::from_secs(2);

/// Runs [`load`] on this connection, and closes it afterwards.
pub fn run(
    mut client: Client,
    settings: &ConnectionSettings,
    script: &mut dyn Read,
    options: LoadOptions,
    monitor: &dyn Monitor,
) -> Result<LoadReport> {
    let cancel = settings.canceller(&client)?;
    let (full, arriving) = channel();
    let (back, empty) = channel();
    for _ in 0..IN_FLIGHT {
        // The other end is right here.
        let _ = back.send(Vec::with_capacity(BUFFER));
    }
    let loading = Worker::begin(move || {
        let mut arriving = ScriptReceiver { arriving, back, piece: Vec::new(), given: 0, over: false };
        load(&mut client, &mut arriving, &options, &NullMonitor)
    });
    let stopped = match hand_over(script, &empty, &full, monitor).and_then(|()| loading.end()) {
        Ok(loaded) => return loaded,
        Err(stopped) => stopped,
    };
    drop(full);
    let _cancelling = Worker::begin(cancel);
    match loading.within(GRACE) {
        // It was past stopping.
        Ok(Some(Ok(loaded))) => Ok(loaded),
        Ok(None) => {
            let open = "the server gives no answer any more: the database is as it was, or restored whole where the end was reached";
            Err(stopped.context(open))
        }
        _ => Err(stopped),
    }
}

enum ScriptMessage {
    Piece(Vec<u8>),
    Failed(io::Error),
    /// End of the script. If the channel closes without it, the script was broken off.
    End,
}

/// Sends the script to the loading thread, to its end or until that thread stops. An error is a signal or the end of the run's
/// time.
fn hand_over(
    script: &mut dyn Read,
    empty: &Receiver<Vec<u8>>,
    full: &Sender<ScriptMessage>,
    monitor: &dyn Monitor,
) -> Result<()> {
    loop {
        cancel::check()?;
        let mut buffer = match empty.recv_timeout(cancel::TICK) {
            Err(RecvTimeoutError::Timeout) => continue,
            // Where nobody is left to give one back, nobody takes the message either.
            given => given.unwrap_or_default(),
        };
        buffer.resize(BUFFER, 0);
        let message = match read(script, &mut buffer) {
            Ok(0) => ScriptMessage::End,
            Ok(length) => {
                buffer.truncate(length);
                monitor.advance(length as u64);
                ScriptMessage::Piece(buffer)
            }
            Err(error) => ScriptMessage::Failed(error),
        };
        let last = !matches!(message, ScriptMessage::Piece(_));
        if full.send(message).is_err() || last {
            return Ok(());
        }
    }
}

fn read(script: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match script.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => cancel::check().map_err(into_io)?,
            read => return read,
        }
    }
}

/// Reads the script on the loading thread.
struct ScriptReceiver {
    arriving: Receiver<ScriptMessage>,
    back: Sender<Vec<u8>>,
    piece: Vec<u8>,
    given: usize,
    over: bool,
}

impl Read for ScriptReceiver {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.piece.len() && !self.over {
            // Where nobody reads the script any more, nobody needs the buffer.
            let _ = self.back.send(std::mem::take(&mut self.piece));
            self.given = 0;
            match self.arriving.recv() {
                Ok(ScriptMessage::Piece(piece)) => self.piece = piece,
                Ok(ScriptMessage::Failed(error)) => return Err(error),
                Ok(ScriptMessage::End) => self.over = true,
                Err(_) => return Err(Fault::failed("the script was broken off").into()),
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
        for (last, expected) in [(None, Err("the script was broken off".to_owned())), (Some(ScriptMessage::End), Ok(3))]
        {
            let ((full, arriving), (back, _empty)) = (channel(), channel());
            full.send(ScriptMessage::Piece(b"BEG".to_vec())).unwrap();
            last.into_iter().for_each(|last| full.send(last).unwrap());
            drop(full);
            let mut script = ScriptReceiver { arriving, back, piece: Vec::new(), given: 0, over: false };
            let read = script.read_to_end(&mut Vec::new());
            assert_eq!(read.map_err(|error| error.to_string()), expected);
        }
    }
}
