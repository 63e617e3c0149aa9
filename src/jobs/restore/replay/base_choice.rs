//! Chooses the base from which a moment is reached by the fewest changes.

#[cfg(test)]
mod tests;

use crate::base::error::{Fault, Result};
use crate::base::subject::Subject;
use crate::format::archive::entry::LARGE_OBJECTS;
use crate::format::backup_id::BackupId;
use crate::format::changes::generation_id::GenerationId;
use crate::format::changes::table_break::BreakReason;
use crate::format::lsn::Lsn;
use crate::format::manifest::base_alignment::BaseAlignment;
use crate::format::manifest::{Format, Manifest};
use crate::format::restore_point::RestorePoint;
use crate::format::sql::object_name::TableName;
use crate::jobs::restore::replay::replay_plan::{LeftGeneration, ReplayPlan, UncoveredTable};
use crate::jobs::restore::replay::stop::{ReplayStop, stop};
use crate::repository::Repository;
use crate::repository::chain::SegmentChain;
use crate::repository::chain::chain_span::ChainSpan;
use crate::repository::chain::coverage::{CoverGap, Coverage};
use crate::repository::chain::generation_listing::GenerationListing;
use crate::repository::chain::sequence_goals::SequenceGoals;
use crate::repository::reader::BackupReader;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

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
    let (bases, listings) = (bases(repository, subject, named)?, repository.generations(subject)?);
    let newest = newest_generation(&listings);
    let mut chosen = choose_among(repository, &bases, listings, point)?;
    if named.is_none() && point == RestorePoint::Latest {
        let newer = newest.filter(|newest| *newest > chosen.changes.generation);
        chosen.changes.newer = newer.map(|id| LeftGeneration { id, why: "it has no base yet" });
    }
    Ok(chosen)
}

/// Returns the newest generation whose document is stored; `None`: there is none.
pub fn newest_generation(listings: &[GenerationListing]) -> Option<GenerationId> {
    listings.iter().rfind(|listing| listing.document.is_some()).map(|listing| listing.folder.generation)
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
    let (mut elsewhere, mut next) = (None, None);
    for id in bases.iter().rev() {
        let opened = repository.open(id)?;
        let Some(alignment) = opened.manifest.changes.clone() else { continue };
        let chain = chains.of(id, &alignment)?;
        let timeline = opened.manifest.server.as_ref().and_then(|server| server.timeline);
        if !chain.comes_from(timeline, alignment.after_lsn()) {
            elsewhere.get_or_insert_with(|| other_timeline(id));
            continue;
        }
        let (stop, links, span) = match stop(repository, chain, (&opened.manifest, &alignment), point, next)? {
            ReplayStop::TooNew => {
                next = Some(opened.manifest.taken_at);
                continue;
            }
            ReplayStop::Base => (alignment.after_lsn(), Vec::new(), None),
            ReplayStop::At(stop, links, span) => (stop, links, Some(span)),
        };
        let encoding = chain.generation.encoding;
        let sequences = span.as_ref().map(|span| SequenceGoals::of(span, &alignment, stop));
        let mut changes = ReplayPlan {
            generation: chain.generation.id,
            alignment,
            stop,
            reached: None,
            tables: None,
            encoding,
            links,
            newer: None,
            large_objects: large_objects(&opened)?,
            uncovered: BTreeMap::new(),
            sequences,
        };
        changes.uncovered = uncovered(&opened, &changes, span.as_ref(), point.time())?;
        return Ok(ChosenBase { opened, changes });
    }
    match elsewhere {
        Some(fault) => Err(fault.into()),
        None => Err(too_early(repository, bases, point)?.into()),
    }
}

/// Returns the fault of a base that comes from another log than the changes.
fn other_timeline(id: &BackupId) -> Fault {
    Fault::failed(format!("{id} is of a server that was not on the timeline of the stored changes: none fit behind it"))
        .hint("leave out --at, and the backup is restored as it is")
}

