//! `pgbk restore --all`: restores the globals and every database of a server onto this server, each from its newest backup.

#[cfg(test)]
mod tests;

use crate::base::databases::Databases;
use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::base::shown::{Lines, agree, many};
use crate::base::subject::Subject;
use crate::cli::arguments::RestoreArgs;
use crate::cli::console::{Console, bytes, confirm_by_typing, error_document};
use crate::commands::list::age;
use crate::commands::lookup::{asker, joined, limit, with_backups};
use crate::commands::restore::dry_run::target_members;
use crate::commands::restore::plan::plan;
use crate::commands::restore::summary::{declined, tell};
use crate::config;
use crate::format::backup_id::BackupId;
use crate::format::manifest::Manifest;
use crate::jobs::restore::globals::{apply_globals, read_globals};
use crate::jobs::restore::plan::RestorePlan;
use crate::jobs::restore::properties::outlook;
use crate::jobs::restore::way::way;
use crate::jobs::restore::{RestoreReport, admit, restore};
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::globals::{Globals, GlobalsReport};
use crate::postgres::restore::target::{RestoreTarget, TargetState};
use crate::repository::Repository;
use crate::repository::catalog::{Catalog, lost_documents};
use crate::repository::newest::{LatestBackup, ServerIdentity};
use crate::repository::reader::BackupReader;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Holds the backups to restore, as collected before anything is touched.
#[derive(Default)]
struct ServerRestore {
    globals: Option<(BackupId, Globals)>,
    databases: Vec<DatabaseRestore>,
    /// Backups of databases that could not be opened, with the errors.
    failed: Vec<(BackupId, anyhow::Error)>,
}

struct DatabaseRestore {
    manifest: Manifest,
    plan: RestorePlan,
    target: RestoreTarget,
}

/// The result of each database, in the order in which they were tried.
type RestoreResults = Vec<(BackupId, Result<RestoreReport>)>;

pub fn run(args: &RestoreArgs, console: &Console) -> Result<u8> {
    let repository = config::repository(&args.store, &args.keys, &args.state)?;
    let server = config::server::server(&args.server)?;
    let mut whole = ServerRestore::default();
    for latest in chosen(args, &repository, console)? {
        latest.remark.iter().for_each(|remark| console.warn(remark));
        whole.look(&latest.id, args, &repository, &server, console)?;
    }
    whole.check()?;
    let outline = whole.outline(&repository, &server);
    if args.dry_run {
        console.result(&outline, &whole.document())?;
        return Ok(0);
    }
    console.note(outline.as_str());
    if !args.yes && !agreed(&whole, &outline, console)? {
        return Err(declined());
    }
    let (globals, ended) = whole.restore(&repository, &server, console)?;
    let document = json!({
        "globals": globals.as_ref().map(|(id, applied)| json!({"id": id, "applied": applied})),
        "databases": ended.iter().map(of_one).collect::<Result<Vec<Value>>>()?,
    });
    console.result(&summary(globals.as_ref(), &ended), &document)?;
    Ok(exit_code(&ended))
}

/// Returns the newest backup of each database, and of the globals. Files are left out: they belong to a host, not to the server.
fn chosen(args: &RestoreArgs, repository: &Repository, console: &Console) -> Result<Vec<LatestBackup>> {
    let catalog = repository.catalog(None)?;
    lost_documents(&catalog).iter().for_each(|lost| console.warn(lost));
    let mut asker = asker(&args.server, args.origin, console);
    let subjects = subjects(args, &catalog, repository)?;
    let latest = match &args.from {
        Some(server) => {
            asker.server = ServerIdentity::Named(server.clone());
            repository.whole_of(&catalog, &subjects, &asker)?
        }
        None => repository.whole(&catalog, &subjects, &asker)?,
    };
    let has = |subject: &Subject| latest.iter().any(|latest| latest.id.subject() == subject);
    let others: Vec<&Subject> = subjects.iter().filter(|subject| !has(subject)).collect();
    let lacks_one = others.iter().any(|subject| subject.database().is_some());
    if latest.is_empty() || (limit(args.database.as_deref()).is_some() && lacks_one) {
        return Err(Fault::not_found(format!(
            "there is no backup of {} in {} that {} made",
            joined(others),
            repository.store.location(),
            asker.server.describe()
        ))
        .hint("\"pgbk list --json\" shows what is stored, and the whole identifier of each server")
        .into());
    }
    if args.from.is_none() && lacks_one {
        // One backup of a new server's own must not stand for the whole that is meant.
        return Err(Fault::usage(format!(
            "{} has made some of the backups, and only other servers those of {}; nothing was restored",
            asker.server.describe(),
            joined(others)
        ))
        .hint("say with --from, and a whole identifier of \"pgbk list --json\", which server is meant")
        .into());
    }
    if !others.is_empty() {
        console.warn(&format!("not restored, as only other servers have backups of them: {}", joined(others)));
    }
    Ok(latest)
}

