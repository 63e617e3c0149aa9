//! `pgbk restore` of a server's globals.

use crate::cli::RestoreArgs;
use crate::console::{Console, confirm_by_typing};
use crate::error::{Fault, Result};
use crate::jobs::restore::{apply_globals, read_globals};
use crate::monitor::Monitor;
use crate::postgres::globals::{Applied, Globals, There};
use crate::postgres::settings::Settings;
use crate::vault::Opened;
use serde_json::json;

pub fn run(args: &RestoreArgs, opened: Opened, server: &Settings, console: &Console) -> Result<u8> {
    let id = opened.manifest.id.clone();
    let own = [
        (args.to.is_some(), "--to"),
        (args.clean, "--clean"),
        (args.no_owner, "--no-owner"),
        (args.no_privileges, "--no-privileges"),
        (args.jobs > 1, "--jobs"),
    ];
    if let Some((_, flag)) = own.iter().find(|(said, _)| *said) {
        return Err(Fault::usage(format!("{flag} is for backups of databases, and {id} is of a server's globals"))
            .hint(format!("leave out {flag}"))
            .into());
    }
    let globals = read_globals(opened, console)?;
    let outline = outline(&id.to_string(), &globals, &There::of(server)?, server);
    console.note(&outline);
    if !args.yes {
        console.say(&outline);
        if !confirm_by_typing("Type yes to apply them", "yes")? {
            return Err(super::declined());
        }
    }
    let applied = apply_globals(globals, server)?;
    for skipped in &applied.skipped {
        console.warn(&format!("skipped: {skipped}"));
    }
    console.result(&summary(&id.to_string(), &applied, server), &json!({"id": id, "applied": applied}))?;
    Ok(0)
}

fn outline(id: &str, globals: &Globals, there: &There, server: &Settings) -> String {
    let told = |what: &str, wanted: &std::collections::BTreeSet<String>, there: &std::collections::BTreeSet<String>| {
        let list = |names: Vec<&String>| match names.is_empty() {
            true => "none".to_owned(),
            false => names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", "),
        };
        let (kept, made) = wanted.iter().partition(|name| there.contains(*name));
        format!(
            "  {what:11} new: {}\n              there already, and changed to what the backup says: {}\n",
            list(made),
            list(kept)
        )
    };
    format!(
        "  backup      {id}\n  server      {}\n{}{}  Nothing is removed.",
        server.describe(),
        told("roles", &globals.roles(), &there.roles),
        told("tablespaces", &globals.tablespaces(), &there.tablespaces),
    )
}

fn summary(id: &str, applied: &Applied, server: &Settings) -> String {
    let names = |what: &str, names: &[String]| match names {
        [] => String::new(),
        names => format!("  {what}: {}\n", names.join(", ")),
    };
    format!(
        "restored {id} onto {}: {} statements\n{}{}{}{}",
        server.describe(),
        applied.statements,
        names("roles made", &applied.roles_created),
        names("roles that were there, now as in the backup", &applied.roles_kept),
        names("tablespaces made", &applied.tablespaces_created),
        names("tablespaces that were there", &applied.tablespaces_kept),
    )
}
