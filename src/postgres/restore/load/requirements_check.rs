//! Finds, before a restore begins, what it would find missing and what its role may not do.

use crate::base::error::Result;
use crate::format::sql::requirements::Requirements;
use crate::postgres::restore::load::failure;
use crate::postgres::session::quote::identifier;
use postgres::Client;
use postgres::error::SqlState;
use std::collections::BTreeSet;

/// Names that a script uses and the server does not have, or does not let the role use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    pub roles: BTreeSet<String>,
    pub extensions: BTreeSet<String>,
    /// Those that are there and that the role may not use, too.
    pub tablespaces: BTreeSet<String>,
    /// Roles that are there, and that the role may not make owners.
    pub strangers: BTreeSet<String>,
    /// Extensions that the server offers, that are not in the database, and that the role may not make.
    pub barred: BTreeSet<String>,
}

/// Those that this role may not give anything to. Who owns a database stands for a role that has no other members.
const STRANGERS: &str = "
    SELECT rolname::pg_catalog.text FROM pg_catalog.pg_roles
    WHERE rolname <> 'pg_database_owner' AND NOT pg_catalog.pg_has_role(rolname,
        CASE WHEN pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 160000 THEN 'SET' ELSE 'MEMBER' END)";

const TABLESPACES: &str = "SELECT spcname::pg_catalog.text FROM pg_catalog.pg_tablespace
    WHERE pg_catalog.has_tablespace_privilege(oid, 'CREATE')
       OR oid = (SELECT dattablespace FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())";

/// Those that only a superuser makes, where this role is none and the database has them not. Servers before 13 trust nobody with any.
const FOR_SUPERUSERS: &str = "
    SELECT v.name::pg_catalog.text FROM pg_catalog.pg_available_extensions a
    JOIN pg_catalog.pg_available_extension_versions v ON v.name = a.name AND v.version = a.default_version
    WHERE a.installed_version IS NULL AND v.superuser
      AND (pg_catalog.to_jsonb(v) ->> 'trusted')::pg_catalog.bool IS NOT TRUE
      AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)";

impl Missing {
    pub fn is_empty(&self) -> bool {
        let Missing { roles, extensions, tablespaces, strangers, barred } = self;
        [roles, extensions, tablespaces, strangers, barred].into_iter().all(BTreeSet::is_empty)
    }
}

/// Compares with what the server has, seen from the database that the connection is in.
pub fn missing(client: &mut Client, requirements: &Requirements) -> Result<Missing> {
    let roles = names(client, "SELECT rolname::pg_catalog.text FROM pg_catalog.pg_roles")?;
    let extensions = names(client, "SELECT name::pg_catalog.text FROM pg_catalog.pg_available_extensions")?;
    let tablespaces = names(client, TABLESPACES)?;
    let strangers = names(client, STRANGERS)?;
    let for_superusers = names(client, FOR_SUPERUSERS)?;
    let lacks = |wanted: &BTreeSet<String>, there: &BTreeSet<String>| wanted.difference(there).cloned().collect();
    Ok(Missing {
        roles: lacks(&requirements.roles, &roles),
        extensions: lacks(&requirements.extensions, &extensions),
        tablespaces: lacks(&requirements.tablespaces, &tablespaces),
        strangers: requirements.owners.intersection(&strangers).cloned().collect(),
        barred: barred(client, requirements.extensions.intersection(&for_superusers))?,
    })
}

/// Returns those that the server refuses to make for this role. It is asked, and what it makes is taken back: hosts let roles of theirs make
/// what the catalog says is for superusers.
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

fn names(client: &mut Client, query: &str) -> Result<BTreeSet<String>> {
    let found = client.query(query, &[]).and_then(|rows| rows.iter().map(|row| row.try_get(0)).collect());
    found.map_err(|error| unread(&error))
}

fn unread(error: &postgres::Error) -> anyhow::Error {
    failure::plain("cannot read the server's catalog", error)
}
