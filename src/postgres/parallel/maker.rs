//! One of the connections that read the rows of a dump, and make pieces of the script of them.

use crate::base::error::{Fault, Result};
use crate::format::keys::digest_key::DigestKey;
use crate::format::row_block::{RowBlock, RowPiece};
use crate::format::row_sum::RowSum;
use crate::postgres::connect::copy_connection::{CopyConnection, CopyStep};
use crate::postgres::parallel::item::CopyItem;
use crate::postgres::parallel::work::DumpWork;
use crate::postgres::session::quote::literal;
use std::mem;
use std::time::Duration;

/// Size in bytes from which on a piece is handed on.
const PIECE: usize = 4 << 20;
/// Memory for a piece in bytes: it goes beyond its size by the rows that came last. Without this it would grow to twice its size.
const RESERVED: usize = PIECE + (1 << 20);
/// The end of the rows of a COPY block.
const END: &[u8] = b"\\.\n";
/// Most names in one statement of LOCK.
const LOCKS: usize = 500;

/// Settings of the session that rows depend on, besides those that every connection gets. Without them the same table is read in different
/// orders.
const SETTINGS: &str = "SET synchronize_seqscans = off; SET max_parallel_workers_per_gather = 0";

/// Begins to read in a snapshot of another session, with these settings, and locks tables as pg_dump does; zero waits for ever.
pub(crate) fn begin(
    connection: &mut CopyConnection,
    snapshot: &str,
    settings: &[String],
    locks: &[String],
    lock_wait: Duration,
) -> Result<()> {
    let wait = lock_wait.as_millis();
    connection.query(&format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}; {SETTINGS}; SET lock_timeout = {wait}",
        literal(snapshot)
    ))?;
    for setting in settings {
        connection.query(setting)?;
    }
    for names in locks.chunks(LOCKS) {
        let names: Vec<String> = names.iter().map(|name| format!("ONLY {name}")).collect();
        connection.query(&format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", ")))?;
    }
    Ok(())
}

/// Reads all that is this connection's to read, and passes whole COPY blocks to `hand_on`, which returns false once nobody wants them.
pub(crate) fn read(
    connection: &mut CopyConnection,
    work: &DumpWork,
    number: usize,
    key: &DigestKey,
    hand_on: &mut dyn FnMut(RowPiece) -> bool,
) -> Result<()> {
    let mut piece = ScriptPiece { text: Vec::with_capacity(RESERVED), blocks: Vec::new(), block: None, key, hand_on };
    while let Some(items) = work.next(number) {
        let statements: Vec<&str> = items.iter().map(|item| item.statement.as_str()).collect();
        connection.copy(&statements.join("; "))?;
        for item in &items {
            rows(connection, item, &mut piece)?;
        }
        match connection.next(&mut Vec::new())? {
            CopyStep::Done => {}
            CopyStep::Rows | CopyStep::End => return Err(unexpected("more")),
        }
    }
    piece.flush()
}

/// Reads the rows of one statement.
fn rows(connection: &mut CopyConnection, item: &CopyItem, piece: &mut ScriptPiece<'_>) -> Result<()> {
    let mut is_needed = item.is_first;
    loop {
        piece.open(item);
        match connection.next(&mut piece.text)? {
            CopyStep::Rows if piece.count() < PIECE => {}
            CopyStep::Rows => {
                piece.close(true);
                piece.flush()?;
                is_needed = false;
            }
            CopyStep::End => {
                piece.close(is_needed);
                return if piece.text.len() < PIECE { Ok(()) } else { piece.flush() };
            }
            CopyStep::Done => return Err(unexpected("fewer")),
        }
    }
}

fn unexpected(what: &str) -> anyhow::Error {
    Fault::failed(format!("the server sent {what} rows than were asked for")).into()
}

/// The piece that is being made: whole COPY blocks.
struct ScriptPiece<'a> {
    text: Vec<u8>,
    blocks: Vec<RowBlock>,
    block: Option<OpenBlock>,
    key: &'a DigestKey,
    hand_on: &'a mut dyn FnMut(RowPiece) -> bool,
}

/// The block that is open.
struct OpenBlock {
    table: String,
    /// Where it begins, where its rows do, and up to where they are counted.
    begin: usize,
    rows: usize,
    counted: usize,
    sum: RowSum,
}

impl ScriptPiece<'_> {
    fn open(&mut self, item: &CopyItem) {
        if self.block.is_none() {
            let begin = self.text.len();
            self.text.extend_from_slice(&item.header);
            let (rows, table) = (self.text.len(), item.table.clone());
            let sum = RowSum::new(self.key, &table);
            self.block = Some(OpenBlock { table, begin, rows, counted: rows, sum });
        }
    }

    /// Counts the rows that have come, and returns the length of the piece in bytes.
    fn count(&mut self) -> usize {
        if let Some(block) = &mut self.block {
            block.sum.update(&self.text[block.counted..]);
            block.counted = self.text.len();
        }
        self.text.len()
    }

    /// Ends the block. One without rows goes unless it is needed.
    fn close(&mut self, is_needed: bool) {
        self.count();
        let Some(OpenBlock { table, begin, rows, counted, sum }) = self.block.take() else { return };
        if rows == counted && !is_needed {
            return self.text.truncate(begin);
        }
        self.text.extend_from_slice(END);
        let bytes = self.text.len() - begin;
        self.blocks.push(RowBlock { table, at: begin, bytes, row_bytes: (counted - rows) as u64, sum });
    }

    fn flush(&mut self) -> Result<()> {
        let piece = RowPiece {
            text: mem::replace(&mut self.text, Vec::with_capacity(RESERVED)),
            blocks: mem::take(&mut self.blocks),
        };
        if piece.text.is_empty() || (self.hand_on)(piece) {
            return Ok(());
        }
        Err(Fault::failed("nobody wants the rows any more").into())
    }
}
