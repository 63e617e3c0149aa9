//! Values of an answer, whose shape is the server's to decide: the driver's own look at a column that is not there ends the thread.

use ::postgres::SimpleQueryRow;

/// Returns a value; None where it is NULL, is no text, or where the row has no such column.
pub(crate) fn cell(row: &SimpleQueryRow, index: usize) -> Option<&str> {
    row.try_get(index).ok().flatten()
}
