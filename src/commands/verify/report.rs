//! Formats the findings of `verify` for people.

use crate::base::error::Kind;
use crate::base::shown::{Lines, agree, many, word};
use crate::base::variant::Variant;
use crate::base::verify_level::Level;
use crate::cli::console::bytes;
use crate::format::manifest::table_diff::TableDiff;
use crate::jobs::verify::{RestoreTestReport, VerifyFinding};

/// Number of things not tried that are listed at most.
const NAMED: usize = 20;

pub fn text(findings: &[VerifyFinding]) -> Lines {
    let width = findings.iter().map(|finding| finding.id.to_string().len()).max().unwrap_or(0);
    let count = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    let size = |number: Option<u64>| number.map_or("-".to_owned(), bytes);
    let mut text =
        Lines::of(format!("{:width$}  {:9}  {:>12}  {:>12}  {:>10}", "BACKUP", "RESULT", "STORED", "DUMP", "ROWS"));
    for finding in findings {
        text.push(format!(
            "{:width$}  {:9}  {:>12}  {:>12}  {:>10}",
            finding.id.to_string(),
            result(finding),
            size(finding.stored_bytes),
            size(finding.plain_bytes),
            count(finding.rows),
        ));
        if let Some(proof) = &finding.proof {
            text.append(tables(proof));
        }
        if let Some(error) = &finding.error {
            text.push(format!("  {error}"));
        }
    }
    text
}

/// Returns how many backups there are, and of which outputs where there are several.
pub fn sum(findings: &[VerifyFinding]) -> String {
    let count = |variant: &Variant| findings.iter().filter(|finding| finding.variant == *variant).count();
    let each = Variant::ALL.iter().filter(|variant| count(variant) > 0);
    let each: Vec<String> = each.map(|variant| format!("{} {}", count(variant), variant.name())).collect();
    match each.len() {
        0 | 1 => many(findings.len(), "backup"),
        _ => format!("{} ({})", many(findings.len(), "backup"), each.join(", ")),
    }
}

fn result(finding: &VerifyFinding) -> &'static str {
    match (finding.kind, finding.level) {
        // One that is read to its end instead is of no database.
        (None, Level::Restore) if finding.proof.as_ref().is_some_and(|proof| proof.with_owners) => "proven",
        (None, Level::Restore) => "proven without owners and privileges",
        (None, _) => "ok",
        (Some(Kind::OtherKey), _) => "OTHER KEY",
        (Some(Kind::Damaged), Level::Restore) => "UNPROVEN",
        (Some(Kind::Damaged), _) => "DAMAGED",
        (Some(_), _) => "UNREAD",
    }
}

fn tables(proof: &RestoreTestReport) -> Lines {
    let RestoreTestReport { scratch, seconds, tables, properties, not_tried, schema, with_owners: _ } = proof;
    let width = tables.iter().map(|table| word(&table.name).chars().count()).max().unwrap_or(0);
    let mut text = Lines::of(format!("  restored into {scratch}, which is gone again, in {seconds:.1} s"));
    for table in tables {
        text.push(format!("  {:width$}  {}", word(&table.name), table.describe()));
    }
    for property in properties {
        text.push(format!("  the database itself: {property}"));
    }
    let same = tables.iter().filter(|table| table.verdict == TableDiff::Same).count();
    let compared = tables.iter().filter(|table| table.verdict != TableDiff::Unknown).count();
    text.push(match (compared, tables.len()) {
        (0, 0) => "  restored without an error; it holds no rows of tables to compare".to_owned(),
        (0, all) => {
            format!(
                "  restored without an error; {} counted, of which an archive's .meta states nothing",
                many(all, "table")
            )
        }
        (compared, _) => {
            let (all, are) = (many(compared, "table"), agree(&compared, "is", "are"));
            format!("  {same} of {all} {are} the same: rows, bytes and BLAKE2b")
        }
    });
    schema.meaning.iter().for_each(|what| text.push(format!("  ANOTHER MEANING: {what}")));
    if let Some((line, count)) = schema.wording {
        text.push(format!(
            "  the schema: {} {} worded in another way by the copy, the first at line {line}",
            many(count, "statement"),
            agree(&count, "is", "are")
        ));
    }
    text.append(untried(not_tried));
    text
}

/// Lists what the role of the restore test could not do.
fn untried(not_tried: &[String]) -> Lines {
    let mut text = Lines::new();
    not_tried.iter().take(NAMED).for_each(|what| text.push(format!("  not tried: {what}")));
    if not_tried.len() > NAMED {
        text.push(format!("  not tried: {} more, which --json names", not_tried.len() - NAMED));
    }
    text
}
