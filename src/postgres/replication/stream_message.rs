//! Reads and writes what goes through a stream of changes: the messages within those of COPY.

use crate::format::lsn::Lsn;

/// Holds what came through a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamMessage<'a> {
    /// A message of the output plugin.
    Data {
        /// Position of the change.
        start: Lsn,
        /// The end of the server's log as far as the server has read it.
        end: Lsn,
        /// The server's clock, in microseconds since 2000-01-01 00:00 UTC.
        server_time: i64,
        bytes: &'a [u8],
    },
    /// The server is there, and has sent everything up to here that there is to send.
    Keepalive {
        wal_end: Lsn,
        /// The server's clock, in microseconds since 2000-01-01 00:00 UTC.
        server_time: i64,
        /// Whether the server wanted an answer. The stream has given it, with the positions confirmed last.
        reply_requested: bool,
    },
    /// Nothing came in this time.
    Quiet,
}

/// Reads the body of a COPY message. `None`: it is none that a server sends.
pub(crate) fn read(body: &[u8]) -> Option<StreamMessage<'_>> {
    let (kind, rest) = body.split_first()?;
    let (first, rest) = number(rest)?;
    let (second, rest) = number(rest)?;
    match kind {
        b'w' => {
            let (time, bytes) = number(rest)?;
            Some(StreamMessage::Data { start: Lsn(first), end: Lsn(second), server_time: time as i64, bytes })
        }
        b'k' => {
            let [reply] = rest else { return None };
            let reply_requested = *reply != 0;
            Some(StreamMessage::Keepalive { wal_end: Lsn(first), server_time: second as i64, reply_requested })
        }
        _ => None,
    }
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), rest))
}

/// Returns the body that tells the server how far the client is. A position of zero says nothing. `time` is the server's own clock, of
/// which the server shows the last answer's age.
pub(crate) fn status(written: Lsn, flushed: Lsn, time: i64, reply: bool) -> Vec<u8> {
    let numbers = [written.0, flushed.0, flushed.0, time as u64].map(u64::to_be_bytes);
    [&b"r"[..], numbers.as_flattened(), &[u8::from(reply)]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_server_sends_is_read_as_the_protocol_says() {
        let data = [&b"w"[..], &7_u64.to_be_bytes(), &9_u64.to_be_bytes(), &(-5_i64).to_be_bytes(), b"Bxyz"].concat();
        let (start, end) = (Lsn(7), Lsn(9));
        assert_eq!(read(&data), Some(StreamMessage::Data { start, end, server_time: -5, bytes: b"Bxyz" }));
        let mut alive = [&b"k"[..], &9_u64.to_be_bytes(), &5_i64.to_be_bytes(), &[1]].concat();
        let expected = StreamMessage::Keepalive { wal_end: end, server_time: 5, reply_requested: true };
        assert_eq!(read(&alive), Some(expected));
        alive.push(0);
        for body in [&alive[..], b"", b"k", &data[..24], b"x0123456701234567"] {
            assert_eq!(read(body), None, "{body:?}");
        }
        assert_eq!(
            read(&data[..25]).map(|message| matches!(message, StreamMessage::Data { bytes: b"", .. })),
            Some(true)
        );
    }

    #[test]
    fn the_status_says_what_is_written_and_what_is_kept() {
        let status = status(Lsn(0x0102), Lsn(3), 4, true);
        assert_eq!(status.len(), 34);
        assert_eq!((status[0], &status[1..9], status[33]), (b'r', &0x0102_u64.to_be_bytes()[..], 1));
        assert_eq!((&status[9..17], &status[17..25]), (&3_u64.to_be_bytes()[..], &3_u64.to_be_bytes()[..]));
    }

    proptest! {
        #[test]
        fn whatever_bytes_come_there_is_no_panic(body in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&body);
        }
    }
}
