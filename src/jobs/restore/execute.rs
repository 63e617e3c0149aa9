//! Feeds a script to the target.

use crate::base::error::{self, Fault, Kind, Result, kind, sqlstate};
use crate::base::progress::Monitor;
use crate::format::manifest::{Manifest, ServerNote};
use crate::jobs::restore::parallel::feed;
use crate::jobs::restore::plan::RestorePlan;
use crate::jobs::restore::restricted_role::load_by;
use crate::jobs::restore::unqualified_names::source_path;
use crate::jobs::restore::way::RestoreWay;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::restore::load::loader_thread::{ParallelPlan, hand_over, run, run_around, run_in_parallel};
use crate::postgres::restore::load::options::{BetweenStep, LoadOptions, LoadReport};
use crate::postgres::restore::load::side_connection::open_sides;
use crate::postgres::restore::target::{self, APPLICATION, RestoreTarget, TargetState};
use crate::postgres::session::lock_holders::holders;
use crate::repository::reader::BackupReader;
use postgres::Client;
use postgres::error::SqlState;
use std::collections::HashMap;
use std::io::Read;

/// Class of the SQLSTATE of what a server cannot do.
const UNSUPPORTED: &str = "0A";

pub fn execute(
    script: &mut dyn Read,
    plan: &RestorePlan,
    target: &RestoreTarget,
    manifest: &Manifest,
    monitor: &dyn Monitor,
) -> Result<LoadReport> {
    let options = options(plan, target, manifest);
    if let Some(loader) = &plan.loader {
        return load_by(loader, script, options, monitor);
    }
    let settings = plan.settings.for_database(&plan.database);
    let client = settings.connect(APPLICATION)?;
    let loaded = run(client, &settings, script, options, monitor);
    loaded.map_err(|error| between_majors(manifest, target, held(&settings, error)))
}

/// Runs a script in one transaction, with a step between the keys and what stands behind them.
pub(crate) fn execute_around(
    script: &mut dyn Read,
    plan: &RestorePlan,
    target: &RestoreTarget,
    manifest: &Manifest,
    between: BetweenStep,
    monitor: &dyn Monitor,
) -> Result<LoadReport> {
    let settings = plan.settings.for_database(&plan.database);
    let client = settings.connect(APPLICATION)?;
    let options = LoadOptions { until_keys: true, ..options(plan, target, manifest) };
    let loaded = run_around(client, &settings, script, (options, Some(between)), monitor);
    loaded.map_err(|error| between_majors(manifest, target, held(&settings, error)))
}

/// Restores a script by several connections, which commit on the way. If the server gives but one, it is one transaction all the same.
pub(crate) fn execute_in_parallel(
    opened: BackupReader,
    plan: &RestorePlan,
    target: &RestoreTarget,
    way: &RestoreWay,
    monitor: &dyn Monitor,
) -> Result<LoadReport> {
    let manifest = opened.manifest.clone();
    let (client, settings) = plan.settings.for_database(&plan.database).connect_pinned(APPLICATION)?;
    let sides = open_sides(&settings, APPLICATION, way.jobs as usize, monitor)?;
    // Together with what keeps others out of a database that was made here.
    let opens = (target.state == TargetState::Missing && !plan.until_keys).then(|| target::open_to_all(&plan.database));
    let options = LoadOptions { opens, ..options(plan, target, &manifest) };
    let parallel = ParallelPlan { options, sides, sizes: sizes(&manifest), rows_beside: way.rows_beside };
    let loaded = match way.rows_beside && !parallel.sides.is_empty() {
        true => run_in_parallel(client, &settings, parallel, |pipes| feed(&opened, pipes, monitor)),
        false => run_script(&mut opened.plain()?, (client, &settings), parallel, monitor),
    };
    loaded.map_err(|error| between_majors(&manifest, target, held(&settings, error)))
}

