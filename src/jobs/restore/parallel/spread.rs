//! Spreads the rows of a large table over all connections.

use crate::base::cancel;
use crate::base::error::{Fault, Result};
use crate::format::sql::splitter::{ScriptEvent, Splitter, StatementLimit};
use crate::jobs::restore::parallel::places::TableRows;
use crate::jobs::restore::parallel::row_reader::RowReader;
use crate::postgres::restore::load::script_pipe::{BufferState, RowsOfTable, ScriptSender};
use std::time::Duration;

/// Bytes of a COPY block for one connection.
const BLOCK: usize = 1 << 20;
/// The end of the rows of a COPY block.
const END: &[u8] = b"\\.\n";
/// Time after which the connections are asked again whether one of them takes a block.
const PAUSE: Duration = Duration::from_millis(2);

/// Sends the rows of a table in blocks to whichever connection takes the next one, and compares them with the `.meta` before their end.
/// Returns false if a connection has failed, which says why itself.
pub(crate) fn spread(reader: &mut RowReader<'_>, rows: &TableRows<'_>, pipes: &[&mut ScriptSender]) -> Result<bool> {
    let table = &rows.table.name;
    for pipe in pipes {
        pipe.table(RowsOfTable { table: table.clone(), is_whole: false });
    }
    let mut counter = reader.counter();
    let mut splitter = Splitter::new(StatementLimit::COPY);
    let mut blocks = RowBlocks { table, header: Vec::new(), block: Vec::new(), full: Vec::new() };
    let (mut bytes, mut turn) = (Vec::new(), 0);
    for part in &rows.parts {
        let mut rest = part.rows;
        while rest.bytes > 0 {
            reader.next(&mut rest, &mut bytes, &mut counter)?;
            splitter.feed_all(&bytes, &mut |event| blocks.take(event))?;
            for block in blocks.full.drain(..) {
                if !send(block, pipes, &mut turn)? {
                    return Ok(false);
                }
            }
        }
        reader.keep(part.gap)?;
    }
    rows.table.compare(&counter.finish().tables)?;
    blocks.close();
    for block in blocks.full.drain(..) {
        if !send(block, pipes, &mut turn)? {
            return Ok(false);
        }
    }
    Ok(pipes.iter().all(|pipe| pipe.pause()))
}

/// Makes blocks of whole lines.
struct RowBlocks<'a> {
    table: &'a str,
    /// The statement before the rows, with its line break.
    header: Vec<u8>,
    /// The block that is being made; empty if none is.
    block: Vec<u8>,
    full: Vec<Vec<u8>>,
}

impl RowBlocks<'_> {
    fn take(&mut self, event: ScriptEvent<'_>) -> Result<()> {
        match event {
            ScriptEvent::CopyStart { header, table, .. } if table == self.table => {
                let header = [header, b"\n"].concat();
                if header != self.header {
                    self.close();
                    self.header = header;
                }
            }
            ScriptEvent::CopyData(data) => self.rows(data),
            ScriptEvent::CopyEnd { .. } => {}
            ScriptEvent::CopyStart { .. } | ScriptEvent::Statement { .. } | ScriptEvent::Meta { .. } => {
                let message = format!("the .meta states another place for the rows of table {}", self.table);
                return Err(Fault::damaged(message).into());
            }
        }
        Ok(())
    }

    fn rows(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.block.is_empty() {
                self.block.extend_from_slice(&self.header);
            }
            // A block ends with the line that fills it.
            let room = BLOCK.saturating_sub(self.block.len());
            let end = data.get(room..).and_then(|rest| memchr::memchr(b'\n', rest)).map(|end| room + end + 1);
            let (own, more) = data.split_at(end.unwrap_or(data.len()));
            self.block.extend_from_slice(own);
            if end.is_some() {
                self.close();
            }
            data = more;
        }
    }

    /// Ends the block.
    fn close(&mut self) {
        if !self.block.is_empty() {
            let mut block = std::mem::take(&mut self.block);
            block.extend_from_slice(END);
            self.full.push(block);
        }
    }
}

/// Sends a block to the next connection that takes one, beginning with the one whose turn it is. Returns false if one has failed.
fn send(block: Vec<u8>, pipes: &[&mut ScriptSender], turn: &mut usize) -> Result<bool> {
    loop {
        for _ in pipes {
            *turn = (*turn + 1) % pipes.len();
            let pipe = &pipes[*turn];
            match pipe.free_buffer() {
                BufferState::Free => return Ok(pipe.piece(block)),
                BufferState::Busy => {}
                BufferState::Gone => return Ok(false),
            }
        }
        cancel::check()?;
        cancel::wait(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blocks of rows that come in pieces of this size.
    fn blocks(script: &[u8], piece: usize) -> Result<Vec<Vec<u8>>> {
        let mut blocks = RowBlocks { table: "t", header: Vec::new(), block: Vec::new(), full: Vec::new() };
        let mut splitter = Splitter::new(StatementLimit::COPY);
        for piece in script.chunks(piece) {
            splitter.feed_all(piece, &mut |event| blocks.take(event))?;
        }
        blocks.close();
        Ok(blocks.full)
    }

    #[test]
    fn blocks_hold_all_rows_once_and_whole_lines() {
        let row = |number: usize| format!("{number}\t{}\n", "x".repeat(number * 7 % 5000));
        let rows: Vec<String> = (0..2000).map(row).collect();
        let (one, other) = rows.split_at(700);
        let script = format!(
            "COPY t (a, b) FROM stdin;\n{}\\.\nCOPY t (a, b) FROM stdin;\n{}\\.\n",
            one.concat(),
            other.concat()
        );
        for piece in [1000, 1 << 20, script.len()] {
            let found = blocks(script.as_bytes(), piece).unwrap();
            assert!(found.len() > 3 && found.iter().all(|block| block.len() <= BLOCK + 6000));
            let mut all = String::new();
            for block in &found {
                let text = std::str::from_utf8(block).unwrap();
                all += text.strip_prefix("COPY t (a, b) FROM stdin;\n").unwrap().strip_suffix("\\.\n").unwrap();
            }
            assert!(all == rows.concat());
        }
    }

    #[test]
    fn rows_of_another_table_and_statements_are_damage() {
        for script in ["COPY u (a) FROM stdin;\n\\.\n", "COPY t (a) FROM stdin;\n\\.\nDROP TABLE t;\n", "\\! rm\n"] {
            assert!(blocks(script.as_bytes(), 7).is_err(), "{script}");
        }
        assert!(blocks(b"COPY t (a) FROM stdin;\n\\.\n", 7).unwrap().is_empty());
    }
}
