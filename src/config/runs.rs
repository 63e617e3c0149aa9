//! Reads the settings of runs: when they start, what they back up, and how.

use crate::base::databases::Databases;
use crate::base::error::{Fault, Result};
use crate::base::shown::word;
use crate::base::subject::Subject;
use crate::cli::arguments::ScheduleArgs;
use crate::cli::settings::{ExtrasArgs, RunArgs, StoreArgs};
use crate::config::pipeline::{self, pg_dump_arguments};
use crate::config::{outputs, retention};
use crate::jobs::backup::plan::BackupPlan;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::session::control;
use crate::repository::new_backup::Adoption;
use crate::runs::schedule::timetable::Timetable;
use anyhow::Context;
use std::path::{Component, Path, PathBuf};

/// Returns the databases that the settings name, with the extras. If none is named, that is an error: libpq's default
/// is the user's own database, which is empty on most servers.
pub fn databases(args: &RunArgs, server: &ConnectionSettings) -> Result<Databases> {
    let databases = match (Databases::of(&args.databases)?, server.named_database()) {
        (Some(databases), _) => databases,
        (None, Some(name)) => Databases::Named(vec![name.into()]),
        (None, None) => return Err(unnamed(server).into()),
    };
    Ok(databases.with(&extras(args)?))
}

fn unnamed(server: &ConnectionSettings) -> Fault {
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

/// Returns the subjects that are backed up besides databases, once in each run.
pub fn extras(args: &RunArgs) -> Result<Vec<Subject>> {
    let globals = args.extras.globals.then_some(Subject::Globals);
    let files = (!files(&args.extras, &args.store)?.is_empty()).then_some(Subject::Files);
    Ok(globals.into_iter().chain(files).collect())
}

/// Returns the paths in `BACKUP_FILES`, split at colons as `PATH` is. Empty if it is unset.
pub fn files(args: &ExtrasArgs, store: &StoreArgs) -> Result<Vec<PathBuf>> {
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

/// Returns how each subject is dumped.
pub fn plan(args: &RunArgs) -> Result<BackupPlan> {
    Ok(BackupPlan {
        compression: pipeline::compression(&args.pipeline)?,
        arguments: pg_dump_arguments(args.pg_dump_args.as_deref())?,
        settings: crate::config::server::server(&args.server)?,
        format: args.format,
        bin_dir: args.server.pg_bin_dir.clone(),
        jobs: args.jobs,
        lock_wait: args.lock_timeout,
        stall: args.stall_timeout,
        expected: args.pipeline.size_estimate,
        paths: files(&args.extras, &args.store)?,
        outputs: outputs::further(args)?,
        adopt: Adoption::No,
        note: None,
    })
}

/// Returns the timetable of `CRON_SCHEDULE`, in the zone of `TZ`.
pub fn timetable(args: &ScheduleArgs) -> Result<Timetable> {
    let zone = retention::zone(&args.run.zone)?;
    Timetable::parse(&args.schedule, &zone).context("CRON_SCHEDULE")
}

/// Returns the timetable of `VERIFY_SCHEDULE`, in the zone of `TZ`. None: it is unset.
pub fn verify_timetable(args: &ScheduleArgs) -> Result<Option<Timetable>> {
    let zone = retention::zone(&args.run.zone)?;
    let parse = |text: &String| Timetable::parse(text, &zone).context("VERIFY_SCHEDULE");
    args.verify_schedule.as_ref().map(parse).transpose()
}
