//! `pgbk verify`

pub(crate) mod report;

use crate::base::databases::Selection;
use crate::base::error::{Fault, Kind, Result};
use crate::base::progress::Monitor;
use crate::base::shown::many;
use crate::base::verify_level::Level;
use crate::cli::arguments::VerifyArgs;
use crate::cli::console::Console;
use crate::commands::backup::AlertAudience;
use crate::commands::lookup::{asker, limit, named, resolve};
use crate::config;
use crate::format::backup_id::BackupId;
use crate::format::run_record::Trigger;
use crate::jobs::backup::outputs::FurtherOutputs;
use crate::jobs::verify::{VerifyFinding, among_others, verify, verify_all, verify_old};
use crate::repository::Repository;
use crate::repository::catalog::lost_documents;
use crate::runs::restore_tests::RestoreTests;
use crate::runs::runner::Runner;
use jiff::Timestamp;
use serde_json::json;

pub fn run(args: &VerifyArgs, console: &Console) -> Result<u8> {
    let repository = config::outputs::repository(&args.variant, args.which.id(), &args.store, &args.keys, &args.state)?;
    let limit = named(limit(args.database.as_deref()))?.map(|subject| subject.in_variant(repository.variant));
    let findings = if args.all {
        let catalog = repository.catalog(limit.as_ref())?;
        lost_documents(&catalog).iter().for_each(|lost| console.warn(lost));
        let ids = catalog.ids();
        if ids.is_empty() {
            return Err(Fault::not_found(format!("there is no backup in {}", repository.store.location())).into());
        }
        match args.level {
            Level::Restore => proofs(args, &repository, &ids, console)?,
            level => verify_all(&repository, &ids, level, console)?,
        }
    } else if let Some(key) = &args.object {
        vec![verify_old(repository.old_backup(key)?, console)?]
    } else {
        let asker = || asker(&args.server, args.origin, console);
        let id = resolve(&args.which, args.database.as_deref(), &repository, asker, console)?;
        match args.level {
            Level::Restore => proofs(args, &repository, &[id], console)?,
            level => vec![verify(&repository, &id, level, console)?],
        }
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
    let sum = format!("{}{whose}; {}{failed}", many(findings.len(), "backup"), level.describe());
    console.result(&text.and(sum), &document)?;
    // Damage is the worse news of the two.
    let worst = if damaged > 0 { Some(Kind::Damaged) } else { kinds.first().copied() };
    Ok(worst.map_or(0, Kind::exit_code))
}

/// Runs restore tests of these backups. Each is a run: it gets a record, and its failure is alerted.
fn proofs(
    args: &VerifyArgs,
    repository: &Repository,
    ids: &[BackupId],
    console: &Console,
) -> Result<Vec<VerifyFinding>> {
    let plan = config::restore_test::proof(&args.scratch, &args.server)?;
    let history = config::state::history(&args.state).inspect_err(|error| console.warn(&format!("{error:#}"))).ok();
    let server = config::server::server(&args.server)?;
    let alerts = AlertAudience::of(args.alert)
        .open(config::alerts::alerts(&args.alerts, &args.state, server.describe()), console);
    let runner =
        Runner { alerts: &alerts, history: history.as_ref(), limit: None, clock: Timestamp::now, monitor: console };
    let done = RestoreTests { runner, repository, further: &FurtherOutputs::default(), plan: &plan, server: &server }
        .of(ids, Trigger::Manual, |_| {});
    alerts.close(console);
    let found = ids.iter().zip(done?);
    match ids {
        [_] => found.map(|(_, outcome)| outcome.result).collect(),
        _ => found.map(|(id, outcome)| among_others(id, Level::Restore, outcome.result)).collect(),
    }
}
