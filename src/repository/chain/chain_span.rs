//! A part of a chain without a gap.

use crate::base::error::{Fault, Result};
use crate::format::changes::chain_cut::ChainCut;
use crate::format::changes::relations::RelationState;
use crate::format::changes::table_break::{BreakReason, TableBreak};
use crate::format::lsn::Lsn;
use crate::format::sql::object_name::TableName;
use crate::repository::chain::chain_link::ChainLink;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Segments that follow each other: each one's document names the seal of the one before.
pub struct ChainSpan {
    /// At least one, in order.
    links: Vec<Arc<ChainLink>>,
    /// The cut of the chain, which states what the removed segments had told of tables. `None`: it was not cut.
    cut: Option<Arc<ChainCut>>,
    /// Why the segments behind the last one do not continue it. `None`: there are none.
    broken: Option<anyhow::Error>,
}

/// A table that the segments do not cover from a place on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoverGap {
    pub from: Lsn,
    pub reason: BreakReason,
}

impl ChainSpan {
    pub(super) fn new(
        links: Vec<Arc<ChainLink>>,
        broken: Option<anyhow::Error>,
        cut: Option<Arc<ChainCut>>,
    ) -> ChainSpan {
        ChainSpan { links, cut, broken }
    }

    /// Returns all segments, in order.
    pub fn links(&self) -> &[Arc<ChainLink>] {
        &self.links
    }

    /// Returns where the first segment starts.
    pub fn start(&self) -> Lsn {
        self.links.first().map_or(Lsn(0), |link| link.segment.start)
    }

    /// Returns where the last segment ends.
    pub fn end(&self) -> Lsn {
        self.links.last().map_or(Lsn(0), |link| link.segment.end)
    }

    /// Returns the latest time of a commit. `None`: there is no transaction.
    pub fn last_commit(&self) -> Option<Timestamp> {
        self.links.iter().filter_map(|link| link.segment.last_commit).max()
    }

    /// Fails if segments are there that do not continue these.
    pub fn must_be_whole(&mut self) -> Result<()> {
        self.broken.take().map_or(Ok(()), Err)
    }

    /// Returns the segments that hold anything between two positions. It is an error if they do not reach the second one.
    pub fn between(&mut self, from: Lsn, to: Lsn) -> Result<Vec<Arc<ChainLink>>> {
        if to > self.end() {
            self.must_be_whole()?;
            return Err(self.ends(to).into());
        }
        let wanted = |link: &&Arc<ChainLink>| link.segment.end > from && link.segment.start < to;
        Ok(self.links.iter().filter(wanted).cloned().collect())
    }

    /// Returns the error of a position behind the last segment.
    fn ends(&self, wanted: Lsn) -> Fault {
        let time = self.last_commit().map(|time| format!(", and the last commit in them is of {time}"));
        let message = format!("the stored changes end at {}, before {wanted}{}", self.end(), time.unwrap_or_default());
        Fault::not_found(message).hint("\"--at latest\" restores up to there")
    }

    /// Returns the tables that are not covered somewhere between two positions, each from its first break there on. One that was covered
    /// again meanwhile is among them: what changed before that is in no segment.
    pub fn uncovered(&self, from: Lsn, to: Lsn) -> BTreeMap<TableName, CoverGap> {
        let mut names: BTreeMap<u32, BTreeSet<&TableName>> = BTreeMap::new();
        let mut open: BTreeMap<u32, (&TableName, CoverGap)> = BTreeMap::new();
        let mut found = BTreeMap::new();
        let removed = self.cut.iter().map(|cut| (&cut.breaks, &cut.relations));
        let linked = self.links.iter().take_while(|link| link.segment.start < to);
        let linked = linked.map(|link| (&link.segment.breaks, &link.segment.relations));
        for (breaks, relations) in removed.chain(linked) {
            let mut news: Vec<CoverNews<'_>> = breaks.iter().map(CoverNews::Broken).collect();
            news.extend(relations.iter().map(CoverNews::Covered));
            news.sort_by_key(CoverNews::place);
            for one in news.into_iter().filter(|one| one.place().0 < to) {
                match one {
                    CoverNews::Broken(broken) => {
                        let told = CoverGap { from: broken.from, reason: broken.reason };
                        open.entry(broken.oid).or_insert((&broken.table, told));
                    }
                    CoverNews::Covered(state) => {
                        let oid = state.relation.oid;
                        let closed = open.remove(&oid).filter(|_| state.from > from);
                        closed.into_iter().for_each(|one| note(&mut found, names.get(&oid), one));
                        names.entry(oid).or_default().insert(&state.relation.table);
                    }
                }
            }
        }
        open.into_iter().for_each(|(oid, one)| note(&mut found, names.get(&oid), one));
        found
    }
}

/// Says that a table breaks, or is covered.
enum CoverNews<'a> {
    Broken(&'a TableBreak),
    Covered(&'a RelationState),
}

impl CoverNews<'_> {
    /// Returns what they are sorted by: of two at one position the break comes last, as a table that becomes known may not be covered.
    fn place(&self) -> (Lsn, bool) {
        match self {
            CoverNews::Covered(state) => (state.from, false),
            CoverNews::Broken(broken) => (broken.from, true),
        }
    }
}

/// Notes a table under the name with which it broke, and under those that it had before, such as in a base.
fn note(
    found: &mut BTreeMap<TableName, CoverGap>,
    names: Option<&BTreeSet<&TableName>>,
    (table, told): (&TableName, CoverGap),
) {
    let before = names.into_iter().flatten().copied();
    for name in before.chain([table]) {
        found.entry(name.clone()).or_insert(told);
    }
}
