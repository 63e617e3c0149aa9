//! Says what went wrong on a connection whose messages pgbk reads itself.

use crate::postgres::connect::errors::chain;
use crate::postgres::connect::transport::gauge::MessageExcess;
use crate::postgres::connect::transport::last_word::LastWord;
use std::fmt;
use std::io::{self, ErrorKind};

/// Holds a server's refusal: an error that it answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRefusal {
    pub sqlstate: String,
    pub message: String,
    /// Empty if the server gives none.
    pub detail: String,
}

impl ServerRefusal {
    /// Reads the fields of an ErrorResponse. Text that is no UTF-8 is shown as well as it can be.
    pub(crate) fn read(body: &[u8]) -> ServerRefusal {
        let field = |kind: u8| {
            let found = body.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(&[kind]));
            String::from_utf8_lossy(found.unwrap_or_default()).into_owned()
        };
        ServerRefusal { sqlstate: field(b'C'), message: field(b'M'), detail: field(b'D') }
    }
}

impl fmt::Display for ServerRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServerRefusal { sqlstate, message, detail } = self;
        write!(f, "the server says: {message}")?;
        if !detail.is_empty() {
            write!(f, " ({detail})")?;
        }
        write!(f, " (SQLSTATE {sqlstate})")
    }
}

impl std::error::Error for ServerRefusal {}

/// Says why a connection gave no answer.
#[derive(Debug)]
pub(crate) enum WireError {
    /// The server answered with an error. The connection may go on.
    Refused(ServerRefusal),
    /// The connection broke, or the server ended it or sent what no server sends.
    Lost(io::Error),
    /// A message came that has no place here: its type.
    OutOfOrder(u8),
    /// A message has another shape than its type should.
    Malformed(u8),
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> WireError {
        WireError::Lost(error)
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Refused(refusal) => refusal.fmt(f),
            WireError::Lost(error) => match (LastWord::of(error), MessageExcess::of(error)) {
                (Some(word), _) => write!(f, "the server says: {} (SQLSTATE {})", word.message, word.sqlstate),
                (None, Some(excess)) => excess.fmt(f),
                (None, None) if error.kind() == ErrorKind::UnexpectedEof => {
                    f.write_str("the server closed the connection and gave no reason; its log may give one")
                }
                (None, None) => f.write_str(&chain(error)),
            },
            WireError::OutOfOrder(kind) => {
                write!(f, "a message of type 0x{kind:02x} came where no PostgreSQL server sends one")
            }
            WireError::Malformed(kind) => {
                write!(f, "a message of type 0x{kind:02x} came that is not what PostgreSQL servers send")
            }
        }
    }
}

impl std::error::Error for WireError {}
