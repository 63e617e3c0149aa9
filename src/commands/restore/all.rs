//! `pgbk restore --all`: what a server had, each database from its newest backup, onto this server.

use super::{declined, plan, tell};
use crate::cli::RestoreArgs;
use crate::commands::list::age;
use crate::commands::which::{asker, limit, with_backups};
use crate::config;
use crate::console::{Console, bytes, confirm_by_typing, error_document};
use crate::databases::Databases;
use crate::error::{Fault, Kind, Result, kind};
use crate::jobs::restore::{Plan, Report, admit, apply_globals, outlook, read_globals, restore};
use crate::manifest::{BackupId, Format, Manifest};
use crate::monitor::Monitor;
use crate::postgres::globals::{Applied, Globals};
use crate::postgres::settings::Settings;
use crate::postgres::target::{State, Target};
use crate::series::Series;
use crate::shown::Lines;
use crate::vault::{Catalog, Latest, Opened, Server, Vault};
use jiff::Timestamp;
use serde_json::{Value, json};

/// What is to come back, before anything is touched.
#[derive(Default)]
struct Whole {
    globals: Option<(BackupId, Globals)>,
    databases: Vec<Database>,
    /// Databases whose newest backup cannot be read, or cannot go where it would.
    failed: Vec<(BackupId, anyhow::Error)>,
}

struct Database {
    manifest: Manifest,
    plan: Plan,
    target: Target,
}

/// How it ended for each, in the order in which it was tried.
type Ended = Vec<(BackupId, Result<Report>)>;

pub fn run(args: &RestoreArgs, console: &Console) -> Result<u8> {
    let vault = config::vault(&args.store, &args.keys, &args.state)?;
    let server = config::server(&args.server)?;
    let mut whole = Whole::default();
    for latest in chosen(args, &vault, console)? {
        latest.remark.iter().for_each(|remark| console.warn(remark));
        whole.look(&latest.id, args, &vault, &server, console)?;
    }
    whole.check()?;
    let outline = whole.outline(&vault, &server);
    console.note(outline.as_str());
    if !args.yes && !agreed(&whole, &outline, console)? {
        return Err(declined());
    }
    let (globals, ended) = whole.restore(&vault, &server, console)?;
    let document = json!({
        "globals": globals.as_ref().map(|(id, applied)| json!({"id": id, "applied": applied})),
        "databases": ended.iter().map(of_one).collect::<Result<Vec<Value>>>()?,
    });
    console.result(&summary(globals.as_ref(), &ended), &document)?;
    Ok(exit_code(&ended))
}

/// Returns the newest backup of everything that is meant. Files are left out: they are this host's, and not the server's.
fn chosen(args: &RestoreArgs, vault: &Vault, console: &Console) -> Result<Vec<Latest>> {
    let catalog = vault.catalog(None)?;
    let mut asker = asker(&args.server, args.origin, console);
    let names = names(args, &catalog, vault)?;
    let latest = match &args.from {
        Some(server) => {
            asker.server = Server::Named(server.clone());
            vault.whole_of(&catalog, &names, &asker)?
        }
        None => vault.whole(&catalog, &names, &asker)?,
    };
    let has = |name: &String| latest.iter().any(|latest| latest.id.database() == name);
    let others: Vec<&str> = names.iter().filter(|name| !has(name)).map(String::as_str).collect();
    if latest.is_empty() || (limit(args.database.as_deref()).is_some() && others.iter().any(|name| is_database(name))) {
        return Err(Fault::not_found(format!(
            "there is no backup of {} in {} that {} made",
            others.join(", "),
            vault.store.location(),
            asker.server.describe()
        ))
        .hint("\"pgbk list\" shows what is stored, and of which server")
        .into());
    }
    if args.from.is_none() && others.iter().any(|name| is_database(name)) {
        // One backup of a new server's own must not stand for the whole that is meant.
        return Err(Fault::usage(format!(
            "{} has made some of the backups, and only other servers those of {}; nothing was restored",
            asker.server.describe(),
            others.join(", ")
        ))
        .hint("say with --from, and a whole identifier of \"pgbk list --json\", which server is meant")
        .into());
    }
    if !others.is_empty() {
        console.warn(&format!("not restored, as only other servers have backups of them: {}", others.join(", ")));
    }
    Ok(latest)
}

/// Returns those that --database names, or all that have backups. Roles come first: databases need them.
fn names(args: &RestoreArgs, catalog: &Catalog, vault: &Vault) -> Result<Vec<String>> {
    let stored = with_backups(catalog, vault)?;
    let globals = stored.iter().filter(|name| *name == Series::Globals.name()).cloned();
    let named = Databases::of(limit(args.database.as_deref()).map(str::to_owned).as_slice())?;
    let databases = match named {
        Some(Databases::Named(names)) => names,
        Some(Databases::All) | None => stored.clone(),
    };
    Ok(globals.chain(databases.into_iter().filter(|name| is_database(name))).collect())
}

fn is_database(name: &str) -> bool {
    Series::of(name).is_none()
}

/// Returns what there is to make before the databases, but for what would lock this restore itself out.
fn globals(opened: Opened, args: &RestoreArgs, server: &Settings, console: &Console) -> Result<Globals> {
    let mut globals = read_globals(opened, console)?;
    let user = server.user();
    if globals.roles().contains(user) {
        globals.sparing(user);
        console.warn(&format!(
            "\"{user}\", which pgbk connects as, keeps its password and attributes; \"pgbk restore latest --database {}\" gives it those of the backup",
            Series::Globals.name()
        ));
    }
    if args.leave.no_tablespaces {
        globals.without_tablespaces();
    }
    Ok(globals)
}

