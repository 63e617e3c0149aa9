//! `pgbk prune`

use super::records;
use super::which::{server, the_only, with_backups};
use crate::cli::PruneArgs;
use crate::config;
use crate::console::{Console, bytes, error_document};
use crate::databases::Databases;
use crate::error::{Fault, Kind, Result, kind};
use crate::history::share;
use crate::jobs::prune::{Fate, Judged, Mode, Order, Pruned, Scope, leftovers, prune};
use crate::leftovers::Leftovers;
use crate::manifest::BackupId;
use crate::monitor::Monitor;
use crate::record;
use crate::retention::Policy;
use crate::shown::{Lines, many};
use crate::vault::{Catalog, Server, Vault};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// What is younger may belong to a backup that is being made.
const DAY: Duration = Duration::from_secs(86_400);

pub fn run(args: &PruneArgs, console: &Console) -> Result<u8> {
    let policy = config::policy(&args.retention, &config::zone(&args.zone)?)?;
    let vault = config::vault(&args.store, &args.keys, &args.state)?;
    let records = records(&args.state);
    share::look(vault.store.as_ref(), &records)?;
    let (databases, whole) = databases(args, &vault)?;
    let whose = Whose { policy, scope: scope(args, console), proven: record::proofs(&records).into_keys().collect() };
    let mut documents = Vec::new();
    let mut failed = false;
    for database in &databases {
        let catalog = match &whole {
            Some(whole) => Ok(whole.of_database(database)),
            None => vault.catalog(Some(database)),
        };
        match catalog.and_then(|catalog| one(args, &vault, (database, &catalog), &whose, console)) {
            Ok(report) => {
                if !args.json {
                    console.text(&report.text(args))?;
                }
                documents.push(report.document(args));
            }
            Err(error) if databases.len() == 1 || matches!(kind(&error), Kind::Interrupted(_)) => return Err(error),
            // One that fails does not stop the others.
            Err(error) => {
                console.tell(&error);
                documents.push(json!({"database": database, "error": error_document(&error)}));
                failed = true;
            }
        }
    }
    console.result(&Lines::new(), &documents)?;
    Ok(u8::from(failed))
}

/// Which are looked at; with what all of them have, where that had to be listed to know.
fn databases(args: &PruneArgs, vault: &Vault) -> Result<(Vec<String>, Option<Catalog>)> {
    let databases = Databases::of(&args.databases)?;
    if let Some(Databases::Named(names)) = databases {
        return Ok((names, None));
    }
    let whole = vault.catalog(None)?;
    let names = match databases {
        Some(_) => with_backups(&whole, vault)?,
        None => vec![the_only(&whole, vault)?],
    };
    Ok((names, Some(whole)))
}

/// What was found and done for one database.
struct Report {
    pruned: Pruned,
    /// Older than a day.
    left_behind: Leftovers,
    /// Of those.
    swept: usize,
}

/// Whose backups are pruned: those of the server that the settings lead to, unless others are named.
fn scope(args: &PruneArgs, console: &Console) -> Scope {
    match args.whose.as_deref() {
        None => Scope::Of(server(&args.server, console)),
        Some("all") => Scope::All,
        Some("none") => Scope::Nobody,
        Some(identifier) => Scope::Of(Server::Named(identifier.to_owned())),
    }
}

/// What holds for every database.
struct Whose {
    policy: Policy,
    scope: Scope,
    proven: BTreeSet<BackupId>,
}

fn one(
    args: &PruneArgs,
    vault: &Vault,
    (database, catalog): (&str, &Catalog),
    whose: &Whose,
    console: &Console,
) -> Result<Report> {
    let now = Timestamp::now();
    let mode = match (args.dry_run, args.force) {
        (true, _) => Mode::DryRun,
        (false, true) => Mode::Force,
        (false, false) => Mode::Careful,
    };
    let Whose { policy, scope, proven } = whose;
    let order = Order { policy, mode, scope: scope.clone(), made: None, proven, now };
    let going = |ids: &[BackupId]| note_going(args, vault, ids, console);
    let pruned = prune(vault, catalog, database, &order, &going, console)?;
    let left_behind = match leftovers(vault, catalog, database) {
        Err(error) if kind(&error) == Kind::Denied => {
            console.warn(&format!("what killed runs left cannot be looked for: {error:#}"));
            Leftovers::default()
        }
        found => found?.older_than(DAY, now),
    };
    if pruned.backups.is_empty() && left_behind.is_empty() {
        let place = vault.store.location();
        return Err(Fault::not_found(format!("there is no backup of \"{database}\" in {place}"))
            .hint("\"pgbk list\" shows what is stored")
            .into());
    }
    let sweep = args.orphans && !args.dry_run;
    let kept = if sweep { left_behind.remove(vault.store.as_ref(), console)?.len() } else { left_behind.count() };
    let swept = left_behind.count() - kept;
    Ok(Report { pruned, left_behind, swept })
}

