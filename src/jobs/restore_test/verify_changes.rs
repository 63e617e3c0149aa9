//! Checks the changes that are stored of a database: that they follow each other from the oldest base on, that they are whole, and that a base
//! with its changes is what the next base is.

pub mod chain_finding;
pub(crate) mod segment_check;
pub(crate) mod stored_base;
#[cfg(test)]
mod tests;

use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::base::subject::Subject;
use crate::base::verify_level::Level;
use crate::format::changes::generation::Generation;
use crate::format::changes::generation_id::GenerationId;
use crate::format::lsn::Lsn;
use crate::jobs::restore_test::RestoreTestPlan;
use crate::jobs::restore_test::chain_proof::{ChainEnds, prove_chain};
use crate::jobs::restore_test::verify_changes::chain_finding::ChainFinding;
use crate::jobs::restore_test::verify_changes::segment_check::check_segments;
use crate::jobs::restore_test::verify_changes::stored_base::{StoredBase, pair, stored_bases};
use crate::repository::Repository;
use crate::repository::chain::SegmentChain;
use crate::repository::chain::generation_listing::GenerationListing;
use crate::repository::newest::ServerIdentity;
use std::collections::BTreeSet;

/// Says how deep the changes are checked.
#[derive(Clone, Copy)]
pub struct ChainDepth<'a> {
    /// How each segment is checked, from `Meta` to `Content`.
    pub segments: Level,
    /// Where a base and its changes are restored, to be compared with the next base. `None`: nowhere.
    pub proof: Option<&'a RestoreTestPlan>,
}

/// Verifies the changes of a database, one generation after the other. Damage is in the findings; an error is what kept the changes from being
/// checked. Where several servers have stored changes of such a database, those of `server` count.
pub fn verify_changes(
    repository: &Repository,
    subject: &Subject,
    server: &ServerIdentity,
    depth: ChainDepth<'_>,
    monitor: &dyn Monitor,
) -> Result<Vec<ChainFinding>> {
    let bases = stored_bases(repository, subject, monitor)?;
    let level = if depth.proof.is_some() { Level::Restore } else { depth.segments };
    let listings = repository.generations(subject)?;
    let mut findings = lost_generations(&listings, subject, &bases, level);
    let listings = of_server(repository, subject, listings, server)?;
    if listings.is_empty() && findings.is_empty() {
        return Err(none_stored(repository, subject).into());
    }
    let mut proof = depth.proof;
    // The newest first: of these one is proven.
    for listing in listings.iter().rev() {
        let own: Vec<StoredBase> = bases.iter().filter(|base| is_of(base, listing)).cloned().collect();
        let mut finding = ChainFinding::of(subject, listing.folder.generation, level);
        finding.bases = own.iter().map(|base| base.id.clone()).collect();
        match repository.chain(listing) {
            Ok(chain) => {
                check(repository, listing, (&chain, &own), depth.segments, &mut finding, monitor)?;
                if let Some(place) = proof {
                    prove(repository, (&chain, &own), place, &mut finding, monitor)?;
                    proof = proof.filter(|_| finding.unproven.is_some());
                }
            }
            Err(error) => finding.note(Err(error))?,
        }
        findings.push(finding);
    }
    findings.sort_by_key(|finding| finding.generation);
    Ok(findings)
}

/// Returns the fault that no changes of a database are stored.
pub fn none_stored(repository: &Repository, subject: &Subject) -> Fault {
    let message = format!("no changes of \"{subject}\" are stored in {}", repository.store.location());
    Fault::not_found(message).hint("\"pgbk capture\" stores them")
}

