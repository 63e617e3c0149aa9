//! Retention: removes the backups of a series that no rule keeps, the `.meta` first.

pub mod chain_outcome;
pub(crate) mod chain_survey;
pub(crate) mod kept_bases;
pub mod scope;

use crate::base::cancel;
use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::base::shown::many;
use crate::base::subject::Subject;
use crate::format::backup_id::{BackupId, folder};
use crate::format::changes::generation_id::GenerationId;
use crate::format::manifest::Manifest;
use crate::format::manifest::payload_objects::{StatedObject, StatedPayload};
use crate::format::manifest::seal::SealedManifest;
use crate::repository::Repository;
use crate::repository::catalog::{Catalog, CatalogEntry};
use crate::repository::orphans::Orphans;
use crate::repository::payload;
use crate::repository::retention::{Candidate, Decision, Policy, is_most};
use crate::store::remove_surely;
use chain_outcome::ChainOutcome;
use chain_survey::{ChainNeeds, ChainSurvey};
use jiff::Timestamp;
use kept_bases::BaseNeed;
use scope::{BackupOwner, PruneScope};
use std::collections::{BTreeMap, BTreeSet};

/// Says which rules to apply, to whose backups, and how.
#[derive(Debug, Clone)]
pub struct PruneOrder<'a> {
    pub policy: &'a Policy,
    pub mode: PruneMode,
    pub scope: PruneScope,
    /// Backup that the run has just made before it prunes. It stays, whatever the rules say.
    pub made: Option<&'a BackupId>,
    /// Backups that a restore test has proven: the newest of each series stays.
    pub proven: &'a BTreeSet<BackupId>,
    pub now: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PruneMode {
    /// Decides, and removes nothing.
    DryRun,
    /// Stops if more than half would be removed.
    Careful,
    Force,
}

/// The result for the backups of one database; in each series newest first.
#[derive(Debug)]
pub struct PruneResult {
    pub subject: Subject,
    pub backups: Vec<PruneDecision>,
    /// The fates of the captured changes, by generation, the oldest first.
    pub chains: Vec<ChainOutcome>,
    /// Says whether more than half would be removed, which only [`PruneMode::Force`] does.
    pub most: bool,
}

