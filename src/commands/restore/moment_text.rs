//! Says what a restore to a moment is going to do with the changes, and what it has done.

use crate::base::shown::{Lines, many};
use crate::cli::console::bytes;
use crate::format::manifest::Manifest;
use crate::format::restore_point::RestorePoint;
use crate::jobs::restore::replay::replay_plan::{LeftGeneration, ReplayPlan};
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
    let sequences = match counts.sequences {
        0 => String::new(),
        count => format!(", and {} set", many(count, "sequence")),
    };
    format!(
        "  then {} with {} were replayed, up to {}{sequences}",
        many(counts.transactions, "transaction"),
        many(counts.rows, "changed row"),
        changes.stop
    )
}

/// Describes what is not replayed: a generation without a base, large objects, tables, and sequences whose values are not stored.
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
    let newer = changes.newer.map(|LeftGeneration { id, why }| {
        format!("what was captured since then, in generation {id}, is not restored: {why}")
    });
    let large = changes.large_objects.filter(|_| !changes.links.is_empty());
    let large =
        large.map(|time| format!("large objects are those of the base, of {time:.0}: no changes of them are captured"));
    newer.into_iter().chain(large).chain(told).chain(unsampled(changes)).collect()
}

/// Describes the sequences that no sample tells.
fn unsampled(changes: &ReplayPlan) -> Vec<String> {
    let Some(goals) = &changes.sequences else { return Vec::new() };
    let denied = goals.denied.iter().map(|name| {
        format!(
            "the value of sequence {} was not captured, for want of SELECT: it follows from base and rows",
            name.text()
        )
    });
    let behind = "no segment at or behind the moment says where sequences were: they follow from base, rows and earlier segments";
    denied.chain((!goals.is_sampled).then(|| behind.to_owned())).collect()
}

/// Adds what was replayed to a document with the changes.
pub(crate) fn with_counts(mut document: Value, counts: ReplayCounts) -> Value {
    document["changes"]["transactions"] = json!(counts.transactions);
    document["changes"]["rows"] = json!(counts.rows);
    document["changes"]["sequences"] = json!(counts.sequences);
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
        "newer_generation": changes.newer.map(|newer| newer.id),
        "large_objects_of": changes.large_objects,
        "segments": changes.links.len(),
        "stored_bytes": changes.stored_bytes(),
        "uncovered": uncovered.collect::<Vec<_>>(),
    });
    document
}
