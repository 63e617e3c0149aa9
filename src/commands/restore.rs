//! `pgbk restore`

mod all;
mod files;
mod globals;

use super::which::{asker, latest, named, resolve, the_only};
use super::{contents, tables_and_rows};
use crate::cli::{RestoreArgs, Which};
use crate::commands::list::age;
use crate::config;
use crate::console::{Console, ask, bytes, can_ask, choose, confirm_by_typing};
use crate::error::{Fault, Result};
use crate::jobs::restore::{Outlook, Plan, Report, admit, is_source, major, outlook, own, restore};
use crate::manifest::lineage::short;
use crate::manifest::{BackupId, Manifest, Owner};
use crate::monitor::Monitor;
use crate::postgres::load::Leave;
use crate::postgres::properties::Rules;
use crate::postgres::settings::Settings;
use crate::postgres::target::{State, Target};
use crate::series::Series;
use crate::shown::Lines;
use crate::vault::{Opened, Vault, server_of};
use jiff::Timestamp;

/// As many backups are offered to choose from.
const OFFERED: usize = 20;

pub fn run(args: &RestoreArgs, console: &Console) -> Result<u8> {
    if !args.yes && !can_ask() {
        return Err(Fault::usage("a restore asks before it starts, and there is no terminal to ask on")
            .hint("say --yes, with the backup's id or \"latest\"")
            .into());
    }
    if args.files {
        return files::run(args, console);
    }
    if args.all {
        return all::run(args, console);
    }
    let vault = config::vault(&args.store, &args.keys, &args.state)?;
    let server = config::server(&args.server)?;
    let Some(opened) = open(args, &vault, console)? else { return Err(declined()) };
    match opened.manifest.series() {
        Some(Series::Globals) => return globals::run(args, opened, &server, console),
        Some(Series::Files) => {
            return Err(Fault::usage(format!("{} is a backup of files", opened.manifest.id))
                .hint("say --files, and --into DIR to put them elsewhere than where they came from")
                .into());
        }
        None => {}
    }
    let database = match &args.to {
        Some(database) => database.clone(),
        None => elsewhere(args, &opened.manifest, &server, console)?.unwrap_or(opened.manifest.database.clone()),
    };
    let plan = plan(args, &opened, &server, database)?;
    let target = admit(&opened.manifest, &plan)?;
    let outlook = outlook(&opened.manifest, &plan, &target)?;
    let outline = outline(args, &opened.manifest, &server, &target, &outlook, &vault);
    console.note(outline.as_str());
    if let Some(theirs) = major(&opened.manifest).filter(|major| *major != target.server_major) {
        console.info(&format!("the backup is from PostgreSQL {theirs}, and this server is {}", target.server_major));
    }
    outlook.unknown.iter().for_each(|unknown| console.note(unknown));
    outlook.warnings.iter().for_each(|warning| console.warn(warning));
    if !args.yes && !agreed(&opened.manifest, &target, &outline, console)? {
        return Err(declined());
    }
    let report = restore(opened, &plan, &target, console)?;
    tell(&report, console);
    console.result(&summary(&report), &report)?;
    Ok(u8::from(!report.left_out.is_empty()))
}

fn plan(args: &RestoreArgs, opened: &Opened, server: &Settings, database: String) -> Result<Plan> {
    Ok(Plan {
        settings: server.clone(),
        own: own(opened, &database, rules(args, opened))?,
        any_locale: args.any_locale,
        database,
        clean: args.clean,
        // On a terminal the source is said twice by typing it twice.
        over_source: args.over_source || !args.yes,
        no_owner: args.no_owner,
        no_privileges: args.no_privileges,
        leave: leave(args),
        jobs: args.jobs,
        loader: None,
        bin_dir: args.server.pg_bin_dir.clone(),
    })
}

fn tell(report: &Report, console: &Console) {
    report.skipped.iter().for_each(|skipped| console.warn(&format!("skipped: {skipped}")));
    report.left_out.iter().for_each(|left_out| console.warn(&format!("left out: {left_out}")));
}

/// Asks a person who has just chosen a backup where to put it, where its own database is not empty. None: into its own.
fn elsewhere(args: &RestoreArgs, manifest: &Manifest, server: &Settings, console: &Console) -> Result<Option<String>> {
    if args.which.is_some() || args.object.is_some() || args.clean || !can_ask() {
        return Ok(None);
    }
    let name = &manifest.database;
    let State::Holds(count) = Target::look(server, name)?.state else { return Ok(None) };
    console.say(&Lines::of(format!(
        "  \"{name}\" is not empty: it holds {count} objects, which stay as they are (--clean replaces them)"
    )));
    ask("Into which database", &format!("{name}_{}", manifest.taken_at.strftime("%Y%m%d"))).map(Some)
}

fn leave(args: &RestoreArgs) -> Leave {
    let said = args.leave.clone();
    Leave {
        comments: said.no_comments,
        tablespaces: said.no_tablespaces,
        extensions: said.exclude_extension.into_iter().collect(),
        skip_failed: said.skip_failed,
        search_path: said.search_path,
    }
}

fn declined() -> anyhow::Error {
    Fault::failed("not confirmed: nothing was restored").into()
}

/// What is given to the database itself; None: nothing.
fn rules(args: &RestoreArgs, opened: &Opened) -> Option<Rules> {
    let loads = opened.working.is_some();
    (!args.no_properties).then_some(Rules { owner: !args.no_owner, privileges: !args.no_privileges, loads })
}

