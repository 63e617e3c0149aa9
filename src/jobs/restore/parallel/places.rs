//! Where in a dump the rows of its tables are, and which of them are read together.

use crate::base::error::{Fault, Result};
use crate::format::manifest::extent::Extent;
use crate::format::manifest::{Manifest, Table};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Longest text between the rows of two tables that is kept when it is passed, in bytes. Longer ones are read by themselves.
const GAP: u64 = 64 << 10;
/// Bytes of a table's rows below which it is read together with others that lie near it.
const SMALL: u64 = 1 << 20;
/// Bytes and number of small tables that are read together.
const TOGETHER: u64 = 4 << 20;
const MOST_TOGETHER: usize = 64;

/// A part of the rows of a table, and the short text behind it, which belongs to the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowsPart {
    pub rows: Extent,
    pub gap: Option<Extent>,
}

/// The rows of a table.
#[derive(Debug, Clone)]
pub(crate) struct TableRows<'a> {
    pub table: &'a Table,
    pub parts: Vec<RowsPart>,
}

impl TableRows<'_> {
    fn bytes(&self) -> u64 {
        self.table.bytes
    }
}

pub(crate) struct RowPlaces<'a> {
    /// Tables that are so large that all connections load them, one after the other.
    pub shared: Vec<TableRows<'a>>,
    /// Tables that are read together, the largest first; each is loaded by one connection.
    work: Mutex<VecDeque<Vec<TableRows<'a>>>>,
    /// The script before all rows.
    before: Extent,
    /// The script between and behind the rows.
    after: Vec<Extent>,
}

impl<'a> RowPlaces<'a> {
    /// Finds the places of all rows. It is an error if two overlap.
    pub fn of(manifest: &'a Manifest, connections: usize) -> Result<RowPlaces<'a>> {
        let tables = &manifest.tables;
        let mut extents: Vec<(Extent, usize)> = Vec::new();
        for (number, table) in tables.iter().enumerate() {
            extents.extend(table.at.iter().map(|extent| (*extent, number)));
        }
        extents.sort_by_key(|(extent, _)| extent.at);
        let begin = extents.first().map_or(manifest.plain.bytes, |(extent, _)| extent.at);
        let mut after = Vec::new();
        let mut parts: Vec<Vec<RowsPart>> = vec![Vec::new(); tables.len()];
        for (number, (rows, table)) in extents.iter().enumerate() {
            let next = extents.get(number + 1).map(|(next, _)| next.at);
            let (end, limit) = (rows.at + rows.bytes, next.unwrap_or(manifest.plain.bytes));
            let bytes = limit.checked_sub(end).ok_or_else(|| overlap(manifest))?;
            let gap = Extent { at: end, bytes };
            after.extend((bytes > 0).then_some(gap));
            let gap = (next.is_some() && (1..=GAP).contains(&bytes)).then_some(gap);
            parts[*table].push(RowsPart { rows: *rows, gap });
        }
        let rows = tables.iter().zip(parts).map(|(table, parts)| TableRows { table, parts });
        let all = tables.iter().fold(0, |sum: u64, table| sum.saturating_add(table.bytes));
        let (shared, single) = rows.partition(|rows| is_shared(rows.bytes(), all, connections));
        Ok(RowPlaces { shared, work: Mutex::new(together(single)), before: Extent { at: 0, bytes: begin }, after })
    }

    /// Returns the tables that are to be read next. `None`: all have been given out.
    pub fn next(&self) -> Option<Vec<TableRows<'a>>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub fn before(&self) -> Vec<Extent> {
        vec![self.before].into_iter().filter(|extent| extent.bytes > 0).collect()
    }

    pub fn after(&self) -> Vec<Extent> {
        self.after.clone()
    }
}

/// Returns whether one connection would take much longer for a table than its share of all rows takes.
fn is_shared(bytes: u64, all: u64, connections: usize) -> bool {
    connections > 1 && bytes >= TOGETHER && bytes as u128 * connections as u128 * 4 > all as u128 * 5
}

/// Puts small tables that lie near each other together, and what is largest first.
fn together(mut tables: Vec<TableRows<'_>>) -> VecDeque<Vec<TableRows<'_>>> {
    tables.sort_by_key(|rows| rows.parts.first().map(|part| part.rows.at));
    let (mut all, mut small, mut bytes) = (Vec::new(), Vec::new(), 0);
    for rows in tables {
        if rows.bytes() >= SMALL {
            all.push((rows.bytes(), vec![rows]));
            continue;
        }
        bytes += rows.bytes();
        small.push(rows);
        if bytes >= TOGETHER || small.len() >= MOST_TOGETHER {
            all.push((std::mem::take(&mut bytes), std::mem::take(&mut small)));
        }
    }
    if !small.is_empty() {
        all.push((bytes, small));
    }
    all.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    all.into_iter().map(|(_, tables)| tables).collect()
}

fn overlap(manifest: &Manifest) -> Fault {
    Fault::damaged(format!(
        "the .meta of {} states rows of two tables in the same place, or behind the end",
        manifest.id
    ))
}
