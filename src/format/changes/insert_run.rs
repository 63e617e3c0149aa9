//! Inserts into one table that follow each other. Up to fifty rows become one INSERT, more become a COPY block.

use crate::format::pgoutput::relation::Relation;
use crate::format::pgoutput::row::ColumnValue;
use crate::format::sql::literal::{push_copy_value, push_literal};

/// Most rows of one INSERT. A replay waits twice for the server's answer to a COPY block: with eight and twenty rows an INSERT is faster.
pub(crate) const MOST_ROWS: u64 = 50;
/// How many bytes of rows are held until it is known which of the two they become.
const MOST_BYTES: usize = 256 << 10;

/// The rows that have come since the last other record.
#[derive(Debug, Default)]
pub(crate) struct InsertRun {
    /// The table; `None`: no run has begun.
    pub oid: Option<u32>,
    is_copy: bool,
    rows: u64,
    /// The rows in parentheses, as INSERT has them, and as lines of COPY.
    values: Vec<u8>,
    lines: Vec<u8>,
}

impl InsertRun {
    /// Adds a row, and appends what can be written by now. All values are there.
    pub fn add(&mut self, relation: &Relation, row: &[ColumnValue<'_>], to: &mut Vec<u8>) {
        self.oid = Some(relation.oid);
        if row.is_empty() {
            // Neither form has rows without columns.
            to.extend_from_slice(b"INSERT INTO ");
            relation.table.push_quoted(to);
            to.extend_from_slice(b" DEFAULT VALUES;\n");
            return;
        }
        if self.is_copy {
            return push_line(row, to);
        }
        self.values.extend_from_slice(if self.rows == 0 { b"" } else { b", " });
        push_values(row, &mut self.values);
        push_line(row, &mut self.lines);
        self.rows += 1;
        if self.rows > MOST_ROWS || self.lines.len() > MOST_BYTES {
            self.is_copy = true;
            push_names(b"COPY ", relation, to);
            to.extend_from_slice(b" FROM stdin;\n");
            to.append(&mut self.lines);
        }
    }

    /// Ends the run, and appends what is left of it.
    pub fn end(&mut self, relation: &Relation, to: &mut Vec<u8>) {
        if self.is_copy {
            to.extend_from_slice(b"\\.\n");
        } else if self.rows > 0 {
            push_names(b"INSERT INTO ", relation, to);
            to.extend_from_slice(b" OVERRIDING SYSTEM VALUE VALUES ");
            to.append(&mut self.values);
            to.extend_from_slice(b";\n");
        }
        *self = InsertRun::default();
    }
}

fn push_names(before: &[u8], relation: &Relation, to: &mut Vec<u8>) {
    to.extend_from_slice(before);
    relation.table.push_quoted(to);
    for (number, column) in relation.columns.iter().enumerate() {
        to.extend_from_slice(if number == 0 { b" (" } else { b", " });
        column.name.push_quoted(to);
    }
    to.push(b')');
}

/// Appends a value as a statement has it. An unchanged one is none, and its caller leaves it out.
pub(crate) fn push_value(value: &ColumnValue<'_>, to: &mut Vec<u8>) {
    match value {
        ColumnValue::Text(text) => push_literal(text, to),
        ColumnValue::Null | ColumnValue::Unchanged => to.extend_from_slice(b"NULL"),
    }
}

fn push_values(row: &[ColumnValue<'_>], to: &mut Vec<u8>) {
    for (number, value) in row.iter().enumerate() {
        to.extend_from_slice(if number == 0 { b"(" } else { b", " });
        push_value(value, to);
    }
    to.push(b')');
}

/// Appends a row as a line of COPY.
pub(crate) fn push_line(row: &[ColumnValue<'_>], to: &mut Vec<u8>) {
    for (number, value) in row.iter().enumerate() {
        to.extend_from_slice(if number == 0 { b"" } else { b"\t" });
        match value {
            ColumnValue::Text(text) => push_copy_value(text, to),
            ColumnValue::Null | ColumnValue::Unchanged => to.extend_from_slice(b"\\N"),
        }
    }
    to.push(b'\n');
}
