//! Says which tables the segments of a chain carry from a base to a later place, and which stay behind.

use crate::format::changes::relations::RelationState;
use crate::format::changes::table_break::{BreakReason, TableBreak};
use crate::format::lsn::Lsn;
use crate::format::manifest::base_alignment::BaseAlignment;
use crate::format::sql::object_name::TableName;
use crate::repository::chain::chain_span::ChainSpan;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Holds what the documents say of tables between a base and a place.
pub struct Coverage {
    /// The tables that stay behind, by the names that they have had since the base.
    pub gaps: BTreeMap<TableName, CoverGap>,
    /// The tables that were stated, by identifier and name.
    stated: BTreeSet<(u32, TableName)>,
    /// Those that no table had any more when the base was taken.
    gone: BTreeSet<TableName>,
    /// Those of tables that are dropped at the place, unless another table has the name there.
    dropped: BTreeSet<TableName>,
    /// Whether the documents go back to the one that states all tables.
    is_whole: bool,
}

/// A table that the segments do not carry on from a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoverGap {
    pub from: Lsn,
    pub reason: BreakReason,
    /// Whether it lies before the place for sure. Else the table may have changed behind the place, as no look at the catalog was between.
    pub is_sure: bool,
}

/// Holds what is known of one table on the way through the documents.
#[derive(Default)]
struct TableTrack<'a> {
    /// The names that it has had since the base.
    names: BTreeSet<&'a TableName>,
    /// Its name when the base was taken. `None`: it was not there.
    at_base: Option<&'a TableName>,
    /// The break that has no end yet.
    open: Option<CoverGap>,
    /// The first break whose end the base does not hold.
    gap: Option<CoverGap>,
    /// Whether it was dropped.
    is_dropped: bool,
}

impl Coverage {
    /// Follows all documents up to a place. A break is no matter to a base that holds the transaction with which it ended. `moment`: what a
    /// look at the catalog found to be unchanged then is no break. `None`: the place alone counts.
    pub fn of(span: &ChainSpan, alignment: &BaseAlignment, to: Lsn, moment: Option<Timestamp>) -> Coverage {
        let is_later = |one: &TableBreak| moment.is_some_and(|moment| one.seen_at.is_some_and(|seen| moment <= seen));
        let after = alignment.after_lsn();
        let mut tracks: BTreeMap<u32, TableTrack<'_>> = BTreeMap::new();
        let (mut stated, mut before) = (BTreeSet::new(), BTreeSet::new());
        // A break may be found later than it began.
        let removed = span.cut().map(|cut| (&cut.breaks, &cut.relations));
        let linked = span.links().iter().map(|link| (&link.segment.breaks, &link.segment.relations));
        for (breaks, relations) in removed.into_iter().chain(linked) {
            for one in breaks.iter().filter(|one| one.from < to && !is_later(one)) {
                tracks.entry(one.oid).or_default().take_break(one, alignment, to);
            }
            for state in relations.iter().filter(|state| state.from < to) {
                tracks.entry(state.relation.oid).or_default().take_state(state, after);
                stated.insert((state.relation.oid, state.relation.table.clone()));
                if state.from < after {
                    before.insert(&state.relation.table);
                }
            }
        }
        let there: BTreeSet<&TableName> = tracks.values().filter_map(|track| track.at_base).collect();
        let gone = before.difference(&there).map(|name| (*name).clone()).collect();
        let mut gaps = BTreeMap::new();
        for track in tracks.values() {
            let Some(gap) = track.gap.or(track.open) else { continue };
            for name in &track.names {
                let known = gaps.entry((*name).clone()).or_insert(gap);
                if gap.from < known.from {
                    *known = gap;
                }
            }
        }
        let begins = span.links().first().is_some_and(|link| link.segment.previous.is_none());
        let is_whole = begins || span.cut().is_some();
        let names = |is_dropped: bool| -> BTreeSet<&TableName> {
            let tracks = tracks.values().filter(|track| track.is_dropped == is_dropped);
            tracks.flat_map(|track| track.names.iter().copied()).collect()
        };
        let dropped = names(true).difference(&names(false)).map(|name| (*name).clone()).collect();
        Coverage { gaps, stated, gone, dropped, is_whole }
    }

    /// Returns whether it is known that changes of a table of the base are captured, as far as the documents go.
    pub fn states(&self, oid: u32, table: &TableName) -> bool {
        !self.is_whole || self.stated.contains(&(oid, table.clone()))
    }

    /// Returns whether the table of this name was gone when the base was taken: dropped, or renamed.
    pub fn is_gone(&self, table: &TableName) -> bool {
        self.gone.contains(table)
    }

    /// Returns whether the table of this name is not in the source any more at the place.
    pub fn is_dropped(&self, table: &TableName) -> bool {
        self.dropped.contains(table)
    }
}

impl<'a> TableTrack<'a> {
    fn take_break(&mut self, one: &'a TableBreak, alignment: &BaseAlignment, to: Lsn) {
        let is_sure = one.until.is_none_or(|end| end.commit < to);
        let told = CoverGap { from: one.from, reason: one.reason, is_sure };
        let begun = self.open.take().unwrap_or(told);
        self.is_dropped |= one.reason == BreakReason::Dropped;
        match one.until {
            None => {
                self.names.insert(&one.table);
                self.open = Some(begun);
            }
            Some(end) if alignment.holds(end.commit, end.xid) => {
                if one.reason == BreakReason::Dropped {
                    self.names.clear();
                    self.at_base = None;
                }
            }
            Some(_) => {
                self.names.insert(&one.table);
                self.gap.get_or_insert(begun);
            }
        }
    }

    fn take_state(&mut self, state: &'a RelationState, after: Lsn) {
        if state.from < after {
            self.at_base = Some(&state.relation.table);
            // Under an older name the base has another table, or none.
            if self.gap.is_none() && self.open.is_none() {
                self.names.clear();
            }
        }
        self.names.insert(&state.relation.table);
    }
}

#[cfg(test)]
mod tests;