/// Returns the databases that `--database` names, or all that have backups. The globals come first: databases need the roles.
fn subjects(args: &RestoreArgs, catalog: &Catalog, repository: &Repository) -> Result<Vec<Subject>> {
    let stored = with_backups(catalog, repository)?;
    let globals = stored.iter().filter(|subject| **subject == Subject::Globals).cloned();
    let named = Databases::of(limit(args.database.as_deref()).map(str::to_owned).as_slice())?;
    let databases = match named {
        Some(Databases::Named(subjects)) if !subjects.iter().all(is_database) => {
            return Err(Fault::usage(
                "--all restores databases, and those that --database names are not all databases",
            )
            .hint(format!(
                "leave {} and {} out: --all restores roles and tablespaces first, and --files files",
                Subject::Globals,
                Subject::Files
            ))
            .into());
        }
        Some(Databases::Named(subjects)) => subjects,
        Some(Databases::All) | None => stored.clone(),
    };
    Ok(globals.chain(databases.into_iter().filter(is_database)).collect())
}

fn is_database(subject: &Subject) -> bool {
    subject.database().is_some()
}

/// Reads the globals to apply before the databases. The role that pgbk connects as keeps its password and attributes,
/// so that this restore does not lock itself out.
fn globals(
    opened: BackupReader,
    args: &RestoreArgs,
    server: &ConnectionSettings,
    console: &Console,
) -> Result<Globals> {
    let mut globals = read_globals(opened, console)?;
    let user = server.user();
    if globals.roles().contains(user) {
        globals.sparing(user);
        console.warn(&format!(
            "\"{user}\", which pgbk connects as, keeps its password and attributes; \"pgbk restore latest --database {}\" gives it those of the backup",
            Subject::Globals
        ));
    }
    if args.leave.no_tablespaces {
        globals.without_tablespaces();
    }
    Ok(globals)
}

impl ServerRestore {
    /// Adds one backup. A database's backup that cannot be opened goes to `failed` and does not stop the others.
    fn look(
        &mut self,
        id: &BackupId,
        args: &RestoreArgs,
        repository: &Repository,
        server: &ConnectionSettings,
        console: &Console,
    ) -> Result<()> {
        if *id.subject() == Subject::Globals {
            if !(args.no_owner && args.no_privileges) {
                self.globals = Some((id.clone(), globals(repository.open(id)?, args, server, console)?));
            }
            return Ok(());
        }
        let opened = match repository.open(id) {
            Ok(opened) => opened,
            Err(error) if is_interrupted(&error) => return Err(error),
            Err(error) => {
                console.tell(&error);
                self.failed.push((id.clone(), error));
                return Ok(());
            }
        };
        let plan = plan(args, &opened, server, id.subject().name().to_owned())?;
        let target = RestoreTarget::look(server, &plan.database)?;
        let mut database = DatabaseRestore { manifest: opened.manifest, plan, target };
        // pg_restore does not empty its target.
        if database.is_full() {
            database.plan.processes = 1;
        }
        self.databases.push(database);
        Ok(())
    }

    /// Fails before anything is touched if a database is not empty and the arguments do not allow its replacement.
    fn check(&self) -> Result<()> {
        let kept = self.databases.iter().filter(|one| one.is_full() && !(one.plan.clean && one.plan.over_source));
        let kept: Vec<String> = kept.map(|database| format!("\"{}\"", database.plan.database)).collect();
        if kept.is_empty() {
            return Ok(());
        }
        Err(Fault::failed(format!("not empty on this server: {}; nothing was restored", kept.join(", ")))
            .hint("say --clean --over-source to replace what they hold, or name the other databases with --database")
            .into())
    }

    fn outline(&self, repository: &Repository, server: &ConnectionSettings) -> Lines {
        let now = Timestamp::now();
        let mut text = Lines::of(format!("  from      {}", repository.store.location()))
            .and(format!("  server    {}", server.describe()));
        if let Some((id, globals)) = &self.globals {
            text.push(format!(
                "  first     {id}, {} ago: {}, {}",
                age(id, now),
                many(globals.roles().len(), "role"),
                many(globals.tablespaces().len(), "tablespace")
            ));
        }
        for DatabaseRestore { manifest, target, .. } in &self.databases {
            let state = match target.state {
                TargetState::Missing => "will be created".to_owned(),
                TargetState::Empty => "is empty".to_owned(),
                TargetState::Holds(count) => format!("holds {}, ALL OF WHICH WILL BE REPLACED", many(count, "object")),
            };
            let (id, size) = (&manifest.id, bytes(manifest.plain.bytes));
            text.push(format!("  database  \"{}\" {state}: {id}, {} ago, {size}", manifest.subject, age(id, now)));
        }
        self.failed.iter().for_each(|(id, _)| text.push(format!("  CANNOT BE RESTORED: {id}, as said above")));
        text
    }

