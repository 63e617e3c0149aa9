//! Limits how much a server may send. The driver reads each message whole, however long its header says that it is, and keeps
//! parameters and notifications for as long as the connection lasts. So the headers are read as they pass; only the beginning of an
//! error or a notice is copied.

use crate::base::shown::many;
use crate::postgres::connect::transport::cause;
use crate::postgres::connect::transport::last_word::{LastWord, LastWordListener};
use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, ErrorKind};

/// Most bytes before the first command: a server introduces itself in some hundred.
const INTRODUCTION: u64 = 1 << 20;
/// Most bytes of the answer to one command, which pgbk keeps whole. The longest answers have a line for each role, or for each
/// table that a role may not read; this is enough for some 300,000 of them.
const ANSWER: u64 = 64 << 20;
/// Most bytes of one row: the driver keeps it in one piece, and copies it as it grows.
const ROW: u64 = 16 << 20;
/// Most bytes of a row that is taken out of the stream: as many as a header can tell of, besides those of the length itself. A value
/// of 500 MB has twice as many in hexadecimal digits.
const TAKEN_ROW: u64 = 0x7fff_ffff - 4;
/// Most bytes of a change, of which a server makes none in more memory than this.
const CHANGE: u64 = 0x3fff_ffff;
/// Most bytes of an error, which may repeat the statement that it is about, and where that was called.
const ERROR: u64 = 16 << 20;
/// Most bytes of a row's description. The longest has 1,664 columns with names of 63 bytes.
const DESCRIPTION: u64 = 1 << 20;
/// Most bytes of one notification. A NOTIFY takes less than 8,000, and pgbk listens for none.
const NOTIFICATION: u64 = 64 << 10;
const NOTIFICATIONS: u64 = 1 << 20;
/// Most bytes of the messages that come between those of an answer and are not kept, or not twice: notices, and changes of the
/// session's parameters.
const BESIDE: u64 = 256 << 20;
/// Bytes by which [`BESIDE`] grows for each byte sent: a check or a trigger of the target may raise a notice for each row, and a
/// row may be short.
const BESIDE_EACH: u64 = 32;
/// Most bytes of any other message.
const SMALL: u64 = 64 << 10;
/// Most parameters that a server may report for a session; it has some fifteen.
const PARAMETERS: usize = 256;
/// Bytes that the driver and pgbk keep for each message in addition to its body.
const KEPT: u64 = 128;

/// Bytes of a message's header: type and length.
const HEAD: usize = 5;

/// Measures the messages of one connection.
pub(crate) struct Gauge {
    at: String,
    head: [u8; HEAD],
    /// Bytes of the header that have arrived.
    begun: usize,
    /// Bytes of the body that are still to come.
    rest: u64,
    /// Whether the server has finished introducing itself.
    introduced: bool,
    /// Whether the rows of COPY are taken out of the stream and not kept.
    rows_taken: bool,
    /// Whether the server may stream changes.
    changes_taken: bool,
    /// Bytes of the answer to the current command.
    answer: u64,
    beside: u64,
    /// Bytes sent for the current command. An answer may be longer by as much: a text that the server converts comes back.
    said: u64,
    /// Bytes of notifications since the connection began.
    notifications: u64,
    parameters: HashSet<u64>,
    /// Hash of the parameter's name that is arriving; `None` outside of a name.
    name: Option<DefaultHasher>,
    /// Whether the message that is arriving is an error or a notice.
    speaks: bool,
    listener: LastWordListener,
    excess: Option<MessageExcess>,
}

/// Says how a server exceeded what any PostgreSQL server sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MessageExcess {
    at: String,
    what: String,
}

impl MessageExcess {
    pub(crate) fn no_answer_about_tls(at: &str, byte: u8) -> MessageExcess {
        MessageExcess { at: at.to_owned(), what: format!("answered with byte 0x{byte:02x} when asked for TLS") }
    }

    /// Returns the `MessageExcess` that caused an error; `None` if another thing did.
    pub fn of<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a MessageExcess> {
        cause::carried(error)
    }
}

impl fmt::Display for MessageExcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, which no PostgreSQL server does", self.at, self.what)
    }
}

impl std::error::Error for MessageExcess {}