/// Checks the segments from the oldest base on; all, if there is no base.
fn check(
    repository: &Repository,
    listing: &GenerationListing,
    (chain, bases): (&SegmentChain, &[StoredBase]),
    level: Level,
    finding: &mut ChainFinding,
    monitor: &dyn Monitor,
) -> Result<()> {
    let from = bases.first().map_or(chain.generation.start, |base| base.alignment.after_lsn());
    let (mut links, faults) = chain.behind(from);
    faults.into_iter().try_for_each(|fault| finding.note(Err(fault)))?;
    finding.to = links.last().map(|link| link.segment.end);
    links.retain(|link| link.segment.end > from);
    finding.from = links.first().map(|link| link.segment.start);
    finding.segments = links.len();
    finding.transactions = links.iter().map(|link| link.segment.transactions).sum();
    finding.stored_bytes = links.iter().map(|link| link.segment.stored.bytes).sum();
    check_segments(repository, listing, &links, level, finding, monitor)
}

/// Compares a base and its changes with the next base.
fn prove(
    repository: &Repository,
    (chain, bases): (&SegmentChain, &[StoredBase]),
    place: &RestoreTestPlan,
    finding: &mut ChainFinding,
    monitor: &dyn Monitor,
) -> Result<()> {
    if !finding.ok {
        finding.unproven = Some("it is damaged".to_owned());
        return Ok(());
    }
    match pair(bases, finding.to.unwrap_or(Lsn(0))) {
        Ok((base, reached)) => {
            monitor.names(&reached.id.to_string());
            let ends = ChainEnds { base: &base.id, reached: &reached.id };
            let proven = prove_chain(repository, chain, ends, place, monitor).and_then(|proof| {
                let proof = finding.proof.insert(proof);
                proof.verdict()
            });
            finding.note(proven)
        }
        Err(why) => {
            finding.unproven = Some(why);
            Ok(())
        }
    }
}

fn is_of(base: &StoredBase, listing: &GenerationListing) -> bool {
    base.alignment.generation() == listing.folder.generation
}

/// Returns a finding for each generation of which there are bases and nothing else.
fn lost_generations(
    listings: &[GenerationListing],
    subject: &Subject,
    bases: &[StoredBase],
    level: Level,
) -> Vec<ChainFinding> {
    let is_there = |generation: GenerationId| listings.iter().any(|listing| listing.folder.generation == generation);
    let generations: BTreeSet<GenerationId> = bases.iter().map(|base| base.alignment.generation()).collect();
    let lost = generations.into_iter().filter(|generation| !is_there(*generation));
    lost.map(|generation| {
        let mut finding = ChainFinding::of(subject, generation, level);
        let own = bases.iter().filter(|base| base.alignment.generation() == generation);
        finding.bases = own.map(|base| base.id.clone()).collect();
        let names: Vec<String> = finding.bases.iter().map(ToString::to_string).collect();
        let message = format!(
            "the changes of generation {generation} are missing: nothing can be replayed behind {}",
            names.join(", ")
        );
        // Damage is never an error.
        let _noted = finding.note(Err(Fault::damaged(message).into()));
        finding
    })
    .collect()
}

/// Returns the generations of this server; of the only one that there are, if it has none. One whose document cannot be read may be anybody's,
/// and stays.
fn of_server(
    repository: &Repository,
    subject: &Subject,
    listings: Vec<GenerationListing>,
    server: &ServerIdentity,
) -> Result<Vec<GenerationListing>> {
    let named = |generation: Generation| generation.system_identifier.0.to_string();
    let whose: Vec<Option<String>> =
        listings.iter().map(|listing| repository.generation(listing).ok().map(named)).collect();
    let servers: BTreeSet<&String> = whose.iter().flatten().collect();
    let own = match server {
        ServerIdentity::Named(own) if servers.contains(own) => own.clone(),
        _ if servers.len() > 1 => {
            let names: Vec<&str> = servers.into_iter().map(String::as_str).collect();
            let names = names.join(", ");
            return Err(Fault::usage(format!("several servers have stored changes of \"{subject}\" here: {names}"))
                .hint("connect to the one that you mean (DB_HOST, DB_PORT): its own changes are verified then")
                .into());
        }
        _ => return Ok(listings),
    };
    let is_own = whose.iter().map(|server| server.as_ref().is_none_or(|server| *server == own));
    let kept: Vec<bool> = is_own.collect();
    Ok(listings.into_iter().zip(kept).filter_map(|(listing, is_own)| is_own.then_some(listing)).collect())
}