impl Whole {
    /// Takes in one backup. What is damaged costs the others nothing.
    fn look(
        &mut self,
        id: &BackupId,
        args: &RestoreArgs,
        vault: &Vault,
        server: &Settings,
        console: &Console,
    ) -> Result<()> {
        if id.database() == Series::Globals.name() {
            if !(args.no_owner && args.no_privileges) {
                self.globals = Some((id.clone(), globals(vault.open(id)?, args, server, console)?));
            }
            return Ok(());
        }
        let opened = match vault.open(id) {
            Ok(opened) => opened,
            Err(error) if is_interrupted(&error) => return Err(error),
            Err(error) => {
                console.tell(&error);
                self.failed.push((id.clone(), error));
                return Ok(());
            }
        };
        let plan = plan(args, &opened, server, id.database().to_owned())?;
        let target = Target::look(server, &plan.database)?;
        let mut database = Database { manifest: opened.manifest, plan, target };
        // Several load archives alone, into what is empty.
        if database.manifest.dump.format == Format::Plain || database.is_full() {
            database.plan.jobs = 1;
        }
        self.databases.push(database);
        Ok(())
    }

    /// Refuses it whole, before anything is touched, where it would replace what nobody said may be replaced.
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

    fn outline(&self, vault: &Vault, server: &Settings) -> Lines {
        let now = Timestamp::now();
        let mut text = Lines::of(format!("  from      {}", vault.store.location()))
            .and(format!("  server    {}", server.describe()));
        if let Some((id, globals)) = &self.globals {
            text.push(format!(
                "  first     {id}, {} ago: {} roles, {} tablespaces",
                age(id, now),
                globals.roles().len(),
                globals.tablespaces().len()
            ));
        }
        for Database { manifest, target, .. } in &self.databases {
            let state = match target.state {
                State::Missing => "will be created".to_owned(),
                State::Empty => "is empty".to_owned(),
                State::Holds(count) => format!("holds {count} objects, ALL OF WHICH WILL BE REPLACED"),
            };
            let (id, size) = (&manifest.id, bytes(manifest.plain.bytes));
            text.push(format!("  database  \"{}\" {state}: {id}, {} ago, {size}", manifest.database, age(id, now)));
        }
        self.failed.iter().for_each(|(id, _)| text.push(format!("  CANNOT BE RESTORED: {id}, as said above")));
        text
    }

    /// Roles first, without which nothing starts; then one database after the other, of which none stops the next.
    fn restore(
        self,
        vault: &Vault,
        server: &Settings,
        console: &Console,
    ) -> Result<(Option<(BackupId, Applied)>, Ended)> {
        let globals = match self.globals {
            Some((id, globals)) => {
                let applied = apply_globals(globals, server).map_err(|error| refused(&id, error))?;
                applied.skipped.iter().for_each(|skipped| console.warn(&format!("skipped: {skipped}")));
                Some((id, applied))
            }
            None => None,
        };
        let mut ended: Ended = self.failed.into_iter().map(|(id, error)| (id, Err(error))).collect();
        for database in self.databases {
            match database.restore(vault, console) {
                Ok(report) => {
                    tell(&report, console);
                    console.info(super::summary(&report).as_str());
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

impl Database {
    fn is_full(&self) -> bool {
        matches!(self.target.state, State::Holds(_))
    }

    fn restore(&self, vault: &Vault, console: &Console) -> Result<Report> {
        let Database { manifest, plan, .. } = self;
        let whose = |error: anyhow::Error| error.context(format!("\"{}\" is not restored", plan.database));
        let target = admit(manifest, plan).map_err(whose)?;
        outlook(manifest, plan, &target)?.warnings.iter().for_each(|warning| console.warn(warning));
        restore(vault.open(&manifest.id)?, plan, &target, console).map_err(whose)
    }
}

/// Says how to go on without what the server refuses.
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

fn agreed(whole: &Whole, outline: &Lines, console: &Console) -> Result<bool> {
    console.say(outline);
    if !confirm_by_typing("Type yes to restore all of it", "yes")? {
        return Ok(false);
    }
    let replaced = whole.databases.iter().filter(|database| database.is_full()).count();
    if replaced == 0 {
        return Ok(true);
    }
    confirm_by_typing(&format!("{replaced} databases hold something. Type replace to lose it"), "replace")
}

fn of_one((id, report): &(BackupId, Result<Report>)) -> Result<Value> {
    Ok(match report {
        Ok(report) => serde_json::to_value(report)?,
        Err(error) => json!({"id": id, "database": id.database(), "error": error_document(error)}),
    })
}

fn summary(globals: Option<&(BackupId, Applied)>, ended: &Ended) -> Lines {
    let mut text = Lines::new();
    if let Some((id, applied)) = globals {
        let (roles, spaces) = (&applied.roles_created, &applied.tablespaces_created);
        text.push(format!("restored {id}: {} roles and {} tablespaces made", roles.len(), spaces.len()));
    }
    for (id, report) in ended {
        match report {
            Ok(report) => text.append(super::summary(report)),
            Err(_) => text.push(format!("NOT restored: \"{}\", of {id}, as said above", id.database())),
        }
    }
    let done = ended.iter().filter(|(_, report)| report.is_ok()).count();
    text.and(format!("{done} of {} databases are restored", ended.len()))
}

/// That of the first database that failed; 1 where something was left out of one.
fn exit_code(ended: &Ended) -> u8 {
    let mut failed = ended.iter().filter_map(|(_, report)| report.as_ref().err());
    let left_out = ended.iter().any(|(_, report)| report.as_ref().is_ok_and(|report| !report.left_out.is_empty()));
    failed.next().map_or(u8::from(left_out), |error| kind(error).exit_code())
}
