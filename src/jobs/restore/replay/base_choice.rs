//! Chooses the base from which a moment is reached by the fewest changes.

use crate::base::error::{Fault, Result};
use crate::base::subject::Subject;
use crate::format::backup_id::BackupId;
use crate::format::changes::generation_id::GenerationId;
use crate::format::changes::table_break::BreakReason;
use crate::format::lsn::Lsn;
use crate::format::manifest::base_alignment::BaseAlignment;
use crate::format::manifest::{Format, Manifest};
use crate::format::restore_point::RestorePoint;
use crate::format::sql::object_name::TableName;
use crate::jobs::restore::replay::replay_plan::{ReplayPlan, UncoveredTable};
use crate::jobs::restore::replay::stop::{ReplayStop, stop};
use crate::repository::Repository;
use crate::repository::chain::SegmentChain;
use crate::repository::chain::chain_span::ChainSpan;
use crate::repository::chain::coverage::{CoverGap, Coverage};
use crate::repository::chain::generation_listing::GenerationListing;
use crate::repository::reader::BackupReader;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A base that was opened, and what is replayed behind it.
pub struct ChosenBase {
    pub opened: BackupReader,
    pub changes: ReplayPlan,
}

/// Chooses the newest base of a database from which a moment can be reached. `named`: the only one that is looked at. It is an error if there
/// is none, which says what can be reached.
pub fn choose_base(
    repository: &Repository,
    subject: &Subject,
    named: Option<&BackupId>,
    point: RestorePoint,
) -> Result<ChosenBase> {
    choose_among(repository, &bases(repository, subject, named)?, repository.generations(subject)?, point)
}

/// Chooses this base, whose generation has been looked up. It is an error if the moment cannot be reached from it.
pub fn follow_base(
    repository: &Repository,
    id: &BackupId,
    listing: GenerationListing,
    point: RestorePoint,
) -> Result<ChosenBase> {
    choose_among(repository, &bases(repository, id.subject(), Some(id))?, vec![listing], point)
}

fn choose_among(
    repository: &Repository,
    bases: &[BackupId],
    listings: Vec<GenerationListing>,
    point: RestorePoint,
) -> Result<ChosenBase> {
    let mut chains = ReadChains { repository, listings, read: BTreeMap::new() };
    for id in bases.iter().rev() {
        let opened = repository.open(id)?;
        let Some(alignment) = opened.manifest.changes.clone() else { continue };
        let chain = chains.of(&alignment)?;
        let (stop, links, span) = match stop(repository, chain, (&opened.manifest, &alignment), point)? {
            ReplayStop::TooNew => continue,
            ReplayStop::Base => (alignment.after_lsn(), Vec::new(), None),
            ReplayStop::At(stop, links, span) => (stop, links, Some(span)),
        };
        let encoding = chain.generation.encoding;
        let mut changes = ReplayPlan {
            generation: chain.generation.id,
            alignment,
            stop,
            reached: None,
            tables: None,
            encoding,
            links,
            uncovered: BTreeMap::new(),
        };
        changes.uncovered = uncovered(&opened, &changes, span.as_ref(), point.time())?;
        return Ok(ChosenBase { opened, changes });
    }
    Err(too_early(repository, bases, point)?)
}

/// Returns the bases of a database, the oldest first.
fn bases(repository: &Repository, subject: &Subject, named: Option<&BackupId>) -> Result<Vec<BackupId>> {
    if let Some(id) = named {
        let (manifest, _) = repository.manifest(id)?;
        return match is_base(&manifest) {
            true => Ok(vec![id.clone()]),
            false => Err(Fault::usage(format!("{id} is no base: no changes can be replayed behind it"))
                .hint(
                    "leave the id out, and the base is chosen; or leave out --at, and the backup is restored as it is",
                )
                .into()),
        };
    }
    let claims = claimed_bases(repository, subject)?;
    let servers: BTreeSet<&Option<String>> = claims.iter().map(|(_, server)| server).collect();
    if servers.len() > 1 {
        let newest: Vec<String> = servers
            .iter()
            .filter_map(|server| claims.iter().rev().find(|(_, of)| of == *server).map(|(id, _)| id.to_string()))
            .collect();
        return Err(Fault::usage(format!(
            "several servers have bases of \"{subject}\" here; the newest of each: {}",
            newest.join(", ")
        ))
        .hint("say the id of the base that you mean")
        .into());
    }
    if claims.is_empty() {
        let place = repository.store.location();
        return Err(Fault::not_found(format!(
            "there is no base of \"{subject}\" in {place}: no backup behind which changes were stored"
        ))
        .hint("\"pgbk list\" shows what is stored; leave out --at, and a backup is restored as it is")
        .into());
    }
    Ok(claims.into_iter().map(|(id, _)| id).collect())
}

