//! Divides the rows of a dump among several connections.

use crate::format::archive::contents::DumpContents;
use crate::format::archive::entry::{ArchiveEntry, LARGE_OBJECTS};
use crate::postgres::parallel::item::{CopyItem, TableToRead};
use crate::postgres::session::snapshot_tables::SnapshotTable;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// A table of more pages than this is read in ranges of about half of it: 16 MiB, as the server counts its pages.
const DIVIDED: u64 = 4096;
/// First major version that reads a range of pages without the rest.
const RANGES: u32 = 14;
/// Most statements in one message: each answer would cost a round trip.
const BATCH: usize = 100;

/// The work of all connections.
#[derive(Debug, Default)]
pub(crate) struct DumpWork {
    /// Ranges of large tables, which any connection takes, largest tables first.
    ranges: Mutex<VecDeque<CopyItem>>,
    /// Small tables, by the connection that has locked them.
    batches: Vec<Mutex<VecDeque<Vec<CopyItem>>>>,
    /// Names of the tables that each connection locks.
    locks: Vec<Vec<String>>,
}

impl DumpWork {
    /// Divides the rows of these tables.
    pub fn divide(mut tables: Vec<TableToRead>, server_major: u32, connections: usize) -> DumpWork {
        // The largest first: no long one begins when all else is done.
        tables.sort_by_key(|table| std::cmp::Reverse(table.source.pages));
        let is_large = |table: &TableToRead| {
            table.source.pages > DIVIDED && server_major >= RANGES && table.is_divisible() && connections > 1
        };
        let (large, small): (Vec<TableToRead>, Vec<TableToRead>) = tables.into_iter().partition(is_large);
        let ranges = large.iter().flat_map(ranges).collect();
        let shared: Vec<String> = large.iter().map(|table| table.source.name.clone()).collect();
        let parts = spread(small, connections);
        let locks = parts.iter().map(|part| {
            let own = part.iter().filter(|table| !table.source.is_foreign).map(|table| table.source.name.clone());
            shared.iter().cloned().chain(own).collect()
        });
        DumpWork {
            locks: locks.collect(),
            batches: parts.iter().map(|part| Mutex::new(batches(part))).collect(),
            ranges: Mutex::new(ranges),
        }
    }

    /// Returns the names of the tables that this connection is to lock.
    pub fn locks(&self, connection: usize) -> Vec<&str> {
        self.locks.get(connection).into_iter().flatten().map(String::as_str).collect()
    }

    /// Returns the names of the tables that any connection is to lock.
    pub fn all_locks(&self) -> impl Iterator<Item = &str> {
        self.locks.iter().flatten().map(String::as_str)
    }

    /// Returns the statements that this connection runs next. `None`: its work is done.
    pub fn next(&self, connection: usize) -> Option<Vec<CopyItem>> {
        let range = self.ranges.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let own = || self.batches.get(connection)?.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        range.map(|range| vec![range]).or_else(own)
    }
}

/// Returns the tables whose rows a dump has. The error says, as the end of a sentence, why these must come from pg_dump in one stream.
pub(crate) fn tables_to_read(
    contents: &DumpContents,
    sources: &HashMap<u32, SnapshotTable>,
) -> Result<Vec<TableToRead>, String> {
    let encoding = contents.encoding().ok_or("pg_dump does not say in which encoding it is")?;
    let rows = contents.entries.iter().filter(|entry| entry.has_data && !entry.is(LARGE_OBJECTS));
    rows.map(|entry| table(entry, sources, encoding)).collect()
}

fn table(entry: &ArchiveEntry, sources: &HashMap<u32, SnapshotTable>, encoding: &str) -> Result<TableToRead, String> {
    let table = sources.get(&entry.oid).and_then(|source| TableToRead::of(entry, source, encoding));
    table.ok_or_else(|| {
        let name = String::from_utf8_lossy(&entry.name);
        format!("the rows of {name} are no COPY block, or a name in it is no ASCII and the dump is in {encoding}")
    })
}

/// Returns the ranges of a large table, each of about as many bytes.
fn ranges(table: &TableToRead) -> Vec<CopyItem> {
    let count = (table.source.pages * 2).div_ceil(DIVIDED).clamp(1, table.source.heap_pages.max(1));
    let step = table.source.heap_pages.div_ceil(count).max(1);
    (0..count).map(|at| table.range(at * step..(at + 1) * step, at + 1 == count)).collect()
}

/// Gives each connection tables of about as many pages in all. The tables come with the largest first.
fn spread(tables: Vec<TableToRead>, connections: usize) -> Vec<Vec<TableToRead>> {
    let mut parts: Vec<(u64, Vec<TableToRead>)> = vec![(0, Vec::new()); connections.max(1)];
    for table in tables {
        if let Some((pages, part)) = parts.iter_mut().min_by_key(|(pages, _)| *pages) {
            *pages += table.source.pages + 1;
            part.push(table);
        }
    }
    parts.into_iter().map(|(_, part)| part).collect()
}

fn batches(tables: &[TableToRead]) -> VecDeque<Vec<CopyItem>> {
    tables.chunks(BATCH).map(|batch| batch.iter().map(TableToRead::whole).collect()).collect()
}
