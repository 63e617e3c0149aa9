//! Reads a delta as a stream of records, and refuses whatever pgbk would not have written.
//!
//! The table of a record is known by the beginning of its line. So a reader that wants some tables only passes over all others.

mod record_lines;

use crate::base::error::Result;
use crate::format::changes::delta_head::{DeltaHead, end_of_last_line, settings};
use crate::format::changes::delta_record::{ChangeKind, DeltaRecord, TransactionHead};
use crate::format::changes::line_reader::LineReader;
use crate::format::changes::totals::{ChangeCounts, SegmentTotals};
use crate::format::lsn::Lsn;
use crate::format::pgoutput::relation::Relation;
use crate::format::sql::object_name::TableName;
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

/// How many bytes of rows are handed on at a time, if no row is larger.
const ROWS: usize = 64 << 10;

/// A table whose relation has come, with what has been counted.
#[derive(Debug)]
struct DeclaredTable {
    relation: Relation,
    counts: ChangeCounts,
    is_wanted: bool,
}

/// Where in the grammar of a delta the next line is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum ReaderPlace {
    Between,
    /// In a transaction. `records`: whether one has come.
    Inside {
        head: TransactionHead,
        records: bool,
    },
    /// In the rows of the table with this number.
    Rows {
        head: TransactionHead,
        table: usize,
        columns: u64,
        rows: u64,
    },
    /// Behind the last rows of a block, whose end has not been told.
    RowsEnded {
        head: TransactionHead,
        table: usize,
        rows: u64,
    },
    End,
}

/// Tells what the next line was found to be. The record is made of it and of the line.
#[derive(Debug)]
enum RecordOutline {
    Begin(TransactionHead),
    Relation(usize),
    Break(TableName),
    Change(ChangeKind, usize, u64),
    Truncate(Vec<TableName>),
    CopyBegin(usize),
    CopyRows,
    CopyEnd(usize, u64),
    Commit(Lsn),
    End(Lsn),
}

/// Reads a delta from `R`.
#[derive(Debug)]
pub struct DeltaReader<R> {
    lines: LineReader<R>,
    head: DeltaHead,
    line: Vec<u8>,
    place: ReaderPlace,
    /// Where the last transaction ended; at first the start.
    end: Lsn,
    declared: Vec<DeclaredTable>,
    /// The number of each declared table, by its name as statements have it.
    numbers: BTreeMap<Vec<u8>, usize>,
    /// The tables that are wanted; `None`: all.
    wanted: Option<BTreeSet<TableName>>,
    totals: SegmentTotals,
}

impl<R: BufRead> DeltaReader<R> {
    /// Reads the first lines of a delta. `limit`: the longest line in bytes that is taken, such as
    /// [`LONGEST_LINE`](crate::format::changes::delta_writer::LONGEST_LINE).
    pub fn begin(from: R, limit: usize) -> Result<DeltaReader<R>> {
        let mut lines = LineReader::new(from, limit);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        lines.append(&mut first)?;
        lines.append(&mut second)?;
        let head = DeltaHead::of_lines(&first, &second);
        let head = head.ok_or_else(|| lines.fault("a delta begins otherwise, or a newer pgbk wrote it"))?;
        for setting in settings() {
            first.clear();
            lines.append(&mut first)?;
            if first != setting.as_bytes() {
                return Err(lines.fault(&format!("it should be \"{setting}\"")));
            }
        }
        Ok(DeltaReader {
            lines,
            head,
            line: first,
            place: ReaderPlace::Between,
            end: head.start,
            declared: Vec::new(),
            numbers: BTreeMap::new(),
            wanted: None,
            totals: SegmentTotals::default(),
        })
    }

    /// Passes over the records of all tables but these.
    pub fn only(mut self, tables: BTreeSet<TableName>) -> DeltaReader<R> {
        self.wanted = Some(tables);
        self
    }

    pub fn head(&self) -> DeltaHead {
        self.head
    }

    /// Returns the number of the line that the last record is on, or ends on; the first line is 1.
    pub fn line_number(&self) -> u64 {
        self.lines.number
    }