/// The backup that is meant; none where the person chose none.
fn open(args: &RestoreArgs, vault: &Vault, console: &Console) -> Result<Option<Opened>> {
    let Some(key) = &args.object else {
        return which(args, vault, console)?.map(|id| vault.open(&id)).transpose();
    };
    // Where nobody says whose it is, the target may well be its source, and is treated so.
    let database = named(args.database.as_deref())?.or_else(|| args.to.clone()).ok_or_else(|| {
        Fault::usage(format!("\"{key}\" does not say which database it is of"))
            .hint("set DB_NAME to the database that it was taken from, or say --to")
    })?;
    vault.old_backup(key)?.open(Some(&database), console).map(Some)
}

fn which(args: &RestoreArgs, vault: &Vault, console: &Console) -> Result<Option<BackupId>> {
    let asker = || asker(&args.server, args.origin, console);
    match &args.which {
        Some(which) => resolve(which, args.database.as_deref(), vault, asker, console).map(Some),
        None if args.yes => resolve(&Which::Latest, args.database.as_deref(), vault, asker, console).map(Some),
        None => pick(args, named(args.database.as_deref())?.as_deref(), vault, console),
    }
}

/// Of one database or series; of all where none is named, but for files, which no database takes.
fn pick(args: &RestoreArgs, database: Option<&str>, vault: &Vault, console: &Console) -> Result<Option<BackupId>> {
    let catalog = vault.catalog(database)?;
    let mut ids: Vec<BackupId> = catalog.entries().iter().map(|entry| entry.id.clone()).collect();
    ids.retain(|id| database.is_some() || id.database() != Series::Files.name());
    if ids.is_empty() {
        // Says what is missing, and where.
        let name = database.map_or_else(|| the_only(&catalog, vault), |name| Ok(name.to_owned()))?;
        let asker = asker(&args.server, args.origin, console);
        latest(&name, &catalog.of_database(&name), vault, &asker, console)?;
    }
    ids.reverse();
    ids.truncate(OFFERED);
    let now = Timestamp::now();
    let width = ids.iter().map(|id| id.to_string().len()).max().unwrap_or(0);
    let items: Vec<String> = ids
        .iter()
        .map(|id| {
            let size = match vault.sealed(id).and_then(|sealed| sealed.claims()) {
                Ok(claims) => offered(&claims),
                Err(_) => "unreadable".to_owned(),
            };
            format!("{:width$}  {:>8} ago  {size}", id.to_string(), age(id, now))
        })
        .collect();
    Ok(choose("Which backup", &items)?.and_then(|chosen| ids.into_iter().nth(chosen)))
}

/// What a person chooses by.
fn offered(claims: &Manifest) -> String {
    let whose = match claims.owner() {
        Owner::Upload => ", an upload".to_owned(),
        Owner::Server(server) => format!(", server …{}", short(&server)),
        Owner::Unnamed | Owner::Anyone => String::new(),
    };
    format!("{} stored, {} dump{whose}", bytes(claims.stored.bytes), bytes(claims.plain.bytes))
}

/// What goes where, before anything happens.
fn outline(
    args: &RestoreArgs,
    manifest: &Manifest,
    server: &Settings,
    target: &Target,
    outlook: &Outlook,
    vault: &Vault,
) -> Lines {
    let backup = match &args.object {
        Some(key) => format!("\"{key}\" of {}, written by Doubletake,", manifest.taken_at),
        None => manifest.id.to_string(),
    };
    let state = match target.state {
        State::Missing => "does not exist and will be created".to_owned(),
        State::Empty => "is empty".to_owned(),
        State::Holds(count) => format!("holds {count} objects, ALL OF WHICH WILL BE REPLACED"),
    };
    let whose = match manifest.is_upload() {
        true => "nobody: it was made of a file".to_owned(),
        false if manifest.system_identifier() == target.system_identifier.as_deref() => "this server".to_owned(),
        false => server_of(manifest.system_identifier()),
    };
    let mut text = Lines::of(format!("  backup    {backup} from {}", vault.store.location()))
        .and(format!("  source    {whose}"))
        .and(format!("  dump      {} {}", bytes(manifest.plain.bytes), contents(manifest)))
        .and(format!("  server    {}", server.describe()))
        .and(format!("  database  \"{}\" {state}", target.database));
    if !outlook.given.is_empty() {
        text.push(format!("  it gets   {}", outlook.given.join(", ")));
    }
    text
}

fn agreed(manifest: &Manifest, target: &Target, outline: &Lines, console: &Console) -> Result<bool> {
    console.say(outline);
    let name = &target.database;
    if !confirm_by_typing(&format!("Type the database's name ({name}) to restore"), name)? {
        return Ok(false);
    }
    let replaced = matches!(target.state, State::Holds(_)) && is_source(manifest, target);
    if !replaced {
        return Ok(true);
    }
    let what = match (manifest.system_identifier(), &target.system_identifier) {
        (Some(source), Some(here)) if source != here => {
            "It has the name of the backup's source, and is on another server"
        }
        _ => "This is the backup's own source",
    };
    confirm_by_typing(&format!("{what}. Type {name} again to replace it"), name)
}

fn summary(report: &Report) -> Lines {
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
        text.push(format!(
            "  {} statements and tables were left out, as said above: exit code 1",
            report.left_out.len()
        ));
    }
    if !report.properties.is_empty() {
        text.push(format!("  the database itself was given: {}", report.properties.join(", ")));
    }
    text
}
