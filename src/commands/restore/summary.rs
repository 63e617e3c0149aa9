//! Says what a restore did, and that a person declined it.

use crate::base::error::Fault;
use crate::base::progress::Monitor;
use crate::base::shown::{Lines, many};
use crate::cli::console::Console;
use crate::commands::summary::tables_and_rows;
use crate::jobs::restore::RestoreReport;
use std::collections::BTreeMap;

pub fn tell(report: &RestoreReport, console: &Console) {
    let untold = report.skipped.iter().filter(|skipped| !report.foretold.contains(skipped));
    untold.for_each(|skipped| console.warn(&format!("skipped: {skipped}")));
    report.unqualified.iter().for_each(|text| console.info(&format!("found with the source's search path: {text}")));
    report.left_out.iter().for_each(|left_out| console.warn(&format!("left out: {left_out}")));
}

pub fn declined() -> anyhow::Error {
    Fault::failed("not confirmed: nothing was restored").into()
}

pub fn summary(report: &RestoreReport) -> Lines {
    summary_of(report, &[])
}

/// Returns what was restored. `others` are the kinds of what came without a table, such as `view`.
pub fn summary_of(report: &RestoreReport, others: &[&str]) -> Lines {
    let made = if report.created { " (created)" } else { "" };
    let counts = match (report.tables, report.rows) {
        (Some(0), Some(_)) if !others.is_empty() => format!(": {}", counted(others)),
        (Some(tables), Some(rows)) => format!(": {}", tables_and_rows(tables as u64, rows)),
        _ => String::new(),
    };
    let mut text = Lines::of(format!(
        "restored {} into \"{}\"{made}{counts} in {:.1} s",
        report.id, report.database, report.seconds
    ));
    if !report.left_out.is_empty() {
        let left_out = match report.left_out.len() {
            1 => "1 statement or table was".to_owned(),
            several => format!("{several} statements and tables were"),
        };
        text.push(format!("  {left_out} left out, as said above: exit code 1"));
    }
    if !report.properties.is_empty() {
        text.push(format!("  the database itself was given: {}", report.properties.join(", ")));
    }
    text
}

/// Returns how many there are of each kind: `2 views, 1 sequence`.
fn counted(kinds: &[&str]) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    kinds.iter().for_each(|kind| *counts.entry(kind).or_default() += 1);
    counts.iter().map(|(kind, count)| many(*count, kind)).collect::<Vec<_>>().join(", ")
}
