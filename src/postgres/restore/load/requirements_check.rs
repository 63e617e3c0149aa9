//! Finds, before a restore begins, what the server lacks for it and what the role may not do.

use crate::base::error::Result;
use crate::format::sql::requirements::Requirements;
use crate::postgres::restore::load::failure;
use crate::postgres::session::query::names;
use crate::postgres::session::quote::{identifier, literal};
use postgres::Client;
use postgres::error::SqlState;
use std::collections::{BTreeMap, BTreeSet};

/// Names in a script that the server does not have, or does not let the role use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MissingRequirements {
    pub roles: BTreeSet<String>,
    pub extensions: BTreeSet<String>,
    /// Roles that exist, and that the role may not make owners.
    pub strangers: BTreeSet<String>,
    /// Extensions that the server offers, the database does not have, and the role may not create.
    pub barred: BTreeSet<String>,
    pub unavailable: UnavailableObjects,
}

/// Names what the server does not have for a database, and a restore does without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnavailableObjects {
    /// Includes tablespaces that exist and that the role may not use.
    pub tablespaces: BTreeSet<String>,
    /// Extensions that the server allows in one database alone, each with that other database.
    pub extensions: BTreeMap<String, String>,
}

/// Extensions that one database of a server can have, each with the setting that names the database.
const OF_ONE_DATABASE: [(&str, &str); 1] = [("pg_cron", "cron.database_name")];

/// Query for the roles that this one may not make owners. `pg_database_owner`, the role of a database's owner, has no other
/// members.
const STRANGERS: &str = "
    SELECT rolname::pg_catalog.text FROM pg_catalog.pg_roles
    WHERE rolname <> 'pg_database_owner' AND NOT pg_catalog.pg_has_role(rolname,
        CASE WHEN pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 160000 THEN 'SET' ELSE 'MEMBER' END)";

const TABLESPACES: &str = "SELECT spcname::pg_catalog.text FROM pg_catalog.pg_tablespace
    WHERE pg_catalog.has_tablespace_privilege(oid, 'CREATE')
       OR oid = (SELECT dattablespace FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())";

/// Query for extensions that only a superuser may create, if this role is none and the database does not have them. Servers before
/// 13 trust no other role with any.
const FOR_SUPERUSERS: &str = "
    SELECT v.name::pg_catalog.text FROM pg_catalog.pg_available_extensions a
    JOIN pg_catalog.pg_available_extension_versions v ON v.name = a.name AND v.version = a.default_version
    WHERE a.installed_version IS NULL AND v.superuser
      AND (pg_catalog.to_jsonb(v) ->> 'trusted')::pg_catalog.bool IS NOT TRUE
      AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)";

impl MissingRequirements {
    /// Returns whether nothing is missing that a restore cannot do without.
    pub fn is_empty(&self) -> bool {
        let MissingRequirements { roles, extensions, strangers, barred, unavailable: _ } = self;
        [roles, extensions, strangers, barred].into_iter().all(BTreeSet::is_empty)
    }
}

/// Compares the requirements for a restore into this database with the server, as seen from the database that the connection is in.
pub fn missing(client: &mut Client, requirements: &Requirements, database: &str) -> Result<MissingRequirements> {
    let roles = names(client, "SELECT rolname::pg_catalog.text FROM pg_catalog.pg_roles")?;
    let extensions = names(client, "SELECT name::pg_catalog.text FROM pg_catalog.pg_available_extensions")?;
    let tablespaces = names(client, TABLESPACES)?;
    let strangers = names(client, STRANGERS)?;
    let for_superusers = names(client, FOR_SUPERUSERS)?;
    let lacks = |wanted: &BTreeSet<String>, there: &BTreeSet<String>| wanted.difference(there).cloned().collect();
    let mut wanted = requirements.extensions.clone();
    let extensions_elsewhere = of_another_database(client, &wanted, database)?;
    wanted.retain(|name| !extensions_elsewhere.contains_key(name));
    Ok(MissingRequirements {
        roles: lacks(&requirements.roles, &roles),
        extensions: lacks(&wanted, &extensions),
        strangers: requirements.owners.intersection(&strangers).cloned().collect(),
        barred: barred(client, wanted.intersection(&for_superusers))?,
        unavailable: UnavailableObjects {
            tablespaces: lacks(&requirements.tablespaces, &tablespaces),
            extensions: extensions_elsewhere,
        },
    })
}

/// Returns those of the extensions that the server allows in another database alone, each with that database. A role that may not read
/// the setting finds none.
fn of_another_database(
    client: &mut Client,
    wanted: &BTreeSet<String>,
    database: &str,
) -> Result<BTreeMap<String, String>> {
    let mut elsewhere = BTreeMap::new();
    for (name, setting) in OF_ONE_DATABASE.into_iter().filter(|(name, _)| wanted.contains(*name)) {
        let query = format!("SELECT setting FROM pg_catalog.pg_settings WHERE name = {}", literal(setting));
        let only = names(client, &query)?.into_iter().find(|only| only != database);
        elsewhere.extend(only.map(|only| (name.to_owned(), only)));
    }
    Ok(elsewhere)
}

/// Returns the extensions that the server refuses to create for this role. It tries each and rolls it back, because some hosts let
/// their roles create what the catalog reserves for superusers.
fn barred<'a>(client: &mut Client, names: impl Iterator<Item = &'a String>) -> Result<BTreeSet<String>> {
    let mut barred = BTreeSet::new();
    for name in names {
        let mut trial = client.transaction().map_err(|error| unread(&error))?;
        // Without a schema to make it in, it is not asked whether the role may.
        let made = trial
            .batch_execute(&format!("SET LOCAL search_path = public; CREATE EXTENSION {} CASCADE", identifier(name)));
        // Whatever else is in the way may be so in this database alone.
        if made.is_err_and(|error| error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE)) {
            barred.insert(name.clone());
        }
        trial.rollback().map_err(|error| unread(&error))?;
    }
    Ok(barred)
}

fn unread(error: &postgres::Error) -> anyhow::Error {
    failure::plain("cannot read the server's catalog", error)
}
