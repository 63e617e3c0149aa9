//! Finds the libraries that a server must load at its start, because their extensions cannot be made otherwise. There is no list of
//! them: such a library refuses to be loaded later, as those of pg_cron and TimescaleDB do, and so each is tried.

use crate::base::error::Result;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::restore::target::MAINTENANCE;
use crate::postgres::session::query::column;
use crate::postgres::session::quote::literal;
use ::postgres::Error;
use std::collections::BTreeSet;

const APPLICATION: &str = "pgbk verify";
/// Word that every library uses, in whatever sentence, to say that it must be loaded at the start.
const DEMAND: &str = "preload";
/// Library that must be loaded before all others.
const FIRST: &str = "citus";
/// Library whose extension can be made in one database only, which a setting names.
const CRON: &str = "pg_cron";

/// Returns those of these extensions whose libraries a server must load at its start. Only libraries that the administrator has
/// installed are tried: the server offers the extension, and its own folder has a library of the same plain name.
pub(crate) fn demanded(settings: &ConnectionSettings, extensions: &BTreeSet<String>) -> Result<Vec<String>> {
    if extensions.is_empty() {
        return Ok(Vec::new());
    }
    let settings = settings.for_database(MAINTENANCE[0]);
    let mut client = settings.connect(APPLICATION)?;
    let mut demanded = Vec::new();
    for library in column(&mut client, &installed(extensions))? {
        if let Err(refusal) = client.batch_execute(&format!("LOAD {}", literal(&format!("$libdir/{library}")))) {
            demanded.extend(demands(&refusal).then_some(library));
            // Some end the session.
            client = settings.connect(APPLICATION)?;
        }
    }
    demanded.sort_by_key(|library| library != FIRST);
    Ok(demanded)
}

/// Returns the query for those of these extensions that have a library.
fn installed(extensions: &BTreeSet<String>) -> String {
    let names: Vec<String> = extensions.iter().map(|name| literal(name)).collect();
    format!(
        "SELECT a.name FROM pg_catalog.pg_available_extensions a, pg_catalog.pg_config() c
         WHERE c.name = 'PKGLIBDIR' AND a.name = ANY (ARRAY[{}]::pg_catalog.text[]) AND a.name ~ '^[A-Za-z0-9_-]+$'
           AND (pg_catalog.pg_stat_file(c.setting || '/' || a.name || '.so', true)).size IS NOT NULL ORDER BY 1",
        names.join(", ")
    )
}

/// Returns whether a library refuses to be loaded later than the start. One that ends the session may have had no time to give a
/// reason.
fn demands(refusal: &Error) -> bool {
    refusal.as_db_error().is_none_or(|answer| {
        [Some(answer.message()), answer.detail(), answer.hint()].into_iter().flatten().any(|text| text.contains(DEMAND))
    })
}

/// Returns the settings of a server that loads these libraries, and on which their extensions may be made in this database. No
/// workers run: a restore test restores, and must not run the source's jobs.
pub(crate) fn settings(libraries: &[String], database: &str) -> Vec<String> {
    let cron = libraries.iter().any(|library| library == CRON).then(|| format!("cron.database_name={database}"));
    let always = [format!("shared_preload_libraries={}", libraries.join(",")), "max_worker_processes=0".to_owned()];
    always.into_iter().chain(cron).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pg_cron_is_told_of_a_database_and_no_library_has_workers() {
        let of = |names: &[&str]| settings(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), "copy");
        assert_eq!(of(&["citus", "pgaudit"]), ["shared_preload_libraries=citus,pgaudit", "max_worker_processes=0"]);
        assert_eq!(of(&["pg_cron"])[2], "cron.database_name=copy");
    }
}
