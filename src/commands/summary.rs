//! Says in a line what a backup holds and how long it took.

use crate::base::shown::many;
use crate::format::manifest::{Format, Manifest};
use std::collections::BTreeMap;

/// Names the stages of a backup in their order, with the time that each took; those that took none are left out.
pub fn stages(seconds: &BTreeMap<String, f64>) -> String {
    const NOTHING: f64 = 0.05;
    let at = |stage: &str| ["dump", "commit", "check"].iter().position(|known| *known == stage).unwrap_or(usize::MAX);
    let mut stages: Vec<_> = seconds.iter().filter(|(stage, seconds)| **seconds >= NOTHING || at(stage) == 0).collect();
    stages.sort_by_key(|(stage, _)| (at(stage), stage.to_owned()));
    stages.iter().map(|(stage, seconds)| format!("{stage} {seconds:.1} s")).collect::<Vec<_>>().join(", ")
}

/// Returns what a dump holds: its tables and rows if they were counted, else its kind.
pub fn contents(manifest: &Manifest) -> String {
    match (manifest.rows(), manifest.dump.format) {
        (Some(rows), _) => format!("in {}", tables_and_rows(manifest.tables.len() as u64, rows)),
        (None, Format::Custom) => "as an archive".to_owned(),
        (None, Format::Tar) => "of files".to_owned(),
        (None, Format::Plain) => "of roles and tablespaces".to_owned(),
    }
}

/// Says what a dump holds, or what a restore has brought back.
pub fn tables_and_rows(tables: u64, rows: u64) -> String {
    format!("{}, {}", many(tables, "table"), many(rows, "row"))
}
