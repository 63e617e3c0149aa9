//! Finds the backup that is meant, and the server that knows which backups are its own.

use crate::base::databases::Databases;
use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::base::subject::Subject;
use crate::cli::settings::ServerArgs;
use crate::cli::values::BackupChoice;
use crate::config::{self, environment};
use crate::format::backup_id::BackupId;
use crate::format::manifest::origin::Origins;
use crate::postgres::session::identity;
use crate::repository::Repository;
use crate::repository::catalog::Catalog;
use crate::repository::newest::{NewestQuery, ServerIdentity};
use jiff::Timestamp;
use std::ffi::OsString;

/// Returns the server that the settings lead to. A server that cannot be asked is no error: backups can be chosen by id.
pub fn server(args: &ServerArgs, monitor: &dyn Monitor) -> ServerIdentity {
    match config::server::server(args).and_then(|settings| identity::of_server(&settings)) {
        Ok(identifier) => ServerIdentity::of(identifier),
        Err(error) => {
            monitor.note(&format!("no server could be asked whose backups are its own: {error:#}"));
            ServerIdentity::Unasked
        }
    }
}

pub fn asker(args: &ServerArgs, origins: Origins, monitor: &dyn Monitor) -> NewestQuery {
    NewestQuery { server: server(args, monitor), origins, now: Timestamp::now() }
}

/// Returns the backup that is meant. Warns if `latest` leads to another server's backup, to an upload, or past one
/// that may be newer.
pub fn resolve(
    which: &BackupChoice,
    database: Option<&str>,
    repository: &Repository,
    asker: impl FnOnce() -> NewestQuery,
    monitor: &dyn Monitor,
) -> Result<BackupId> {
    match which {
        BackupChoice::Id(id) => Ok(id.clone()),
        BackupChoice::Latest => {
            let (subject, catalog) = the_subject(database, repository)?;
            latest(&subject, &catalog, repository, &asker(), monitor)
        }
    }
}

pub fn latest(
    subject: &Subject,
    catalog: &Catalog,
    repository: &Repository,
    asker: &NewestQuery,
    monitor: &dyn Monitor,
) -> Result<BackupId> {
    let latest = repository.latest(catalog, subject, asker)?;
    if let Some(remark) = &latest.remark {
        monitor.warn(remark);
    }
    Ok(latest.id)
}

/// Returns the one subject that a command is about. None: none is named, or `DB_NAME` is a list, which other commands need.
pub fn named(database: Option<&str>) -> Result<Option<Subject>> {
    let databases = Databases::of(database.map(str::to_owned).as_slice())?;
    Ok(databases.and_then(|databases| databases.only().cloned()))
}

/// Returns the database that `--all` is limited to: the one on the command line. `DB_NAME` does not count: it says
/// what is backed up.
pub fn limit(database: Option<&str>) -> Option<&str> {
    let is_flag = |argument: &OsString| {
        argument.to_str().is_some_and(|text| text == "--database" || text.starts_with("--database="))
    };
    database.filter(|_| environment::arguments().iter().any(is_flag))
}

/// Returns the named subject, or the only one that has backups, and its catalog.
fn the_subject(database: Option<&str>, repository: &Repository) -> Result<(Subject, Catalog)> {
    if let Some(subject) = named(database)?.map(|subject| subject.in_variant(repository.variant)) {
        let catalog = repository.catalog(Some(&subject))?;
        return Ok((subject, catalog));
    }
    let catalog = repository.catalog(None)?;
    let subject = the_only(&catalog, repository)?;
    let catalog = catalog.of_subject(&subject);
    Ok((subject, catalog))
}

/// Returns the named subject, or the only one that has backups.
pub fn subject_of(database: Option<&str>, repository: &Repository) -> Result<Subject> {
    match named(database)? {
        Some(subject) => Ok(subject.in_variant(repository.variant)),
        None => the_only(&repository.catalog(None)?, repository),
    }
}

/// Returns the only subject that has backups, or the only database. It is an error if there are several.
pub fn the_only(catalog: &Catalog, repository: &Repository) -> Result<Subject> {
    let subjects = with_backups(catalog, repository)?;
    // What is no database is meant only where there is nothing else.
    let real: Vec<Subject> = subjects.iter().filter(|subject| subject.database().is_some()).cloned().collect();
    match if real.is_empty() { subjects.as_slice() } else { real.as_slice() } {
        [only] => Ok(only.clone()),
        several => Err(Fault::usage(format!("there are backups of {} databases: {}", several.len(), joined(several)))
            .hint("say which with --database or DB_NAME, or name a backup id")
            .into()),
    }
}

/// Returns names for a message, with commas between them.
pub fn joined<'a>(subjects: impl IntoIterator<Item = &'a Subject>) -> String {
    subjects.into_iter().map(Subject::name).collect::<Vec<_>>().join(", ")
}

/// Returns the subjects that have backups. It is an error if there are none.
pub fn with_backups(catalog: &Catalog, repository: &Repository) -> Result<Vec<Subject>> {
    let subjects: Vec<Subject> = catalog.subjects().into_iter().cloned().collect();
    if subjects.is_empty() {
        let missing = Fault::not_found(format!("there is no backup in {}", repository.store.location()));
        return Err(match catalog.how_to_see_others() {
            Some(how) => missing.hint(how),
            None => missing,
        }
        .into());
    }
    Ok(subjects)
}
