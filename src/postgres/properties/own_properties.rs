//! Gives the target of a restore its properties: tried before the first row is loaded, and given in the same transaction as the
//! rows.

use crate::base::error::Result;
use crate::format::manifest::properties::{Name, Party, Properties, SettingName};
use crate::postgres::connect::errors::explain;
use crate::postgres::properties::changes::{self, Change, PropertyRules};
use crate::postgres::properties::read;
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::{names, rows};
use crate::postgres::session::quote::literal;
use postgres::error::SqlState;
use postgres::{GenericClient, Transaction};
use std::collections::{BTreeMap, BTreeSet};

/// The properties that the database is to have.
#[derive(Debug, Clone)]
pub struct OwnProperties {
    pub database: String,
    pub wanted: Properties,
    /// Which of them are given; `None` gives none, and only the restore's session has the application's settings.
    pub rules: Option<PropertyRules>,
}

/// The server's answer to a statement that it refused.
type PropertyRefusal = (SqlState, String);

/// Result of giving a database its properties.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PropertiesReport {
    /// The properties that were changed.
    pub given: Vec<String>,
    /// The properties that were left out, each with the reason.
    pub skipped: Vec<String>,
}

impl OwnProperties {
    /// Tries what [`finish`](OwnProperties::finish) will do, in a transaction of its own. All refusals are one error. Within the
    /// restore's transaction, autovacuum would meet the changed row of the database and wait for the restore's end, and the restore
    /// for autovacuum.
    pub fn check(&self, client: &mut impl GenericClient) -> Result<()> {
        let Some(rules) = self.rules else { return Ok(()) };
        let mut trial = client.transaction().map_err(|error| explain(&error))?;
        let (_, refused) = self.give(&mut trial, rules)?;
        trial.rollback().map_err(|error| explain(&error))?;
        self.must_not_be_refused(&refused)
    }