    /// Returns what has been read, of all tables. It is complete after the end of the delta.
    pub fn totals(&self) -> SegmentTotals {
        let mut totals = self.totals.clone();
        for table in &self.declared {
            totals.add_changes(&table.relation.table, table.counts);
        }
        totals
    }

    /// Returns the next record; `None` after the end of the delta.
    pub fn next_record(&mut self) -> Result<Option<DeltaRecord<'_>>> {
        while self.place != ReaderPlace::End {
            if let Some(outline) = self.next_outline()? {
                return Ok(Some(self.record(outline)));
            }
        }
        Ok(None)
    }

    fn record(&self, outline: RecordOutline) -> DeltaRecord<'_> {
        let statement = self.line.as_slice();
        let table = |number: usize| &self.declared[number].relation.table;
        match outline {
            RecordOutline::Begin(head) => DeltaRecord::Begin(head),
            RecordOutline::Relation(number) => DeltaRecord::Relation(&self.declared[number].relation),
            RecordOutline::Break(table) => DeltaRecord::Break(table),
            RecordOutline::Change(kind, number, rows) => {
                DeltaRecord::Change { kind, table: table(number), statement, rows }
            }
            RecordOutline::Truncate(tables) => DeltaRecord::Truncate { tables, statement },
            RecordOutline::CopyBegin(number) => DeltaRecord::CopyBegin { table: table(number), statement },
            RecordOutline::CopyRows => DeltaRecord::CopyRows(statement),
            RecordOutline::CopyEnd(number, rows) => DeltaRecord::CopyEnd { table: table(number), rows },
            RecordOutline::Commit(end) => DeltaRecord::Commit { end },
            RecordOutline::End(end) => DeltaRecord::End { end },
        }
    }

    /// Reads what comes next. `None`: it is of a table that is not wanted.
    fn next_outline(&mut self) -> Result<Option<RecordOutline>> {
        match self.place {
            ReaderPlace::Rows { head, table, columns, rows } => self.rows(head, table, columns, rows),
            ReaderPlace::RowsEnded { head, table, rows } => Ok(self.rows_ended(head, table, rows)),
            ReaderPlace::Inside { head, records } => {
                self.read_line()?;
                self.inside(head, records)
            }
            ReaderPlace::Between => {
                self.read_line()?;
                self.between()
            }
            ReaderPlace::End => Ok(None),
        }
    }

    fn read_line(&mut self) -> Result<()> {
        self.line.clear();
        self.line.shrink_to(ROWS);
        self.lines.append(&mut self.line)
    }

    /// Reads the next line, which must be this one.
    fn expect(&mut self, line: &str) -> Result<()> {
        self.read_line()?;
        match self.line == line.as_bytes() {
            true => Ok(()),
            false => Err(self.lines.fault(&format!("it should be \"{line}\""))),
        }
    }

    fn between(&mut self) -> Result<Option<RecordOutline>> {
        if let Some(end) = end_of_last_line(&self.line) {
            if end < self.end || end <= self.head.start {
                return Err(self.lines.fault("the delta ends before its last transaction, or holds nothing"));
            }
            self.lines.ends()?;
            self.place = ReaderPlace::End;
            return Ok(Some(RecordOutline::End(end)));
        }
        let head = TransactionHead::of_line(&self.line);
        let head = head.ok_or_else(|| self.lines.fault("a transaction should begin here"))?;
        if head.commit < self.end {
            return Err(self.lines.fault("its transaction is not behind the one before it"));
        }
        self.expect("BEGIN;")?;
        self.place = ReaderPlace::Inside { head, records: false };
        Ok(Some(RecordOutline::Begin(head)))
    }

    fn commit(&mut self, head: TransactionHead) -> Result<Option<RecordOutline>> {
        self.read_line()?;
        let end = self.line.strip_prefix(b"-- end ").and_then(|end| Lsn::canonical(std::str::from_utf8(end).ok()?));
        let end = end.filter(|end| *end > head.commit);
        self.end = end.ok_or_else(|| self.lines.fault("it should say where the transaction ends"))?;
        self.totals.add_transaction(head.commit_time);
        self.place = ReaderPlace::Between;
        Ok(Some(RecordOutline::Commit(self.end)))
    }
}