/// Runs the script of what a restore of this plan has held back until its changes were replayed.
pub(crate) fn execute_rest(
    script: &[u8],
    plan: &RestorePlan,
    target: &RestoreTarget,
    way: &RestoreWay,
    manifest: &Manifest,
    monitor: &dyn Monitor,
) -> Result<LoadReport> {
    if let Some(loader) = &plan.loader {
        let options = LoadOptions { prelude: None, require_trailer: false, ..options(plan, target, manifest) };
        return load_by(loader, &mut &*script, options, monitor);
    }
    let (client, settings) = plan.settings.for_database(&plan.database).connect_pinned(APPLICATION)?;
    let sides =
        if way.is_parallel() { open_sides(&settings, APPLICATION, way.jobs as usize, monitor)? } else { Vec::new() };
    let opens = (target.state == TargetState::Missing).then(|| target::open_to_all(&plan.database));
    let options = LoadOptions { opens, prelude: None, require_trailer: false, ..options(plan, target, manifest) };
    let parallel = ParallelPlan { options, sides, sizes: sizes(manifest), rows_beside: false };
    let mut script = script;
    let loaded = run_script(&mut script, (client, &settings), parallel, monitor);
    loaded.map_err(|error| between_majors(manifest, target, held(&settings, error)))
}

/// Runs a whole script by these connections: in one transaction where the first one is alone.
fn run_script(
    script: &mut dyn Read,
    (client, settings): (Client, &ConnectionSettings),
    plan: ParallelPlan,
    monitor: &dyn Monitor,
) -> Result<LoadReport> {
    match plan.sides.is_empty() {
        true => run(client, settings, script, plan.options, monitor),
        false => run_in_parallel(client, settings, plan, |pipes| hand_over(script, &pipes.script, monitor)),
    }
}

/// Returns the bytes of the rows of each table.
fn sizes(manifest: &Manifest) -> HashMap<String, u64> {
    manifest.tables.iter().map(|table| (table.name.clone(), table.bytes)).collect()
}

fn options(plan: &RestorePlan, target: &RestoreTarget, manifest: &Manifest) -> LoadOptions {
    let wipe = matches!(target.state, TargetState::Holds(_)).then(|| target.wipe());
    let lacks_public =
        plan.loader.is_none() && plan.own.as_ref().is_some_and(|own| own.rules.is_some() && own.wanted.lacks_public);
    let prelude = match (wipe, lacks_public) {
        (wipe, false) => wipe,
        (wipe, true) => Some([wipe.as_deref().unwrap_or_default(), target::DROP_PUBLIC].join(";\n")),
    };
    LoadOptions {
        no_owner: plan.no_owner,
        no_privileges: plan.no_privileges,
        require_trailer: manifest.tools.pg_dump.is_some(),
        monetary: monetary(manifest),
        prelude,
        opens: None,
        own: plan.own.clone(),
        bounds: None,
        leave: plan.leave.and(&target.unavailable),
        source_path: plan.leave.search_path.is_none().then(|| source_path(plan.own.as_ref())),
        other_major: major(manifest).is_some_and(|major| major != target.server_major),
        until_keys: plan.until_keys,
    }
}

/// Returns the locale in which amounts of money were written; `None` if the manifest has none.
pub fn monetary(manifest: &Manifest) -> Option<String> {
    manifest.server.as_ref()?.session.get("lc_monetary").cloned()
}

/// Adds to an error the sessions that hold the lock which the restore has waited for in vain.
fn held(settings: &ConnectionSettings, error: anyhow::Error) -> anyhow::Error {
    let waited = sqlstate(&error) == Some(SqlState::LOCK_NOT_AVAILABLE.code());
    let by = if waited { holders(settings).unwrap_or_default() } else { Vec::new() };
    if by.is_empty() {
        return error;
    }
    let hint = "let these sessions end, or end them: SELECT pg_terminate_backend(pid)";
    Fault::like(&error, format!("{error:#}; held by {}", by.join("; "))).hint(hint).into()
}

/// Adds both major versions to an error if a server of another version than the backup's refused a statement.
fn between_majors(manifest: &Manifest, target: &RestoreTarget, error: anyhow::Error) -> anyhow::Error {
    let theirs = major(manifest).filter(|theirs| *theirs != target.server_major);
    let refused = kind(&error) == Kind::Refused || sqlstate(&error).is_some_and(|code| code.starts_with(UNSUPPORTED));
    let Some(theirs) = theirs.filter(|_| refused) else { return error };
    let versions = format!("the backup is from PostgreSQL {theirs}, this server is {}", target.server_major);
    let hints = error::hints(&error).into_iter().map(str::to_owned).chain([versions]);
    Fault::like(&error, format!("{error:#}")).hint(hints.collect::<Vec<_>>().join("; ")).into()
}

/// Returns the major version of the server that was backed up; `None` for an upload.
pub fn major(manifest: &Manifest) -> Option<u32> {
    manifest.server.as_ref().map(ServerNote::major)
}
