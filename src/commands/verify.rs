//! `pgbk verify`

pub(crate) mod changes;
pub(crate) mod proof_runs;
pub(crate) mod report;

use crate::base::databases::Selection;
use crate::base::error::{Fault, Kind, Result};
use crate::base::progress::Monitor;
use crate::base::subject::Subject;
use crate::base::verify_level::Level;
use crate::cli::arguments::VerifyArgs;
use crate::cli::console::Console;
use crate::commands::lookup::{asker, limit, named, resolve};
use crate::commands::verify::proof_runs::with_tests;
use crate::config;
use crate::format::backup_id::BackupId;
use crate::format::run_record::Trigger;
use crate::jobs::verify::{VerifyFinding, among_others, verify, verify_all, verify_old};
use crate::repository::Repository;
use crate::repository::catalog::lost_documents;
use serde_json::json;

pub fn run(args: &VerifyArgs, console: &Console) -> Result<u8> {
    if args.changes {
        return changes::run(args, console);
    }
    let limit = named(limit(args.database.as_deref()))?;
    let limit = limit.map(|subject| subject.in_variant(args.variant.variant.unwrap_or_default()));
    let (findings, unlisted) = match args.all {
        true => every(args, limit.as_ref(), console)?,
        false => (one(args, console)?, None),
    };
    let kinds: Vec<Kind> = findings.iter().filter_map(|finding| finding.kind).collect();
    let damaged = kinds.iter().filter(|kind| **kind == Kind::Damaged).count();
    let other_key = kinds.iter().filter(|kind| **kind == Kind::OtherKey).count();
    let unread = kinds.len() - damaged - other_key;
    let level = findings.first().map_or(args.level, |finding| finding.level);
    let all = args.all.then(|| limit.map_or(Selection::Every, Selection::One));
    let document = json!({
        "level": level, "all": all, "checked": findings.len(), "damaged": damaged, "other_key": other_key,
        "unread": unread, "backups": findings
    });
    let whose = match &all {
        None => String::new(),
        Some(Selection::Every) => ", all that there are".to_owned(),
        Some(Selection::One(subject)) => format!(", all of \"{subject}\""),
    };
    let failed = if kinds.is_empty() { String::new() } else { format!("; {} did not pass", kinds.len()) };
    let text = report::text(&findings);
    let sum = report::sum(&findings);
    console.result(&text.and(format!("{sum}{whose}; {}{failed}", level.describe())), &document)?;
    match unlisted {
        // Damage is the worse news of the two.
        Some(error) if damaged == 0 => return Err(error),
        Some(error) => console.tell(&error),
        None => {}
    }
    let worst = if damaged > 0 { Some(Kind::Damaged) } else { kinds.first().copied() };
    Ok(worst.map_or(0, Kind::exit_code))
}

/// Verifies the one backup that is meant.
fn one(args: &VerifyArgs, console: &Console) -> Result<Vec<VerifyFinding>> {
    let repository = config::outputs::repository(&args.variant, args.which.id(), &args.store, &args.keys, &args.state)?;
    if let Some(key) = &args.object {
        return Ok(vec![verify_old(repository.old_backup(key)?, console)?]);
    }
    let asker = || asker(&args.server, args.origin, console);
    let id = resolve(&args.which, args.database.as_deref(), &repository, asker, console)?;
    match args.level {
        Level::Restore => proofs(args, &repository, &[id], console),
        level => Ok(vec![verify(&repository, &id, level, console)?]),
    }
}

/// Verifies every backup of the output that is meant, else of each that `OUTPUTS` names. Returns also why the backups of one could not be
/// listed, which does not stop those of the others.
fn every(
    args: &VerifyArgs,
    limit: Option<&Subject>,
    console: &Console,
) -> Result<(Vec<VerifyFinding>, Option<anyhow::Error>)> {
    let variants = args.variant.variant.map_or_else(config::outputs::named, |variant| Ok(vec![variant]))?;
    let (mut listed, mut unlisted) = (Vec::new(), None);
    for variant in variants {
        let place = &args.variant.place;
        let repository = config::outputs::of_variant(variant, place, &args.store, &args.keys, &args.state)?;
        let subject = limit.cloned().map(|subject| subject.in_variant(variant));
        match repository.catalog(subject.as_ref()) {
            Ok(catalog) => {
                lost_documents(&catalog).iter().for_each(|lost| console.warn(lost));
                listed.push((catalog.ids(), repository));
            }
            Err(error) if listed.is_empty() => return Err(error),
            Err(error) => unlisted = Some(error.context(format!("the {} backups cannot be listed", variant.name()))),
        }
    }
    if let ([(_, first), ..], true) = (listed.as_slice(), listed.iter().all(|(ids, _)| ids.is_empty())) {
        return Err(Fault::not_found(format!("there is no backup in {}", first.store.location())).into());
    }
    let mut findings = Vec::new();
    for (ids, repository) in listed.iter().filter(|(ids, _)| !ids.is_empty()) {
        findings.extend(match args.level {
            Level::Restore => proofs(args, repository, ids, console)?,
            level => verify_all(repository, ids, level, console)?,
        });
    }
    Ok((findings, unlisted))
}

/// Runs restore tests of these backups. Each is a run: it gets a record, and its failure is alerted.
fn proofs(
    args: &VerifyArgs,
    repository: &Repository,
    ids: &[BackupId],
    console: &Console,
) -> Result<Vec<VerifyFinding>> {
    let done = with_tests(args, repository, console, |tests| tests.of(ids, Trigger::Manual, |_| {}));
    let found = ids.iter().zip(done?);
    match ids {
        [_] => found.map(|(_, outcome)| outcome.result).collect(),
        _ => found.map(|(id, outcome)| among_others(id, Level::Restore, outcome.result)).collect(),
    }
}
