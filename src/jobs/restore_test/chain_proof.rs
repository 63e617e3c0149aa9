//! Proof of a chain: a base is restored into a scratch database, the changes are replayed up to what a later base holds, and every table is
//! compared with what that one states.

use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::base::shown::{agree, many};
use crate::format::backup_id::BackupId;
use crate::format::manifest::Table;
use crate::format::manifest::base_alignment::BaseAlignment;
use crate::format::manifest::table_diff::{TableComparison, compare};
use crate::jobs::restore::admit;
use crate::jobs::restore::execute::execute_rest;
use crate::jobs::restore::plan::RestorePlan;
use crate::jobs::restore::replay::base_choice::uncovered;
use crate::jobs::restore::replay::replay_plan::ReplayPlan;
use crate::jobs::restore::replay::{base, joined, replay};
use crate::jobs::restore::way::way;
use crate::jobs::restore_test::comparable_tables::IncomparableTables;
use crate::jobs::restore_test::compare_rows::recount;
use crate::jobs::restore_test::{
    APPLICATION, NAMED, RestoreTestPlan, ScratchStay, all_made, in_scratch, not_older, not_taken, scratch_plan,
};
use crate::pipeline::table_counter::TableCounter;
use crate::postgres::restore::load::options::LoadReport;
use crate::postgres::restore::replay::ReplayCounts;
use crate::postgres::restore::target::RestoreTarget;
use crate::postgres::scratch::ScratchDatabase;
use crate::postgres::tools::dump::second_dump::again;
use crate::repository::Repository;
use crate::repository::chain::SegmentChain;
use crate::repository::reader::BackupReader;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The two bases of a proof.
#[derive(Clone, Copy)]
pub(crate) struct ChainEnds<'a> {
    /// The base that is restored.
    pub base: &'a BackupId,
    /// The base that the changes must lead to.
    pub reached: &'a BackupId,
}

/// A base with its changes, and how its tables compare with the next base.
#[derive(Debug, Clone, Serialize)]
pub struct ChainProof {
    pub base: BackupId,
    pub reached: BackupId,
    pub segments: usize,
    /// Transactions and changed rows that were replayed.
    pub transactions: u64,
    pub changed_rows: u64,
    pub scratch: String,
    pub seconds: f64,
    pub tables: Vec<TableComparison>,
    /// The tables that were not compared, each with the reason.
    pub uncompared: Vec<UncomparedTable>,
    /// Objects that a role without SUPERUSER could not restore, with the reasons.
    pub not_tried: Vec<String>,
}

/// A table that a proof says nothing about.
#[derive(Debug, Clone, Serialize)]
pub struct UncomparedTable {
    pub name: String,
    pub reason: String,
}

impl ChainProof {
    /// Fails if a table is not as the base states that the changes must lead to.
    pub(crate) fn verdict(&self) -> Result<()> {
        let wrong: Vec<&str> = self.tables.iter().filter(|one| one.is_wrong()).map(|one| one.name.as_str()).collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let names = wrong.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = if wrong.len() > NAMED { ", …" } else { "" };
        let (all, are) = (many(self.tables.len(), "table"), agree(&self.tables.len(), "is", "are"));
        let message = format!(
            "{} of {all} of {} with its changes {are} not as {} states: {names}{more}",
            wrong.len(),
            self.base,
            self.reached
        );
        Err(Fault::damaged(message).into())
    }
}

/// Restores a base into a scratch database with exactly the transactions that a later base of its generation holds, and compares the two.
pub(crate) fn prove_chain(
    repository: &Repository,
    chain: &SegmentChain,
    ends: ChainEnds<'_>,
    plan: &RestoreTestPlan,
    monitor: &dyn Monitor,
) -> Result<ChainProof> {
    let (opened, reached) = (repository.open(ends.base)?, repository.open(ends.reached)?);
    for one in [&opened, &reached] {
        // Looked at before anything is restored: such a restore would do harm.
        again(&one.manifest.dump.arguments)?;
    }
    let changes = Arc::new(changes(chain, &opened, &reached)?);
    let incomparable = IncomparableTables::of(&opened, &reached, &changes)?;
    let extensions = opened.manifest.requires.extensions.clone();
    let fill = |opened: BackupReader, scratch: &ScratchDatabase| {
        replayed(opened, &reached, &changes, scratch, (plan, repository), monitor)
    };
    let (found, ScratchStay { place, seconds, .. }) = in_scratch(opened, &extensions, plan, monitor, fill)?;
    let (tables, uncompared) = compared(&reached.manifest.tables, found.tables, incomparable.0, &found.loaded);
    Ok(ChainProof {
        base: ends.base.clone(),
        reached: ends.reached.clone(),
        segments: changes.links.len(),
        transactions: found.counts.transactions,
        changed_rows: found.counts.rows,
        scratch: place,
        seconds,
        tables,
        uncompared,
        not_tried: found.loaded.untried.lines("the table is an extension's"),
    })
}

