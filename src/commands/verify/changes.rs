//! `pgbk verify --changes`

use crate::base::databases::Databases;
use crate::base::error::{Kind, Result};
use crate::base::shown::{Lines, agree, many, word};
use crate::base::subject::Subject;
use crate::base::variant::Variant;
use crate::base::verify_level::Level;
use crate::cli::arguments::VerifyArgs;
use crate::cli::console::{Console, bytes};
use crate::commands::lookup::{server, subject_of};
use crate::commands::verify::proof_runs::with_tests;
use crate::config;
use crate::format::manifest::table_diff::TableDiff;
use crate::format::run_record::Trigger;
use crate::jobs::restore_test::chain_proof::ChainProof;
use crate::jobs::restore_test::verify_changes::chain_finding::ChainFinding;
use crate::jobs::restore_test::verify_changes::{ChainDepth, none_stored, verify_changes};
use crate::repository::Repository;
use serde_json::json;

/// Number of errors and of things not tried that are listed at most.
const NAMED: usize = 20;

pub(crate) fn run(args: &VerifyArgs, console: &Console) -> Result<u8> {
    let place = &args.variant.place;
    let repository = config::outputs::of_variant(Variant::Plain, place, &args.store, &args.keys, &args.state)?;
    let subject = subject_of(args.database.as_deref(), &repository)?;
    let findings = match args.level {
        Level::Restore => proven(args, &repository, &subject, console)?,
        segments => {
            let depth = ChainDepth { segments, proof: None };
            verify_changes(&repository, &subject, &server(&args.server, console), depth, console)?
        }
    };
    let kinds: Vec<Kind> = findings.iter().filter_map(|finding| finding.kind).collect();
    let damaged = kinds.iter().filter(|kind| **kind == Kind::Damaged).count();
    let document = json!({
        "level": args.level, "database": subject.name(), "checked": findings.len(), "damaged": damaged,
        "other_key": kinds.len() - damaged, "generations": findings
    });
    let failed = if kinds.is_empty() { String::new() } else { format!("; {} did not pass", kinds.len()) };
    let sum = format!(
        "{} of the changes of \"{}\"; {}{failed}",
        many(findings.len(), "generation"),
        subject.name(),
        describe(args.level)
    );
    console.result(&text(&findings).and(sum), &document)?;
    Ok(kinds.first().map_or(0, |kind| kind.exit_code()))
}

/// Verifies as a run: it gets a record, and its failure is alerted.
fn proven(
    args: &VerifyArgs,
    repository: &Repository,
    subject: &Subject,
    console: &Console,
) -> Result<Vec<ChainFinding>> {
    let databases = Databases::Named(vec![subject.clone()]);
    let mut done = with_tests(args, repository, console, |tests| {
        tests.changes(&databases, Level::Content, Trigger::Manual, |_| {})
    })?;
    done.pop().map_or_else(|| Err(none_stored(repository, subject).into()), |outcome| outcome.result)
}

fn describe(level: Level) -> &'static str {
    match level {
        Level::Meta => "level meta: the documents, that they follow each other, and that the payloads are there",
        Level::Stored => "level stored: every stored byte was read and compared",
        Level::Content => "level content: decrypted and decompressed to the end, and compared",
        Level::Restore => "level restore: replayed onto a base, and compared with the next base",
    }
}

fn text(findings: &[ChainFinding]) -> Lines {
    let line = |cells: [String; 6]| {
        let [generation, result, bases, segments, stored, transactions] = cells;
        format!("{generation:25}  {result:8}  {bases:>5}  {segments:>8}  {stored:>12}  {transactions:>12}")
    };
    let head = ["GENERATION", "RESULT", "BASES", "SEGMENTS", "STORED", "TRANSACTIONS"];
    let mut text = Lines::of(line(head.map(str::to_owned)));
    for finding in findings {
        text.push(line([
            finding.generation.to_string(),
            result(finding).to_owned(),
            finding.bases.len().to_string(),
            finding.segments.to_string(),
            bytes(finding.stored_bytes),
            finding.transactions.to_string(),
        ]));
        match (finding.from.zip(finding.to), finding.bases.first()) {
            (Some((from, to)), Some(base)) => text.push(format!("  from {from} to {to}, for {base} and later")),
            (Some((from, to)), None) => {
                text.push(format!("  from {from} to {to}; without a base nothing can be restored of it"));
            }
            (None, _) => text.push("  no segment is stored behind its oldest base"),
        }
        if let Some(proof) = &finding.proof {
            text.append(compared(proof));
        }
        if let Some(why) = &finding.unproven {
            text.push(format!("  not replayed: {why}"));
        }
        finding.errors.iter().take(NAMED).for_each(|error| text.push(format!("  {error}")));
        if finding.errors.len() > NAMED {
            text.push(format!("  {} more, which --json names", many(finding.errors.len() - NAMED, "error")));
        }
    }
    text
}

fn result(finding: &ChainFinding) -> &'static str {
    match (finding.kind, &finding.proof) {
        (None, Some(_)) => "proven",
        (None, None) => "ok",
        (Some(Kind::OtherKey), _) => "OTHER KEY",
        (Some(_), Some(_)) => "UNPROVEN",
        (Some(_), None) => "DAMAGED",
    }
}

fn compared(proof: &ChainProof) -> Lines {
    let names = proof.tables.iter().map(|table| &table.name).chain(proof.uncompared.iter().map(|table| &table.name));
    let width = names.map(|name| word(name).chars().count()).max().unwrap_or(0);
    let mut text =
        Lines::of(format!("  {} was restored into {}, which is gone again", proof.base, proof.scratch)).and(format!(
            "  then {} with {} of {} were replayed, up to what {} holds, all in {:.1} s",
            many(proof.transactions, "transaction"),
            many(proof.changed_rows, "changed row"),
            many(proof.segments, "segment"),
            proof.reached,
            proof.seconds
        ));
    for table in &proof.tables {
        text.push(format!("  {:width$}  {}", word(&table.name), table.describe()));
    }
    for table in &proof.uncompared {
        text.push(format!("  {:width$}  not compared: {}", word(&table.name), table.reason));
    }
    let same = proof.tables.iter().filter(|table| table.verdict == TableDiff::Same).count();
    let are = agree(&proof.tables.len(), "is", "are");
    let sum = format!("  {same} of {} {are} the same: rows, bytes and BLAKE2b", many(proof.tables.len(), "table"));
    text.push(match proof.uncompared.len() {
        0 => sum,
        others => format!("{sum}; {} {} not compared", many(others, "other"), agree(&others, "is", "are")),
    });
    for what in proof.not_tried.iter().take(NAMED) {
        text.push(format!("  not tried: {what}"));
    }
    if proof.not_tried.len() > NAMED {
        text.push(format!("  not tried: {} more, which --json names", proof.not_tried.len() - NAMED));
    }
    text
}