impl Gauge {
    pub fn new(at: String) -> Gauge {
        Gauge {
            at,
            head: [0; HEAD],
            begun: 0,
            rest: 0,
            introduced: false,
            rows_taken: false,
            changes_taken: false,
            answer: 0,
            beside: 0,
            said: 0,
            notifications: 0,
            parameters: HashSet::new(),
            name: None,
            speaks: false,
            listener: LastWordListener::default(),
            excess: None,
        }
    }

    /// Fails if the server has sent too much, and from then on always.
    pub fn check(&self) -> io::Result<()> {
        match &self.excess {
            Some(excess) => Err(io::Error::new(ErrorKind::InvalidData, excess.clone())),
            None => Ok(()),
        }
    }

    /// Returns what the server said when it ended the session; `None` while it has not.
    pub fn last_word(&self) -> Option<&LastWord> {
        self.listener.word()
    }

    /// Counts bytes that were sent to the server.
    pub fn said(&mut self, bytes: usize) {
        self.said = self.said.saturating_add(bytes as u64);
    }

    /// Says whether the rows of COPY are taken out of the stream from now on. Then they do not count as an answer.
    pub fn take_rows(&mut self, taken: bool) {
        self.rows_taken = taken;
    }

    /// Lets the server stream changes from now on. They do not count as an answer.
    pub fn take_changes(&mut self) {
        (self.rows_taken, self.changes_taken) = (true, true);
    }

    /// Returns how many bytes are sure to follow of the message that has come last; 0 between two messages.
    pub fn unread(&self) -> u64 {
        match self.begun {
            0 => self.rest,
            begun => (HEAD - begun) as u64,
        }
    }

    /// Measures bytes that came from the server.
    pub fn heard(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.excess.is_none() {
            let taken = if self.rest > 0 { self.body(bytes) } else { self.head(bytes) };
            bytes = &bytes[taken..];
        }
    }

    fn body(&mut self, bytes: &[u8]) -> usize {
        let taken = usize::try_from(self.rest).map_or(bytes.len(), |rest| rest.min(bytes.len()));
        self.rest -= taken as u64;
        if self.name.is_some() {
            self.named(&bytes[..taken]);
        }
        if self.speaks {
            self.listener.take(&bytes[..taken], self.rest == 0);
        }
        taken
    }

    fn head(&mut self, bytes: &[u8]) -> usize {
        let taken = (HEAD - self.begun).min(bytes.len());
        self.head[self.begun..self.begun + taken].copy_from_slice(&bytes[..taken]);
        self.begun += taken;
        if self.begun == HEAD {
            self.begun = 0;
            let [kind, length @ ..] = self.head;
            if let Err(what) = self.message(kind, u32::from_be_bytes(length)) {
                self.excess = Some(MessageExcess { at: self.at.clone(), what });
            }
        }
        taken
    }

    /// Measures a message by its header. The error says what the server did.
    fn message(&mut self, kind: u8, length: u32) -> Result<(), String> {
        let longest = self.longest(kind).ok_or_else(|| format!("sent a message of type 0x{kind:02x}"))?;
        let Some(body) = length.checked_sub(4) else {
            return Err(format!("sent a message of {}", many(length, "byte")));
        };
        let body = u64::from(body);
        if body > longest {
            return Err(format!(
                "sent a message ({}) of {body} bytes, of which at most {longest} are taken",
                name(kind)
            ));
        }
        (self.rest, self.name) = (body, None);
        if kind == b'S' && body > 0 {
            self.name = Some(DefaultHasher::new());
        }
        self.speaks = matches!(kind, b'E' | b'N');
        if self.speaks {
            self.listener.begin();
        }
        let (sum, most) = match kind {
            b'd' | b'H' | b'c' if self.rows_taken && self.introduced => return Ok(()),
            b'A' => (&mut self.notifications, NOTIFICATIONS),
            b'N' | b'S' if self.introduced => {
                (&mut self.beside, BESIDE.saturating_add(self.said.saturating_mul(BESIDE_EACH)))
            }
            _ if self.introduced => (&mut self.answer, ANSWER.saturating_add(self.said)),
            _ => (&mut self.answer, INTRODUCTION),
        };
        *sum = sum.saturating_add(body + KEPT);
        if *sum > most {
            return Err(format!("sent more than {most} bytes ({})", name(kind)));
        }
        if kind == b'Z' {
            (self.introduced, self.answer, self.beside, self.said) = (true, 0, 0, 0);
        }
        Ok(())
    }

