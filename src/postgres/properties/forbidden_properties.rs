//! Finds the properties that a role may not give to a database that does not exist yet. It does so before a person agrees to a
//! restore, and without making a database.

use crate::base::error::{Fault, Result};
use crate::postgres::connect::errors::explain;
use crate::postgres::properties::changes::dotted;
use crate::postgres::properties::own_properties::{OwnProperties, attempt, version};
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::rows;
use crate::postgres::session::quote::{identifier, literal};
use postgres::Transaction;
use postgres::error::SqlState;

impl OwnProperties {
    /// Returns what the server would refuse to the role that makes the database. Each trial is rolled back.
    pub fn forbidden(&self, transaction: &mut Transaction<'_>) -> Result<Vec<String>> {
        let Some(rules) = self.rules else { return Ok(Vec::new()) };
        let (wanted, _) = self.possible(transaction, rules)?;
        let mut refused = Vec::new();
        let owner = wanted.owner.as_str();
        if rules.owner && !may_give_to(transaction, owner)? {
            refused.push(format!("owner {owner:?}: the role is no member of it"));
        }
        let here = cell_of(transaction, "SELECT pg_catalog.current_database()")?;
        for one in &wanted.settings {
            let name = one.name.as_str();
            if !may_set(transaction, name)? {
                refused.push(format!("setting {name}: permission denied to set it"));
            }
        }
        for one in &wanted.role_settings {
            let (role, name) = (one.role.as_str(), one.name.as_str());
            let statement = format!(
                "ALTER ROLE {} IN DATABASE {} RESET {}",
                identifier(role),
                identifier(&here),
                dotted(&one.name)
            );
            let why = match may_set(transaction, name)? {
                true => refusal(transaction, &statement)?,
                false => Some("permission denied to set it".to_owned()),
            };
            refused.extend(why.map(|why| format!("setting {name} of role {role:?}: {why}")));
        }
        Ok(refused)
    }

    /// Fails if anything was refused; the error lists all of it.
    pub fn must_not_be_refused(&self, refused: &[String]) -> Result<()> {
        if refused.is_empty() {
            return Ok(());
        }
        let message =
            format!("database \"{}\" cannot be given what the source has: {}", self.database, refused.join("; "));
        Err(Fault::failed(message)
            .hint("connect as a role that may (DB_USER), or leave them out: --no-owner --no-privileges, or --no-properties for all of them")
            .into())
    }
}

/// Returns whether the role may give what it owns to another owner.
fn may_give_to(transaction: &mut Transaction<'_>, owner: &str) -> Result<bool> {
    let right = if version(transaction)? >= 160_000 { "SET" } else { "MEMBER" };
    let of = literal(owner);
    let query = format!("SELECT pg_catalog.pg_has_role(oid, '{right}') FROM pg_catalog.pg_roles WHERE rolname = {of}");
    Ok(cell_of(transaction, &query)? == "t")
}

fn cell_of(transaction: &mut Transaction<'_>, query: &str) -> Result<String> {
    Ok(rows(transaction, query)?.first().and_then(|row| cell(row, 0)).unwrap_or_default().to_owned())
}

/// Returns whether the role may set this for others. It asks the catalog instead of trying: a time limit would be in force at once.
fn may_set(transaction: &mut Transaction<'_>, name: &str) -> Result<bool> {
    let granted = match version(transaction)? >= 150_000 {
        true => "pg_catalog.has_parameter_privilege(name, 'SET')",
        false => "false",
    };
    let query = format!(
        "SELECT 1 FROM pg_catalog.pg_settings WHERE pg_catalog.lower(name) = pg_catalog.lower({})
         AND context IN ('superuser', 'superuser-backend') AND pg_catalog.current_setting('is_superuser') <> 'on' AND NOT {granted}",
        literal(name)
    );
    Ok(rows(transaction, &query)?.is_empty())
}

/// Returns the server's reason if the role lacks the right, else `None`. Other errors do not count: what is wrong here may be right
/// for the database.
fn refusal(transaction: &mut Transaction<'_>, statement: &str) -> Result<Option<String>> {
    let mut trial = transaction.transaction().map_err(|error| explain(&error))?;
    let refused = match attempt(&mut trial, &[statement.to_owned()])? {
        Err((SqlState::INSUFFICIENT_PRIVILEGE, why)) => Some(why),
        _ => None,
    };
    trial.rollback().map_err(|error| explain(&error))?;
    Ok(refused)
}
