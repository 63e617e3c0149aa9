//! Reads chains of segments: the sealed documents of a generation, in the order of the log, and what follows what.
//!
//! A document is opened before anything in it is believed. One that is missing, replaced, of another key or of another generation does not
//! spoil what others state: it ends the part of the chain that it would have to continue, and its error is told to whoever needs more.

pub mod chain_link;
pub(crate) mod chain_removal;
pub mod chain_span;
pub mod coverage;
#[cfg(test)]
pub(crate) mod forged_chain;
pub mod generation_listing;
pub mod sequence_goals;
#[cfg(test)]
mod tests;
pub mod transaction_log;

use crate::base::error::{Fault, Kind, Result, hints, kind};
use crate::base::{cancel, threads};
use crate::format::changes::chain_cut::ChainCut;
use crate::format::changes::chain_document::SealedChainDocument;
use crate::format::changes::generation::Generation;
use crate::format::changes::segment::Segment;
use crate::format::changes::segment_name::GenerationObject;
use crate::format::lsn::Lsn;
use crate::format::manifest::META_LIMIT;
use crate::repository::Repository;
use crate::repository::budget::Budget;
use crate::repository::chain::chain_link::ChainLink;
use crate::repository::chain::chain_span::ChainSpan;
use crate::repository::chain::generation_listing::GenerationListing;
use crate::store::{Object, ObjectInfo, read_whole};
use std::sync::Arc;

/// Documents read at the same time: a host far away answers many as fast as one.
const READERS: usize = 64;
/// Says what to do where the first changes behind a base are not there.
const FROM_ANOTHER: &str = "go on from a later base; or leave out --at, and the backup is restored as it is";
/// Most bytes that the documents and their parsed forms may take together while they are read.
const MEMORY: u64 = 64 << 20;

/// The segments of a generation, as far as they are in the store.
pub struct SegmentChain {
    pub generation: Generation,
    /// Where it was cut. `None`: it has all its segments.
    cut: Option<Arc<ChainCut>>,
    /// In the order of the starts, which are all different.
    links: Vec<(Lsn, Result<Arc<ChainLink>>)>,
}

impl Repository {
    /// Reads all documents of a generation. It is an error if that of the generation itself is missing, damaged or not authentic.
    pub fn chain(&self, listing: &GenerationListing) -> Result<SegmentChain> {
        let generation = self.generation(listing)?;
        let cut = self.cut(listing)?.map(Arc::new);
        let links = self.each_link(listing, |start, link| Ok((start, link.map(Arc::new))))?;
        Ok(SegmentChain { generation, cut, links })
    }

    /// Reads the document of the last cut of a chain; `None`: it was not cut. It is an error if that is damaged or not authentic: without it
    /// nobody knows which tables the removed segments covered.
    pub(crate) fn cut(&self, listing: &GenerationListing) -> Result<Option<ChainCut>> {
        let Some((place, listed)) = listing.cuts.last_key_value() else { return Ok(None) };
        let document = self.chain_document(&listed.key, listed)?;
        ChainCut::open(&document, (&listing.folder, *place), self.key.as_ref(), self.allow_unauthenticated).map(Some)
    }

    /// Reads the documents of all segments of a chain, many at the same time, and returns what `keep` makes of each, in the order of their starts. An
    /// error of `keep` ends the reading.
    pub(super) fn each_link<T: Send>(
        &self,
        listing: &GenerationListing,
        keep: impl Fn(Lsn, Result<ChainLink>) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let budget = Budget::new(MEMORY);
        let segments: Vec<(Lsn, &ObjectInfo)> = listing.of_chain().collect();
        threads::each(&segments, READERS, |(start, listed)| {
            cancel::check()?;
            // Twice: the bytes, and what they are parsed into.
            let _share = budget.take(2 * listed.bytes);
            keep(*start, self.link(listing, *start, listed))
        })
    }

