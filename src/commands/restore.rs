//! `pgbk restore`

pub(crate) mod agreement;
pub(crate) mod all;
pub(crate) mod at;
pub(crate) mod at_tables;
pub(crate) mod dry_run;
pub(crate) mod files;
pub(crate) mod globals;
pub(crate) mod journal;
pub(crate) mod moment_text;
pub(crate) mod pick;
pub(crate) mod plan;
pub(crate) mod refused_options;
pub(crate) mod summary;
pub(crate) mod tables;

use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::base::shown::{Lines, many};
use crate::base::subject::Subject;
use crate::base::variant::Variant;
use crate::cli::arguments::RestoreArgs;
use crate::cli::console::{Console, ask, bytes, can_ask};
use crate::cli::values::BackupChoice;
use crate::commands::lookup::{asker, named, resolve};
use crate::commands::restore::agreement::agreed;
use crate::commands::restore::pick::pick;
use crate::commands::restore::plan::plan;
use crate::commands::restore::refused_options::explained;
use crate::commands::restore::summary::{declined, summary, tell};
use crate::commands::summary::contents;
use crate::config;
use crate::format::backup_id::BackupId;
use crate::format::manifest::Manifest;
use crate::jobs::restore::execute::major;
use crate::jobs::restore::plan::RestoreOutlook;
use crate::jobs::restore::properties::outlook;
use crate::jobs::restore::way::way;
use crate::jobs::restore::{admit, restore};
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::restore::target::{RestoreTarget, TargetState};
use crate::repository::Repository;
use crate::repository::newest::server_of;
use crate::repository::reader::BackupReader;

pub fn run(args: &RestoreArgs, console: &Console) -> Result<u8> {
    if !args.yes && !args.dry_run && !can_ask() {
        return Err(Fault::usage("a restore asks before it starts, and there is no terminal to ask on")
            .hint(if args.all { "say --yes" } else { "say --yes, with the backup's id or \"latest\"" })
            .into());
    }
    if args.files {
        return files::run(args, console);
    }
    if args.all {
        return all::run(args, console);
    }
    if let Some(file) = &args.journal {
        return journal::run(args, file, named_target(args)?, console).map_err(explained);
    }
    if let Some(point) = args.at {
        return at::run(args, point, named_target(args)?, console).map_err(explained);
    }
    let id = args.which.as_ref().and_then(BackupChoice::id);
    let repository = config::outputs::repository(&args.variant, id, &args.store, &args.keys, &args.state)?;
    let server = config::server::server(&args.server)?;
    let Some(opened) = open(args, &repository, console)? else { return Err(declined()) };
    let source = match &opened.manifest.subject {
        Subject::Database(database) => database.clone(),
        Subject::Globals => return globals::run(args, opened, &server, console),
        Subject::Files => {
            return Err(Fault::usage(format!("{} is a backup of files", opened.manifest.id))
                .hint("say --files, and --into DIR to put them elsewhere than where they came from")
                .into());
        }
    };
    if repository.variant == Variant::Anonymised && args.to.is_none() {
        return Err(needs_target(&opened.manifest).into());
    }
    if args.limits.limit() {
        return tables::run(args, opened, &server, source.name(), console);
    }
    let database = match &args.to {
        Some(database) => database.clone(),
        None => {
            elsewhere(args, (&opened.manifest, source.name()), &server, console)?.unwrap_or(source.name().to_owned())
        }
    };
    let plan = plan(args, &opened, &server, database)?;
    let target = admit(&opened.manifest, &plan)?;
    let outlook = outlook(&opened.manifest, &plan, &target)?;
    let outline = outline(args, &opened.manifest, &server, &target, &outlook, &repository);
    if args.dry_run {
        let way = way(&opened.manifest, &plan, &target);
        let (more, document) = dry_run::of_database(args, &opened.manifest, &plan, &target, &outlook, &way);
        let mut text = warned(outline, &outlook);
        text.append(more);
        console.result(&text, &document)?;
        return Ok(0);
    }
    console.note(outline.as_str());
    if let Some(theirs) = major(&opened.manifest).filter(|major| *major != target.server_major) {
        console.info(&format!("the backup is from PostgreSQL {theirs}, and this server is {}", target.server_major));
    }
    outlook.unknown.iter().for_each(|unknown| console.note(unknown));
    outlook.warnings.iter().for_each(|warning| console.warn(warning));
    let replaces = matches!(target.state, TargetState::Holds(_));
    if !args.yes && !agreed(&opened.manifest, &target, replaces, &outline, console)? {
        return Err(declined());
    }
    let report = restore(opened, &plan, &target, console)?;
    tell(&report, console);
    console.result(&summary(&report), &report)?;
    Ok(u8::from(!report.left_out.is_empty()))
}