#[derive(Debug)]
pub struct PruneDecision {
    pub id: BackupId,
    pub fate: PruneOutcome,
    /// Size of its payload in bytes; `None` if the backup is not good.
    pub bytes: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PruneOutcome {
    /// Stays for these reasons.
    Kept(Vec<String>),
    /// Would be removed, but this is a dry run.
    Due,
    Removed,
    /// Should be removed, but the store refuses: it is locked, or the role may not.
    Left(String),
}

impl PruneOutcome {
    /// Returns whether the backup is removed, or would be.
    fn is_gone(&self) -> bool {
        matches!(self, PruneOutcome::Due | PruneOutcome::Removed)
    }
}

impl PruneResult {
    pub fn count(&self, of: impl Fn(&PruneOutcome) -> bool) -> usize {
        self.backups.iter().filter(|backup| of(&backup.fate)).count()
    }
}

/// A backup and what is needed to remove it.
struct PruneCandidate {
    candidate: Candidate,
    payload: Option<StatedPayload>,
    /// Owner that its document names; `None` if the document cannot be read.
    belongs: Option<BackupOwner>,
    /// The changes that it needs, as its document says, which need not be authentic for that; `None`: it is no base.
    base: Option<BaseNeed>,
    /// Whether nothing of the document can be read.
    is_unknown: bool,
}

/// Applies the rules to the backups of one database, whose catalog this is. `about` is called with the ids to remove before any is removed.
pub fn prune(
    repository: &Repository,
    catalog: &Catalog,
    subject: &Subject,
    order: &PruneOrder,
    about: &dyn Fn(&[BackupId]),
    monitor: &dyn Monitor,
) -> Result<PruneResult> {
    if order.made.is_some() && order.mode == PruneMode::Careful && !may_go(catalog, order) {
        return Ok(PruneResult { subject: subject.clone(), backups: Vec::new(), chains: Vec::new(), most: false });
    }
    let mut found = survey(repository, catalog)?;
    for (id, found) in &mut found {
        found.candidate.proven = order.proven.contains(id);
        if order.made == Some(id) {
            found.candidate.held.push("made by this run".to_owned());
        }
    }
    let backups = found.values().map(|found| (found.candidate.clone(), found.belongs.clone())).collect();
    let mut sorted = scope::sort(backups, &order.scope)?;
    let bases: BTreeMap<&BackupId, GenerationId> =
        found.iter().filter_map(|(id, found)| Some((id, found.base.as_ref()?.generation))).collect();
    sorted.groups.iter_mut().for_each(|group| kept_bases::hold(group, &bases, order.policy, order.now));
    let chains = chains(repository, subject, &found, order, monitor)?;
    let mut groups: Vec<Vec<Decision>> =
        sorted.groups.iter().map(|group| order.policy.decide(group, order.now)).collect();
    agree(&mut groups);
    let most = groups.iter().find(|decisions| is_most(decisions));
    if let (Some(decisions), PruneMode::Careful) = (most, order.mode) {
        return Err(too_many(subject, going(decisions), "backup", decisions.len()));
    }
    let due: BTreeSet<&BackupId> = groups.iter().flatten().filter(|one| !one.keeps()).map(|one| &one.id).collect();
    let whole = chains.whole(&needs(&found, |id| !due.contains(id)));
    if whole * 2 > chains.count() && order.mode == PruneMode::Careful {
        return Err(too_many(subject, whole, "generation", chains.count()));
    }
    let most = most.is_some() || whole * 2 > chains.count();
    if order.mode != PruneMode::DryRun {
        let decisions = groups.iter().flatten();
        about(&decisions.filter(|one| !one.keeps()).map(|one| one.id.clone()).collect::<Vec<_>>());
    }
    let mut backups = Vec::with_capacity(found.len());
    let mut judged = BTreeSet::new();
    for mut decisions in groups {
        decisions.retain(|decision| judged.insert(decision.id.clone()));
        backups.extend(carry_out(repository, decisions, &found, order.mode, monitor)?);
    }
    backups.extend(sorted.others.into_iter().rev().map(|(id, why)| {
        let bytes = found.get(&id).and_then(|found| found.payload.as_ref()).map(StatedPayload::bytes);
        PruneDecision { id, fate: PruneOutcome::Kept(vec![why]), bytes }
    }));
    let gone: BTreeSet<&BackupId> = backups.iter().filter(|backup| backup.fate.is_gone()).map(|one| &one.id).collect();
    let chains = chains.carry_out(
        repository,
        &needs(&found, |id| !gone.contains(id)),
        order.mode == PruneMode::DryRun,
        monitor,
    )?;
    Ok(PruneResult { subject: subject.clone(), backups, chains, most })
}

/// Lists the captured changes of a database. None are there of a copy of another form, nor where no backup is a base after a run: that asks no
/// more of the store then.
fn chains(
    repository: &Repository,
    subject: &Subject,
    found: &BTreeMap<BackupId, PruneCandidate>,
    order: &PruneOrder,
    monitor: &dyn Monitor,
) -> Result<ChainSurvey> {
    let is_captured = order.made.is_none() || found.values().any(|found| found.base.is_some());
    if !repository.variant.is_plain() || subject.database().is_none() || !is_captured {
        return Ok(ChainSurvey::default());
    }
    let owners: Vec<&BackupOwner> = found.values().filter_map(|found| found.belongs.as_ref()).collect();
    match ChainSurvey::of(repository, subject, &owners, &order.scope) {
        Err(error) if kind(&error) == Kind::Denied => {
            monitor.warn(&format!("captured changes cannot be looked for: {error:#}"));
            Ok(ChainSurvey::default())
        }
        survey => survey,
    }
}

/// Returns what the backups need of the captured changes that are there or stay.
fn needs(found: &BTreeMap<BackupId, PruneCandidate>, stays: impl Fn(&BackupId) -> bool) -> ChainNeeds {
    let mut needs = ChainNeeds::default();
    for (id, found) in found.iter().filter(|(id, _)| stays(id)) {
        needs.bases.extend(found.base.clone());
        if found.is_unknown {
            needs.unknown = Some(id.clone());
        }
    }
    needs
}

fn going(decisions: &[Decision]) -> usize {
    decisions.iter().filter(|decision| !decision.keeps()).count()
}

/// Returns whether the rules could remove any backup. They remove the most if all are good and of one series: if fewer count, those that do
/// stay longer. So if none could be removed even then, no document need be read to know it.
fn may_go(catalog: &Catalog, order: &PruneOrder) -> bool {
    let candidate = |entry: &CatalogEntry| Candidate {
        id: entry.id.clone(),
        server: None,
        sequence: 0,
        proven: false,
        held: if entry.pinned { vec!["pinned".to_owned()] } else { Vec::new() },
        trouble: None,
    };
    let all: Vec<Candidate> = catalog.entries().iter().map(candidate).collect();
    order.policy.decide(&all, order.now).iter().any(|decision| !decision.keeps())
}

/// Keeps a backup that two series share, unless the rules of both let it go.
fn agree(groups: &mut [Vec<Decision>]) {
    let mut reasons: BTreeMap<BackupId, Vec<String>> = BTreeMap::new();
    for decision in groups.iter().flatten() {
        let all = reasons.entry(decision.id.clone()).or_default();
        all.extend(decision.reasons.iter().filter(|reason| !all.contains(reason)).cloned().collect::<Vec<_>>());
    }
    for decision in groups.iter_mut().flatten() {
        decision.reasons = reasons.get(&decision.id).cloned().unwrap_or_default();
    }
}

/// Carries out the decisions for one series.
fn carry_out(
    repository: &Repository,
    decisions: Vec<Decision>,
    found: &BTreeMap<BackupId, PruneCandidate>,
    mode: PruneMode,
    monitor: &dyn Monitor,
) -> Result<Vec<PruneDecision>> {
    let mut backups = Vec::with_capacity(decisions.len());
    // The oldest first: what is broken off has removed what is missed least.
    for decision in decisions.into_iter().rev() {
        cancel::check()?;
        let payload = found.get(&decision.id).and_then(|found| found.payload.as_ref());
        let bytes = payload.map(StatedPayload::bytes);
        let fate = match payload {
            Some(payload) if !decision.keeps() => remove(repository, &decision.id, payload, mode, monitor)?,
            _ => PruneOutcome::Kept(decision.reasons),
        };
        backups.push(PruneDecision { id: decision.id, fate, bytes });
    }
    backups.reverse();
    Ok(backups)
}

/// Finds what killed runs and captures of this database have left.
pub(crate) fn orphans(repository: &Repository, catalog: &Catalog, subject: &Subject) -> Result<Orphans> {
    let unfinished = repository.store.unfinished(&folder(subject))?;
    let mut found = Orphans::of(catalog.objects().to_vec(), unfinished);
    found.unfinished.retain(|upload| {
        BackupId::of_meta_key(&upload.key).or_else(|| BackupId::of_any_payload_key(&upload.key)).is_some()
    });
    if repository.variant.is_plain() && subject.database().is_some() {
        let of_chains = repository.chain_orphans(subject)?;
        found.unfinished.extend(of_chains.unfinished);
        found.orphans.extend(of_chains.orphans);
    }
    Ok(found)
}

/// Reads every backup of the database and says what is wrong with it.
fn survey(repository: &Repository, catalog: &Catalog) -> Result<BTreeMap<BackupId, PruneCandidate>> {
    let entries: Vec<&CatalogEntry> = catalog.entries().iter().collect();
    let looked = repository.each(&entries, |id, sealed| look(repository, id, sealed, catalog))?;
    let mut found = BTreeMap::new();
    for (entry, looked) in entries.into_iter().zip(looked) {
        if let Some(mut looked) = looked? {
            if entry.pinned {
                looked.candidate.held.push("pinned".to_owned());
            }
            found.insert(entry.id.clone(), looked);
        }
    }
    Ok(found)
}

/// Judges one backup. A good one has a `.meta` that is readable, and authentic if a key is set, and its payload in the stated size. Any
/// other reason why this cannot be seen is an error. `None`: the backup is gone.
fn look(
    repository: &Repository,
    id: &BackupId,
    sealed: Result<SealedManifest>,
    catalog: &Catalog,
) -> Result<Option<PruneCandidate>> {
    // Whose it says it is, where nothing vouches for that.
    let mut claimed = None;
    let manifest = match sealed {
        Ok(sealed) if repository.key.is_none() && sealed.key().is_some() => match repository.allow_unauthenticated {
            true => sealed.unauthenticated(),
            false => return Err(key_needed(id)),
        },
        Ok(sealed) => {
            let read = sealed.authenticate(repository.key.as_ref(), repository.allow_unauthenticated);
            claimed = read.as_ref().err().and_then(|_| sealed.claims().ok());
            read.map(|(manifest, _)| manifest)
        }
        Err(error) if kind(&error) == Kind::NotFound => return Ok(None),
        Err(error) => Err(error),
    };
    // A signal, or a password that could not be tried, is nothing that is wrong with the backup.
    let manifest = match manifest {
        Err(error) if !matches!(kind(&error), Kind::Damaged | Kind::OtherKey) => return Err(error),
        judged => judged,
    };
    let belongs = match &manifest {
        Ok(manifest) => Some(BackupOwner::of(manifest)),
        Err(_) => claimed.as_ref().map(BackupOwner::claimed),
    };
    let stated = manifest.as_ref().ok().or(claimed.as_ref());
    let (base, is_unknown) = (stated.and_then(BaseNeed::of), stated.is_none());
    let sequence = manifest.as_ref().map_or(0, |manifest| manifest.sequence);
    let payload = manifest.and_then(|manifest| payload(&manifest, catalog));
    let trouble = payload.as_ref().err().map(|error| format!("{error:#}"));
    let server = belongs.as_ref().and_then(BackupOwner::server);
    let candidate = Candidate { id: id.clone(), server, sequence, proven: false, held: Vec::new(), trouble };
    Ok(Some(PruneCandidate { candidate, payload: payload.ok(), belongs, base, is_unknown }))
}

/// Returns the payload, all of whose objects must be in the catalog in their stated size.
fn payload(manifest: &Manifest, catalog: &Catalog) -> Result<StatedPayload> {
    let payload = manifest.payload();
    if let [StatedObject { key, bytes: stated, .. }] = payload.objects.as_slice() {
        return match catalog.bytes(key) {
            Some(bytes) if bytes == *stated => Ok(payload),
            Some(bytes) => Err(Fault::damaged(format!("its payload has {}, not {stated}", many(bytes, "byte"))).into()),
            None => Err(Fault::damaged("its payload is missing").into()),
        };
    }
    payload.objects.iter().try_for_each(|object| payload.compare(object, catalog.bytes(&object.key)))?;
    Ok(payload)
}

/// Returns the refusal to prune without the key: whoever may add objects could forge backups newer than the real ones,
/// and without the key they would count as good.
fn key_needed(id: &BackupId) -> anyhow::Error {
    Fault::usage(format!("{id} was made with a key, and none is set: which backups are real cannot be told"))
        .hint("set DB_BACKUP_ENCRYPT_KEY or ENC_PASSWORD; --allow-unauthenticated counts whatever is there, and may remove real backups for forged ones")
        .into()
}

/// Removes a backup, the `.meta` first: from then on there is no backup, whatever becomes of the payload.
fn remove(
    repository: &Repository,
    id: &BackupId,
    payload: &StatedPayload,
    mode: PruneMode,
    monitor: &dyn Monitor,
) -> Result<PruneOutcome> {
    if mode == PruneMode::DryRun {
        return Ok(PruneOutcome::Due);
    }
    let store = repository.store.as_ref();
    match remove_surely(store, &id.meta_key()) {
        Err(error) => return refused(error, ""),
        Ok(false) => {
            return Ok(PruneOutcome::Left("the store was told to remove its .meta and still has it".to_owned()));
        }
        Ok(true) => {}
    }
    if let Err(error) = payload::remove(store, payload) {
        return refused(error, "its .meta is gone, its payload is left behind: ");
    }
    monitor.note(&format!("removed {id}: no rule keeps it"));
    Ok(PruneOutcome::Removed)
}

fn refused(error: anyhow::Error, so_far: &str) -> Result<PruneOutcome> {
    match kind(&error) {
        Kind::Denied => Ok(PruneOutcome::Left(format!("{so_far}{error:#}"))),
        _ if so_far.is_empty() => Err(error),
        _ => Err(error.context(so_far.trim_end_matches(": ").to_owned())),
    }
}

fn too_many(subject: &Subject, going: usize, what: &str, all: usize) -> anyhow::Error {
    Fault::failed(format!(
        "{going} of {} of \"{subject}\" would be removed, which is more than half: none is",
        many(all, what)
    ))
    .hint("look at \"pgbk prune --dry-run\"; if that is what you want, say \"pgbk prune --force\" once")
    .into()
}

#[cfg(test)]
mod tests;
