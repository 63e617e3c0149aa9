//! `pgbk restore --at --table`: restores single tables as they were at a moment, also beside what a database holds.

use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::base::shown::many;
use crate::cli::arguments::RestoreArgs;
use crate::cli::console::{Console, bytes};
use crate::commands::restore::agreement::agreed;
use crate::commands::restore::dry_run;
use crate::commands::restore::moment_text::{estimate, of_changes, replayed, with_changes, with_counts};
use crate::commands::restore::summary::{declined, summary_of, tell};
use crate::commands::restore::tables::{choice, document, outline, tell_outline};
use crate::format::restore_point::RestorePoint;
use crate::jobs::restore::plan::RestorePlan;
use crate::jobs::restore::replay::base_choice::ChosenBase;
use crate::jobs::restore::tables;
use crate::jobs::restore::tables::moment::{TableMoment, admit_moment, restore_to_moment};
use crate::repository::Repository;
use serde_json::json;
use std::sync::Arc;

pub(crate) fn run(
    args: &RestoreArgs,
    point: RestorePoint,
    chosen: ChosenBase,
    mut plan: RestorePlan,
    repository: &Repository,
    console: &Console,
) -> Result<u8> {
    let ChosenBase { opened, changes } = chosen;
    // What belongs to the database itself stays as it is; a new one is made with the locale of the source.
    plan.own.iter_mut().for_each(|own| own.rules = None);
    let all = changes.links.len();
    let tables = tables::plan(&opened, &choice(args), &plan)?;
    let changes = Arc::new(admit_moment(&tables, changes, &plan)?);
    let mut text = of_changes(&opened.manifest, &changes, point, repository)
        .and(format!("  passed    {} that change none of the tables", many(all - changes.links.len(), "segment")));
    let time = estimate(tables.row_bytes(), &changes);
    text.push(format!("  time      {time}"));
    text.append(outline(&opened, &tables, &plan.settings));
    if args.dry_run {
        let (more, plan) = dry_run::of_tables(args, &opened.manifest, &plan, &tables, tables.expected(&opened)?);
        text.append(more);
        let mut document = with_changes(plan, &changes);
        document["estimated_seconds"] = json!(time.0);
        console.result(&text, &document)?;
        return Ok(0);
    }
    console.note(text.as_str());
    if args.yes {
        tell_outline(&tables, console);
    } else if !agreed(&opened.manifest, &tables.target, false, &text, console)? {
        return Err(declined());
    }
    let moment = TableMoment { changes: &changes, repository };
    let (report, fetched, counts) = restore_to_moment(&opened, &tables, moment, &plan, console)?;
    tell(&report, console);
    let read = format!(
        "  {} of {} of the base and {} of changes were read",
        bytes(fetched),
        bytes(opened.manifest.stored.bytes),
        bytes(changes.stored_bytes())
    );
    let document = with_counts(with_changes(document(&report, &tables, fetched)?, &changes), counts);
    let summary = summary_of(&report, &tables.without_rows()).and(replayed(counts, &changes)).and(read);
    console.result(&summary, &document)?;
    Ok(u8::from(!report.left_out.is_empty()))
}
