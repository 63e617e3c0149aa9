//! Holds what goes from the thread that reads the server's stream to the one that makes segments.

use crate::format::lsn::Lsn;
use crate::jobs::capture::sequence_look::SequenceLook;
use crate::jobs::capture::table_look::TableLook;

/// Bytes that are handed over at a time.
pub(crate) const BATCH: usize = 256 << 10;
/// Batches that may be on their way.
pub(crate) const IN_FLIGHT: usize = 16;

/// One thing that was learnt of the server.
pub(crate) enum FeedItem {
    Changes(MessageBatch),
    /// The server has sent everything that was committed before this position. The time is by its clock, in microseconds since 2000.
    Reached(Lsn, i64),
    /// The tables as the catalog has them, and the sequences behind that.
    Looked(TableLook, SequenceLook),
}

/// Messages of the output plugin, one after the other, each with its length before it.
#[derive(Default)]
pub(crate) struct MessageBatch {
    bytes: Vec<u8>,
    /// The server's clock in the last message, in microseconds since 2000.
    pub server_time: i64,
}

impl MessageBatch {
    pub fn push(&mut self, message: &[u8], server_time: i64) {
        self.bytes.extend_from_slice(&message.len().to_le_bytes());
        self.bytes.extend_from_slice(message);
        self.server_time = server_time;
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH
    }

    /// Returns the messages in the order in which they came.
    pub fn messages(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk()?;
            let (message, after) = after.split_at_checked(usize::from_le_bytes(*length))?;
            rest = after;
            Some(message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in() {
        let mut batch = MessageBatch::default();
        assert!(batch.is_empty() && batch.messages().next().is_none());
        for message in [&b"one"[..], b"", b"three"] {
            batch.push(message, 7);
        }
        assert_eq!(batch.messages().collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
        assert_eq!((batch.is_full(), batch.server_time), (false, 7));
    }
}
