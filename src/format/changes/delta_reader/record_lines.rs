//! The lines inside a transaction.

use super::{DeclaredTable, DeltaReader, ROWS, ReaderPlace, RecordOutline};
use crate::base::error::Result;
use crate::format::changes::delta_record::{ChangeKind, TransactionHead};
use crate::format::changes::statement_shape::StatementShape;
use crate::format::changes::totals::ChangeCounts;
use crate::format::lsn::Lsn;
use crate::format::manifest::pieces::number;
use crate::format::pgoutput::message_bytes::{micros_of_time, time_of_micros};
use crate::format::pgoutput::relation::Relation;
use crate::format::sql::object_name::TableName;
use std::io::BufRead;

/// The line that ends the rows of a COPY block.
const LAST_ROW: &[u8] = b"\\.";

impl TransactionHead {
    /// Reads the first line of a transaction. `None`: it is another line.
    pub(super) fn of_line(line: &[u8]) -> Option<TransactionHead> {
        let mut words = std::str::from_utf8(line.strip_prefix(b"-- tx ")?).ok()?.split(' ');
        let xid = number(words.next()?).and_then(|xid| u32::try_from(xid).ok()).filter(|xid| *xid != 0)?;
        let commit = Lsn::canonical(words.next()?)?;
        let micros = words.next()?;
        let commit_time = time_of_micros(micros.parse().ok()?)?;
        let is_canonical = micros_of_time(commit_time).to_string() == micros && words.next().is_none();
        is_canonical.then_some(TransactionHead { xid, commit, commit_time })
    }
}

impl<R: BufRead> DeltaReader<R> {
    pub(super) fn inside(&mut self, head: TransactionHead, records: bool) -> Result<Option<RecordOutline>> {
        if self.line == b"COMMIT;" {
            return match records {
                true => self.commit(head),
                false => Err(self.lines.fault("a transaction that changes nothing")),
            };
        }
        self.place = ReaderPlace::Inside { head, records: true };
        if let Some(text) = self.line.strip_prefix(b"-- relation ") {
            let relation = std::str::from_utf8(text).ok().and_then(Relation::of_text);
            let relation = relation.ok_or_else(|| self.lines.fault("no relation"))?;
            return Ok(self.declare(relation));
        }
        if let Some(text) = self.line.strip_prefix(b"-- break ") {
            let table = std::str::from_utf8(text).ok().and_then(TableName::of_text);
            let table = table.ok_or_else(|| self.lines.fault("no name of a table"))?;
            return Ok(self.is_wanted(&table).then_some(RecordOutline::Break(table)));
        }
        match self.line.first() {
            Some(b'T') => self.truncate(),
            Some(b'C') => self.copy(head),
            _ => self.change(),
        }
    }