/// Returns the transactions that lead from one base to another.
fn changes(chain: &SegmentChain, opened: &BackupReader, reached: &BackupReader) -> Result<ReplayPlan> {
    let aligned = |one: &BackupReader| -> Result<BaseAlignment> {
        let alignment = one.manifest.changes.clone();
        alignment.ok_or_else(|| Fault::failed(format!("{} is no base", one.manifest.id)).into())
    };
    let (alignment, reached) = (aligned(opened)?, aligned(reached)?);
    let stop = reached.after_lsn();
    let mut span = chain.around(alignment.after_lsn())?;
    let links = span.between(opened.manifest.first_missing(&alignment), stop)?;
    let mut changes = ReplayPlan {
        generation: chain.generation.id,
        alignment,
        stop,
        reached: Some(reached),
        tables: None,
        encoding: chain.generation.encoding,
        links,
        newer: None,
        large_objects: None,
        uncovered: BTreeMap::new(),
        // The next base does not state them.
        sequences: None,
    };
    changes.uncovered = uncovered(opened, &changes, Some(&span), None)?;
    Ok(changes)
}

/// Holds what was restored and replayed, counted again.
struct ReplayedBase {
    loaded: LoadReport,
    counts: ReplayCounts,
    tables: Vec<Table>,
}

fn replayed(
    opened: BackupReader,
    reached: &BackupReader,
    changes: &Arc<ReplayPlan>,
    scratch: &ScratchDatabase,
    (plan, repository): (&RestoreTestPlan, &Repository),
    monitor: &dyn Monitor,
) -> Result<ReplayedBase> {
    let manifest = opened.manifest.clone();
    let into = RestorePlan { no_owner: true, no_privileges: true, ..scratch_plan(&opened, scratch, plan)? };
    let target = admit(&manifest, &into)?;
    not_older(&reached.manifest, target.server_major)?;
    let (loaded, counts) = filled(opened, changes, scratch, (&into, &target), repository, monitor)
        .map_err(|error| not_taken(&manifest, target.server_major, scratch.lacking().locale.as_deref(), error))?;
    let counter =
        TableCounter::of(reached.derived_keys.as_ref(), reached.manifest.pgbk).in_order(loaded.columns.clone());
    let reader = scratch.loader().reader()?;
    let recounted =
        recount(&reached.manifest, counter, &reader, target.server_major, plan.bin_dir.as_deref(), monitor)?;
    Ok(ReplayedBase { loaded, counts, tables: recounted.found.tables })
}

/// Restores the base, replays the changes, and restores what stands behind the rows, each as the role of the scratch database.
fn filled(
    opened: BackupReader,
    changes: &Arc<ReplayPlan>,
    scratch: &ScratchDatabase,
    (into, target): (&RestorePlan, &RestoreTarget),
    repository: &Repository,
    monitor: &dyn Monitor,
) -> Result<(LoadReport, ReplayCounts)> {
    let manifest = opened.manifest.clone();
    let way = way(&manifest, into, target);
    let mut loaded = base(opened, into, target, &way, monitor)?;
    all_made(&manifest.id, &loaded.untried)?;
    let script = std::mem::take(&mut loaded.held_back);
    let loader = scratch.loader().again(loaded.untried.clone())?;
    let client = loader.connect(APPLICATION)?;
    let counts = replay(changes, (client, loader.settings()), repository, monitor)?.counts;
    let loader = loader.again(loaded.untried.clone())?;
    let into = RestorePlan { loader: Some(loader), ..into.clone() };
    let rest = execute_rest(&script, &into, target, &way, &manifest, monitor)
        .map_err(|error| error.context("behind the changes"))?;
    Ok((joined(loaded, rest), counts))
}

/// Compares the tables that can be, and names the others.
fn compared(
    stated: &[Table],
    found: Vec<Table>,
    mut incomparable: BTreeMap<String, String>,
    loaded: &LoadReport,
) -> (Vec<TableComparison>, Vec<UncomparedTable>) {
    let extension = |name: &String| (name.clone(), "it is an extension's".to_owned());
    incomparable.extend(loaded.untried.tables.iter().map(extension));
    let all = compare(Some(stated), &found, false);
    let (out, tables): (Vec<_>, Vec<_>) = all.into_iter().partition(|table| incomparable.contains_key(&table.name));
    let named = out.into_iter().filter_map(|table| {
        let reason = incomparable.get(&table.name)?.clone();
        Some(UncomparedTable { name: table.name, reason })
    });
    (tables, named.collect())
}
