//! `pgbk prune`

use crate::base::databases::Databases;
use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::base::shown::{Lines, many};
use crate::base::subject::Subject;
use crate::base::variant::Variant;
use crate::cli::arguments::PruneArgs;
use crate::cli::console::{Console, bytes, error_document};
use crate::commands::lookup::{server, the_only, with_backups};
use crate::config::state::records;
use crate::config::{self, environment};
use crate::format::backup_id::BackupId;
use crate::format::run_record;
use crate::jobs::prune::chain_outcome::ChainOutcome;
use crate::jobs::prune::scope::PruneScope;
use crate::jobs::prune::{PruneDecision, PruneMode, PruneOrder, PruneOutcome, PruneResult, orphans, prune};
use crate::repository::Repository;
use crate::repository::catalog::Catalog;
use crate::repository::newest::ServerIdentity;
use crate::repository::orphans::Orphans;
use crate::repository::retention::Policy;
use crate::runs::history::share;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Smallest age of an orphan: younger files may belong to a backup that is being made.
const DAY: Duration = Duration::from_secs(86_400);

pub fn run(args: &PruneArgs, console: &Console) -> Result<u8> {
    let policy = policy(args)?;
    let repository = config::outputs::repository(&args.variant, None, &args.store, &args.keys, &args.state)?;
    let records = records(&args.state);
    share::look(repository.store.as_ref(), &records)?;
    let (subjects, whole) = subjects(args, &repository)?;
    let whose =
        PruneRules { policy, scope: scope(args, console), proven: run_record::proofs(&records).into_keys().collect() };
    let mut documents = Vec::new();
    let mut failed = false;
    for subject in &subjects {
        let catalog = match &whole {
            Some(whole) => Ok(whole.of_subject(subject)),
            None => repository.catalog(Some(subject)),
        };
        match catalog.and_then(|catalog| one(args, &repository, (subject, &catalog), &whose, console)) {
            Ok(report) => {
                if !args.json {
                    console.text(&report.text(args))?;
                }
                documents.push(report.document(args));
            }
            Err(error) if subjects.len() == 1 || matches!(kind(&error), Kind::Interrupted(_)) => return Err(error),
            // One that fails does not stop the others.
            Err(error) => {
                console.tell(&error);
                documents.push(json!({"database": subject, "error": error_document(&error)}));
                failed = true;
            }
        }
    }
    console.result(&Lines::new(), &documents)?;
    Ok(u8::from(failed))
}

/// Returns the rules: those on the command line, else those of the settings for the variant.
fn policy(args: &PruneArgs) -> Result<Policy> {
    let zone = config::retention::zone(&args.zone)?;
    let is_said = || environment::arguments().iter().any(|argument| argument.to_string_lossy().starts_with("--keep-"));
    let own = match config::outputs::variant(&args.variant, None)? {
        Variant::Anonymised if !is_said() => config::retention::copy_policy(&zone)?,
        _ => None,
    };
    own.map_or_else(|| config::retention::policy(&args.retention, &zone), Ok)
}

/// Returns the subjects to prune. The catalog is that of the whole store if it had to be listed to find them, else None.
fn subjects(args: &PruneArgs, repository: &Repository) -> Result<(Vec<Subject>, Option<Catalog>)> {
    let databases = Databases::of(&args.databases)?;
    if let Some(Databases::Named(names)) = databases {
        return Ok((names.into_iter().map(|name| name.in_variant(repository.variant)).collect(), None));
    }
    let whole = repository.catalog(None)?;
    let names = match databases {
        Some(_) => with_backups(&whole, repository)?,
        None => vec![the_only(&whole, repository)?],
    };
    Ok((names, Some(whole)))
}

/// Holds the result of pruning one database.
struct PruneReport {
    pruned: PruneResult,
    /// Orphans that are older than a day.
    left_behind: Orphans,
    /// Number of these orphans that were removed.
    swept: usize,
}

/// Returns whose backups are pruned: those of the server that the settings lead to, unless the arguments name others.
fn scope(args: &PruneArgs, console: &Console) -> PruneScope {
    match args.whose.as_deref() {
        None => PruneScope::Of(server(&args.server, console)),
        Some("all") => PruneScope::All,
        Some("none") => PruneScope::Nobody,
        Some(identifier) => PruneScope::Of(ServerIdentity::Named(identifier.to_owned())),
    }
}

/// Holds what is the same for every database that is pruned.
struct PruneRules {
    policy: Policy,
    scope: PruneScope,
    proven: BTreeSet<BackupId>,
}

fn one(
    args: &PruneArgs,
    repository: &Repository,
    (subject, catalog): (&Subject, &Catalog),
    whose: &PruneRules,
    console: &Console,
) -> Result<PruneReport> {
    let now = Timestamp::now();
    let mode = match (args.dry_run, args.force) {
        (true, _) => PruneMode::DryRun,
        (false, true) => PruneMode::Force,
        (false, false) => PruneMode::Careful,
    };
    let PruneRules { policy, scope, proven } = whose;
    let order = PruneOrder { policy, mode, scope: scope.clone(), made: None, proven, now };
    let going = |ids: &[BackupId]| note_going(args, repository, ids, console);
    let pruned = prune(repository, catalog, subject, &order, &going, console)?;
    let left_behind = match orphans(repository, catalog, subject) {
        Err(error) if kind(&error) == Kind::Denied => {
            console.warn(&format!("what killed runs left cannot be looked for: {error:#}"));
            Orphans::default()
        }
        found => found?.older_than(DAY, now),
    };
    if pruned.backups.is_empty() && pruned.chains.is_empty() && left_behind.is_empty() {
        let place = repository.store.location();
        return Err(Fault::not_found(format!("there is no backup of \"{subject}\" in {place}"))
            .hint("\"pgbk list\" shows what is stored")
            .into());
    }
    let sweep = args.orphans && !args.dry_run;
    let kept = if sweep { left_behind.remove(repository.store.as_ref(), console)?.len() } else { left_behind.count() };
    let swept = left_behind.count() - kept;
    Ok(PruneReport { pruned, left_behind, swept })
}

