//! Finds what a role may not give to a database that does not exist yet: before anybody agrees to a restore, and without making one.

use crate::base::error::{Fault, Result};
use crate::postgres::properties::changes::dotted;
use crate::postgres::properties::own::{Own, attempt, version};
use crate::postgres::properties::{rows, said};
use crate::postgres::session::cell::cell;
use crate::postgres::session::quote::{identifier, literal};
use postgres::Transaction;
use postgres::error::SqlState;

impl Own {
    /// Returns what the server would refuse the role that has just made the database, in a transaction that is undone.
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

    /// Fails where this server, or the role, cannot give the database what it is to have.
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

/// Whether the role may make another one the owner of what it owns.
fn may_give_to(transaction: &mut Transaction<'_>, owner: &str) -> Result<bool> {
    let right = if version(transaction)? >= 160_000 { "SET" } else { "MEMBER" };
    let of = literal(owner);
    let query = format!("SELECT pg_catalog.pg_has_role(oid, '{right}') FROM pg_catalog.pg_roles WHERE rolname = {of}");
    Ok(cell_of(transaction, &query)? == "t")
}

fn cell_of(transaction: &mut Transaction<'_>, query: &str) -> Result<String> {
    Ok(rows(transaction, query)?.first().and_then(|row| cell(row, 0)).unwrap_or_default().to_owned())
}

/// Whether the role may set it for others. It is not tried: a limit of time would be in force at once.
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

/// Returns why the role may not; what else the server finds wrong here may be right for a database.
fn refusal(transaction: &mut Transaction<'_>, statement: &str) -> Result<Option<String>> {
    let mut trial = transaction.transaction().map_err(|error| said(&error))?;
    let refused = match attempt(&mut trial, &[statement.to_owned()])? {
        Err((SqlState::INSUFFICIENT_PRIVILEGE, why)) => Some(why),
        _ => None,
    };
    trial.rollback().map_err(|error| said(&error))?;
    Ok(refused)
}
