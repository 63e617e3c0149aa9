//! The values of a row, as a message has them.

use crate::format::pgoutput::message_bytes::MessageBytes;

/// Most columns of a table, with some room: a server allows 1,600.
pub(crate) const MOST_COLUMNS: usize = 1664;

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnValue<'a> {
    Null,
    /// A large value that the statement did not change, and that is not sent for this reason.
    Unchanged,
    /// The text of the value in the session's encoding, without a zero byte.
    Text(&'a [u8]),
}

/// The values of a row in the order of the relation's columns.
pub type RowValues<'a> = Vec<ColumnValue<'a>>;

/// Holds what a message tells of a row as it was before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OldRow<'a> {
    /// The columns of the replica identity; all others are NULL.
    Key(RowValues<'a>),
    /// All columns, as `REPLICA IDENTITY FULL` gives them.
    Full(RowValues<'a>),
}

/// Takes the values of a row.
pub(crate) fn take<'a>(bytes: &mut MessageBytes<'a>) -> Option<RowValues<'a>> {
    let columns = usize::from(bytes.short()?);
    // Each value has at least one byte.
    if columns > MOST_COLUMNS.min(bytes.0.len()) {
        return None;
    }
    let mut values = Vec::with_capacity(columns);
    for _ in 0..columns {
        values.push(value(bytes)?);
    }
    Some(values)
}

fn value<'a>(bytes: &mut MessageBytes<'a>) -> Option<ColumnValue<'a>> {
    match bytes.byte()? {
        b'n' => Some(ColumnValue::Null),
        b'u' => Some(ColumnValue::Unchanged),
        b't' => {
            let length = usize::try_from(bytes.word()?).ok()?;
            let text = bytes.bytes(length)?;
            memchr::memchr(0, text).is_none().then_some(ColumnValue::Text(text))
        }
        _ => None,
    }
}
