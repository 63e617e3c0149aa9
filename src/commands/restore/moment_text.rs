//! Says what a restore to a moment is going to do with the changes, and what it has done.

use crate::base::shown::{Lines, many};
use crate::cli::console::bytes;
use crate::format::manifest::Manifest;
use crate::format::restore_point::RestorePoint;
use crate::jobs::restore::replay::replay_plan::ReplayPlan;
use crate::jobs::restore::replay::time_estimate::TimeEstimate;
use crate::postgres::restore::replay::ReplayCounts;
use crate::repository::Repository;
use serde_json::{Value, json};

/// Describes the moment, the base and the changes.
pub(crate) fn of_changes(
    manifest: &Manifest,
    changes: &ReplayPlan,
    point: RestorePoint,
    repository: &Repository,
) -> Lines {
    let last = changes.last_commit().map(|last| format!(", the latest of {last}")).unwrap_or_default();
    Lines::of(format!("  moment    {point}"))
        .and(format!("  base      {} from {}", manifest.id, repository.store.location()))
        .and(format!(
            "  changes   {} with {}{last}; {} to read",
            many(changes.links.len() as u64, "segment"),
            many(changes.transactions(), "transaction"),
            bytes(changes.stored_bytes())
        ))
        .and(format!("  up to     {}", changes.stop))
}

/// Estimates the time of a restore of so much of a base with its changes.
pub(crate) fn estimate(dump_bytes: u64, changes: &ReplayPlan) -> TimeEstimate {
    TimeEstimate::of(dump_bytes, changes.changed_rows(), changes.stored_bytes())
}

/// Says what was replayed.
pub(crate) fn replayed(counts: ReplayCounts, changes: &ReplayPlan) -> String {
    format!(
        "  then {} with {} were replayed, up to {}",
        many(counts.transactions, "transaction"),
        many(counts.rows, "changed row"),
        changes.stop
    )
}

/// Describes the tables of which not all changes are replayed.
pub(crate) fn uncovered(changes: &ReplayPlan) -> Vec<String> {
    let told = changes.uncovered.iter().map(|(table, uncovered)| {
        if !uncovered.is_sure {
            return format!(
                "table {} may have changed before this moment ({}), or behind it: it is restored as it was at {}",
                table.text(),
                uncovered.why(),
                uncovered.from
            );
        }
        let since = match uncovered.reason {
            Some(_) => format!("from {} on", uncovered.from),
            None => "at all".to_owned(),
        };
        format!("changes of table {} are not replayed {since}: {}", table.text(), uncovered.why())
    });
    told.collect()
}

/// Adds what was replayed to a document with the changes.
pub(crate) fn with_counts(mut document: Value, counts: ReplayCounts) -> Value {
    document["changes"]["transactions"] = json!(counts.transactions);
    document["changes"]["rows"] = json!(counts.rows);
    document
}

/// Adds the changes to a document.
pub(crate) fn with_changes(mut document: Value, changes: &ReplayPlan) -> Value {
    let uncovered = changes.uncovered.iter().map(|(table, uncovered)| {
        json!({"table": table.text(), "from": uncovered.reason.map(|_| uncovered.from), "reason": uncovered.reason})
    });
    document["changes"] = json!({
        "generation": changes.generation,
        "up_to": changes.stop,
        "segments": changes.links.len(),
        "stored_bytes": changes.stored_bytes(),
        "uncovered": uncovered.collect::<Vec<_>>(),
    });
    document
}
