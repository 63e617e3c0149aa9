//! What was found, for people.

use crate::console::bytes;
use crate::error::Kind;
use crate::jobs::verify::{Finding, Proof};
use crate::level::Level;
use crate::manifest::compared::Verdict;
use crate::shown::word;

/// How much of what was not tried is named.
const NAMED: usize = 20;

pub fn text(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.id.to_string().len()).max().unwrap_or(0);
    let count = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    let size = |number: Option<u64>| number.map_or("-".to_owned(), bytes);
    let mut text = format!("{:width$}  {:9}  {:>12}  {:>12}  {:>10}\n", "BACKUP", "RESULT", "STORED", "DUMP", "ROWS");
    for finding in findings {
        text.push_str(&format!(
            "{:width$}  {:9}  {:>12}  {:>12}  {:>10}\n",
            finding.id.to_string(),
            result(finding),
            size(finding.stored_bytes),
            size(finding.plain_bytes),
            count(finding.rows),
        ));
        if let Some(proof) = &finding.proof {
            text.push_str(&tables(proof));
        }
        if let Some(error) = &finding.error {
            text.push_str(&format!("  {}\n", word(error)));
        }
    }
    text
}

fn result(finding: &Finding) -> &'static str {
    match (finding.kind, finding.level) {
        (None, Level::Restore) => "proven",
        (None, _) => "ok",
        (Some(Kind::OtherKey), _) => "OTHER KEY",
        (Some(Kind::Damaged), Level::Restore) => "UNPROVEN",
        (Some(Kind::Damaged), _) => "DAMAGED",
        (Some(_), _) => "UNREAD",
    }
}

fn tables(proof: &Proof) -> String {
    let Proof { scratch, seconds, tables, properties, not_tried } = proof;
    let width = tables.iter().map(|table| word(&table.name).chars().count()).max().unwrap_or(0);
    let mut text =
        format!("  restored without owners and privileges into {scratch}, which is gone again, in {seconds:.1} s\n");
    for table in tables {
        text.push_str(&format!("  {:width$}  {}\n", word(&table.name), table.describe()));
    }
    for property in properties {
        text.push_str(&format!("  the database itself: {property}\n"));
    }
    let same = tables.iter().filter(|table| table.verdict == Verdict::Same).count();
    let compared = tables.iter().filter(|table| table.verdict != Verdict::Unknown).count();
    text.push_str(&match (compared, tables.len()) {
        (0, 0) => "  restored without an error; it holds no rows of tables to compare\n".to_owned(),
        (0, all) => {
            format!("  restored without an error; {all} tables counted, of which an archive's .meta states nothing\n")
        }
        (compared, _) => format!("  {same} of {compared} tables are the same: rows, bytes and BLAKE2b\n"),
    });
    text.push_str(&untried(not_tried));
    text
}

/// What the role of the proof could not do.
fn untried(not_tried: &[String]) -> String {
    let mut text: String = not_tried.iter().take(NAMED).map(|what| format!("  not tried: {what}\n")).collect();
    if not_tried.len() > NAMED {
        text.push_str(&format!("  not tried: {} more, which --json names\n", not_tried.len() - NAMED));
    }
    text
}