/// Returns the backups of a database whose documents claim that they are bases, the oldest first, each with the server that it claims. A claim
/// only says which of them are opened.
pub(crate) fn claimed_bases(repository: &Repository, subject: &Subject) -> Result<Vec<(BackupId, Option<String>)>> {
    let catalog = repository.catalog(Some(subject))?;
    let entries: Vec<_> = catalog.entries().iter().collect();
    let claims = repository.each(&entries, |id, sealed| {
        let claims = sealed.and_then(|sealed| sealed.claims());
        claims
            .ok()
            .filter(is_base)
            .map(|manifest| (id.clone(), manifest.server.and_then(|server| server.system_identifier)))
    })?;
    Ok(claims.into_iter().flatten().collect())
}

/// Returns whether changes can be replayed behind a backup.
fn is_base(manifest: &Manifest) -> bool {
    manifest.changes.is_some() && manifest.dump.format == Format::Plain
}

/// The chains that have been read.
struct ReadChains<'a> {
    repository: &'a Repository,
    listings: Vec<GenerationListing>,
    read: BTreeMap<GenerationId, SegmentChain>,
}

impl ReadChains<'_> {
    /// Returns the chain that a base belongs to.
    fn of(&mut self, alignment: &BaseAlignment) -> Result<&SegmentChain> {
        let id = alignment.generation();
        if !self.read.contains_key(&id) {
            let listing = self.listings.iter().find(|listing| listing.folder.generation == id);
            let listing = listing.ok_or_else(|| {
                Fault::damaged(format!("the changes of generation {id} are missing, to which the base belongs"))
                    .hint("leave out --at, and the backup is restored as it is")
            })?;
            self.read.insert(id, self.repository.chain(listing)?);
        }
        self.read.get(&id).ok_or_else(|| Fault::failed("a chain that was read is gone").into())
    }
}

/// Returns the tables of which not all changes are replayed. `moment`: the time that is restored; `None`: the stop alone says what it is.
pub(crate) fn uncovered(
    opened: &BackupReader,
    changes: &ReplayPlan,
    span: Option<&ChainSpan>,
    moment: Option<Timestamp>,
) -> Result<BTreeMap<TableName, UncoveredTable>> {
    let Some(span) = span else { return Ok(BTreeMap::new()) };
    let coverage = Coverage::of(span, &changes.alignment, changes.stop, moment);
    let told = |(table, one): (&TableName, &CoverGap)| {
        (table.clone(), UncoveredTable { from: one.from, reason: Some(one.reason), is_sure: one.is_sure })
    };
    let mut found: BTreeMap<TableName, UncoveredTable> = coverage.gaps.iter().map(told).collect();
    let Some(contents) = opened.contents()? else { return Ok(found) };
    let named = |kind: &str| -> BTreeMap<TableName, u32> {
        let entries = contents.entries.iter().filter(|entry| entry.is(kind));
        entries.filter_map(|entry| Some((entry.table()?, entry.oid))).collect()
    };
    let known = named("TABLE");
    for link in &changes.links {
        let missing = |table: &TableName| !known.contains_key(table) && !coverage.is_gone(table);
        for table in link.segment.tables.iter().filter(|table| missing(&table.name)) {
            found.insert(table.name.clone(), UncoveredTable { from: Lsn(0), reason: None, is_sure: true });
        }
    }
    // What came into being and went behind the base is in neither.
    found.retain(|table, _| known.contains_key(table) || !coverage.is_dropped(table));
    for (table, _) in named("TABLE DATA").into_iter().filter(|(table, oid)| !coverage.states(*oid, table)) {
        found.entry(table).or_insert(UncoveredTable {
            from: Lsn(0),
            reason: Some(BreakReason::Unknown),
            is_sure: true,
        });
    }
    Ok(found)
}

/// Returns the error that no base is old enough, with the earliest moment that can be reached.
fn too_early(repository: &Repository, bases: &[BackupId], point: RestorePoint) -> Result<anyhow::Error> {
    let mut earliest = String::new();
    if let Some(oldest) = bases.first() {
        let (manifest, _) = repository.manifest(oldest)?;
        let position = manifest.changes.as_ref().map(|changes| changes.after_lsn().to_string()).unwrap_or_default();
        earliest = format!("; the earliest is that of base {oldest}, {} ({position})", manifest.taken_at);
    }
    Ok(Fault::not_found(format!("no base is old enough to restore {point}{earliest}")).into())
}
