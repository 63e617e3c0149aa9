//! Finds what a dump needs and the server lacks, or does not allow the role to do. Says so, and
//! what to do about it, before anything starts.

use crate::base::error::{Fault, Result};
use crate::base::shown::agree;
use crate::format::sql::requirements::Requirements;
use crate::jobs::restore::plan::RestorePlan;
use crate::postgres::properties::own_properties::OwnProperties;
use crate::postgres::restore::load;
use crate::postgres::restore::load::requirements_check::{MissingRequirements, UnavailableObjects};
use crate::postgres::restore::target::{RestoreTarget, TargetState};
use crate::postgres::session::quote::identifier;
use std::collections::BTreeSet;

/// Fails if something is lacking, and returns what the restore does without. With `--skip-failed` only the database's own properties are
/// checked: all else is left out as it comes.
pub(crate) fn check(requires: &Requirements, plan: &RestorePlan, target: &RestoreTarget) -> Result<UnavailableObjects> {
    told(requires, plan, target)?;
    let mut missing = target.lacks(&plan.settings, &wanted(requires, plan))?;
    if let Some(loader) = &plan.loader {
        // Who prepares the scratch database tries them, and names them in the proof.
        missing.barred.clear();
        missing.unavailable = UnavailableObjects::default();
        if loader.is_alone() {
            loader.make_roles(&std::mem::take(&mut missing.roles))?;
        }
    }
    if let Some((name, database)) = missing.unavailable.extensions.first_key_value().filter(|_| plan.processes > 1) {
        let only =
            format!("the extension \"{name}\" can be in database \"{database}\" alone, and --jobs cannot leave it out");
        return Err(Fault::usage(only).hint("leave out --jobs").into());
    }
    if missing.is_empty() {
        return Ok(missing.unavailable);
    }
    Err(Fault::failed(lists(&missing, target).join("; ")).hint(hints(&missing, plan, target).join("; ")).into())
}

/// Refuses what an extension cannot take that must be informed of a restore: rows of its tables out of order, and
/// to be dropped and made again in one session.
fn told(requires: &Requirements, plan: &RestorePlan, target: &RestoreTarget) -> Result<()> {
    let mut needed = requires.extensions.iter().filter(|name| !plan.leave.extensions.contains(*name));
    let Some(name) = needed.find(|name| load::extension_notice::is_told(name)) else { return Ok(()) };
    if plan.processes > 1 {
        return Err(Fault::usage(format!(
            "--jobs cannot restore what the extension \"{name}\" keeps of its own tables"
        ))
        .hint("leave out --jobs")
        .into());
    }
    if matches!(target.state, TargetState::Holds(_)) && target.extensions.contains(name) {
        let database = &target.database;
        return Err(Fault::failed(format!("database \"{database}\" has the extension \"{name}\", which cannot be dropped and made again in one session"))
            .hint("restore into a new database with --to, and rename it")
            .into());
    }
    Ok(())
}

/// Returns the requirements of this restore, without those of parts that it leaves out.
fn wanted(requires: &Requirements, plan: &RestorePlan) -> Requirements {
    let mut wanted = requires.clone();
    if plan.no_owner {
        wanted.owners.clear();
    }
    if plan.no_owner && plan.no_privileges {
        wanted.roles = std::mem::take(&mut wanted.bound_roles);
    }
    wanted.extensions.retain(|name| !plan.leave.extensions.contains(name));
    if plan.leave.tablespaces || plan.loader.is_some() {
        wanted.tablespaces.clear();
    }
    if plan.leave.skip_failed {
        // What is refused is left out as it comes. A tablespace that is not there would leave the one before it in force.
        wanted = Requirements { tablespaces: std::mem::take(&mut wanted.tablespaces), ..Requirements::default() };
    }
    wanted.roles.extend(plan.own.as_ref().map(OwnProperties::roles).unwrap_or_default());
    wanted
}

/// Describes what the restore does without.
pub(crate) fn without(unavailable: &UnavailableObjects, plan: &RestorePlan) -> Vec<String> {
    let mut without = Vec::new();
    if !unavailable.tablespaces.is_empty() {
        let tablespaces = agree(&unavailable.tablespaces.len(), "tablespace", "tablespaces");
        let names = joined(&unavailable.tablespaces);
        // pg_restore leaves out all or none.
        let what = if plan.processes > 1 { "everything" } else { "what lies there at the source" };
        without.push(format!("the server has no {tablespaces} {names} for this role: {what} goes to the database's own; \"pgbk restore latest --database @globals\" makes tablespaces"));
    }
    for (name, database) in &unavailable.extensions {
        without.push(format!("the server allows the extension \"{name}\" in database \"{database}\" alone: it is left out, with the rows of its tables"));
    }
    without
}

fn lists(missing: &MissingRequirements, target: &RestoreTarget) -> Vec<String> {
    let list = |what: &str, names: &BTreeSet<String>| (!names.is_empty()).then(|| format!("{what} {}", joined(names)));
    let lacks = [list("roles", &missing.roles), list("extensions", &missing.extensions)];
    let lacks: Vec<String> = lacks.into_iter().flatten().collect();
    let lacks = (!lacks.is_empty()).then(|| format!("the server lacks what the dump needs: {}", lacks.join("; ")));
    let barred = list(&format!("role \"{}\" may not make the extensions", target.role), &missing.barred);
    let strangers =
        list(&format!("role \"{}\" may not hand what it restores to its owners", target.role), &missing.strangers);
    [lacks, barred, strangers].into_iter().flatten().collect()
}

fn hints(missing: &MissingRequirements, plan: &RestorePlan, target: &RestoreTarget) -> Vec<String> {
    let mut hints = Vec::new();
    if !missing.roles.is_empty() {
        hints.push("\"pgbk restore latest --database @globals\" makes roles and tablespaces".to_owned());
        hints.push(match plan.no_owner && plan.no_privileges {
            true => "policies or user mappings of the dump name the roles".into(),
            false => "--no-owner --no-privileges leave out roles".into(),
        });
    }
    if !missing.extensions.is_empty() {
        let excluded = excluded(&missing.extensions);
        hints.push(format!("install the packages of the extensions on the server, or leave them out: {excluded}"));
    }
    if !missing.barred.is_empty() {
        hints.push(for_an_administrator(missing, target));
    }
    if !missing.strangers.is_empty() {
        let owners = missing.strangers.iter().map(|name| identifier(name)).collect::<Vec<_>>().join(", ");
        hints.push(format!(
            "restore with --no-owner, or let the role be one of them: GRANT {owners} TO {}",
            identifier(&target.role)
        ));
    }
    hints
}

fn for_an_administrator(missing: &MissingRequirements, target: &RestoreTarget) -> String {
    let made = match target.state {
        TargetState::Missing => {
            format!("CREATE DATABASE {} OWNER {}; and in it: ", identifier(&target.database), identifier(&target.role))
        }
        TargetState::Empty | TargetState::Holds(_) => format!("in database \"{}\": ", target.database),
    };
    let statements: Vec<String> =
        missing.barred.iter().map(|name| format!("CREATE EXTENSION {};", identifier(name))).collect();
    format!("let an administrator run {made}{} or leave them out: {}", statements.join(" "), excluded(&missing.barred))
}

fn excluded(names: &BTreeSet<String>) -> String {
    names.iter().map(|name| format!("--exclude-extension {name}")).collect::<Vec<_>>().join(" ")
}

fn joined(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