    /// Reads the document of a generation.
    pub fn generation(&self, listing: &GenerationListing) -> Result<Generation> {
        let name = listing.folder.key(&GenerationObject::Generation);
        let document = listing.document.as_ref().ok_or_else(|| {
            Fault::damaged(format!("\"{name}\" is missing, and nothing can be restored of its changes"))
                .hint("restore a backup as it is: say its id, and leave out --at")
        })?;
        Generation::open(
            &self.chain_document(&name, document)?,
            &listing.folder,
            self.key.as_ref(),
            self.allow_unauthenticated,
        )
    }

    pub(crate) fn link(&self, listing: &GenerationListing, start: Lsn, listed: &ObjectInfo) -> Result<ChainLink> {
        let document = self.chain_document(&listed.key, listed)?;
        let place = (&listing.folder, start);
        let opened = Segment::open(&document, place, self.key.as_ref(), self.allow_unauthenticated);
        let (segment, derived_keys) = opened.map_err(|error| match kind(&error) {
            // It does not say which of many documents it is about.
            Kind::OtherKey => error.context(format!("\"{}\"", listed.key)),
            _ => error,
        })?;
        Ok(ChainLink { segment, seal: *document.seal(), derived_keys })
    }

    fn chain_document(&self, name: &str, listed: &ObjectInfo) -> Result<SealedChainDocument> {
        let object: Box<dyn Object> = self.store.open_listed(listed)?;
        SealedChainDocument::parse(name, read_whole(object.as_ref(), name, META_LIMIT)?)
    }
}

impl SegmentChain {
    /// Returns whether no segment goes beyond a position.
    pub fn ends_before(&self, position: Lsn) -> bool {
        self.links.last().is_none_or(|(start, link)| {
            *start <= position && link.as_ref().is_ok_and(|link| link.segment.end <= position)
        })
    }

    /// Returns whether a position on a timeline is in the log that the chain comes from. `None`: on any.
    pub fn comes_from(&self, timeline: Option<u32>, position: Lsn) -> bool {
        let last = self.links.iter().rev().find_map(|(_, link)| link.as_ref().ok());
        let timelines = last.and_then(|link| link.segment.timelines.as_ref());
        timelines.zip(timeline).is_none_or(|(timelines, timeline)| timelines.holds(timeline, position))
    }

    /// Returns the segments around a position: those that follow each other without a gap, from the earliest possible one to the last. It is
    /// an error if no segment holds what comes behind the position, which names what is missing instead.
    pub fn around(&self, position: Lsn) -> Result<ChainSpan> {
        let behind = self.links.partition_point(|(start, _)| *start <= position);
        let Some(at) = behind.checked_sub(1) else { return Err(self.begins_later(position).into()) };
        let (_, first) = &self.links[at];
        let first = first.as_ref().map_err(unreadable)?;
        if first.segment.end <= position {
            return Err(self.ended(first, position, at));
        }
        self.must_not_overlap(at)?;
        let (mut begin, mut end) = (at, at + 1);
        while begin > 0 && self.is_continued(begin - 1).is_ok() {
            begin -= 1;
        }
        let mut broken = None;
        while end < self.links.len() && broken.is_none() {
            match self.is_continued(end - 1) {
                Ok(()) => end += 1,
                Err(error) => broken = Some(error),
            }
        }
        let links = self.links[begin..end].iter().filter_map(|(_, link)| link.as_ref().ok().cloned()).collect();
        Ok(ChainSpan::new(links, broken, self.cut.clone()))
    }

    /// Returns all segments whose documents are authentic, in order, and what is wrong with the others and between them, in words.
    pub fn readable(&self) -> (Vec<Arc<ChainLink>>, Vec<String>) {
        let links = self.links.iter().filter_map(|(_, link)| link.as_ref().ok().cloned()).collect();
        let faults = (1..self.links.len()).filter_map(|at| self.is_continued(at - 1).err());
        let first = self.links.first().and_then(|(_, link)| link.as_ref().err()).map(unreadable);
        let mut told: Vec<String> = first.into_iter().chain(faults).map(|error| format!("{error:#}")).collect();
        told.dedup();
        (links, told)
    }

