//! What a restore would find missing, known before it begins.

use super::failure;
use crate::error::Result;
use crate::script::Requirements;
use postgres::Client;
use std::collections::BTreeSet;

/// Roles and extensions that a script names and the server does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    pub roles: BTreeSet<String>,
    pub extensions: BTreeSet<String>,
}

impl Missing {
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty() && self.extensions.is_empty()
    }
}

/// Compares with the roles of the server and the extensions that its installation offers.
pub fn missing(client: &mut Client, requirements: &Requirements) -> Result<Missing> {
    let roles = names(client, "SELECT rolname::pg_catalog.text FROM pg_catalog.pg_roles")?;
    let extensions = names(client, "SELECT name::pg_catalog.text FROM pg_catalog.pg_available_extensions")?;
    Ok(Missing {
        roles: requirements.roles.difference(&roles).cloned().collect(),
        extensions: requirements.extensions.difference(&extensions).cloned().collect(),
    })
}

fn names(client: &mut Client, query: &str) -> Result<BTreeSet<String>> {
    let found = client.query(query, &[]).and_then(|rows| rows.iter().map(|row| row.try_get(0)).collect());
    found.map_err(|error| failure::plain("cannot read the server's catalog", &error))
}