    /// Returns what would be restored where, as a document.
    fn document(&self) -> Value {
        let one = |one: &DatabaseRestore| {
            let mut document = target_members(&one.target);
            document["id"] = json!(one.manifest.id);
            document["database"] = json!(one.plan.database);
            document["jobs"] = json!(way(&one.manifest, &one.plan, &one.target).jobs);
            document["bytes"] = json!(one.manifest.plain.bytes);
            document
        };
        let failed = |(id, error): &(BackupId, anyhow::Error)| json!({"id": id, "error": error_document(error)});
        json!({
            "dry_run": true,
            "globals": self.globals.as_ref().map(|(id, _)| id),
            "databases": self.databases.iter().map(one).chain(self.failed.iter().map(failed)).collect::<Vec<_>>(),
        })
    }

    /// Applies the globals, whose failure ends the restore. Then restores the databases one by one; a failure of one
    /// does not stop the next.
    fn restore(
        self,
        repository: &Repository,
        server: &ConnectionSettings,
        console: &Console,
    ) -> Result<(Option<(BackupId, GlobalsReport)>, RestoreResults)> {
        let globals = match self.globals {
            Some((id, globals)) => {
                let applied = apply_globals(globals, server).map_err(|error| refused(&id, error))?;
                applied.skipped.iter().for_each(|skipped| console.warn(&format!("skipped: {skipped}")));
                Some((id, applied))
            }
            None => None,
        };
        let mut ended: RestoreResults = self.failed.into_iter().map(|(id, error)| (id, Err(error))).collect();
        for database in self.databases {
            match database.restore(repository, console) {
                Ok(report) => {
                    tell(&report, console);
                    console.info(crate::commands::restore::summary::summary(&report).as_str());
                    ended.push((database.manifest.id, Ok(report)));
                }
                Err(error) if is_interrupted(&error) => return Err(error),
                Err(error) => {
                    console.tell(&error);
                    ended.push((database.manifest.id, Err(error)));
                }
            }
        }
        Ok((globals, ended))
    }
}

impl DatabaseRestore {
    fn is_full(&self) -> bool {
        matches!(self.target.state, TargetState::Holds(_))
    }

    fn restore(&self, repository: &Repository, console: &Console) -> Result<RestoreReport> {
        let DatabaseRestore { manifest, plan, .. } = self;
        let whose = |error: anyhow::Error| error.context(format!("\"{}\" is not restored", plan.database));
        let target = admit(manifest, plan).map_err(whose)?;
        outlook(manifest, plan, &target)?.warnings.iter().for_each(|warning| console.warn(warning));
        restore(repository.open(&manifest.id)?, plan, &target, console).map_err(whose)
    }
}

/// Adds a hint: how to restore without the globals that the server refuses.
fn refused(id: &BackupId, error: anyhow::Error) -> anyhow::Error {
    let message = format!("{id}: no database was restored");
    match kind(&error) {
        Kind::Interrupted(_) => error.context(message),
        kind => error.context(
            Fault::new(kind, message)
                .hint("--no-tablespaces leaves tablespaces out, and --no-owner with --no-privileges the roles"),
        ),
    }
}

fn is_interrupted(error: &anyhow::Error) -> bool {
    matches!(kind(error), Kind::Interrupted(_))
}

fn agreed(whole: &ServerRestore, outline: &Lines, console: &Console) -> Result<bool> {
    console.say(outline);
    if !confirm_by_typing("Type yes to restore all of it", "yes")? {
        return Ok(false);
    }
    let replaced = whole.databases.iter().filter(|database| database.is_full()).count();
    if replaced == 0 {
        return Ok(true);
    }
    let (databases, hold) = (many(replaced, "database"), agree(&replaced, "holds", "hold"));
    confirm_by_typing(&format!("{databases} {hold} something. Type replace to lose it"), "replace")
}

fn of_one((id, report): &(BackupId, Result<RestoreReport>)) -> Result<Value> {
    Ok(match report {
        Ok(report) => serde_json::to_value(report)?,
        Err(error) => json!({"id": id, "database": id.subject(), "error": error_document(error)}),
    })
}

fn summary(globals: Option<&(BackupId, GlobalsReport)>, ended: &RestoreResults) -> Lines {
    let mut text = Lines::new();
    if let Some((id, applied)) = globals {
        let roles = many(applied.roles_created.len(), "role");
        let spaces = many(applied.tablespaces_created.len(), "tablespace");
        text.push(format!("restored {id}: {roles} and {spaces} made"));
    }
    for (id, report) in ended {
        match report {
            Ok(report) => text.append(crate::commands::restore::summary::summary(report)),
            Err(_) => text.push(format!("NOT restored: \"{}\", of {id}, as said above", id.subject())),
        }
    }
    let done = ended.iter().filter(|(_, report)| report.is_ok()).count();
    let (all, are) = (many(ended.len(), "database"), agree(&ended.len(), "is", "are"));
    text.and(format!("{done} of {all} {are} restored"))
}

/// Returns the exit code of the first database that failed; else 1 if something was left out of one, else 0.
fn exit_code(ended: &RestoreResults) -> u8 {
    let mut failed = ended.iter().filter_map(|(_, report)| report.as_ref().err());
    let left_out = ended.iter().any(|(_, report)| report.as_ref().is_ok_and(|report| !report.left_out.is_empty()));
    failed.next().map_or(u8::from(left_out), |error| kind(error).exit_code())
}
