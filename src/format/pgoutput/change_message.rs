//! The messages of `pgoutput`, and their decoder.

use crate::base::error::Fault;
use crate::format::lsn::Lsn;
use crate::format::pgoutput::message_bytes::MessageBytes;
use crate::format::pgoutput::relation::Relation;
use crate::format::pgoutput::row::{self, OldRow, RowValues};
use crate::format::sql::object_name::ObjectName;
use jiff::Timestamp;

/// A message of the stream. Changes come between the beginning and the commit of their transaction; what was rolled back does not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeMessage<'a> {
    Begin(TransactionBegin),
    Commit(TransactionCommit),
    /// The transaction came to the source from another server.
    Origin {
        commit: Lsn,
        name: &'a [u8],
    },
    /// The shape of a table, before the first change of it and whenever it may be another.
    Relation(Relation),
    /// A type that no server has from the beginning. Of a domain it is the name of the type beneath it.
    Type {
        oid: u32,
        schema: ObjectName,
        name: ObjectName,
    },
    Insert {
        relation: u32,
        new: RowValues<'a>,
    },
    /// `old` is `None` where the replica identity did not change.
    Update {
        relation: u32,
        old: Option<OldRow<'a>>,
        new: RowValues<'a>,
    },
    Delete {
        relation: u32,
        old: OldRow<'a>,
    },
    Truncate(Truncation),
    Logical(LogicalMessage<'a>),
}

/// The beginning of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionBegin {
    /// Where its commit record begins.
    pub commit: Lsn,
    pub commit_time: Timestamp,
    pub xid: u32,
}

/// The end of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionCommit {
    /// Where its commit record begins.
    pub commit: Lsn,
    /// Where its commit record ends.
    pub end: Lsn,
    pub time: Timestamp,
}

/// Tables that one statement emptied, named by their identifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truncation {
    pub relations: Vec<u32>,
    /// Whether it was said with CASCADE. All tables that were emptied are named anyway.
    pub cascade: bool,
    pub restart_identity: bool,
}

/// A message that somebody wrote into the write-ahead log with `pg_logical_emit_message`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogicalMessage<'a> {
    /// Whether it belongs to a transaction. One that does not can come at any place outside of transactions.
    pub transactional: bool,
    pub at: Lsn,
    pub prefix: &'a [u8],
    pub content: &'a [u8],
}

/// Reads one whole message. It is an error if the bytes are none, or more than one.
pub fn decode(bytes: &[u8]) -> Result<ChangeMessage<'_>, Fault> {
    let mut rest = MessageBytes(bytes);
    let message = rest.byte().and_then(|kind| message(kind, &mut rest)).filter(|_| rest.0.is_empty());
    message.ok_or_else(|| {
        let kind = bytes.first().map_or_else(String::new, |kind| format!(" of kind \"{}\"", kind.escape_ascii()));
        Fault::failed(format!(
            "the server's stream of changes holds a message{kind} of {} bytes that pgbk does not understand",
            bytes.len()
        ))
        .hint("pgbk reads what PostgreSQL 12 to 18 send; a pooler or a proxy in between may have changed it")
    })
}

fn message<'a>(kind: u8, bytes: &mut MessageBytes<'a>) -> Option<ChangeMessage<'a>> {
    Some(match kind {
        b'B' => ChangeMessage::Begin(TransactionBegin {
            commit: bytes.lsn()?,
            commit_time: bytes.time()?,
            xid: bytes.id()?,
        }),
        b'C' => ChangeMessage::Commit(commit(bytes)?),
        b'O' => ChangeMessage::Origin { commit: bytes.lsn()?, name: bytes.text()? },
        b'R' => ChangeMessage::Relation(Relation::take(bytes)?),
        b'Y' => ChangeMessage::Type { oid: bytes.id()?, schema: bytes.schema()?, name: bytes.name()? },
        b'I' => ChangeMessage::Insert { relation: bytes.id()?, new: new_row(bytes)? },
        b'U' => {
            let relation = bytes.id()?;
            let has_old = matches!(bytes.0.first(), Some(b'K' | b'O'));
            let old = if has_old { Some(old_row(bytes)?) } else { None };
            ChangeMessage::Update { relation, old, new: new_row(bytes)? }
        }
        b'D' => ChangeMessage::Delete { relation: bytes.id()?, old: old_row(bytes)? },
        b'T' => ChangeMessage::Truncate(truncation(bytes)?),
        b'M' => ChangeMessage::Logical(logical(bytes)?),
        _ => return None,
    })
}

fn commit(bytes: &mut MessageBytes<'_>) -> Option<TransactionCommit> {
    let flags = bytes.byte()?;
    let commit = TransactionCommit { commit: bytes.lsn()?, end: bytes.lsn()?, time: bytes.time()? };
    (flags == 0 && commit.commit < commit.end).then_some(commit)
}

fn new_row<'a>(bytes: &mut MessageBytes<'a>) -> Option<RowValues<'a>> {
    (bytes.byte()? == b'N').then(|| row::take(bytes))?
}

fn old_row<'a>(bytes: &mut MessageBytes<'a>) -> Option<OldRow<'a>> {
    match bytes.byte()? {
        b'K' => row::take(bytes).map(OldRow::Key),
        b'O' => row::take(bytes).map(OldRow::Full),
        _ => None,
    }
}

fn truncation(bytes: &mut MessageBytes<'_>) -> Option<Truncation> {
    let count = usize::try_from(bytes.word()?).ok()?;
    let options = bytes.byte()?;
    if options & !3 != 0 || bytes.0.len() != count.checked_mul(4)? {
        return None;
    }
    let relations = (0..count).map(|_| bytes.id()).collect::<Option<Vec<_>>>()?;
    Some(Truncation { relations, cascade: options & 1 != 0, restart_identity: options & 2 != 0 })
}

fn logical<'a>(bytes: &mut MessageBytes<'a>) -> Option<LogicalMessage<'a>> {
    let transactional = match bytes.byte()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let (at, prefix) = (bytes.lsn()?, bytes.text()?);
    let length = usize::try_from(bytes.word()?).ok()?;
    Some(LogicalMessage { transactional, at, prefix, content: bytes.bytes(length)? })
}
