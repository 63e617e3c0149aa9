//! The records of changed rows.

use super::{DeltaWriter, LONGEST_LINE, out_of_order};
use crate::base::error::Result;
use crate::format::changes::insert_run::{push_line, push_value};
use crate::format::changes::row_condition::{push_key, push_whole};
use crate::format::changes::table_break::BreakReason;
use crate::format::changes::totals::ChangeCounts;
use crate::format::pgoutput::change_message::Truncation;
use crate::format::pgoutput::relation::{Relation, RelationColumn};
use crate::format::pgoutput::row::{ColumnValue, OldRow};
use std::io::Write;

impl<W: Write> DeltaWriter<W> {
    pub(super) fn insert(&mut self, oid: u32, new: &[ColumnValue<'_>]) -> Result<()> {
        if !self.admits(oid, new.len())? {
            return Ok(());
        }
        if new.contains(&ColumnValue::Unchanged) {
            return Err(out_of_order("a row is new and has values that have not changed"));
        }
        if self.run.oid != Some(oid) {
            self.end_run()?;
            self.declare(oid)?;
        }
        if longest(new) >= LONGEST_LINE && copy_length(new) >= LONGEST_LINE {
            return self.break_by_row(oid, BreakReason::Oversize);
        }
        if let Some(relation) = self.relations.streamed(oid) {
            self.run.add(relation, new, &mut self.line);
        }
        self.count(oid, |counts| counts.inserts += 1);
        self.flush_line()
    }

    pub(super) fn update(&mut self, oid: u32, old: Option<&OldRow<'_>>, new: &[ColumnValue<'_>]) -> Result<()> {
        if !self.admits(oid, new.len())? {
            return Ok(());
        }
        if let Some(OldRow::Key(old) | OldRow::Full(old)) = old {
            self.admits(oid, old.len())?;
        }
        self.end_run()?;
        // A row that was written anew as it was leaves nothing, not even the beginning of its transaction.
        if self.relations.streamed(oid).is_none_or(|relation| moved(relation, old, new).next().is_none()) {
            return Ok(());
        }
        self.declare(oid)?;
        let Some(relation) = self.relations.streamed(oid) else { return Ok(()) };
        let before = self.line.len();
        self.line.extend_from_slice(b"UPDATE ONLY ");
        relation.table.push_quoted(&mut self.line);
        push_set(relation, old, new, &mut self.line);
        self.line.extend_from_slice(b" WHERE ");
        let found = match old {
            Some(OldRow::Full(old)) => push_whole(relation, old, &self.relations.equalities, &mut self.line),
            Some(OldRow::Key(old)) => push_key(relation, old, &self.relations.equalities, &mut self.line),
            None => push_key(relation, new, &self.relations.equalities, &mut self.line),
        };
        self.end_change(oid, before, found, |counts| counts.updates += 1)
    }

    pub(super) fn delete(&mut self, oid: u32, old: &OldRow<'_>) -> Result<()> {
        let (OldRow::Key(values) | OldRow::Full(values)) = old;
        if !self.admits(oid, values.len())? {
            return Ok(());
        }
        self.end_run()?;
        self.declare(oid)?;
        let Some(relation) = self.relations.streamed(oid) else { return Ok(()) };
        let before = self.line.len();
        self.line.extend_from_slice(b"DELETE FROM ONLY ");
        relation.table.push_quoted(&mut self.line);
        self.line.extend_from_slice(b" WHERE ");
        let found = match old {
            OldRow::Full(old) => push_whole(relation, old, &self.relations.equalities, &mut self.line),
            OldRow::Key(old) => push_key(relation, old, &self.relations.equalities, &mut self.line),
        };
        self.end_change(oid, before, found, |counts| counts.deletes += 1)
    }

    /// Ends a statement that changes one row. `found` is `None` where nothing identifies the row; then the table breaks.
    fn end_change(
        &mut self,
        oid: u32,
        before: usize,
        found: Option<()>,
        count: impl FnOnce(&mut ChangeCounts),
    ) -> Result<()> {
        let fault = match found {
            None => Some(BreakReason::Unidentified),
            Some(()) if self.line.len() - before >= LONGEST_LINE => Some(BreakReason::Oversize),
            Some(()) => None,
        };
        if let Some(reason) = fault {
            self.line.truncate(before);
            return self.break_by_row(oid, reason);
        }
        self.line.extend_from_slice(b";\n");
        self.count(oid, count);
        self.flush_line()
    }

    pub(super) fn truncate(&mut self, truncation: &Truncation) -> Result<()> {
        self.end_run()?;
        let mut covered = Vec::new();
        for oid in &truncation.relations {
            if self.is_kept(*oid)? && !covered.contains(oid) {
                self.declare(*oid)?;
                covered.push(*oid);
            }
        }
        let mut joint: &[u8] = b"TRUNCATE ";
        for oid in &covered {
            if let Some(relation) = self.relations.streamed(*oid) {
                self.line.extend_from_slice(joint);
                self.line.extend_from_slice(b"ONLY ");
                relation.table.push_quoted(&mut self.line);
                joint = b", ";
            }
            self.count(*oid, |counts| counts.truncates += 1);
        }
        if !covered.is_empty() {
            let how: &[u8] = if truncation.restart_identity { b" RESTART IDENTITY;\n" } else { b";\n" };
            self.line.extend_from_slice(how);
        }
        self.flush_line()
    }
}

/// Returns the columns that an update sets, with their values: those that identify the row only where they differ.
fn moved<'a>(
    relation: &'a Relation,
    old: Option<&'a OldRow<'_>>,
    new: &'a [ColumnValue<'a>],
) -> impl Iterator<Item = (&'a RelationColumn, &'a ColumnValue<'a>)> {
    relation.columns.iter().zip(new).enumerate().filter_map(move |(at, (column, value))| {
        let is_moved = match old {
            Some(OldRow::Full(old)) => old.get(at) != Some(value),
            Some(OldRow::Key(old)) => !column.is_key || old.get(at) != Some(value),
            None => !column.is_key,
        };
        (is_moved && *value != ColumnValue::Unchanged).then_some((column, value))
    })
}

/// Appends the columns that an update sets.
fn push_set(relation: &Relation, old: Option<&OldRow<'_>>, new: &[ColumnValue<'_>], to: &mut Vec<u8>) {
    let mut joint: &[u8] = b" SET ";
    for (column, value) in moved(relation, old, new) {
        to.extend_from_slice(joint);
        column.name.push_quoted(to);
        to.extend_from_slice(b" = ");
        push_value(value, to);
        joint = b", ";
    }
}

/// Returns a length in bytes that no line of COPY with this row exceeds.
fn longest(row: &[ColumnValue<'_>]) -> usize {
    let lengths = row.iter().map(|value| match value {
        ColumnValue::Text(text) => 2 * text.len() + 1,
        ColumnValue::Null | ColumnValue::Unchanged => 3,
    });
    lengths.sum()
}

/// Returns the length of the line of COPY in bytes.
fn copy_length(row: &[ColumnValue<'_>]) -> usize {
    let mut line = Vec::new();
    push_line(row, &mut line);
    line.len()
}