    /// Gives the session the application's own settings, which defaults and checks of the dump may read. Returns those that were
    /// set.
    pub fn begin(&self, transaction: &mut Transaction<'_>) -> Result<BTreeMap<String, String>> {
        let mut taken = BTreeMap::new();
        for one in self.wanted.settings.iter().filter(|one| one.name.is_custom()) {
            let (name, value) = (one.name.as_str(), one.value.as_str());
            let query = format!("SELECT pg_catalog.set_config({}, {}, false)", literal(name), literal(value));
            // Some are not this role's to set. Then the database may not have them either, which the check tells.
            if attempt(transaction, &[query])?.is_ok() {
                taken.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(taken)
    }

    /// Gives the database its properties. Refusals are not an error here: they are among [`PropertiesReport::skipped`].
    pub fn finish(&self, transaction: &mut Transaction<'_>) -> Result<PropertiesReport> {
        let Some(rules) = self.rules else { return Ok(PropertiesReport::default()) };
        let (mut done, refused) = self.give(transaction, rules)?;
        // They were tried before the rows; since then somebody has changed the server.
        done.skipped.extend(refused);
        Ok(done)
    }

    /// Tries a restore's changes on a copy that will be dropped, and rolls them back. Returns what the server refused, and what
    /// differed afterwards.
    pub fn rehearse(&self, client: &mut impl GenericClient) -> Result<Vec<String>> {
        let Some(rules) = self.rules else { return Ok(Vec::new()) };
        let mut transaction = client.transaction().map_err(|error| explain(&error))?;
        let (done, refused) = self.give(&mut transaction, rules)?;
        transaction.rollback().map_err(|error| explain(&error))?;
        Ok(done.skipped.into_iter().chain(refused).collect())
    }

    /// Returns what [`finish`](OwnProperties::finish) would change in a database that has these properties.
    pub fn outlook(&self, found: &Properties) -> Vec<String> {
        let Some(rules) = self.rules else { return Vec::new() };
        let owner = rules.owner.then(|| changes::owner(&self.database, &self.wanted, found)).flatten();
        let others = changes::others(&self.database, &self.wanted, found, rules);
        owner.into_iter().chain(others).map(|change| change.what).collect()
    }

    /// Returns the roles that are named in what [`finish`](OwnProperties::finish) gives.
    pub fn roles(&self) -> BTreeSet<String> {
        let Some(rules) = self.rules else { return BTreeSet::new() };
        let Properties { owner, privileges, role_settings, .. } = &self.wanted;
        let owners = [owner].into_iter().chain(role_settings.iter().map(|one| &one.role)).filter(|_| rules.owner);
        let granted = privileges.iter().flat_map(|one| [&one.to, &one.by]).filter_map(|party| match party {
            Party::Role(name) if rules.privileges => Some(name),
            _ => None,
        });
        owners.chain(granted).map(|name| name.as_str().to_owned()).collect()
    }

    /// Makes the changes. Returns what was done and left out, and separately what the server refused.
    fn give(&self, transaction: &mut Transaction<'_>, rules: PropertyRules) -> Result<(PropertiesReport, Vec<String>)> {
        // The script may have ended as somebody else, and looking elsewhere.
        let own = "RESET SESSION AUTHORIZATION; RESET ROLE; SET LOCAL search_path = ''; SET LOCAL lock_timeout = '60s'";
        transaction.batch_execute(own).map_err(|error| explain(&error))?;
        let (wanted, skipped) = self.possible(transaction, rules)?;
        let mut done = PropertiesReport { given: Vec::new(), skipped };
        let mut refused = Vec::new();
        let version_num = version(transaction)?;
        let mut found = read(transaction, version_num)?;
        if let (true, Some(change)) = (rules.owner, changes::owner(&self.database, &wanted, &found)) {
            make(transaction, change, &mut done, &mut refused)?;
            found = read(transaction, version_num)?;
        }
        for change in changes::others(&self.database, &wanted, &found, rules) {
            make(transaction, change, &mut done, &mut refused)?;
        }
        if refused.is_empty() {
            let found = read(transaction, version_num)?;
            let left = changes::others(&self.database, &wanted, &found, rules);
            let told = |what: &str| done.skipped.iter().any(|skipped| skipped.starts_with(&format!("{what}: ")));
            let left: Vec<_> = left.into_iter().filter(|change| !told(&change.what)).collect();
            done.skipped.extend(left.into_iter().map(|change| format!("{} is not what it was", change.what)));
        }
        Ok((done, refused))
    }

    /// Returns the wanted properties without those that this server cannot have for any role, and those that no key vouches for,
    /// and the reasons.
    pub(crate) fn possible(
        &self,
        transaction: &mut Transaction<'_>,
        rules: PropertyRules,
    ) -> Result<(Properties, Vec<String>)> {
        let mut wanted = self.wanted.clone();
        let mut skipped = Vec::new();
        let roles = names(transaction, "SELECT rolname FROM pg_catalog.pg_roles")?;
        let mut keep = |role: Option<&Name>, name: &SettingName| {
            let whose = role.map_or(String::new(), |role| format!(" of role {:?}", role.as_str()));
            let what = format!("setting {}{whose}", name.as_str());
            let why = if role.is_some_and(|role| !rules.owner && !roles.contains(role.as_str())) {
                "the server has no such role"
            } else if !rules.loads && changes::loads(name) {
                "it decides what all sessions run, and no key vouches for the backup: set it yourself"
            } else {
                return true;
            };
            skipped.push(format!("{what}: {why}"));
            false
        };
        wanted.settings.retain(|one| keep(None, &one.name));
        wanted.role_settings.retain(|one| keep(Some(&one.role), &one.name));
        Ok((wanted, skipped))
    }
}

fn make(
    transaction: &mut Transaction<'_>,
    change: Change,
    done: &mut PropertiesReport,
    refused: &mut Vec<String>,
) -> Result<()> {
    match attempt(transaction, &change.statements)? {
        Ok(()) => done.given.push(change.what),
        Err((SqlState::UNDEFINED_OBJECT, _)) if change.may_be_unknown => {
            done.skipped.push(format!("{}: the server does not know it", change.what));
        }
        Err((_, why)) => refused.push(format!("{}: {why}", change.what)),
    }
    Ok(())
}

/// Runs all of the statements or none. The inner error is a refusal by the server, which leaves the transaction as it was.
pub(crate) fn attempt(
    transaction: &mut Transaction<'_>,
    statements: &[String],
) -> Result<std::result::Result<(), PropertyRefusal>> {
    let mut inner = transaction.transaction().map_err(|error| explain(&error))?;
    for statement in statements {
        // As one statement, whatever the server finds in it.
        if let Err(error) = inner.execute(statement.as_str(), &[]) {
            let answer = error.as_db_error().ok_or_else(|| explain(&error))?;
            let refusal = (answer.code().clone(), answer.message().to_owned());
            inner.rollback().map_err(|error| explain(&error))?;
            return Ok(Err(refusal));
        }
    }
    inner.commit().map_err(|error| explain(&error))?;
    Ok(Ok(()))
}

pub(crate) fn version(transaction: &mut Transaction<'_>) -> Result<u32> {
    let rows = rows(transaction, "SHOW server_version_num")?;
    Ok(rows.first().and_then(|row| cell(row, 0)).unwrap_or_default().parse()?)
}
