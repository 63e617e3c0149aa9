//! Which backup a person means, and which server is asked whose it is.

use crate::cli::{ServerArgs, Which};
use crate::config;
use crate::databases::Databases;
use crate::environment;
use crate::error::{Fault, Result};
use crate::manifest::{BackupId, Origins};
use crate::monitor::Monitor;
use crate::postgres::identity;
use crate::series::Series;
use crate::vault::{Asker, Catalog, Server, Vault};
use jiff::Timestamp;
use std::ffi::OsString;

/// Returns the server that the settings lead to. One that cannot be asked is no error: backups can be chosen by id.
pub fn server(args: &ServerArgs, monitor: &dyn Monitor) -> Server {
    match config::server(args).and_then(|settings| identity::of_server(&settings)) {
        Ok(identifier) => Server::of(identifier),
        Err(error) => {
            monitor.note(&format!("no server could be asked whose backups are its own: {error:#}"));
            Server::Unasked
        }
    }
}

pub fn asker(args: &ServerArgs, origins: Origins, monitor: &dyn Monitor) -> Asker {
    Asker { server: server(args, monitor), origins, now: Timestamp::now() }
}

/// Returns the backup that the person means. Of what is not their own server's they are told.
pub fn resolve(
    which: &Which,
    database: Option<&str>,
    vault: &Vault,
    asker: impl FnOnce() -> Asker,
    monitor: &dyn Monitor,
) -> Result<BackupId> {
    match which {
        Which::Id(id) => Ok(id.clone()),
        Which::Latest => {
            let (database, catalog) = the_database(database, vault)?;
            latest(&database, &catalog, vault, &asker(), monitor)
        }
    }
}

pub fn latest(
    database: &str,
    catalog: &Catalog,
    vault: &Vault,
    asker: &Asker,
    monitor: &dyn Monitor,
) -> Result<BackupId> {
    let latest = vault.latest(catalog, database, asker)?;
    if let Some(remark) = &latest.remark {
        monitor.warn(remark);
    }
    Ok(latest.id)
}

/// The database that one command is about. `DB_NAME` may be a list, for the sake of others; then none is named.
pub fn named(database: Option<&str>) -> Result<Option<String>> {
    let databases = Databases::of(database.map(str::to_owned).as_slice())?;
    Ok(databases.and_then(|databases| databases.only().map(str::to_owned)))
}

/// Returns what --all is limited to: what the command line names. DB_NAME says whose backups are made.
pub fn limit(database: Option<&str>) -> Option<&str> {
    let is_flag = |argument: &OsString| {
        argument.to_str().is_some_and(|text| text == "--database" || text.starts_with("--database="))
    };
    database.filter(|_| environment::arguments().iter().any(is_flag))
}

/// The named database, or the only one that has backups, with what one listing shows of it.
pub fn the_database(database: Option<&str>, vault: &Vault) -> Result<(String, Catalog)> {
    if let Some(database) = named(database)? {
        let catalog = vault.catalog(Some(&database))?;
        return Ok((database, catalog));
    }
    let catalog = vault.catalog(None)?;
    let database = the_only(&catalog, vault)?;
    let catalog = catalog.of_database(&database);
    Ok((database, catalog))
}

/// The only database that has backups.
pub fn the_only(catalog: &Catalog, vault: &Vault) -> Result<String> {
    let databases = with_backups(catalog, vault)?;
    // What is no database is meant only where there is nothing else.
    let real: Vec<String> = databases.iter().filter(|name| Series::of(name).is_none()).cloned().collect();
    match if real.is_empty() { databases.as_slice() } else { real.as_slice() } {
        [only] => Ok(only.clone()),
        several => {
            Err(Fault::usage(format!("there are backups of {} databases: {}", several.len(), several.join(", ")))
                .hint("say which with --database or DB_NAME, or name a backup id")
                .into())
        }
    }
}

/// The databases that have backups; there is one at least.
pub fn with_backups(catalog: &Catalog, vault: &Vault) -> Result<Vec<String>> {
    let databases: Vec<String> = catalog.databases().into_iter().map(str::to_owned).collect();
    if databases.is_empty() {
        return Err(Fault::not_found(format!("there is no backup in {}", vault.store.location())).into());
    }
    Ok(databases)
}
