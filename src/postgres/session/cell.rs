//! Reads values of an answer, whose shape the server decides: the driver's own accessor panics if a column is missing.

use ::postgres::SimpleQueryRow;

/// Returns a value; `None` if it is NULL or no text, or if the row has no such column.
pub(crate) fn cell(row: &SimpleQueryRow, index: usize) -> Option<&str> {
    row.try_get(index).ok().flatten()
}
