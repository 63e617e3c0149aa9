//! Says what a restore did, and that a person declined it.

use crate::base::error::Fault;
use crate::base::progress::Monitor;
use crate::base::shown::Lines;
use crate::cli::console::Console;
use crate::commands::summary::tables_and_rows;
use crate::jobs::restore::RestoreReport;

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
    let made = if report.created { " (created)" } else { "" };
    let counts = match (report.tables, report.rows) {
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
