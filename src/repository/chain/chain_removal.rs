//! Finds what can be removed of a chain from its beginning, and writes the document of the cut.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::subject::Subject;
use crate::format::changes::chain_cut::ChainCut;
use crate::format::changes::chain_document::SealedChainDocument;
use crate::format::changes::segment::PreviousSegment;
use crate::format::changes::segment_name::{GenerationFolder, GenerationObject};
use crate::format::keys::Key;
use crate::format::lsn::Lsn;
use crate::format::manifest::META_LIMIT;
use crate::repository::Repository;
use crate::repository::chain::generation_listing::GenerationListing;
use crate::repository::orphans::Orphans;
use crate::store::{ObjectInfo, ObjectKind, read_small, write_as};
use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// The segments that go of a chain.
#[derive(Debug)]
pub(crate) struct ChainRemoval {
    /// Where the chain begins then. `None`: nothing goes.
    pub begin: Option<Lsn>,
    /// The document of the cut. `None`: the chain was cut there before, or nothing goes.
    pub cut: Option<ChainCut>,
    /// Why less goes than no base needs: a document cannot be read, or does not continue the one before it.
    pub fault: Option<anyhow::Error>,
}

impl ChainRemoval {
    /// Returns how many segments of a listing go.
    pub fn count(&self, listing: &GenerationListing) -> usize {
        self.begin.map_or(0, |begin| listing.segments.range(..begin).count())
    }
}

impl Repository {
    /// Finds the segments at the beginning of a chain that end at a limit or before. The last segment of a chain stays: without it nobody
    /// knows where the chain ends. `None`: there is no limit, and the last one goes too.
    pub(crate) fn removable(&self, listing: &GenerationListing, limit: Option<Lsn>) -> Result<ChainRemoval> {
        let generation = self.generation(listing)?;
        let mut cut = self.cut(listing)?;
        let mut end = cut.as_ref().map_or(generation.start, |cut| cut.start);
        let mut previous: Option<PreviousSegment> = cut.as_ref().map(|cut| cut.previous);
        // What an earlier removal has left before its cut.
        let mut begin = listing.cut().filter(|cut| listing.segments.range(..*cut).next().is_some());
        let (mut is_new, mut fault) = (false, None);
        let segments: Vec<(Lsn, &ObjectInfo)> = listing.of_chain().collect();
        for (at, (start, listed)) in segments.iter().enumerate() {
            let next = segments.get(at + 1).map(|(next, _)| *next);
            // Only documents that may go are read.
            if limit.is_some_and(|limit| next.is_none_or(|next| next > limit)) {
                break;
            }
            let link = self.link(listing, *start, listed);
            let link = link.and_then(|link| link.segment.continues(&generation, end, previous).map(|()| link));
            let link = match link {
                Ok(link) => link,
                Err(error) if matches!(kind(&error), Kind::Damaged | Kind::OtherKey | Kind::NotFound) => {
                    fault = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            };
            // Behind a gap nothing continues a cut.
            if limit.is_some() && next != Some(link.segment.end) {
                break;
            }
            (end, previous) = (link.segment.end, Some(PreviousSegment { start: *start, seal: link.seal }));
            cut = Some(ChainCut::behind(&link.segment, link.seal, cut));
            (begin, is_new) = (Some(end), true);
        }
        Ok(ChainRemoval { begin, cut: cut.filter(|_| is_new), fault })
    }

    /// Writes the document of a cut. One that another removal has written at this place is as good.
    pub(crate) fn write_cut(&self, cut: &ChainCut) -> Result<()> {
        let derived_keys = self.key.as_ref().map(Key::begin).transpose()?;
        let key = derived_keys.as_ref().map(|derived_keys| derived_keys.note.clone());
        let (name, document) = (cut.key_name(), ChainCut { key, ..cut.clone() }.seal(derived_keys.as_ref())?);
        match write_as(self.store.as_ref(), &name, &document, ObjectKind::Meta) {
            Err(error) if kind(&error) == Kind::Exists => {
                let bytes = read_small(self.store.as_ref(), &name, META_LIMIT)?;
                let found = SealedChainDocument::parse(&name, bytes)?;
                let place = (&cut.folder(), cut.start);
                let found = ChainCut::open(&found, place, self.key.as_ref(), self.allow_unauthenticated)?;
                match found.previous == cut.previous {
                    true => Ok(()),
                    false => Err(Fault::damaged(format!(
                        "\"{name}\" is there, and says that another segment came before it: nothing of the chain was removed"
                    ))
                    .hint("\"pgbk verify --changes\" says whether the chain is whole; do two servers write below one folder?")
                    .into()),
                }
            }
            written => written.map(drop),
        }
    }

    /// Finds payloads and unfinished uploads of captures that no segment can name any more: another segment starts where they do, or the chain
    /// has gone on behind them. What a capture may be about to name is not among them.
    pub(crate) fn chain_orphans(&self, subject: &Subject) -> Result<Orphans> {
        let unfinished = self.store.unfinished(&GenerationFolder::all(subject))?;
        let listings = self.generations(subject)?;
        let mut found = Orphans::default();
        for listing in &listings {
            let last = listing.last();
            let of_listing = unfinished.iter().filter(|upload| {
                let place = GenerationFolder::of_key(&upload.key);
                place.is_some_and(|(folder, object)| {
                    folder == listing.folder && start_of(&object).is_some_and(|start| Some(start) <= last)
                })
            });
            found.unfinished.extend(of_listing.cloned());
            found.orphans.extend(self.unnamed_payloads(listing)?);
        }
        Ok(found)
    }

    fn unnamed_payloads(&self, listing: &GenerationListing) -> Result<Vec<ObjectInfo>> {
        let mut by_start: BTreeMap<Lsn, Vec<&ObjectInfo>> = BTreeMap::new();
        for payload in listing.payloads.values() {
            let place = GenerationFolder::of_key(&payload.key).and_then(|(_, object)| start_of(&object));
            by_start.entry(place.unwrap_or_default()).or_default().push(payload);
        }
        let mut found = Vec::new();
        for (start, payloads) in by_start {
            match listing.segments.get(&start) {
                // The only one is the segment's own.
                Some(_) if payloads.len() == 1 => {}
                Some(listed) => {
                    // One that cannot be read says nothing of its payload.
                    let Ok(link) = self.link(listing, start, listed) else { continue };
                    found.extend(payloads.into_iter().filter(|payload| payload.key != link.segment.object).cloned());
                }
                None if Some(start) < listing.last() => found.extend(payloads.into_iter().cloned()),
                None => {}
            }
        }
        Ok(found)
    }
}

/// Returns where the segment starts, or would start, that an object belongs to. `None`: it belongs to none.
fn start_of(object: &GenerationObject) -> Option<Lsn> {
    match object {
        GenerationObject::Payload { start, .. } | GenerationObject::Segment(start) => Some(*start),
        _ => None,
    }
}