    fn is_wanted(&self, table: &TableName) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.contains(table))
    }

    fn declare(&mut self, relation: Relation) -> Option<RecordOutline> {
        let is_wanted = self.is_wanted(&relation.table);
        let quoted = relation.table.quoted();
        let next = self.declared.len();
        let number = *self.numbers.entry(quoted).or_insert(next);
        match self.declared.get_mut(number) {
            Some(declared) => declared.relation = relation,
            None => self.declared.push(DeclaredTable { relation, counts: ChangeCounts::default(), is_wanted }),
        }
        is_wanted.then_some(RecordOutline::Relation(number))
    }

    /// Returns the number of the table of this name, as a statement has it. It is an error if its relation has not come.
    fn table_number(&self, name: &[u8]) -> Result<usize> {
        let number = self.numbers.get(name).copied();
        number.ok_or_else(|| self.lines.fault("its table has no relation before it"))
    }

    fn change(&mut self) -> Result<Option<RecordOutline>> {
        let (number, kind, rows) = {
            let kinds = [
                ("UPDATE ONLY ", ChangeKind::Update),
                ("INSERT INTO ", ChangeKind::Insert),
                ("DELETE FROM ONLY ", ChangeKind::Delete),
            ];
            let mut shape = StatementShape(&self.line);
            let kind = kinds.iter().find_map(|(words, kind)| shape.words(words).map(|()| *kind));
            let table = kind.and_then(|_| shape.table());
            let (Some(kind), Some(table)) = (kind, table) else { return Err(self.lines.fault("no record")) };
            let rows = match kind {
                ChangeKind::Insert => shape.insert(),
                ChangeKind::Update => shape.update(table).map(|()| 1),
                ChangeKind::Delete => shape.delete(table).map(|()| 1),
            };
            let rows = rows.filter(|_| !self.line.iter().any(u8::is_ascii_control));
            let rows = rows.ok_or_else(|| self.lines.fault("another statement than pgbk makes of a change"))?;
            (self.table_number(table)?, kind, rows)
        };
        let declared = &mut self.declared[number];
        match kind {
            ChangeKind::Insert => declared.counts.inserts += rows,
            ChangeKind::Update => declared.counts.updates += 1,
            ChangeKind::Delete => declared.counts.deletes += 1,
        }
        Ok(declared.is_wanted.then_some(RecordOutline::Change(kind, number, rows)))
    }

    fn copy(&mut self, head: TransactionHead) -> Result<Option<RecordOutline>> {
        let mut shape = StatementShape(&self.line);
        let table = shape.words("COPY ").and_then(|()| shape.table());
        let columns = shape.copy().filter(|_| !self.line.iter().any(u8::is_ascii_control));
        let (Some(table), Some(columns)) = (table, columns) else { return Err(self.lines.fault("no COPY block")) };
        let table = self.table_number(table)?;
        self.place = ReaderPlace::Rows { head, table, columns, rows: 0 };
        Ok(self.declared[table].is_wanted.then_some(RecordOutline::CopyBegin(table)))
    }

    /// Reads rows of a COPY block, or its end.
    pub(super) fn rows(
        &mut self,
        head: TransactionHead,
        table: usize,
        columns: u64,
        mut rows: u64,
    ) -> Result<Option<RecordOutline>> {
        let is_wanted = self.declared[table].is_wanted;
        self.line.clear();
        self.line.shrink_to(2 * ROWS);
        let mut is_last = false;
        while !is_last && self.line.len() < ROWS {
            let begin = self.line.len();
            self.lines.append(&mut self.line)?;
            is_last = &self.line[begin..] == LAST_ROW;
            if is_last {
                self.line.truncate(begin);
                continue;
            }
            let row = &self.line[begin..];
            let tabs = memchr::memchr_iter(b'\t', row).count() as u64;
            if tabs + 1 != columns || memchr::memchr2(0, b'\r', row).is_some() {
                return Err(self.lines.fault("no row of its table"));
            }
            self.line.push(b'\n');
            rows += 1;
            self.declared[table].counts.inserts += 1;
        }
        match (is_last, self.line.is_empty()) {
            (true, true) if rows == 0 => Err(self.lines.fault("a COPY block without rows")),
            (true, true) => {
                self.place = ReaderPlace::Inside { head, records: true };
                Ok(is_wanted.then_some(RecordOutline::CopyEnd(table, rows)))
            }
            (true, false) => {
                self.place = ReaderPlace::RowsEnded { head, table, rows };
                Ok(is_wanted.then_some(RecordOutline::CopyRows))
            }
            (false, _) => {
                self.place = ReaderPlace::Rows { head, table, columns, rows };
                Ok(is_wanted.then_some(RecordOutline::CopyRows))
            }
        }
    }

    /// Ends a COPY block whose last rows have been handed on.
    pub(super) fn rows_ended(&mut self, head: TransactionHead, table: usize, rows: u64) -> Option<RecordOutline> {
        self.place = ReaderPlace::Inside { head, records: true };
        self.declared[table].is_wanted.then_some(RecordOutline::CopyEnd(table, rows))
    }

    fn truncate(&mut self) -> Result<Option<RecordOutline>> {
        let mut shape = StatementShape(&self.line);
        let names = shape.words("TRUNCATE ").and_then(|()| shape.truncate());
        let names = names.filter(|_| !self.line.iter().any(u8::is_ascii_control));
        let names = names.ok_or_else(|| self.lines.fault("no statement that empties tables"))?;
        let numbers = names.iter().map(|name| self.table_number(name)).collect::<Result<Vec<_>>>()?;
        let mut wanted = Vec::new();
        for number in &numbers {
            let declared = &mut self.declared[*number];
            declared.counts.truncates += 1;
            if declared.is_wanted {
                wanted.push(declared.relation.table.clone());
            }
        }
        if wanted.len() < numbers.len() {
            self.line = truncate_statement(&wanted, self.line.ends_with(b" RESTART IDENTITY;"));
        }
        Ok((!wanted.is_empty()).then_some(RecordOutline::Truncate(wanted)))
    }
}

/// Returns the statement that empties these tables.
fn truncate_statement(tables: &[TableName], restart_identity: bool) -> Vec<u8> {
    let mut statement = b"TRUNCATE ".to_vec();
    for (number, table) in tables.iter().enumerate() {
        statement.extend_from_slice(if number == 0 { b"ONLY " } else { b", ONLY " });
        table.push_quoted(&mut statement);
    }
    statement.extend_from_slice(if restart_identity { b" RESTART IDENTITY;" } else { b";" });
    statement
}
