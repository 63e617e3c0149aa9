//! Writes a delta: makes an SQL script of the messages of a server, record by record, without holding a transaction.

mod row_records;
mod script_lines;
mod table_news;

use crate::base::error::{Fault, Result};
use crate::format::changes::delta_head::{DeltaHead, last_line};
use crate::format::changes::insert_run::InsertRun;
use crate::format::changes::relations::{RelationState, Relations};
use crate::format::changes::table_break::TableBreak;
use crate::format::changes::totals::{ChangeCounts, SegmentTotals};
use crate::format::lsn::Lsn;
use crate::format::pgoutput::change_message::{ChangeMessage, TransactionBegin, TransactionCommit};
use crate::format::sql::object_name::TableName;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::io::{BufWriter, Write};

/// Longest line in bytes: no server takes a statement or a row of COPY of a GiB.
pub const LONGEST_LINE: usize = (1 << 30) - (64 << 10);
/// How many bytes are written at a time.
const BUFFER: usize = 64 << 10;

/// The transaction that has begun.
struct OpenTransaction {
    begin: TransactionBegin,
    /// Whether anything of it has been written. One without published rows leaves nothing.
    is_written: bool,
}

/// Writes a delta into `W`. Between two transactions it can be ended; what is dropped before is no delta.
pub struct DeltaWriter<W: Write> {
    to: BufWriter<W>,
    bytes: u64,
    start: Lsn,
    end: Lsn,
    open: Option<OpenTransaction>,
    relations: Relations,
    /// The tables whose relation has been written, with what has been counted since.
    declared: BTreeMap<u32, (TableName, ChangeCounts)>,
    run: InsertRun,
    line: Vec<u8>,
    totals: SegmentTotals,
    states: Vec<RelationState>,
    breaks: Vec<TableBreak>,
    /// Where each table changed last.
    touched: BTreeMap<u32, Lsn>,
    /// Up to here all tables were found to be as they are known.
    confirmed: Lsn,
    /// When that was, by the server's clock. `None`: it was not looked.
    confirmed_at: Option<Timestamp>,
}

/// Holds what has come of a delta that was written whole.
pub struct DeltaOutcome<W> {
    pub to: W,
    pub start: Lsn,
    pub end: Lsn,
    pub totals: SegmentTotals,
    /// The tables that became known, or that other columns identify, in the order in which they were told.
    pub relations: Vec<RelationState>,
    pub breaks: Vec<TableBreak>,
    /// All tables that are known now, for the next delta.
    pub known: Relations,
}

impl<W: Write> DeltaWriter<W> {
    /// Begins a delta. `known`: the tables as the segments before have stated them.
    pub fn begin(to: W, head: DeltaHead, known: Relations) -> Result<DeltaWriter<W>> {
        let mut writer = DeltaWriter {
            to: BufWriter::with_capacity(BUFFER, to),
            bytes: 0,
            start: head.start,
            end: head.start,
            open: None,
            relations: known,
            declared: BTreeMap::new(),
            run: InsertRun::default(),
            line: Vec::new(),
            totals: SegmentTotals::default(),
            states: Vec::new(),
            breaks: Vec::new(),
            touched: BTreeMap::new(),
            confirmed: head.start,
            confirmed_at: None,
        };
        writer.line.extend_from_slice(head.text().as_bytes());
        writer.flush_line()?;
        Ok(writer)
    }

    /// Returns where the last transaction ends, whether it left anything or not; at first the start. `None`: a transaction has begun and
    /// has not ended, and the delta cannot be ended here.
    pub fn position(&self) -> Option<Lsn> {
        self.open.is_none().then_some(self.end)
    }

    /// Returns the number of bytes that have been written.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the number of transactions that have been written.
    pub fn transactions(&self) -> u64 {
        self.totals.transactions
    }

    /// Returns the breaks since the start.
    pub fn breaks(&self) -> &[TableBreak] {
        &self.breaks
    }

    /// Returns the tables that are known, and whether they are covered.
    pub fn known(&self) -> &Relations {
        &self.relations
    }

    /// Takes the next message of the stream. After an error the delta cannot be ended.
    pub fn take(&mut self, message: ChangeMessage<'_>) -> Result<()> {
        match message {
            ChangeMessage::Begin(begin) => self.begin_transaction(begin),
            ChangeMessage::Commit(commit) => self.commit(commit),
            ChangeMessage::Relation(relation) => self.relation(relation),
            ChangeMessage::Type { oid, schema, .. } => {
                self.relations.take_type(oid, &schema);
                Ok(())
            }
            ChangeMessage::Insert { relation, new } => self.insert(relation, &new),
            ChangeMessage::Update { relation, old, new } => self.update(relation, old.as_ref(), &new),
            ChangeMessage::Delete { relation, old } => self.delete(relation, &old),
            ChangeMessage::Truncate(truncation) => self.truncate(&truncation),
            ChangeMessage::Origin { .. } | ChangeMessage::Logical(_) => Ok(()),
        }
    }

    /// Ends the delta. `end`: the place up to which nothing more has to come, which is [`position`](Self::position) or later.
    pub fn finish(mut self, end: Lsn) -> Result<DeltaOutcome<W>> {
        if self.open.is_some() {
            return Err(out_of_order("the delta ends inside a transaction"));
        }
        if end < self.end || end <= self.start {
            let text = format!("a segment cannot begin at {} and end at {end}: changes go to {}", self.start, self.end);
            return Err(Fault::failed(text).into());
        }
        self.line.extend_from_slice(last_line(end).as_bytes());
        self.line.push(b'\n');
        self.flush_line()?;
        for (table, counts) in self.declared.values() {
            self.totals.add_changes(table, *counts);
        }
        let DeltaWriter { to, start, totals, states, breaks, relations, .. } = self;
        let to = to.into_inner().map_err(|error| error.into_error())?;
        Ok(DeltaOutcome { to, start, end, totals, relations: states, breaks, known: relations })
    }

    fn begin_transaction(&mut self, begin: TransactionBegin) -> Result<()> {
        if self.open.is_some() || begin.commit < self.end {
            return Err(out_of_order("a transaction begins before the one before it ends"));
        }
        self.open = Some(OpenTransaction { begin, is_written: false });
        Ok(())
    }

    fn commit(&mut self, commit: TransactionCommit) -> Result<()> {
        let Some(OpenTransaction { begin, is_written }) = self.open else {
            return Err(out_of_order("a transaction ends that has not begun"));
        };
        if begin.commit != commit.commit || begin.commit_time != commit.time {
            return Err(out_of_order("another transaction ends than has begun"));
        }
        self.end_run()?;
        self.open = None;
        self.end = commit.end;
        if is_written {
            self.totals.add_transaction(commit.time);
            self.line.extend_from_slice(format!("COMMIT;\n-- end {}\n", commit.end).as_bytes());
        }
        self.flush_line()
    }
}

fn out_of_order(what: &str) -> anyhow::Error {
    Fault::failed(format!("the server's stream of changes contradicts itself: {what}")).into()
}
