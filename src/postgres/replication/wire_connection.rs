//! Asks a server over a connection for replication, and waits for what it sends. Every wait ends at a signal and at the end of the
//! run's time; if an answer was not waited for, the connection is of no more use.

use crate::base::cancel;
use crate::base::error::{Fault, Result};
use crate::base::shown::many;
use crate::postgres::connect::transport::wire_error::{ServerRefusal, WireError};
use crate::postgres::connect::transport::wire_session::WireSession;
use crate::postgres::replication::refusal::explain;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Longest wait for the answer to a command that the server carries out at once.
pub(crate) const ANSWER: Duration = Duration::from_secs(300);

/// One row of an answer. A value is `None` if it is NULL.
pub(crate) type WireRow = Vec<Option<String>>;

pub(crate) struct WireConnection {
    wire: WireSession,
    /// The server, for messages.
    at: String,
    /// Whether the server owes an answer.
    busy: bool,
}

impl WireConnection {
    pub fn new(wire: WireSession, at: String) -> WireConnection {
        WireConnection { wire, at, busy: false }
    }

    /// Returns whether the server owes an answer that nobody waits for any more.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Runs a command and returns its rows. `tried` says what it is for, such as "make slot x".
    pub fn query(&mut self, command: &str, tried: &str, limit: Duration) -> Result<Vec<WireRow>> {
        self.begin(command, tried)?;
        let (until, mut rows, mut refused) = (Instant::now() + limit, Vec::new(), None);
        loop {
            match self.answer(tried, limit, until, &mut refused)? {
                (b'D', place) => {
                    let row = row(self.wire.body(place)).ok_or(WireError::Malformed(b'D'));
                    rows.push(row.map_err(|error| explain(error, tried, &self.at))?);
                }
                (b'T' | b'C' | b'I', _) => {}
                (b'Z', _) => {
                    self.busy = false;
                    return match refused {
                        Some(refusal) => Err(explain(WireError::Refused(refusal), tried, &self.at)),
                        None => Ok(rows),
                    };
                }
                (kind, _) => return Err(explain(WireError::OutOfOrder(kind), tried, &self.at)),
            }
        }
    }

    /// Runs a command after which the server streams changes.
    pub fn begin_stream(&mut self, command: &str, tried: &str) -> Result<()> {
        self.wire.take_changes();
        self.begin(command, tried)?;
        let (until, mut refused) = (Instant::now() + ANSWER, None);
        match (self.answer(tried, ANSWER, until, &mut refused)?, refused) {
            ((b'W', _), None) => Ok(()),
            (_, Some(refusal)) => Err(explain(WireError::Refused(refusal), tried, &self.at)),
            ((kind, _), None) => Err(explain(WireError::OutOfOrder(kind), tried, &self.at)),
        }
    }

    /// Sends a message.
    pub fn send(&mut self, kind: u8, body: &[u8], tried: &str) -> Result<()> {
        self.wire.send(kind, body).map_err(|error| explain(error, tried, &self.at))
    }

    /// Waits for a message, and returns its type and the place of its body. `None`: none has come within this time.
    pub fn receive(&mut self, time: Duration, tried: &str) -> Result<Option<(u8, Range<usize>)>> {
        if let Some(message) = self.wire.received() {
            return Ok(Some(message));
        }
        let until = Instant::now() + time;
        loop {
            cancel::check()?;
            let left = until.saturating_duration_since(Instant::now());
            let received =
                self.wire.receive(left.min(cancel::TICK)).map_err(|error| explain(error, tried, &self.at))?;
            if received.is_some() || left.is_zero() {
                return Ok(received);
            }
        }
    }

    /// Returns the body of the message that was received last.
    pub fn body(&self, place: Range<usize>) -> &[u8] {
        self.wire.body(place)
    }

    /// Returns how long ago the last bytes came.
    pub fn silence(&self) -> Duration {
        self.wire.silence()
    }

    /// Returns the error of a message that has no place here, or of what it says.
    pub fn unexpected(&self, kind: u8, place: Range<usize>, tried: &str) -> anyhow::Error {
        let error = match kind {
            b'E' => WireError::Refused(ServerRefusal::read(self.body(place))),
            b'd' => WireError::Malformed(kind),
            kind => WireError::OutOfOrder(kind),
        };
        explain(error, tried, &self.at)
    }

    pub fn at(&self) -> &str {
        &self.at
    }

    fn begin(&mut self, command: &str, tried: &str) -> Result<()> {
        if self.busy || command.contains('\0') {
            return Err(Fault::failed(format!("cannot {tried} on the connection to {}: it is in use", self.at)).into());
        }
        self.busy = true;
        self.send(b'Q', &[command.as_bytes(), b"\0"].concat(), tried)
    }

    /// Waits for the next message of an answer. A refusal is kept: the server goes on behind it, or ends the session.
    fn answer(
        &mut self,
        tried: &str,
        limit: Duration,
        until: Instant,
        refused: &mut Option<ServerRefusal>,
    ) -> Result<(u8, Range<usize>)> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.receive(left, tried) {
                Ok(Some((b'N' | b'S' | b'A', _))) => {}
                Ok(Some((b'E', place))) => *refused = Some(ServerRefusal::read(self.body(place))),
                Ok(Some(message)) => return Ok(message),
                Ok(None) => {
                    let message =
                        format!("cannot {tried} on {}: no answer within {}", self.at, many(limit.as_secs(), "second"));
                    return Err(Fault::failed(message).into());
                }
                Err(error) => {
                    return Err(match refused.take() {
                        Some(refusal) => explain(WireError::Refused(refusal), tried, &self.at),
                        None => error,
                    });
                }
            }
        }
    }
}

/// Reads a row. `None`: its parts do not make up the whole.
fn row(body: &[u8]) -> Option<WireRow> {
    let (count, mut rest) = body.split_first_chunk()?;
    let mut row = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk()?;
        rest = after;
        row.push(match i32::from_be_bytes(*length) {
            -1 => None,
            length => {
                let (value, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                rest = after;
                Some(String::from_utf8_lossy(value).into_owned())
            }
        });
    }
    rest.is_empty().then_some(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_row_is_read_with_its_nulls_or_not_at_all() {
        let body = [&[0, 3][..], &[0, 0, 0, 1, b'a'], &[0xff; 4], &[0; 4]].concat();
        assert_eq!(row(&body), Some(vec![Some("a".to_owned()), None, Some(String::new())]));
        assert_eq!((row(&body[..body.len() - 1]), row(&[&body[..], b"x"].concat())), (None, None));
    }

    proptest! {
        #[test]
        fn whatever_bytes_come_there_is_no_panic(body in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = row(&body);
        }
    }
}
