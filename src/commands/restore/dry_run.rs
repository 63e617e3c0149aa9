//! `pgbk restore --dry-run`

use crate::base::shown::Lines;
use crate::cli::arguments::RestoreArgs;
use crate::cli::console::bytes;
use crate::format::manifest::Manifest;
use crate::jobs::restore::plan::{RestoreOutlook, RestorePlan};
use crate::jobs::restore::tables::TableRestore;
use crate::jobs::restore::way::RestoreWay;
use crate::postgres::restore::target::{RestoreTarget, TargetState};
use serde_json::{Value, json};

/// Says last of all that this was only a plan.
const NOTHING: &str = "  nothing was done: this is what a restore without --dry-run would do";

/// Returns the plan of a restore of a whole database as text, below what is asked about, and as a document.
pub(crate) fn of_database(
    args: &RestoreArgs,
    manifest: &Manifest,
    plan: &RestorePlan,
    target: &RestoreTarget,
    outlook: &RestoreOutlook,
    way: &RestoreWay,
) -> (Lines, Value) {
    let without = without(args, plan);
    let mut text = Lines::of(format!("  way       {}", way.describe()));
    if !without.is_empty() {
        text.push(format!("  without   {}", without.join(", ")));
    }
    let text = text.and(format!("  reads     {} of the payload", bytes(manifest.stored.bytes))).and(NOTHING);
    let mut document = target_members(target);
    add(
        &mut document,
        json!({
            "dry_run": true,
            "id": manifest.id,
            "database": target.database,
            "emptied": matches!(target.state, TargetState::Holds(_)),
            "jobs": way.jobs,
            "single_transaction": !way.is_parallel(),
            "because": way.because,
            "tables": manifest.rows().map(|_| manifest.tables.len()),
            "rows": manifest.rows(),
            "bytes": manifest.plain.bytes,
            "read_bytes": manifest.stored.bytes,
            "properties": outlook.given,
            "warnings": outlook.warnings.iter().map(String::as_str).chain(outlook.unknown).collect::<Vec<_>>(),
            "without": without,
        }),
    );
    (text, document)
}

/// Returns the plan of a restore of single tables as text, below what is asked about, and as a document.
pub(crate) fn of_tables(
    args: &RestoreArgs,
    manifest: &Manifest,
    plan: &RestorePlan,
    tables: &TableRestore,
    read_bytes: u64,
) -> (Lines, Value) {
    let text = Lines::of("  way       one transaction")
        .and(format!("  reads     about {} of the payload of {}", bytes(read_bytes), bytes(manifest.stored.bytes)))
        .and(NOTHING);
    let own: Vec<(u64, u64)> = tables.tables.iter().map(|(_, own)| own.unwrap_or_default()).collect();
    let named = tables.tables.iter().map(|(name, _)| name).zip(&own);
    let list: Vec<Value> =
        named.map(|(name, (rows, bytes))| json!({"name": name, "rows": rows, "bytes": bytes})).collect();
    let mut document = target_members(&tables.target);
    add(
        &mut document,
        json!({
            "dry_run": true,
            "id": manifest.id,
            "database": tables.target.database,
            "emptied": tables.is_whole && matches!(tables.target.state, TargetState::Holds(_)),
            "jobs": 1,
            "single_transaction": true,
            "tables": list,
            "rows": own.iter().fold(0, |sum: u64, (rows, _)| sum.saturating_add(*rows)),
            "bytes": own.iter().fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes)),
            "read_bytes": read_bytes,
            "replaced": tables.replaced,
            "warnings": tables.warnings,
            "with": tables.with,
            "without": tables.without.iter().cloned().chain(without(args, plan)).collect::<Vec<_>>(),
        }),
    );
    (text, document)
}

/// Returns what a document says of a target.
pub(crate) fn target_members(target: &RestoreTarget) -> Value {
    let (state, objects) = match target.state {
        TargetState::Missing => ("missing", 0),
        TargetState::Empty => ("empty", 0),
        TargetState::Holds(count) => ("holds", count),
    };
    json!({"state": state, "objects": objects, "created": target.state == TargetState::Missing})
}

fn add(document: &mut Value, more: Value) {
    if let (Value::Object(members), Value::Object(more)) = (document, more) {
        members.extend(more);
    }
}

/// Returns what the arguments leave out, in words.
fn without(args: &RestoreArgs, plan: &RestorePlan) -> Vec<String> {
    let said = [
        (plan.no_owner, "owners"),
        (plan.no_privileges, "privileges"),
        (args.no_properties, "what belongs to the database itself"),
        (plan.leave.comments, "comments"),
        (plan.leave.tablespaces, "tablespaces"),
        (plan.leave.skip_failed, "whatever the server refuses"),
    ];
    let extensions = plan.leave.extensions.iter().map(|name| format!("extension \"{name}\""));
    said.iter().filter(|(said, _)| *said).map(|(_, what)| (*what).to_owned()).chain(extensions).collect()
}