/// Notes in the history that these backups are removed on purpose, so that no scheduler or run with this `STATE_DIR`
/// reports them as missing.
fn note_going(args: &PruneArgs, repository: &Repository, ids: &[BackupId], console: &Console) {
    let noted =
        config::state::history(&args.state).and_then(|history| history.note_removed(&repository.store.location(), ids));
    if let Err(error) = noted {
        console.note(&format!("{error:#}"));
    }
}

impl PruneReport {
    fn text(&self, args: &PruneArgs) -> Lines {
        let backups = &self.pruned.backups;
        let width = backups.iter().map(|backup| backup.id.to_string().len()).max().unwrap_or(0);
        let mut text = Lines::of(format!("{:width$}  WHAT     WHY", "BACKUP"));
        for backup in backups {
            let (what, why) = told(&backup.fate);
            text.push(format!("{:width$}  {what:7}  {why}", backup.id.to_string()));
        }
        text.push(self.removed(args));
        let left = self.pruned.count(|fate| matches!(fate, PruneOutcome::Left(_)));
        if left > 0 {
            text.push(format!("{left} more should go, but the store does not let them: locked, or not allowed"));
        }
        self.pruned.chains.iter().for_each(|chain| text.push(changes(chain, args)));
        if let Some(orphans) = self.orphans(args) {
            text.push(orphans);
        }
        text
    }

    fn removed(&self, args: &PruneArgs) -> String {
        let PruneResult { subject, backups, most, .. } = &self.pruned;
        let gone = |backup: &&PruneDecision| matches!(backup.fate, PruneOutcome::Removed | PruneOutcome::Due);
        let count = backups.iter().filter(gone).count();
        let size = bytes(backups.iter().filter(gone).filter_map(|backup| backup.bytes).sum());
        let done = if args.dry_run { "would be removed" } else { "removed" };
        let guard = match args.dry_run && *most && !args.force {
            true => "; that is more than half, which needs --force",
            false => "",
        };
        format!("{count} of {} of \"{subject}\" {done} ({size}){guard}", many(backups.len(), "backup"))
    }

    fn orphans(&self, args: &PruneArgs) -> Option<String> {
        let keys = self.left_behind.keys();
        let names = keys.join(", ");
        let left = |count: usize| many(count, "leftover");
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
            "database": self.pruned.subject,
            "dry_run": args.dry_run,
            "more_than_half": self.pruned.most,
            "removed": self.pruned.count(|fate| *fate == PruneOutcome::Removed),
            "left": self.pruned.count(|fate| matches!(fate, PruneOutcome::Left(_))),
            "backups": backups,
            "changes": self.pruned.chains.iter().map(|chain| changes_document(chain, args)).collect::<Vec<_>>(),
            "leftovers": self.left_behind.keys(),
            "leftovers_removed": self.swept,
        })
    }
}

/// Says what becomes of the captured changes of one generation.
fn changes(chain: &ChainOutcome, args: &PruneArgs) -> String {
    let ChainOutcome { generation, segments, gone, left, bytes: size, whole, why } = chain;
    let done = if args.dry_run { "would be removed" } else { "removed" };
    let all = many(*segments, "segment");
    if *whole {
        return format!("changes {generation}: all of it, {all}, {done} ({}): no base of it is left", bytes(*size));
    }
    let so_far = format!("changes {generation}: {gone} of {all} {done} ({})", bytes(*size));
    match (gone, left) {
        (0, 0) => format!("changes {generation}: {all} stay: {why}"),
        (_, 0) => format!("{so_far}; the others stay: {why}"),
        (_, left) => format!("{so_far}; {left} more should go, but the store does not let them: {why}"),
    }
}

fn changes_document(chain: &ChainOutcome, args: &PruneArgs) -> Value {
    let removed = if args.dry_run { 0 } else { chain.gone };
    json!({
        "generation": chain.generation,
        "segments": chain.segments,
        "due": chain.gone,
        "removed": removed,
        "left": chain.left,
        "stored_bytes": chain.bytes,
        "whole": chain.whole,
        "why": chain.why,
    })
}

fn told(fate: &PruneOutcome) -> (&'static str, String) {
    match fate {
        PruneOutcome::Kept(reasons) => ("keep", reasons.join(", ")),
        PruneOutcome::Due => ("remove", "no rule keeps it".to_owned()),
        PruneOutcome::Removed => ("removed", "no rule keeps it".to_owned()),
        PruneOutcome::Left(why) => ("left", why.clone()),
    }
}

fn document(backup: &PruneDecision) -> Value {
    let (what, why) = told(&backup.fate);
    let reasons = match &backup.fate {
        PruneOutcome::Kept(reasons) => reasons.clone(),
        _ => vec![why],
    };
    json!({"id": backup.id, "what": what, "why": reasons, "good": backup.bytes.is_some(), "stored_bytes": backup.bytes})
}