    /// Returns the most bytes that the body of a message of this type may have; `None` if no PostgreSQL server sends such a type.
    fn longest(&self, kind: u8) -> Option<u64> {
        Some(match kind {
            b'd' if self.changes_taken => CHANGE,
            b'd' if self.rows_taken => TAKEN_ROW,
            b'W' if self.changes_taken => SMALL,
            b'D' | b'd' => ROW.saturating_add(self.said),
            b'E' | b'N' => ERROR,
            b'T' | b't' => DESCRIPTION,
            b'A' => NOTIFICATION,
            b'S' | b'R' | b'K' | b'Z' | b'C' | b'1' | b'2' | b'3' | b'I' | b'n' | b's' | b'c' | b'G' | b'H' => SMALL,
            _ => return None,
        })
    }

    /// Reads a parameter's name and counts the different ones, of which there may be [`PARAMETERS`].
    fn named(&mut self, bytes: &[u8]) {
        let end = memchr::memchr(0, bytes);
        let Some(name) = &mut self.name else { return };
        name.write(&bytes[..end.unwrap_or(bytes.len())]);
        if end.is_some() || self.rest == 0 {
            let name = name.finish();
            self.name = None;
            self.parameters.insert(name);
            if self.parameters.len() > PARAMETERS {
                let what = format!("told more than {PARAMETERS} parameters of the session");
                self.excess = Some(MessageExcess { at: self.at.clone(), what });
            }
        }
    }
}