/// Returns the database that `--to` names. A restore to a moment goes into no other: what has the name of the source may be in use.
fn named_target(args: &RestoreArgs) -> Result<&str> {
    let named = args.to.as_deref().ok_or_else(|| {
        Fault::usage("a restore to a moment goes into a database that --to names, and none is named")
            .hint("say --to with a name that is not taken yet; the database is created")
    })?;
    Ok(named)
}

/// Returns the fault that an anonymised backup has no database of its own: the one with its name holds what was anonymised.
fn needs_target(manifest: &Manifest) -> Fault {
    Fault::usage(format!("{} is anonymised, and \"{}\" is what it was made of", manifest.id, manifest.subject.name()))
        .hint("say which database it is to be restored into with --to")
}

/// Asks the person who has just chosen a backup for a target database if the backup's own is not empty. None: restore
/// into its own.
fn elsewhere(
    args: &RestoreArgs,
    (manifest, name): (&Manifest, &str),
    server: &ConnectionSettings,
    console: &Console,
) -> Result<Option<String>> {
    if args.which.is_some() || args.object.is_some() || args.clean || !can_ask() {
        return Ok(None);
    }
    let TargetState::Holds(count) = RestoreTarget::look(server, name)?.state else { return Ok(None) };
    console.say(&Lines::of(format!(
        "  \"{name}\" is not empty: it holds {}, and all of it stays as it is (--clean replaces it)",
        many(count, "object")
    )));
    ask("Into which database", &format!("{name}_{}", manifest.taken_at.strftime("%Y%m%d"))).map(Some)
}

/// Returns the outline with what will not be as it was.
fn warned(outline: Lines, outlook: &RestoreOutlook) -> Lines {
    let warnings = outlook.warnings.iter().map(String::as_str).chain(outlook.unknown);
    warnings.fold(outline, |text, warning| text.and(format!("  warning   {warning}")))
}

/// Opens the backup to restore. None: the person chose none.
fn open(args: &RestoreArgs, repository: &Repository, console: &Console) -> Result<Option<BackupReader>> {
    let Some(key) = &args.object else {
        return which(args, repository, console)?.map(|id| repository.open(&id)).transpose();
    };
    // Where nobody says whose it is, the target may well be its source, and is treated so.
    let subject =
        named(args.database.as_deref())?.or_else(|| args.to.as_deref().map(Subject::from)).ok_or_else(|| {
            Fault::usage(format!("\"{key}\" does not say which database it is of"))
                .hint("set DB_NAME to the database that it was taken from, or say --to")
        })?;
    repository.old_backup(key)?.open(Some(&subject), console).map(Some)
}

fn which(args: &RestoreArgs, repository: &Repository, console: &Console) -> Result<Option<BackupId>> {
    let asker = || asker(&args.server, args.origin, console);
    match &args.which {
        Some(which) => resolve(which, args.database.as_deref(), repository, asker, console).map(Some),
        None if args.yes || args.dry_run && !can_ask() => {
            resolve(&BackupChoice::Latest, args.database.as_deref(), repository, asker, console).map(Some)
        }
        None => {
            let subject = named(args.database.as_deref())?.map(|subject| subject.in_variant(repository.variant));
            pick(args, subject.as_ref(), repository, console)
        }
    }
}

/// Describes what will be restored and where, before anything happens.
fn outline(
    args: &RestoreArgs,
    manifest: &Manifest,
    server: &ConnectionSettings,
    target: &RestoreTarget,
    outlook: &RestoreOutlook,
    repository: &Repository,
) -> Lines {
    let backup = match &args.object {
        Some(key) => format!("\"{key}\" of {}, written by Doubletake,", manifest.taken_at),
        None => manifest.id.to_string(),
    };
    let state = match target.state {
        TargetState::Missing => "does not exist and will be created".to_owned(),
        TargetState::Empty => "is empty".to_owned(),
        TargetState::Holds(count) => format!("holds {}, ALL OF WHICH WILL BE REPLACED", many(count, "object")),
    };
    let whose = match manifest.is_upload() {
        true => "nobody: it was made of a file".to_owned(),
        false if manifest.system_identifier() == target.system_identifier.as_deref() => "this server".to_owned(),
        false => server_of(manifest.system_identifier()),
    };
    let mut text = Lines::of(format!("  backup    {backup} from {}", repository.store.location()))
        .and(format!("  source    {whose}"))
        .and(format!("  dump      {} {}", bytes(manifest.plain.bytes), contents(manifest)))
        .and(format!("  server    {}", server.describe()))
        .and(format!("  database  \"{}\" {state}", target.database));
    if !outlook.given.is_empty() {
        text.push(format!("  it gets   {}", outlook.given.join(", ")));
    }
    text
}
