//! Restores a database to a moment: a base up to its keys, then the changes that were stored since, then the rest of the base.

pub(crate) mod base_choice;
pub(crate) mod replay_outcome;
pub(crate) mod replay_plan;
pub(crate) mod stop;
pub(crate) mod time_estimate;

use crate::base::cancel;
use crate::base::error::Result;
use crate::base::progress::{Monitor, Progress};
use crate::base::worker::Worker;
use crate::format::changes::delta_record::DeltaRecord;
use crate::format::sql::object_name::TableName;
use crate::jobs::restore::execute::{execute, execute_in_parallel, execute_rest};
use crate::jobs::restore::plan::RestorePlan;
use crate::jobs::restore::replay::replay_outcome::ReplayOutcome;
use crate::jobs::restore::replay::replay_plan::ReplayPlan;
use crate::jobs::restore::way::{RestoreWay, way};
use crate::jobs::restore::{RestoreReport, carried_out};
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::properties::own_properties::OwnProperties;
use crate::postgres::restore::load::options::LoadReport;
use crate::postgres::restore::replay::{ReplayCounts, Replayer};
use crate::postgres::restore::target::{APPLICATION, RestoreTarget};
use crate::repository::Repository;
use crate::repository::chain::chain_link::ChainLink;
use crate::repository::reader::BackupReader;
use postgres::{Client, GenericClient};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Time that the server has after a signal to cancel its statement.
const GRACE: Duration = Duration::from_secs(2);

/// Restores a base into a target that [`admit`](crate::jobs::restore::admit) returned, and the changes of the plan. On any error the target
/// is as it was; a database made here is gone again. What is needed of the changes is checked first, before the target is touched.
pub fn restore_to_moment(
    opened: BackupReader,
    changes: &Arc<ReplayPlan>,
    plan: &RestorePlan,
    target: &RestoreTarget,
    repository: &Repository,
    monitor: &dyn Monitor,
) -> Result<(RestoreReport, ReplayCounts)> {
    check(changes, repository, monitor)?;
    let manifest = opened.manifest.clone();
    let way = way(&manifest, plan, target);
    let mut counts = ReplayCounts::default();
    let report = carried_out(&manifest, plan, target, true, monitor, || {
        let mut loaded = base(opened, plan, target, &way, monitor)?;
        let script = std::mem::take(&mut loaded.held_back);
        let settings = plan.settings.for_database(&plan.database);
        let replayed = replay(changes, (settings.connect(APPLICATION)?, &settings), repository, monitor)?;
        counts = replayed.told_in(&mut loaded);
        let rest = execute_rest(&script, plan, target, &way, &manifest, monitor)
            .map_err(|error| error.context("behind the changes"))?;
        Ok(joined(loaded, rest))
    })?;
    Ok((report, counts))
}

/// Reads all payloads of the plan to their ends, and checks every chunk of them.
pub(crate) fn check(changes: &ReplayPlan, repository: &Repository, monitor: &dyn Monitor) -> Result<()> {
    let progress = Progress::begin(monitor, "check the changes", Some(changes.stored_bytes()));
    for link in &changes.links {
        cancel::check()?;
        repository.check_stored(link)?;
        progress.advance(link.segment.stored.bytes);
    }
    Ok(())
}

/// Restores the base up to its keys, and nothing of the database's own properties.
pub(crate) fn base(
    opened: BackupReader,
    plan: &RestorePlan,
    target: &RestoreTarget,
    way: &RestoreWay,
    monitor: &dyn Monitor,
) -> Result<LoadReport> {
    let manifest = opened.manifest.clone();
    let name = format!("restore {} into {}", manifest.id, plan.database);
    let monitor = &Progress::begin(monitor, &name, Some(manifest.plain.bytes));
    let own = plan.own.clone().map(|own| OwnProperties { rules: None, ..own });
    let plan = RestorePlan { own, until_keys: true, ..plan.clone() };
    match way.is_parallel() {
        true => execute_in_parallel(opened, &plan, target, way, monitor),
        false => execute(&mut opened.plain()?, &plan, target, &manifest, monitor),
    }
}

