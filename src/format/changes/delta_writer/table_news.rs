//! Notes what becomes known of tables on the way: their shapes, and the places across which a table is not carried.
//!
//! A break says up to where the table is as the stream told it. That is where it changed last, or where all tables were last found to be as
//! they are known, whichever is later.

use super::DeltaWriter;
use crate::base::error::Result;
use crate::format::changes::relations::{KnownTable, RelationNews, RelationState};
use crate::format::changes::table_break::{BreakEnd, BreakReason, TableBreak};
use crate::format::changes::table_definition::TableDefinition;
use crate::format::lsn::Lsn;
use crate::format::pgoutput::relation::Relation;
use jiff::Timestamp;
use std::io::Write;

impl<W: Write> DeltaWriter<W> {
    /// Notes that all tables were found to be as they are known, up to a place, and when that was.
    pub fn confirm(&mut self, place: Lsn, time: Timestamp) {
        self.confirmed = self.confirmed.max(place);
        self.confirmed_at = self.confirmed_at.max(Some(time));
    }

    /// Returns up to where that was found, and when.
    pub fn confirmed(&self) -> (Lsn, Option<Timestamp>) {
        (self.confirmed, self.confirmed_at)
    }

    /// Takes over, at the start, what was found while the delta before was written.
    pub fn begin_confirmed(&mut self, confirmed: (Lsn, Option<Timestamp>)) {
        (self.confirmed, self.confirmed_at) = confirmed;
    }

    /// States a table as the catalog has it, for the first time, or with more than the stream told of it.
    pub fn state(&mut self, relation: Relation, definition: TableDefinition) -> Result<()> {
        self.end_run()?;
        self.undeclare(relation.oid);
        let broken = self.relations.known(relation.oid).and_then(|known| known.broken);
        self.push_state(KnownTable { relation, definition: Some(definition), broken });
        Ok(())
    }

    /// Takes what the catalog says of a table besides, without a word in the document.
    pub fn learn(&mut self, oid: u32, definition: TableDefinition) {
        if let Some(known) = self.relations.known(oid).cloned() {
            self.relations.put(KnownTable { definition: Some(definition), ..known });
        }
    }

    /// Covers a table in this shape, which the catalog has, from the transaction on that has begun. What came before, from where it was
    /// last as the stream told it, is missing for this reason.
    pub fn resume(&mut self, relation: Relation, definition: TableDefinition, reason: BreakReason) -> Result<()> {
        self.end_run()?;
        let named = self.relations.known(relation.oid).map_or(&relation, |known| &known.relation).clone();
        let from = self.since(&named, reason);
        self.settle(&named, from, reason)?;
        self.push_state(KnownTable { relation, definition: Some(definition), broken: None });
        Ok(())
    }

    /// Notes that a table is not there any more, as the transaction that has begun shows.
    pub fn drop_table(&mut self, oid: u32) -> Result<()> {
        self.end_run()?;
        let Some(relation) = self.relations.forget(oid) else { return Ok(()) };
        let from = self.since(&relation, BreakReason::Dropped);
        self.settle(&relation, from, BreakReason::Dropped)
    }

    /// Leaves out all further changes of a table. Nothing happens if it is not known, or not covered.
    pub fn break_table(&mut self, oid: u32, reason: BreakReason) -> Result<()> {
        self.end_run()?;
        let Some(relation) = self.relations.break_table(oid, reason).cloned() else { return Ok(()) };
        let from = self.since(&relation, reason);
        self.push_break(&relation, from, reason, None);
        Ok(())
    }

    /// Leaves out a change of a row that cannot be written, and all further ones of its table.
    pub(super) fn break_by_row(&mut self, oid: u32, reason: BreakReason) -> Result<()> {
        self.end_run()?;
        let Some(relation) = self.relations.break_table(oid, reason).cloned() else { return Ok(()) };
        self.push_break(&relation, self.place(), reason, None);
        self.tell_break(&relation.table)
    }

    /// Takes the shape of a table as the stream tells it.
    pub(super) fn relation(&mut self, relation: Relation) -> Result<()> {
        self.opened()?;
        self.end_run()?;
        let from = self.since(&relation, BreakReason::Columns);
        let news = self.relations.take(relation.clone());
        if news == RelationNews::Same {
            return Ok(());
        }
        self.undeclare(relation.oid);
        let known = self.relations.known(relation.oid);
        let definition = known.and_then(|known| known.definition.clone());
        self.states.push(RelationState { relation: relation.clone(), from: self.place(), definition });
        match news {
            RelationNews::Same | RelationNews::Stated => Ok(()),
            RelationNews::Changed(reason) => {
                self.settle(&relation, from, reason)?;
                self.tell_break(&relation.table)
            }
            RelationNews::Broken(reason) => {
                self.push_break(&relation, from, reason, None);
                self.tell_break(&relation.table)
            }
        }
    }

    /// Returns up to where a table is as the stream told it.
    fn since(&self, relation: &Relation, reason: BreakReason) -> Lsn {
        // Such a change leaves no trace in the stream: rows that came before may be of after it.
        let is_told = reason != BreakReason::Definition;
        let namesake = self.relations.named(&relation.table);
        let touched = [Some(relation.oid), namesake].into_iter().flatten().filter_map(|oid| self.touched.get(&oid));
        let behind = touched.filter(|_| is_told).max().map_or(Lsn(0), |at| Lsn(at.0 + 1));
        behind.max(self.confirmed).min(self.place())
    }

    /// Notes a break that ends with the transaction that has begun.
    fn settle(&mut self, relation: &Relation, from: Lsn, reason: BreakReason) -> Result<()> {
        let begin = self.opened()?;
        let until = Some(BreakEnd { commit: begin.commit, xid: begin.xid });
        let is_noted = |one: &TableBreak| one.oid == relation.oid && one.until == until;
        // A base that does not hold the transaction is before the first of them.
        if !self.breaks.iter().any(is_noted) || reason == BreakReason::Dropped {
            self.push_break(relation, from, reason, until);
        }
        self.touched.insert(relation.oid, begin.commit);
        self.undeclare(relation.oid);
        Ok(())
    }

    fn push_break(&mut self, relation: &Relation, from: Lsn, reason: BreakReason, until: Option<BreakEnd>) {
        let (table, seen_at) = (relation.table.clone(), self.confirmed_at);
        self.breaks.push(TableBreak { table, oid: relation.oid, from, reason, seen_at, until });
        self.undeclare(relation.oid);
    }

    fn push_state(&mut self, table: KnownTable) {
        let (relation, definition) = (table.relation.clone(), table.definition.clone());
        self.states.push(RelationState { relation, from: self.place(), definition });
        self.relations.put(table);
    }
}
