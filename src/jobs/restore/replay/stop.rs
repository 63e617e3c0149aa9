//! Finds the place up to which changes are replayed behind a base.

use crate::base::error::{Fault, Result};
use crate::format::changes::delta_record::DeltaRecord;
use crate::format::lsn::Lsn;
use crate::format::manifest::Manifest;
use crate::format::manifest::base_alignment::BaseAlignment;
use crate::format::restore_point::RestorePoint;
use crate::repository::Repository;
use crate::repository::chain::SegmentChain;
use crate::repository::chain::chain_link::ChainLink;
use crate::repository::chain::chain_span::ChainSpan;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Says what is replayed behind a base.
pub(crate) enum ReplayStop {
    /// These segments, up to the position.
    At(Lsn, Vec<Arc<ChainLink>>, ChainSpan),
    /// Nothing: no segment goes on behind the base.
    Base,
    /// The base is from a later moment than the one that is wanted.
    TooNew,
}

/// Finds out what has to be replayed behind this base to come to a moment. `next`: when a later base was made, from which the moment cannot be
/// reached.
pub(crate) fn stop(
    repository: &Repository,
    chain: &SegmentChain,
    (manifest, alignment): (&Manifest, &BaseAlignment),
    point: RestorePoint,
    next: Option<Timestamp>,
) -> Result<ReplayStop> {
    if is_too_new(manifest, alignment, point) {
        return Ok(ReplayStop::TooNew);
    }
    if point == RestorePoint::Latest && chain.ends_before(alignment.after_lsn()) {
        return Ok(ReplayStop::Base);
    }
    let mut span = chain.around(alignment.after_lsn())?;
    if earliest(&span, alignment) > alignment.after_lsn()
        && let RestorePoint::Position(position) = point
        && position < earliest(&span, alignment)
    {
        return Ok(ReplayStop::TooNew);
    }
    let from = manifest.first_missing(alignment);
    let stop = match point {
        RestorePoint::Latest => {
            span.must_be_whole()?;
            span.end()
        }
        RestorePoint::Position(position) => position,
        RestorePoint::Time(time) => match first_later(repository, &mut span, (from, alignment), time, next)? {
            Some(stop) if stop < earliest(&span, alignment) => return Ok(ReplayStop::TooNew),
            Some(stop) => stop,
            None => return Ok(ReplayStop::TooNew),
        },
    };
    let links = span.between(from, stop)?;
    Ok(ReplayStop::At(stop, links, span))
}

fn is_too_new(manifest: &Manifest, alignment: &BaseAlignment, point: RestorePoint) -> bool {
    match point {
        RestorePoint::Latest => false,
        RestorePoint::Position(position) => position < alignment.after_lsn(),
        RestorePoint::Time(time) => manifest.taken_at > time,
    }
}

/// Returns the earliest position that can be reached from a base. A TRUNCATE, or a changed table, respects no snapshot until the tables
/// were locked.
pub(crate) fn earliest(span: &ChainSpan, alignment: &BaseAlignment) -> Lsn {
    let (after, locked) = (alignment.after_lsn(), alignment.locked_lsn());
    let is_between = |link: &&Arc<ChainLink>| link.segment.end > after && link.segment.start < locked;
    let disturbs = |link: &Arc<ChainLink>| {
        let segment = &link.segment;
        !segment.breaks.is_empty() || segment.tables.iter().any(|table| table.changes.truncates > 0)
    };
    if span.links().iter().filter(is_between).any(disturbs) { locked } else { after }
}

/// Returns where the first transaction commits that is later than a time. `None`: the base holds it already. It is an error if no stored
/// transaction is later: what came before that time may not all be stored.
fn first_later(
    repository: &Repository,
    span: &mut ChainSpan,
    (from, alignment): (Lsn, &BaseAlignment),
    time: Timestamp,
    next: Option<Timestamp>,
) -> Result<Option<Lsn>> {
    let links: Vec<Arc<ChainLink>> = span.links().iter().filter(|link| link.segment.end > from).cloned().collect();
    for link in links.iter().filter(|link| link.segment.last_commit.is_some_and(|last| last > time)) {
        let mut reader = repository.delta(link)?.only(BTreeSet::new());
        let mut later = None;
        while let Some(record) = reader.next_record()? {
            match record {
                DeltaRecord::Begin(head) if later.is_none() && head.commit_time > time => later = Some(head),
                DeltaRecord::End { end } => {
                    link.compare(&reader, end)?;
                    break;
                }
                _ => {}
            }
        }
        if let Some(head) = later {
            return Ok((!alignment.holds(head.commit, head.xid)).then_some(head.commit));
        }
    }
    span.must_be_whole()?;
    let last = span.last_commit().map_or("none".to_owned(), |last| last.to_string());
    let end = span.end();
    let mut message = format!(
        "the stored changes end at {end}, and the latest commit in them is of {last}: they do not reach {time}"
    );
    if let Some(next) = next {
        message.push_str(&format!(". The next moment that can be restored is {next}"));
    }
    Err(Fault::not_found(message).hint(format!("\"--at {end}\" restores up to there")).into())
}