/// Joins the reports of the two parts of a base.
pub(crate) fn joined(mut first: LoadReport, rest: LoadReport) -> LoadReport {
    first.statements += rest.statements;
    first.skipped.extend(rest.skipped);
    first.skipped.dedup();
    first.foretold.extend(rest.foretold);
    first.unqualified.extend(rest.unqualified);
    first.given = rest.given;
    // A part of a restore test goes on with what the one before it has set aside.
    if !rest.untried.statements.is_empty() {
        first.untried = rest.untried;
    }
    first
}

/// Replays the changes by this connection, and sets the sequences, on a thread of its own, while this one waits for signals.
pub(crate) fn replay(
    changes: &Arc<ReplayPlan>,
    (client, settings): (Client, &ConnectionSettings),
    repository: &Repository,
    monitor: &dyn Monitor,
) -> Result<ReplayOutcome> {
    let progress = Progress::begin(monitor, "replay the changes", Some(changes.plain_bytes()));
    let cancel = settings.canceller(&client)?;
    let passed = Arc::new(AtomicU64::new(0));
    let (of_thread, changes, repository) = (Arc::clone(&passed), Arc::clone(changes), repository.clone());
    let replaying = Worker::begin(move || {
        let mut client = client;
        let mut replayer = Replayer::begin(&mut client, changes.encoding)?;
        for link in &changes.links {
            replay_link(link, &changes, &repository, &mut replayer)?;
            of_thread.fetch_add(link.segment.plain.bytes, Ordering::Relaxed);
        }
        let counts = replayer.finish()?;
        ReplayOutcome::of(counts, &changes, &mut client)
    });
    loop {
        let ended = replaying.within(cancel::TICK)?;
        progress.advance(passed.swap(0, Ordering::Relaxed));
        if let Some(ended) = ended {
            return ended;
        }
        if let Err(stopped) = cancel::check() {
            cancel();
            // It ends with an error of its own, or not at all; the database goes in either case.
            let _ = replaying.within(GRACE);
            return Err(stopped);
        }
    }
}

/// Replays what a segment holds of the plan. The segment is read to its end: only there its payload is known to be whole.
pub(crate) fn replay_link<C: GenericClient>(
    link: &ChainLink,
    changes: &ReplayPlan,
    repository: &Repository,
    replayer: &mut Replayer<'_, C>,
) -> Result<()> {
    let mut reader = repository.delta(link)?;
    if let Some(tables) = &changes.tables {
        reader = reader.only(tables.clone());
    }
    let mut applies = false;
    let mut place = link.segment.start;
    loop {
        let line = reader.line_number() + 1;
        let Some(record) = reader.next_record()? else { return Ok(()) };
        match &record {
            DeltaRecord::Begin(head) => {
                cancel::check()?;
                (applies, place) = (changes.applies(head), head.commit);
            }
            DeltaRecord::End { end } => {
                let end = *end;
                return link.compare(&reader, end);
            }
            _ => {}
        }
        if !applies {
            continue;
        }
        match &record {
            DeltaRecord::Change { table, .. }
            | DeltaRecord::CopyBegin { table, .. }
            | DeltaRecord::CopyEnd { table, .. }
                if !changes.covers(table, place) => {}
            DeltaRecord::Truncate { tables, statement } => {
                let covered: Vec<&TableName> = tables.iter().filter(|table| changes.covers(table, place)).collect();
                // The statement names the tables that are not wanted as well.
                let is_whole = covered.len() == tables.len() && changes.tables.is_none();
                truncate(&record, &covered, is_whole, statement, replayer, line)?;
            }
            record => replayer.take(record, line)?,
        }
    }
}

/// Replays a statement that empties tables for those of them that are covered.
fn truncate<C: GenericClient>(
    record: &DeltaRecord<'_>,
    covered: &[&TableName],
    is_whole: bool,
    statement: &[u8],
    replayer: &mut Replayer<'_, C>,
    line: u64,
) -> Result<()> {
    if is_whole {
        return replayer.take(record, line);
    }
    if covered.is_empty() {
        return Ok(());
    }
    let names: Vec<Vec<u8>> = covered.iter().map(|table| [b"ONLY ", &table.quoted()[..]].concat()).collect();
    let restart: &[u8] = if statement.ends_with(b" RESTART IDENTITY;") { b" RESTART IDENTITY" } else { b"" };
    let statement = [b"TRUNCATE ", &names.join(&b", "[..])[..], restart, b";"].concat();
    let tables = covered.iter().map(|table| (*table).clone()).collect();
    replayer.take(&DeltaRecord::Truncate { tables, statement: &statement }, line)
}
