//! A part of a chain without a gap.

use crate::base::error::{Fault, Result};
use crate::format::changes::chain_cut::ChainCut;
use crate::format::lsn::Lsn;
use crate::repository::chain::chain_link::ChainLink;
use jiff::Timestamp;
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

impl ChainSpan {
    pub(super) fn new(
        links: Vec<Arc<ChainLink>>,
        broken: Option<anyhow::Error>,
        cut: Option<Arc<ChainCut>>,
    ) -> ChainSpan {
        ChainSpan { links, cut, broken }
    }

    /// Returns the cut behind which the first segment starts. `None`: the chain is not cut there.
    pub(super) fn cut(&self) -> Option<&ChainCut> {
        self.cut.as_deref()
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
        let (end, time) = (self.end(), time.unwrap_or_default());
        Fault::not_found(format!("the stored changes end at {end}, before {wanted}{time}"))
            .hint(format!("\"--at {end}\" restores up to there"))
    }
}
