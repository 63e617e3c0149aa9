//! Reads values of an answer, whose shape the server decides: the driver's own accessor panics if a column is missing.

use ::postgres::{SimpleQueryMessage, SimpleQueryRow};

/// Returns a value; `None` if it is NULL or no text, or if the row has no such column.
pub(crate) fn cell(row: &SimpleQueryRow, index: usize) -> Option<&str> {
    row.try_get(index).ok().flatten()
}

/// Returns the rows of an answer, without what else the server sends with them.
pub(crate) fn rows_of(answer: Vec<SimpleQueryMessage>) -> impl Iterator<Item = SimpleQueryRow> {
    answer.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })
}

/// Returns the first value of each row; rows in which it is NULL are left out.
pub(crate) fn first_values(answer: Vec<SimpleQueryMessage>) -> impl Iterator<Item = String> {
    rows_of(answer).filter_map(|row| cell(&row, 0).map(str::to_owned))
}
