//! A piece of a script that holds whole COPY blocks, and what was counted while it was made.

use crate::format::row_sum::RowSum;

/// A piece, with its blocks in their order.
#[derive(Debug)]
pub(crate) struct RowPiece {
    pub text: Vec<u8>,
    pub blocks: Vec<RowBlock>,
}

/// A COPY block within a piece.
#[derive(Debug)]
pub(crate) struct RowBlock {
    /// The table as the dump names it.
    pub table: String,
    /// Where in the piece it begins, and its length in bytes, with the statement and the line that ends it.
    pub at: usize,
    pub bytes: usize,
    /// Number of bytes of the rows.
    pub row_bytes: u64,
    pub sum: RowSum,
}
