//! The lines between the records of rows, and what a record may be written of.

use super::{BUFFER, DeltaWriter, out_of_order};
use crate::base::error::Result;
use crate::format::changes::totals::ChangeCounts;
use crate::format::lsn::Lsn;
use crate::format::pgoutput::change_message::TransactionBegin;
use crate::format::pgoutput::message_bytes::micros_of_time;
use crate::format::sql::object_name::TableName;
use std::io::Write;

impl<W: Write> DeltaWriter<W> {
    pub(super) fn opened(&self) -> Result<TransactionBegin> {
        let open = self.open.as_ref().map(|open| open.begin);
        open.ok_or_else(|| out_of_order("a change comes outside of a transaction"))
    }

    /// Returns where the transaction commits that has begun; outside of one, where the last one ended.
    pub(super) fn place(&self) -> Lsn {
        self.open.as_ref().map_or(self.end, |open| open.begin.commit)
    }

    /// Returns whether changes of the table are kept. It is an error if the server has not told the table.
    pub(super) fn is_kept(&self, oid: u32) -> Result<bool> {
        self.opened()?;
        match self.relations.streamed(oid) {
            Some(_) => Ok(self.relations.is_covered(oid)),
            None => Err(out_of_order("a row changes in a table that the server has not told")),
        }
    }

    /// Returns whether a row with so many values is kept. It is an error if the table has another number of columns.
    pub(super) fn admits(&self, oid: u32, values: usize) -> Result<bool> {
        let is_kept = self.is_kept(oid)?;
        let fits = self.relations.streamed(oid).is_some_and(|relation| relation.columns.len() == values);
        if is_kept && !fits {
            return Err(out_of_order("a row has more or fewer values than its table has columns"));
        }
        Ok(is_kept)
    }

    pub(super) fn count(&mut self, oid: u32, add: impl FnOnce(&mut ChangeCounts)) {
        if let Some((_, counts)) = self.declared.get_mut(&oid) {
            add(counts);
        }
    }

    /// Writes the relation of a table before its first change, and the beginning of the transaction before that.
    pub(super) fn declare(&mut self, oid: u32) -> Result<()> {
        self.open_transaction()?;
        self.touched.insert(oid, self.place());
        if let (false, Some(relation)) = (self.declared.contains_key(&oid), self.relations.streamed(oid)) {
            self.line.extend_from_slice(format!("-- relation {}\n", relation.text()).as_bytes());
            self.declared.insert(oid, (relation.table.clone(), ChangeCounts::default()));
        }
        Ok(())
    }

    pub(super) fn undeclare(&mut self, oid: u32) {
        if let Some((table, counts)) = self.declared.remove(&oid) {
            self.totals.add_changes(&table, counts);
        }
    }

    pub(super) fn open_transaction(&mut self) -> Result<()> {
        let TransactionBegin { commit, commit_time, xid } = self.opened()?;
        if let Some(open) = self.open.as_mut().filter(|open| !open.is_written) {
            open.is_written = true;
            let head = format!("-- tx {xid} {commit} {}\nBEGIN;\n", micros_of_time(commit_time));
            self.line.extend_from_slice(head.as_bytes());
        }
        Ok(())
    }

    /// Says in the script that a table breaks.
    pub(super) fn tell_break(&mut self, table: &TableName) -> Result<()> {
        self.open_transaction()?;
        self.line.extend_from_slice(format!("-- break {}\n", table.text()).as_bytes());
        self.flush_line()
    }

    pub(super) fn end_run(&mut self) -> Result<()> {
        if let Some(relation) = self.run.oid.and_then(|oid| self.relations.streamed(oid)) {
            self.run.end(relation, &mut self.line);
        }
        self.flush_line()
    }

    pub(super) fn flush_line(&mut self) -> Result<()> {
        self.to.write_all(&self.line)?;
        self.bytes += self.line.len() as u64;
        self.line.clear();
        self.line.shrink_to(BUFFER);
        Ok(())
    }
}