/// Returns the bases of a database, the oldest first.
fn bases(repository: &Repository, subject: &Subject, named: Option<&BackupId>) -> Result<Vec<BackupId>> {
    if let Some(id) = named {
        let (manifest, _) = repository.manifest(id)?;
        return match is_base(&manifest) {
            true => Ok(vec![id.clone()]),
            false => Err(Fault::usage(format!(
                "{id} is not a base: it does not say where in the stored changes it stands, so none can be replayed behind it"
            ))
            .hint("leave the id out, and the base is chosen; or leave out --at, and the backup is restored as it is")
            .into()),
        };
    }
    let (claims, unread) = claimed_bases(repository, subject)?;
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
        .hint("say the id of the base that you mean: pgbk restore ID --at …")
        .into());
    }
    if claims.is_empty() {
        let place = repository.store.location();
        if let Some(error) = unread {
            return Err(error.context(format!("no backup of \"{subject}\" in {place} can be read that is a base")));
        }
        return Err(Fault::not_found(format!(
            "there is no base of \"{subject}\" in {place}: no backup behind which changes were stored"
        ))
        .hint("\"pgbk list\" shows what is stored; leave out --at, and a backup is restored as it is")
        .into());
    }
    Ok(claims.into_iter().map(|(id, _)| id).collect())
}

/// A backup that claims to be a base, with the server that it claims.
type ClaimedBase = (BackupId, Option<String>);

/// Returns the backups of a database whose documents claim that they are bases, the oldest first; and the error of a document that cannot be
/// read, if there is one. A claim only says which of them are opened.
fn claimed_bases(repository: &Repository, subject: &Subject) -> Result<(Vec<ClaimedBase>, Option<anyhow::Error>)> {
    let catalog = repository.catalog(Some(subject))?;
    let entries: Vec<_> = catalog.entries().iter().collect();
    let claims = repository.each(&entries, |id, sealed| {
        let manifest = sealed.and_then(|sealed| sealed.claims())?;
        let server = |manifest: Manifest| manifest.server.and_then(|server| server.system_identifier);
        Ok(Some(manifest).filter(is_base).map(|manifest| (id.clone(), server(manifest))))
    })?;
    let (mut claimed, mut unread) = (Vec::new(), None);
    for claim in claims {
        match claim {
            Ok(base) => claimed.extend(base),
            Err(error) => unread = Some(error),
        }
    }
    Ok((claimed, unread))
}

/// Returns whether changes can be replayed behind a backup.
pub(crate) fn is_base(manifest: &Manifest) -> bool {
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
    fn of(&mut self, base: &BackupId, alignment: &BaseAlignment) -> Result<&SegmentChain> {
        let unread = match self.read.entry(alignment.generation()) {
            Entry::Occupied(read) => return Ok(read.into_mut()),
            Entry::Vacant(unread) => unread,
        };
        let generation = unread.key();
        let listing = self.listings.iter().find(|listing| listing.folder.generation == *generation);
        let listing = listing.ok_or_else(|| {
            let place = self.repository.store.location();
            Fault::damaged(format!(
                "base {base} belongs to generation {generation}, and {place} has nothing of the changes of that"
            ))
            .hint("say the id of another base; or leave out --at, and the backup is restored as it is")
        })?;
        Ok(unread.insert(self.repository.chain(listing)?))
    }
}

/// Returns when the large objects of a base were as it holds them. `None`: it holds none, or does not tell.
fn large_objects(opened: &BackupReader) -> Result<Option<Timestamp>> {
    let Some(contents) = opened.contents()? else { return Ok(None) };
    let holds_some = contents.entries.iter().any(|entry| entry.is(LARGE_OBJECTS));
    Ok(holds_some.then_some(opened.manifest.taken_at))
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
fn too_early(repository: &Repository, bases: &[BackupId], point: RestorePoint) -> Result<Fault> {
    let Some(oldest) = bases.first() else {
        return Ok(Fault::not_found(format!("no base is old enough to restore {point}")));
    };
    let (manifest, _) = repository.manifest(oldest)?;
    let position = manifest.changes.as_ref().map(|changes| changes.after_lsn().to_string()).unwrap_or_default();
    let earliest = format!("{oldest}, {} ({position})", manifest.taken_at);
    Ok(match bases {
        [_] => Fault::not_found(format!(
            "the base is too new to restore {point}; the earliest moment is that of {earliest}"
        ))
        .hint("where an id was given: leave it out, and an older base is looked for"),
        _ => Fault::not_found(format!(
            "no base is old enough to restore {point}; the earliest is that of base {earliest}"
        )),
    })
}
