//! Restores single tables to a moment: their rows of a base up to the keys, the changes of these tables, then what belongs to them.
//!
//! A new database commits on the way, and is dropped if anything fails. What an existing one holds besides must not be harmed: there all of
//! it is one transaction.

use crate::base::error::{Fault, Result};
use crate::base::progress::{Monitor, Progress};
use crate::jobs::restore::execute::{execute, execute_around, execute_rest};
use crate::jobs::restore::plan::RestorePlan;
use crate::jobs::restore::replay::replay_outcome::ReplayOutcome;
use crate::jobs::restore::replay::replay_plan::ReplayPlan;
use crate::jobs::restore::replay::{check, joined, replay, replay_link};
use crate::jobs::restore::tables::TableRestore;
use crate::jobs::restore::tables::script::TableScript;
use crate::jobs::restore::way::RestoreWay;
use crate::jobs::restore::{RestoreReport, carried_out};
use crate::pipeline::part_reader::PartReader;
use crate::pipeline::table_counter::TableCounter;
use crate::postgres::restore::load::options::BetweenStep;
use crate::postgres::restore::present::acting;
use crate::postgres::restore::replay::{ReplayCounts, Replayer};
use crate::postgres::restore::target::{APPLICATION, RestoreTarget, TargetState};
use crate::repository::Repository;
use crate::repository::reader::BackupReader;
use postgres::Transaction;
use std::sync::Arc;
use std::sync::mpsc::channel;

/// The changes that are replayed, and where they are read.
#[derive(Clone, Copy)]
pub struct TableMoment<'a> {
    pub changes: &'a Arc<ReplayPlan>,
    pub repository: &'a Repository,
}

/// Limits the changes to the tables that are restored. It is an error if not all changes of one are stored, or if something in the target
/// would act on them once more.
pub fn admit_moment(tables: &TableRestore, changes: ReplayPlan, plan: &RestorePlan) -> Result<ReplayPlan> {
    let changes = changes.only(tables.filled.clone(), &tables.sequences)?;
    let fresh = matches!(tables.target.state, TargetState::Missing | TargetState::Empty);
    let found = if fresh { Vec::new() } else { acting(&plan.settings.for_database(&plan.database), &tables.filled)? };
    match found.is_empty() {
        true => Ok(changes),
        false => {
            let message = format!(
                "database \"{}\" has what would act on each change once more: {}",
                plan.database,
                found.join(", ")
            );
            Err(Fault::failed(message)
                .hint("--to restores the tables into another database; or disable these, restore, and enable them")
                .into())
        }
    }
}

/// Restores the tables, and the changes of them. On any error the target is as it was; a database made here is gone again. Returns also how many
/// bytes of the base's payload were read.
pub fn restore_to_moment(
    opened: &BackupReader,
    tables: &TableRestore,
    moment: TableMoment<'_>,
    plan: &RestorePlan,
    monitor: &dyn Monitor,
) -> Result<(RestoreReport, u64, ReplayCounts)> {
    let (manifest, target) = (&opened.manifest, &tables.target);
    check(moment.changes, moment.repository, monitor)?;
    let is_new = target.state == TargetState::Missing;
    let (mut fetched, mut counts) = (0, ReplayCounts::default());
    let report = carried_out(manifest, plan, target, is_new, monitor, || {
        let reader = PartReader::new(opened.object.as_ref(), manifest, opened.derived_keys.as_ref())?;
        let counter = TableCounter::of(opened.derived_keys.as_ref(), manifest.pgbk);
        let mut script = TableScript::new(&tables.script, &tables.rows, reader, counter);
        let name = format!("restore tables of {} into {}", manifest.id, plan.database);
        let progress = &Progress::begin(monitor, &name, Some(script.bytes()));
        if !is_new {
            // Beside single tables everything in the target stays.
            let beside = RestoreTarget { state: TargetState::Empty, ..target.clone() };
            let (between, done) = step(moment);
            let mut loaded = execute_around(&mut script, plan, &beside, manifest, between, progress)?;
            fetched = script.fetched();
            counts = done.try_recv().unwrap_or_default().told_in(&mut loaded);
            return Ok(loaded);
        }
        let first = RestorePlan { until_keys: true, ..plan.clone() };
        let mut loaded = execute(&mut script, &first, target, manifest, progress)?;
        fetched = script.fetched();
        let rest = std::mem::take(&mut loaded.held_back);
        let settings = plan.settings.for_database(&plan.database);
        let client = settings.connect(APPLICATION)?;
        counts = replay(moment.changes, (client, &settings), moment.repository, monitor)?.told_in(&mut loaded);
        let rest = execute_rest(&rest, plan, target, &RestoreWay::single(None), manifest, monitor)
            .map_err(|error| error.context("behind the changes"))?;
        Ok(joined(loaded, rest))
    })?;
    Ok((report, fetched, counts))
}

/// Returns the step that replays the changes within the transaction of the load, and where it says what it has replayed.
fn step(moment: TableMoment<'_>) -> (BetweenStep, std::sync::mpsc::Receiver<ReplayOutcome>) {
    let (changes, repository) = (Arc::clone(moment.changes), moment.repository.clone());
    let (sender, done) = channel();
    let step = move |transaction: &mut Transaction<'_>| {
        let tables = changes.tables.clone().unwrap_or_default();
        let mut replayer = Replayer::within(transaction, changes.encoding, &tables)?;
        changes.links.iter().try_for_each(|link| replay_link(link, &changes, &repository, &mut replayer))?;
        let counts = replayer.finish()?;
        // Whoever waits for it is there until the load ends.
        let _heard = sender.send(ReplayOutcome::of(counts, &changes, transaction)?);
        Ok(())
    };
    (Box::new(step), done)
}
