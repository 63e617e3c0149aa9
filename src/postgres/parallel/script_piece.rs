//! Makes pieces of the script of the rows that one connection reads.

use crate::base::error::{Fault, Result};
use crate::format::keys::digest_key::DigestKey;
use crate::format::row_block::{RowBlock, RowPiece};
use crate::format::row_sum::RowSum;
use crate::postgres::anonymise::address_scan::ScannedRows;
use crate::postgres::parallel::item::{CopyItem, RowOutputs};
use std::mem;

/// Size in bytes from which on a piece is handed on.
pub(crate) const PIECE: usize = 4 << 20;
/// Memory for a piece in bytes: it goes beyond its size by the rows that came last. Without this it would grow to twice its size.
const RESERVED: usize = PIECE + (1 << 20);
/// The end of the rows of a COPY block.
const END: &[u8] = b"\\.\n";

/// The keys of the tables' digests, one for each backup.
#[derive(Debug, Default)]
pub(crate) struct RowKeys {
    pub plain: DigestKey,
    pub anonymised: DigestKey,
}

/// A piece, and the backups that it is for.
#[derive(Debug)]
pub(crate) struct OutputPiece {
    /// Its sums are those of the plain backup, unless it is for the anonymised one alone.
    pub piece: RowPiece,
    pub is_plain: bool,
    /// Holds what the anonymised backup needs of it; `None`: it is not for that one.
    pub anonymised: Option<AnonymisedPart>,
}

/// Holds what an anonymised backup needs of a piece besides its text.
#[derive(Debug)]
pub(crate) struct AnonymisedPart {
    /// The sum of each block; empty where the piece has them already.
    sums: Vec<RowSum>,
    /// Says where there is an address that must not be there.
    pub found: Option<String>,
}

impl OutputPiece {
    /// Returns the piece with the sums of the anonymised backup; `None`: it is not for that one.
    pub fn into_anonymised(self) -> Option<RowPiece> {
        let OutputPiece { mut piece, anonymised, .. } = self;
        for (block, sum) in piece.blocks.iter_mut().zip(anonymised?.sums) {
            block.sum = sum;
        }
        Some(piece)
    }
}

/// The piece that is being made: whole COPY blocks for the same backups.
pub(crate) struct ScriptPiece<'a> {
    pub text: Vec<u8>,
    blocks: Vec<RowBlock>,
    /// The sums of the blocks for the anonymised backup, where the piece is for both.
    sums: Vec<RowSum>,
    outputs: RowOutputs,
    found: Option<String>,
    block: Option<OpenBlock>,
    /// The rows of the statement that is being read, as they are looked at.
    scanned: ScannedRows,
    keys: &'a RowKeys,
    hand_on: &'a mut dyn FnMut(OutputPiece) -> bool,
}

/// The block that is open.
struct OpenBlock {
    table: String,
    /// Where it begins, where its rows do, and up to where they are counted.
    begin: usize,
    rows: usize,
    counted: usize,
    sum: RowSum,
    /// The sum for the anonymised backup, where the block is for both.
    second: Option<RowSum>,
}

impl<'a> ScriptPiece<'a> {
    pub fn new(keys: &'a RowKeys, hand_on: &'a mut dyn FnMut(OutputPiece) -> bool) -> ScriptPiece<'a> {
        ScriptPiece {
            text: Vec::with_capacity(RESERVED),
            blocks: Vec::new(),
            sums: Vec::new(),
            outputs: RowOutputs::PLAIN,
            found: None,
            block: None,
            scanned: ScannedRows::default(),
            keys,
            hand_on,
        }
    }

    /// Begins a block, unless one is open.
    pub fn open(&mut self, item: &CopyItem) -> Result<()> {
        if self.block.is_some() {
            return Ok(());
        }
        if !self.outputs.is_same(&item.outputs) {
            self.flush()?;
        }
        self.outputs = item.outputs.clone();
        let begin = self.text.len();
        self.text.extend_from_slice(&item.header);
        let (rows, table) = (self.text.len(), item.table.clone());
        let RowKeys { plain, anonymised } = self.keys;
        let (is_plain, is_anonymised) = (item.outputs.plain, item.outputs.anonymised.is_some());
        let sum = RowSum::new(if is_plain { plain } else { anonymised }, &table);
        let second = (is_plain && is_anonymised).then(|| RowSum::new(anonymised, &table));
        self.block = Some(OpenBlock { table, begin, rows, counted: rows, sum, second });
        Ok(())
    }

    /// Counts the rows that have come, and returns the length of the piece in bytes.
    pub fn count(&mut self) -> usize {
        if let Some(block) = &mut self.block {
            let rows = &self.text[block.counted..];
            block.sum.update(rows);
            if let Some(second) = &mut block.second {
                second.update(rows);
            }
            if let Some(scan) = &self.outputs.anonymised {
                self.scanned.look(scan, rows);
            }
            block.counted = self.text.len();
        }
        self.text.len()
    }

    /// Ends the block. One without rows goes unless it is needed.
    pub fn close(&mut self, is_needed: bool) {
        self.count();
        let Some(OpenBlock { table, begin, rows, counted, sum, second }) = self.block.take() else { return };
        self.found = self.found.take().or(self.scanned.found.take());
        if rows == counted && !is_needed {
            return self.text.truncate(begin);
        }
        self.text.extend_from_slice(END);
        let bytes = self.text.len() - begin;
        self.blocks.push(RowBlock { table, at: begin, bytes, row_bytes: (counted - rows) as u64, sum });
        self.sums.extend(second);
    }

    /// Forgets the rows that were looked at: those of another statement follow.
    pub fn next_statement(&mut self) {
        self.scanned = ScannedRows::default();
    }

    /// Hands the piece on. It is an error if nobody wants it any more.
    pub fn flush(&mut self) -> Result<()> {
        let piece = RowPiece {
            text: mem::replace(&mut self.text, Vec::with_capacity(RESERVED)),
            blocks: mem::take(&mut self.blocks),
        };
        let (sums, found) = (mem::take(&mut self.sums), self.found.take());
        if piece.text.is_empty() {
            return Ok(());
        }
        let anonymised = self.outputs.anonymised.as_ref().map(|_| AnonymisedPart { sums, found });
        match (self.hand_on)(OutputPiece { piece, is_plain: self.outputs.plain, anonymised }) {
            true => Ok(()),
            false => Err(Fault::failed("nobody wants the rows any more").into()),
        }
    }
}
