//! `pgbk verify`

mod report;

use super::backup::Told;
use super::which::{asker, limit, named, resolve};
use crate::cli::VerifyArgs;
use crate::config;
use crate::console::Console;
use crate::error::{Fault, Kind, Result};
use crate::jobs::verify::{Finding, among_others, verify, verify_all, verify_old};
use crate::level::Level;
use crate::manifest::BackupId;
use crate::monitor::Monitor;
use crate::record::Cause;
use crate::run::{Ledger, Proofs};
use crate::shown::many;
use crate::vault::Vault;
use jiff::Timestamp;
use serde_json::json;

pub fn run(args: &VerifyArgs, console: &Console) -> Result<u8> {
    let vault = config::vault(&args.store, &args.keys, &args.state)?;
    let limit = named(limit(args.database.as_deref()))?;
    let findings = if args.all {
        let ids = vault.ids(limit.as_deref())?;
        if ids.is_empty() {
            return Err(Fault::not_found(format!("there is no backup in {}", vault.store.location())).into());
        }
        match args.level {
            Level::Restore => proofs(args, &vault, &ids, console)?,
            level => verify_all(&vault, &ids, level, console)?,
        }
    } else if let Some(key) = &args.object {
        vec![verify_old(vault.old_backup(key)?, console)?]
    } else {
        let asker = || asker(&args.server, args.origin, console);
        let id = resolve(&args.which, args.database.as_deref(), &vault, asker, console)?;
        match args.level {
            Level::Restore => proofs(args, &vault, &[id], console)?,
            level => vec![verify(&vault, &id, level, console)?],
        }
    };
    let kinds: Vec<Kind> = findings.iter().filter_map(|finding| finding.kind).collect();
    let damaged = kinds.iter().filter(|kind| **kind == Kind::Damaged).count();
    let other_key = kinds.iter().filter(|kind| **kind == Kind::OtherKey).count();
    let unread = kinds.len() - damaged - other_key;
    let level = findings.first().map_or(args.level, |finding| finding.level);
    let all = args.all.then(|| limit.as_deref().unwrap_or("*"));
    let document = json!({
        "level": level, "all": all, "checked": findings.len(), "damaged": damaged, "other_key": other_key,
        "unread": unread, "backups": findings
    });
    let whose = match all {
        None => String::new(),
        Some("*") => ", all that there are".to_owned(),
        Some(database) => format!(", all of \"{database}\""),
    };
    let text = report::text(&findings);
    console.result(
        &text.and(format!("{}{whose}; {}", many(findings.len() as u64, "backup"), level.describe())),
        &document,
    )?;
    // Damage is the worse news of the two.
    let worst = if damaged > 0 { Some(Kind::Damaged) } else { kinds.first().copied() };
    Ok(worst.map_or(0, Kind::exit_code))
}

/// A restore is a run: written down, and people are told of a failure.
fn proofs(args: &VerifyArgs, vault: &Vault, ids: &[BackupId], console: &Console) -> Result<Vec<Finding>> {
    let plan = config::proof(&args.scratch, &args.server)?;
    let history = config::history(&args.state).inspect_err(|error| console.warn(&format!("{error:#}"))).ok();
    let server = config::server(&args.server)?;
    let alerts = Told::of(args.alert).open(config::alerts(&args.alerts, &args.state, server.describe()), console);
    let ledger =
        Ledger { alerts: &alerts, history: history.as_ref(), limit: None, clock: Timestamp::now, monitor: console };
    let done = Proofs { ledger, vault, plan: &plan, server: &server }.of(ids, Cause::Manual, |_| {});
    alerts.close(console);
    let found = ids.iter().zip(done?);
    match ids {
        [_] => found.map(|(_, outcome)| outcome.result).collect(),
        _ => found.map(|(id, outcome)| among_others(id, Level::Restore, outcome.result)).collect(),
    }
}