fn name(kind: u8) -> &'static str {
    match kind {
        b'D' => "DataRow",
        b'd' => "CopyData",
        b'E' => "ErrorResponse",
        b'N' => "NoticeResponse",
        b'T' => "RowDescription",
        b't' => "ParameterDescription",
        b'A' => "NotificationResponse",
        b'S' => "ParameterStatus",
        b'R' => "Authentication",
        b'K' => "BackendKeyData",
        b'Z' => "ReadyForQuery",
        b'C' => "CommandComplete",
        b'1' => "ParseComplete",
        b'2' => "BindComplete",
        b'3' => "CloseComplete",
        b'I' => "EmptyQueryResponse",
        b'n' => "NoData",
        b's' => "PortalSuspended",
        b'c' => "CopyDone",
        b'G' => "CopyInResponse",
        b'H' => "CopyOutResponse",
        b'W' => "CopyBothResponse",
        _ => "of no known type",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KINDS: &[u8] = b"DdENTtASRKZC123InscGH";

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
    }

    fn introduced() -> Gauge {
        let mut gauge = Gauge::new("db:5432".to_owned());
        gauge.heard(&message(b'Z', b"I"));
        gauge
    }

    /// How many bytes of it a server gets rid of, up to this limit.
    fn taken(gauge: &mut Gauge, piece: &[u8], limit: u64) -> u64 {
        let mut taken = 0;
        while taken < limit && gauge.check().is_ok() {
            gauge.heard(piece);
            taken += piece.len() as u64;
        }
        taken
    }

    #[test]
    fn no_type_of_message_is_taken_without_end_or_at_any_length() {
        for kind in KINDS {
            for mut gauge in [Gauge::new(String::new()), introduced()] {
                // Each of these ends a command, and the server has been asked only so many.
                if *kind != b'Z' {
                    let mut number = 0_u32;
                    let mut fresh = || {
                        number += 1;
                        message(*kind, &[&number.to_be_bytes().map(|byte| byte | 1)[..], &[0; 30_000]].concat())
                    };
                    let mut taken = 0;
                    while gauge.check().is_ok() {
                        assert!(taken < BESIDE * 2, "{}", name(*kind));
                        let piece = fresh();
                        gauge.heard(&piece);
                        taken += piece.len() as u64;
                    }
                }
                let mut long = introduced();
                long.heard(&[&[*kind][..], &0x7fff_ffff_u32.to_be_bytes()].concat());
                assert!(long.check().is_err(), "{}", name(*kind));
            }
            for length in [0_u32, 3, 0x8000_0000, u32::MAX] {
                let mut gauge = introduced();
                gauge.heard(&[&[*kind][..], &length.to_be_bytes()].concat());
                assert!(gauge.check().is_err(), "{} of {length}", name(*kind));
            }
        }
        for kind in (0..=255).filter(|kind| !KINDS.contains(kind)) {
            let mut gauge = introduced();
            gauge.heard(&message(kind, b""));
            assert!(gauge.check().is_err(), "{kind}");
        }
    }

    #[test]
    fn a_long_connection_with_many_commands_is_no_excess() {
        let mut gauge = introduced();
        let answer = [message(b'T', &[0; 90]), message(b'D', &[7; 1000]), message(b'C', b"SELECT 1\0")].concat();
        let beside = [message(b'S', b"TimeZone\0UTC\0"), message(b'N', &[1; 300])].concat();
        for _ in 0..1_000_000 {
            gauge.heard(&answer);
            gauge.heard(&beside);
            gauge.heard(&message(b'Z', b"I"));
        }
        assert!(gauge.check().is_ok());
    }

    #[test]
    fn an_answer_may_be_as_long_as_the_question_beside_its_limit() {
        let row = message(b'D', &[7; 1 << 20]);
        let mut gauge = introduced();
        let short = taken(&mut gauge, &row, 2 << 30);
        let mut gauge = introduced();
        gauge.said(512 << 20);
        assert!(short <= ANSWER + (2 << 20));
        assert!(taken(&mut gauge, &row, 2 << 30) > short + (500 << 20));
    }

    #[test]
    fn rows_that_are_taken_out_of_the_stream_are_no_answer_and_may_be_long() {
        let mut gauge = introduced();
        gauge.take_rows(true);
        assert!(taken(&mut gauge, &message(b'd', &[7; 20 << 20]), 1 << 30) >= 1 << 30);
        gauge.heard(&message(b'c', b""));
        assert!(gauge.check().is_ok());
        assert!(taken(&mut gauge, &message(b'D', &[7; 1 << 20]), 1 << 30) < ANSWER + (2 << 20));
        let mut gauge = introduced();
        gauge.take_rows(true);
        gauge.take_rows(false);
        gauge.heard(&message(b'd', &[7; 20 << 20]));
        assert!(gauge.check().is_err());
    }

    #[test]
    fn changes_may_come_for_ever_once_they_are_taken_and_none_may_be_longer_than_a_server_can_make() {
        let stream = message(b'W', &[0; 3]);
        let mut gauge = introduced();
        gauge.heard(&stream);
        assert!(gauge.check().is_err());
        let mut gauge = introduced();
        gauge.take_changes();
        gauge.heard(&stream);
        assert!(taken(&mut gauge, &message(b'd', &[7; 20 << 20]), 1 << 30) >= 1 << 30);
        gauge.heard(&[b'd', 0x40, 0, 0, 4]);
        assert!(gauge.check().is_err());
    }

    #[test]
    fn what_is_sure_to_follow_of_a_message_is_known() {
        let mut gauge = introduced();
        let message = message(b'S', b"TimeZone\0UTC\0");
        for (at, byte) in message.iter().enumerate() {
            gauge.heard(&[*byte]);
            let of = if at < HEAD - 1 { HEAD } else { message.len() };
            assert_eq!(gauge.unread(), (of - at - 1) as u64);
        }
    }

    #[test]
    fn what_was_too_much_is_said_with_the_server() {
        let mut gauge = introduced();
        gauge.heard(&[b'E', 0x40, 0, 0, 0]);
        let error = gauge.check().unwrap_err();
        let message = "db:5432 sent a message (ErrorResponse) of 1073741820 bytes, of which at most 16777216 are taken, which no PostgreSQL server does";
        assert_eq!(MessageExcess::of(&error).unwrap().to_string(), message);
    }

    proptest! {
        /// However the network cuts what is sent.
        #[test]
        fn pieces_are_measured_like_the_whole(
            messages in prop::collection::vec((0..KINDS.len(), prop::collection::vec(any::<u8>(), 0..60)), 0..30),
            cuts in prop::collection::vec(1_usize..40, 1..20),
            over in any::<bool>(),
        ) {
            let mut stream: Vec<u8> = messages.iter().flat_map(|(kind, body)| message(KINDS[*kind], body)).collect();
            if over {
                stream.extend([b'Z', 0, 0, 0, 3]);
            }
            let (mut whole, mut pieces) = (introduced(), introduced());
            whole.heard(&stream);
            let mut rest = &stream[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, more) = rest.split_at((*cut).min(rest.len()));
                pieces.heard(piece);
                rest = more;
            }
            prop_assert_eq!(whole.check().is_ok(), !over);
            prop_assert_eq!((&whole.excess, whole.answer, &whole.parameters), (&pieces.excess, pieces.answer, &pieces.parameters));
        }
    }
}
