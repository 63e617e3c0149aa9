//! `pgbk restore --at`: restores a base and the changes since then, up to a moment, into a new database.

use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::base::shown::Lines;
use crate::cli::arguments::RestoreArgs;
use crate::cli::console::{Console, bytes};
use crate::cli::values::BackupChoice;
use crate::commands::lookup::subject_of;
use crate::commands::restore::agreement::agreed;
use crate::commands::restore::at_tables;
use crate::commands::restore::dry_run;
use crate::commands::restore::moment_text::{estimate, of_changes, replayed, uncovered, with_changes, with_counts};
use crate::commands::restore::plan::plan;
use crate::commands::restore::summary::{declined, summary, tell};
use crate::commands::summary::contents;
use crate::config;
use crate::format::manifest::Manifest;
use crate::format::restore_point::RestorePoint;
use crate::jobs::restore::admit;
use crate::jobs::restore::properties::outlook;
use crate::jobs::restore::replay::base_choice::{ChosenBase, choose_base};
use crate::jobs::restore::replay::replay_plan::ReplayPlan;
use crate::jobs::restore::replay::restore_to_moment;
use crate::jobs::restore::way::way;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::restore::target::{RestoreTarget, TargetState};
use crate::repository::Repository;
use serde_json::json;
use std::sync::Arc;

pub(crate) fn run(args: &RestoreArgs, point: RestorePoint, to: &str, console: &Console) -> Result<u8> {
    let id = args.which.as_ref().and_then(BackupChoice::id);
    let repository = config::outputs::repository(&args.variant, id, &args.store, &args.keys, &args.state)?;
    let subject = match id {
        Some(id) => id.subject().clone(),
        None => subject_of(args.database.as_deref(), &repository)?,
    };
    let chosen = choose_base(&repository, &subject, id, point)?;
    carry_out(args, (point, to), &repository, chosen, console)
}

/// Restores a base that was chosen, and the changes behind it, into the database of this name.
pub(crate) fn carry_out(
    args: &RestoreArgs,
    (point, to): (RestorePoint, &str),
    repository: &Repository,
    chosen: ChosenBase,
    console: &Console,
) -> Result<u8> {
    let server = config::server::server(&args.server)?;
    let plan = plan(args, &chosen.opened, &server, to.to_owned())?;
    if args.limits.limit() {
        return at_tables::run(args, point, chosen, plan, repository, console);
    }
    let (opened, changes) = (chosen.opened, Arc::new(chosen.changes));
    let target = admit(&opened.manifest, &plan)?;
    let outlook = outlook(&opened.manifest, &plan, &target)?;
    let mut outline = outline(&opened.manifest, &changes, point, (&server, &target), repository);
    if args.dry_run {
        let way = way(&opened.manifest, &plan, &target);
        let (more, document) = dry_run::of_database(args, &opened.manifest, &plan, &target, &outlook, &way);
        let warnings = outlook.warnings.iter().map(String::as_str).chain(outlook.unknown);
        warnings.for_each(|warning| outline.push(format!("  warning   {warning}")));
        outline.append(more);
        let mut document = with_changes(document, &changes);
        document["estimated_seconds"] = json!(estimate(opened.manifest.plain.bytes, &changes).0);
        console.result(&outline, &document)?;
        return Ok(0);
    }
    console.note(outline.as_str());
    outlook.unknown.iter().for_each(|unknown| console.note(unknown));
    outlook.warnings.iter().for_each(|warning| console.warn(warning));
    uncovered(&changes).iter().for_each(|table| console.warn(table));
    if !args.yes && !agreed(&opened.manifest, &target, false, &outline, console)? {
        return Err(declined());
    }
    let (report, counts) = restore_to_moment(opened, &changes, &plan, &target, repository, console)?;
    tell(&report, console);
    let document = with_counts(with_changes(serde_json::to_value(&report)?, &changes), counts);
    console.result(&summary(&report).and(replayed(counts, &changes)), &document)?;
    Ok(u8::from(!report.left_out.is_empty()))
}

/// Describes what will be restored and where, before anything happens.
fn outline(
    manifest: &Manifest,
    changes: &ReplayPlan,
    point: RestorePoint,
    (server, target): (&ConnectionSettings, &RestoreTarget),
    repository: &Repository,
) -> Lines {
    let state = match target.state {
        TargetState::Missing => "does not exist and will be created",
        TargetState::Empty | TargetState::Holds(_) => "is empty",
    };
    let mut text = of_changes(manifest, changes, point, repository)
        .and(format!("  time      {}", estimate(manifest.plain.bytes, changes)))
        .and(format!("  dump      {} {}", bytes(manifest.plain.bytes), contents(manifest)));
    uncovered(changes).iter().for_each(|table| text.push(format!("  warning   {table}")));
    text.and(format!("  server    {}", server.describe())).and(format!("  database  \"{}\" {state}", target.database))
}