/// What is removed here is not missed by the schedulers and runs that share the `STATE_DIR`.
fn note_going(args: &PruneArgs, vault: &Vault, ids: &[BackupId], console: &Console) {
    let noted = config::history(&args.state).and_then(|history| history.note_removed(&vault.store.location(), ids));
    if let Err(error) = noted {
        console.note(&format!("{error:#}"));
    }
}

impl Report {
    fn text(&self, args: &PruneArgs) -> Lines {
        let backups = &self.pruned.backups;
        let width = backups.iter().map(|backup| backup.id.to_string().len()).max().unwrap_or(0);
        let mut text = Lines::of(format!("{:width$}  WHAT     WHY", "BACKUP"));
        for backup in backups {
            let (what, why) = told(&backup.fate);
            text.push(format!("{:width$}  {what:7}  {why}", backup.id.to_string()));
        }
        text.push(self.removed(args));
        let left = self.pruned.count(|fate| matches!(fate, Fate::Left(_)));
        if left > 0 {
            text.push(format!("{left} more should go, but the store does not let them: locked, or not allowed"));
        }
        if let Some(leftovers) = self.leftovers(args) {
            text.push(leftovers);
        }
        text
    }

    fn removed(&self, args: &PruneArgs) -> String {
        let Pruned { database, backups, most } = &self.pruned;
        let gone = |backup: &&Judged| matches!(backup.fate, Fate::Removed | Fate::Due);
        let count = backups.iter().filter(gone).count();
        let size = bytes(backups.iter().filter(gone).filter_map(|backup| backup.bytes).sum());
        let done = if args.dry_run { "would be removed" } else { "removed" };
        let guard = match args.dry_run && *most && !args.force {
            true => "; that is more than half, which needs --force",
            false => "",
        };
        format!("{count} of {} backups of \"{database}\" {done} ({size}){guard}", backups.len())
    }

    fn leftovers(&self, args: &PruneArgs) -> Option<String> {
        let keys = self.left_behind.keys();
        let names = keys.join(", ");
        let left = |count: usize| many(count as u64, "leftover");
        Some(match (keys.len(), args.orphans, args.dry_run) {
            (0, ..) => return None,
            (_, true, false) => format!("{} of killed runs removed: {names}", left(self.swept)),
            (count, true, true) => format!("{} of killed runs would be removed: {names}", left(count)),
            (count, false, _) => format!("{} of killed runs, which --orphans removes: {names}", left(count)),
        })
    }

    fn document(&self, args: &PruneArgs) -> Value {
        let backups: Vec<Value> = self.pruned.backups.iter().map(document).collect();
        json!({
            "database": self.pruned.database,
            "dry_run": args.dry_run,
            "more_than_half": self.pruned.most,
            "removed": self.pruned.count(|fate| *fate == Fate::Removed),
            "left": self.pruned.count(|fate| matches!(fate, Fate::Left(_))),
            "backups": backups,
            "leftovers": self.left_behind.keys(),
            "leftovers_removed": self.swept,
        })
    }
}

fn told(fate: &Fate) -> (&'static str, String) {
    match fate {
        Fate::Kept(reasons) => ("keep", reasons.join(", ")),
        Fate::Due => ("remove", "no rule keeps it".to_owned()),
        Fate::Removed => ("removed", "no rule keeps it".to_owned()),
        Fate::Left(why) => ("left", why.clone()),
    }
}

fn document(backup: &Judged) -> Value {
    let (what, why) = told(&backup.fate);
    let reasons = match &backup.fate {
        Fate::Kept(reasons) => reasons.clone(),
        _ => vec![why],
    };
    json!({"id": backup.id, "what": what, "why": reasons, "good": backup.bytes.is_some(), "stored_bytes": backup.bytes})
}
