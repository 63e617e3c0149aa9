//! `pgbk restore` of a server's globals.

use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::base::shown::{Lines, many};
use crate::cli::arguments::RestoreArgs;
use crate::cli::console::{Console, confirm_by_typing};
use crate::commands::restore::summary::declined;
use crate::jobs::restore::globals::{apply_globals, read_globals};
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::globals::{ExistingGlobals, Globals, GlobalsReport};
use crate::repository::reader::BackupReader;
use serde_json::json;

pub fn run(args: &RestoreArgs, opened: BackupReader, server: &ConnectionSettings, console: &Console) -> Result<u8> {
    let id = opened.manifest.id.clone();
    let own = [
        (args.to.is_some(), "--to"),
        (args.clean, "--clean"),
        (args.no_owner, "--no-owner"),
        (args.no_privileges, "--no-privileges"),
        (args.jobs.is_some(), "--jobs"),
        (args.single_transaction, "--single-transaction"),
        (args.dry_run, "--dry-run"),
        (args.leave.skip_failed, "--skip-failed"),
        (args.leave.no_comments, "--no-comments"),
        (args.leave.no_tablespaces, "--no-tablespaces"),
        (!args.leave.exclude_extension.is_empty(), "--exclude-extension"),
        (args.leave.search_path.is_some(), "--search-path"),
    ];
    if let Some((_, flag)) = own.iter().find(|(said, _)| *said) {
        return Err(Fault::usage(format!("{flag} is for backups of databases, and {id} is of a server's globals"))
            .hint(format!("leave out {flag}"))
            .into());
    }
    let globals = read_globals(opened, console)?;
    let outline = outline(&id.to_string(), &globals, &ExistingGlobals::of(server)?, server);
    console.note(outline.as_str());
    if !args.yes {
        console.say(&outline);
        if !confirm_by_typing("Type yes to apply them", "yes")? {
            return Err(declined());
        }
    }
    let applied = apply_globals(globals, server)?;
    for skipped in &applied.skipped {
        console.warn(&format!("skipped: {skipped}"));
    }
    console.result(&summary(&id.to_string(), &applied, server), &json!({"id": id, "applied": applied}))?;
    Ok(0)
}

fn outline(id: &str, globals: &Globals, there: &ExistingGlobals, server: &ConnectionSettings) -> Lines {
    let told = |text: Lines,
                what: &str,
                wanted: &std::collections::BTreeSet<String>,
                there: &std::collections::BTreeSet<String>| {
        let list = |names: Vec<&String>| match names.is_empty() {
            true => "none".to_owned(),
            false => names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", "),
        };
        let (kept, made) = wanted.iter().partition(|name| there.contains(*name));
        text.and(format!("  {what:11} new: {}", list(made)))
            .and(format!("              there already, and changed to what the backup says: {}", list(kept)))
    };
    let text = Lines::of(format!("  backup      {id}")).and(format!("  server      {}", server.describe()));
    let text = told(text, "roles", &globals.roles(), &there.roles);
    told(text, "tablespaces", &globals.tablespaces(), &there.tablespaces).and("  Nothing is removed.")
}

fn summary(id: &str, applied: &GlobalsReport, server: &ConnectionSettings) -> Lines {
    let statements = many(applied.statements, "statement");
    let mut text = Lines::of(format!("restored {id} onto {}: {statements}", server.describe()));
    for (what, names) in [
        ("roles made", &applied.roles_created),
        ("roles that were there, now as in the backup", &applied.roles_kept),
        ("tablespaces made", &applied.tablespaces_created),
        ("tablespaces that were there", &applied.tablespaces_kept),
    ] {
        if !names.is_empty() {
            text.push(format!("  {what}: {}", names.join(", ")));
        }
    }
    text
}
