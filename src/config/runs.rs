//! When runs take place, of what, and where they are written down.

use crate::cli::{BesideArgs, RunArgs, ScheduleArgs, StateArgs, StoreArgs};
use crate::cron::Timetable;
use crate::databases::Databases;
use crate::environment;
use crate::error::{Fault, Result};
use crate::history::History;
use crate::jobs::backup::Plan;
use crate::postgres::control;
use crate::postgres::settings::Settings;
use crate::series::Series;
use crate::shown::word;
use crate::vault::Adopt;
use anyhow::Context;
use rustix::fs::Access;
use std::path::{Component, Path, PathBuf};

/// For a service, and in the image.
pub(super) const SYSTEM: &str = "/var/lib/pgbk";

/// The databases that are named, by whatever names one. The one that libpq would take without is the user's, which is empty on most servers.
pub fn databases(args: &RunArgs, server: &Settings) -> Result<Databases> {
    let databases = match (Databases::of(&args.databases)?, server.named_database()) {
        (Some(databases), _) => databases,
        (None, Some(name)) => Databases::Named(vec![name.to_owned()]),
        (None, None) => return Err(unnamed(server).into()),
    };
    Ok(databases.with(&beside(args)?))
}

fn unnamed(server: &Settings) -> Fault {
    let fault = Fault::usage("no database is named");
    match control::databases(server) {
        Ok(names) if !names.is_empty() => {
            let names: Vec<_> = names.iter().map(|name| word(name)).collect();
            fault.hint(format!(
                "set DB_NAME to one or more of these, with commas between them, or to * for all: {}",
                names.join(", ")
            ))
        }
        _ => fault.hint("set DB_NAME to the database that is meant, or to * for all"),
    }
}

/// What is backed up beside databases, once in each run.
pub fn beside(args: &RunArgs) -> Result<Vec<Series>> {
    let globals = args.beside.globals.then_some(Series::Globals);
    let files = (!files(&args.beside, &args.store)?.is_empty()).then_some(Series::Files);
    Ok(globals.into_iter().chain(files).collect())
}

/// `BACKUP_FILES`, split at colons as `PATH` is.
pub fn files(args: &BesideArgs, store: &StoreArgs) -> Result<Vec<PathBuf>> {
    let text = args.files.as_deref().unwrap_or_default();
    let paths = text.split(':').map(str::trim).filter(|path| !path.is_empty()).map(PathBuf::from);
    let paths: Vec<PathBuf> = paths.collect();
    for path in &paths {
        if !path.is_absolute() || path.components().any(|step| step == Component::ParentDir) {
            return Err(Fault::usage(format!("BACKUP_FILES: \"{}\" does not begin at /, or holds ..", path.display()))
                .hint("name whole paths with colons between them, such as /etc/postgresql:/etc/pgbk")
                .into());
        }
        // Every backup would hold all those before it.
        if let Some(store) = store.store_dir.as_deref().filter(|store| within(store, path)) {
            return Err(Fault::usage(format!(
                "BACKUP_FILES: \"{}\" holds STORE_DIR, \"{}\"",
                path.display(),
                store.display()
            ))
            .hint("name what is beside the store, and not the store")
            .into());
        }
    }
    Ok(paths)
}

fn within(store: &Path, path: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
    matches!((real(store), real(path)), (Ok(store), Ok(path)) if store.starts_with(&path))
}

/// How any of them is dumped.
pub fn plan(args: &RunArgs) -> Result<Plan> {
    Ok(Plan {
        compression: super::compression(&args.pipeline)?,
        arguments: super::pg_dump_arguments(args.pg_dump_args.as_deref())?,
        settings: super::server(&args.server)?,
        format: args.format,
        bin_dir: args.server.pg_bin_dir.clone(),
        lock_wait: args.lock_timeout,
        stall: args.stall_timeout,
        expected: args.pipeline.size_estimate,
        paths: files(&args.beside, &args.store)?,
        adopt: Adopt::No,
        note: None,
    })
}

/// `CRON_SCHEDULE` in `TZ`.
pub fn timetable(args: &ScheduleArgs) -> Result<Timetable> {
    let zone = super::zone(&args.run.zone)?;
    Ok(Timetable::parse(&args.schedule, &zone)?)
}

/// `VERIFY_SCHEDULE` in `TZ`.
pub fn verify_timetable(args: &ScheduleArgs) -> Result<Option<Timetable>> {
    let zone = super::zone(&args.run.zone)?;
    let parse = |text: &String| Timetable::parse(text, &zone).context("VERIFY_SCHEDULE");
    args.verify_schedule.as_ref().map(parse).transpose()
}

/// Where runs are written down.
pub fn history(args: &StateArgs) -> Result<History> {
    Ok(History::of(&state_dir(args)?))
}

/// Where pgbk remembers things between runs. It need not be there yet.
pub fn state_dir(args: &StateArgs) -> Result<PathBuf> {
    let writable = || rustix::fs::access(SYSTEM, Access::WRITE_OK).is_ok();
    match &args.state_dir {
        Some(folder) => Ok(folder.clone()),
        None if writable() => Ok(SYSTEM.into()),
        None => personal_state(),
    }
}

fn personal_state() -> Result<PathBuf> {
    let set = environment::plain("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    // A home that is only a name in an account's line is not made.
    let home = || environment::plain("HOME").map(PathBuf::from).filter(|home| home.is_dir());
    let state = set.or_else(|| Some(home()?.join(".local/state")));
    state.map(|state| state.join("pgbk")).ok_or_else(|| {
        Fault::usage("there is no folder to write runs down in")
            .hint("set STATE_DIR, or make /var/lib/pgbk writable")
            .into()
    })
}
