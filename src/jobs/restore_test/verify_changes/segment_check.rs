//! Checks the payloads of segments.

use crate::base::cancel;
use crate::base::error::Result;
use crate::base::progress::{Monitor, Progress};
use crate::base::verify_level::Level;
use crate::format::changes::delta_record::DeltaRecord;
use crate::jobs::restore_test::verify_changes::chain_finding::ChainFinding;
use crate::repository::Repository;
use crate::repository::chain::chain_link::ChainLink;
use crate::repository::chain::generation_listing::GenerationListing;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Checks the payload of each segment as deep as the level says, and notes what is wrong with it.
pub(crate) fn check_segments(
    repository: &Repository,
    listing: &GenerationListing,
    links: &[Arc<ChainLink>],
    level: Level,
    finding: &mut ChainFinding,
    monitor: &dyn Monitor,
) -> Result<()> {
    let total = links.iter().map(|link| link.segment.stored.bytes).sum();
    let name = format!("verify the changes of {}", finding.subject);
    let progress = Progress::begin(monitor, &name, Some(total));
    for link in links {
        cancel::check()?;
        finding.note(match level {
            Level::Meta => is_there(repository, listing, link),
            Level::Stored => repository.check_stored(link),
            Level::Content | Level::Restore => content(repository, link),
        })?;
        progress.advance(link.segment.stored.bytes);
    }
    Ok(())
}

/// Fails unless the payload is there in its full size. The store is asked about those alone that its listing does not show so.
fn is_there(repository: &Repository, listing: &GenerationListing, link: &ChainLink) -> Result<()> {
    match listing.payloads.get(&link.segment.object).map(|listed| listed.bytes) == Some(link.segment.stored.bytes) {
        true => Ok(()),
        false => repository.delta_object(link).map(drop),
    }
}

/// Reads the payload to its end, and fails if it is cut, or holds other changes than its document states.
fn content(repository: &Repository, link: &ChainLink) -> Result<()> {
    let mut reader = repository.delta(link)?.only(BTreeSet::new());
    while let Some(record) = reader.next_record()? {
        if let DeltaRecord::End { end } = record {
            return link.compare(&reader, end);
        }
        cancel::check()?;
    }
    Ok(())
}