    /// Returns the segments whose documents are authentic, from the one that holds what comes behind a position, in order; and what is wrong
    /// with the others and between them.
    pub fn behind(&self, position: Lsn) -> (Vec<Arc<ChainLink>>, Vec<anyhow::Error>) {
        let first = self.links.partition_point(|(start, _)| *start <= position).saturating_sub(1);
        let links = self.links[first..].iter().filter_map(|(_, link)| link.as_ref().ok().cloned()).collect();
        let begins = self.links.get(first).and_then(|_| self.begins(first, position).err());
        let between = (first + 1..self.links.len()).filter_map(|at| self.is_continued(at - 1).err());
        let mut faults: Vec<anyhow::Error> = begins.into_iter().chain(between).collect();
        // A document that cannot be read continues nothing, and nothing continues it.
        faults.dedup_by(|one, other| format!("{one:#}") == format!("{other:#}"));
        (links, faults)
    }

    /// Fails if the chain cannot begin with this link, which is to hold what comes behind a position.
    fn begins(&self, at: usize, position: Lsn) -> Result<()> {
        let (start, link) = &self.links[at];
        let link = link.as_ref().map_err(unreadable)?;
        match () {
            () if *start > position => Err(self.begins_later(position).into()),
            () if *start == self.generation.start => link.segment.follows(&self.generation, None),
            () => self.must_not_overlap(at),
        }
    }

    /// Fails unless the link behind this one continues it.
    fn is_continued(&self, at: usize) -> Result<()> {
        let before = self.links[at].1.as_ref().map_err(unreadable)?;
        let (start, next) = &self.links[at + 1];
        let end = before.segment.end;
        if *start > end {
            return Err(self.gap(before, *start).into());
        }
        let next = next.as_ref().map_err(unreadable)?;
        next.segment.follows(&self.generation, Some((&before.segment, &before.seal)))
    }

    /// Fails if the segment before this one goes on behind the start of this one.
    fn must_not_overlap(&self, at: usize) -> Result<()> {
        let before = at.checked_sub(1).and_then(|before| self.links[before].1.as_ref().ok());
        match (before, &self.links[at].1) {
            (Some(before), Ok(link)) if before.segment.end > link.segment.start => {
                link.segment.follows(&self.generation, Some((&before.segment, &before.seal)))
            }
            _ => Ok(()),
        }
    }

    fn gap(&self, before: &ChainLink, next: Lsn) -> Fault {
        let missing = self.generation.folder().key(&GenerationObject::Segment(before.segment.end));
        Fault::damaged(format!(
            "\"{missing}\" is missing: the changes from {} to {next} are in no segment",
            before.segment.end
        ))
        .hint(format!("what came before can be restored: --at {}", before.segment.end))
    }

    fn begins_later(&self, position: Lsn) -> Fault {
        let folder = self.generation.folder().prefix();
        if let Some(cut) = self.cut.as_ref().filter(|cut| position < cut.start) {
            return Fault::not_found(format!(
                "the segments of \"{folder}\" before {} were removed with the bases that needed them: {position} is in none",
                cut.start
            ))
            .hint(FROM_ANOTHER);
        }
        match self.links.first() {
            None => Fault::not_found(format!("\"{folder}\" holds no segment: no changes have been stored yet"))
                .hint("\"pgbk status\" shows whether a capture runs; without --at the backup is restored as it is"),
            Some((first, _)) => {
                Fault::damaged(format!("the changes from {position} to {first} are in no segment of \"{folder}\""))
                    .hint(FROM_ANOTHER)
            }
        }
    }

    fn ended(&self, last: &ChainLink, position: Lsn, at: usize) -> anyhow::Error {
        match self.links.get(at + 1) {
            Some((next, _)) => self.gap(last, *next).into(),
            None => {
                let (folder, end) = (self.generation.folder().prefix(), last.segment.end);
                let message = format!("the segments of \"{folder}\" end at {end}, before {position}");
                Fault::not_found(message).hint("changes are stored some time after they were made").into()
            }
        }
    }
}

/// Returns the error of a document again.
fn unreadable(error: &anyhow::Error) -> anyhow::Error {
    let hints = hints(error).join("; ");
    let fault = Fault::like(error, format!("{error:#}"));
    if hints.is_empty() { fault.into() } else { fault.hint(hints).into() }
}
