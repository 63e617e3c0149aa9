//! Reads the rows of tables where they are in the payload, and sends them to a connection that loads them.

use crate::base::error::{Result, into_io};
use crate::base::progress::Monitor;
use crate::format::manifest::extent::Extent;
use crate::jobs::restore::parallel::places::{RowPlaces, TableRows};
use crate::jobs::restore::parallel::script_text::PassedText;
use crate::pipeline::part_reader::PartReader;
use crate::pipeline::table_counter::TableCounter;
use crate::postgres::restore::load::script_pipe::{RowsOfTable, ScriptSender};
use crate::repository::reader::BackupReader;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a table's rows from which on it is worth it to empty the table first, so that its rows may be frozen.
const FROZEN: u64 = 256 << 10;

/// Holds what the readers of one restore share.
pub(crate) struct SharedReading<'a> {
    pub opened: &'a BackupReader,
    pub monitor: &'a dyn Monitor,
    /// Short texts of the script that were passed.
    pub passed: PassedText,
    /// Number of lines that were read.
    pub lines: AtomicU64,
}

pub(crate) struct RowReader<'a> {
    shared: &'a SharedReading<'a>,
    reader: PartReader<'a>,
}

/// Sends all tables that nobody else sends to a connection, and then the end of them. An error goes to the connection, too.
pub(crate) fn send_tables(shared: &SharedReading<'_>, places: &RowPlaces<'_>, pipe: &ScriptSender) {
    let sent = RowReader::new(shared).and_then(|mut reader| {
        while let Some(tables) = places.next() {
            for rows in &tables {
                if !reader.send_table(rows, pipe)? {
                    return Ok(());
                }
            }
        }
        pipe.end();
        Ok(())
    });
    if let Err(error) = sent {
        pipe.failed(into_io(error));
    }
}

impl<'a> RowReader<'a> {
    pub fn new(shared: &'a SharedReading<'a>) -> Result<RowReader<'a>> {
        let BackupReader { manifest, derived_keys, object } = shared.opened;
        Ok(RowReader { shared, reader: PartReader::new(object.as_ref(), manifest, derived_keys.as_ref())? })
    }

    /// Returns a counter for the rows of a table.
    pub fn counter(&self) -> TableCounter {
        let BackupReader { manifest, derived_keys, .. } = self.shared.opened;
        TableCounter::of(derived_keys.as_ref(), manifest.pgbk)
    }

    /// Sends the rows of one table, and compares them with the `.meta` before their end. Returns false if the connection has failed, which
    /// says why itself.
    fn send_table(&mut self, rows: &TableRows<'_>, pipe: &ScriptSender) -> Result<bool> {
        let mut counter = self.counter();
        pipe.table(RowsOfTable { table: rows.table.name.clone(), is_whole: rows.table.bytes >= FROZEN });
        for part in &rows.parts {
            let mut rest = part.rows;
            while rest.bytes > 0 {
                let Some(mut buffer) = pipe.buffer()? else { return Ok(false) };
                self.next(&mut rest, &mut buffer, &mut counter)?;
                if !pipe.piece(buffer) {
                    return Ok(false);
                }
            }
            self.keep(part.gap)?;
        }
        rows.table.compare(&counter.finish().tables)?;
        Ok(pipe.pause())
    }

    /// Puts the next bytes of some rows in the place of `bytes`, and counts them.
    pub fn next(&mut self, rest: &mut Extent, bytes: &mut Vec<u8>, counter: &mut TableCounter) -> Result<()> {
        self.reader.next(rest, bytes)?;
        counter.update(bytes);
        self.shared.lines.fetch_add(memchr::memchr_iter(b'\n', bytes).count() as u64, Ordering::Relaxed);
        self.shared.monitor.advance(bytes.len() as u64);
        Ok(())
    }

    /// Keeps a short text of the script behind some rows, while the piece that it is in is at hand.
    pub fn keep(&mut self, gap: Option<Extent>) -> Result<()> {
        let Some(gap) = gap else { return Ok(()) };
        let mut text = Vec::new();
        self.reader.read(gap, &mut |bytes| {
            text.extend_from_slice(bytes);
            Ok(())
        })?;
        self.shared.passed.keep(gap.at, text);
        Ok(())
    }
}
