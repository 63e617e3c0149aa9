//! Streams the changes of a database as the server decodes them. Whoever reads it has one loop: it takes what comes, confirms what is
//! kept, and asks where a quiet stream stands. What a server streams is held back while nobody reads.

use crate::base::error::{Fault, Result};
use crate::format::lsn::Lsn;
use crate::postgres::replication::stream_message::{self, StreamMessage};
use crate::postgres::replication::wire_connection::WireConnection;
use std::time::{Duration, Instant};

/// Longest wait for a message.
const WAIT: Duration = Duration::from_secs(1);
/// How often the server hears of the client at least. By default it ends a stream whose client says nothing for a minute.
const STATUS: Duration = Duration::from_secs(10);
/// Longest wait for a server to end the stream.
const LEAVE: Duration = Duration::from_secs(10);

/// Receives changes, and tells the server which of them are kept. A stream that is dropped just ends: the server sends again what was
/// not confirmed.
pub struct ChangeStream {
    connection: WireConnection,
    /// The thing that is tried, for messages.
    tried: String,
    /// The positions that were confirmed last.
    written: Lsn,
    flushed: Lsn,
    /// When the server was told the last time.
    told: Instant,
    /// The server's clock in its last message.
    server_time: i64,
}

impl ChangeStream {
    pub(crate) fn new(connection: WireConnection, tried: String) -> ChangeStream {
        let (written, flushed) = (Lsn(0), Lsn(0));
        ChangeStream { connection, tried, written, flushed, told: Instant::now(), server_time: 0 }
    }

    /// Waits for the next message for at most `limit`, or a second if that is less. Tells the server what was confirmed last, if it
    /// asks and if ten seconds have passed: so a client lives as long as it calls this.
    pub fn next(&mut self, limit: Duration) -> Result<StreamMessage<'_>> {
        self.keep_alive()?;
        let Some((kind, place)) = self.connection.receive(limit.min(WAIT), &self.tried)? else {
            return Ok(StreamMessage::Quiet);
        };
        match kind {
            b'd' => {}
            // A notice, or a change of a setting.
            b'N' | b'S' | b'A' => return Ok(StreamMessage::Quiet),
            b'c' | b'C' => return Err(self.ended()),
            _ => return Err(self.connection.unexpected(kind, place, &self.tried)),
        }
        match stream_message::read(self.connection.body(place.clone())) {
            Some(StreamMessage::Keepalive { server_time, reply_requested, .. }) => {
                self.server_time = server_time;
                if reply_requested {
                    self.tell(false)?;
                }
            }
            Some(StreamMessage::Data { server_time, .. }) => self.server_time = server_time,
            Some(StreamMessage::Quiet) | None => return Err(self.connection.unexpected(kind, place, &self.tried)),
        }
        // It has been read before.
        Ok(stream_message::read(self.connection.body(place)).unwrap_or(StreamMessage::Quiet))
    }

    /// Tells the server that everything before `written` has been received, and everything before `flushed` is kept for good: it will
    /// not send that again, and need not keep its log. What was confirmed before is not taken back.
    pub fn confirm(&mut self, written: Lsn, flushed: Lsn) -> Result<()> {
        self.flushed = self.flushed.max(flushed);
        self.written = self.written.max(written).max(self.flushed);
        self.tell(false)
    }

    /// Tells the server that the client is there, if ten seconds have passed since the last time. For whoever cannot call
    /// [`next`](Self::next), because there is no room for what it may bring.
    pub fn keep_alive(&mut self) -> Result<()> {
        if self.told.elapsed() < STATUS {
            return Ok(());
        }
        self.tell(false)
    }

    /// Asks the server for a keepalive message, which says how far it has read its log.
    pub fn ask(&mut self) -> Result<()> {
        self.tell(true)
    }

    /// Returns the position that was confirmed last as kept; zero if none was.
    pub fn confirmed(&self) -> Lsn {
        self.flushed
    }

    /// Returns how long ago the server's last bytes came. A server that was asked and is silent for long decodes a long transaction,
    /// or waits for its standbys (`synchronized_standby_slots`).
    pub fn silence(&self) -> Duration {
        self.connection.silence()
    }

    /// Ends the stream by the protocol's own words. A server that does not do so within ten seconds, because it is within a long
    /// transaction, is left.
    pub fn end(mut self) -> Result<()> {
        let tried = self.tried.clone();
        self.connection.send(b'c', b"", &tried)?;
        let begun = Instant::now();
        while let Some(left) = LEAVE.checked_sub(begun.elapsed()) {
            match self.connection.receive(left, &tried)? {
                Some((b'Z', _)) => break,
                Some((b'd' | b'c' | b'C' | b'N' | b'S' | b'A', _)) | None => {}
                Some((kind, place)) => return Err(self.connection.unexpected(kind, place, &tried)),
            }
        }
        Ok(())
    }

    fn tell(&mut self, reply: bool) -> Result<()> {
        self.told = Instant::now();
        let status = stream_message::status(self.written, self.flushed, self.server_time, reply);
        self.connection.send(b'd', &status, &self.tried)
    }

    fn ended(&self) -> anyhow::Error {
        Fault::failed(format!("{} has ended the stream: it shuts down, or was told to", self.connection.at()))
            .hint("start again when the server is back: it goes on from what was confirmed last")
            .into()
    }
}
