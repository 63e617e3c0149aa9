//! Amounts of money, whose text depends on the locale that it was written by.

use crate::base::error::{Fault, Result, sqlstate};
use crate::postgres::restore::load::failure;
use crate::postgres::session::quote::literal;
use postgres::error::SqlState;
use postgres::{Client, Transaction};

/// Sets the session's `lc_monetary` to the one that the dump was written by; to the target's own, as psql does, if that is `None`.
/// Returns the locale if the server lacks it and "C" does not read amounts the same, else `None`.
pub(crate) fn begin(client: &mut Client, locale: Option<&str>) -> Result<Option<String>> {
    let Some(locale) = locale else {
        client.batch_execute("RESET lc_monetary").map_err(|error| failure::plain("cannot set lc_monetary", &error))?;
        return Ok(None);
    };
    match client.batch_execute(&format!("SET lc_monetary = {}", literal(locale))) {
        Ok(()) => Ok(None),
        Err(error) if error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE) => {
            // These are read by "C", which the session has.
            let same = locale == "POSIX" || locale.starts_with("en_US");
            Ok((!same).then(|| locale.to_owned()))
        }
        Err(error) => Err(failure::plain("cannot set lc_monetary", &error)),
    }
}

/// Query for columns of type `money` or its array, by their numbers: the script may have set any search path.
const MONEY: &str = "
    SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute
                   WHERE attrelid OPERATOR(pg_catalog.>=) 16384 AND atttypid OPERATOR(pg_catalog.=) ANY ('{790,791}'::pg_catalog.oid[]))
        OR EXISTS (SELECT FROM pg_catalog.pg_type
                   WHERE oid OPERATOR(pg_catalog.>=) 16384 AND typbasetype OPERATOR(pg_catalog.=) ANY ('{790,791}'::pg_catalog.oid[]))";

/// Refuses, before the commit, amounts that were read by another locale than they were written by.
pub(crate) fn check(transaction: &mut Transaction<'_>, lacking: &str) -> Result<()> {
    let holds: bool = transaction
        .query_one(MONEY, &[])
        .and_then(|row| row.try_get(0))
        .map_err(|error| failure::plain("cannot look for amounts of money", &error))?;
    if !holds {
        return Ok(());
    }
    Err(unreadable(lacking).into())
}

/// Adds the missing locale to an error about an amount that could not be read: such an error does not mean that the dump is wrong.
pub(crate) fn explained(error: anyhow::Error, lacking: Option<&str>) -> anyhow::Error {
    let is_unread = sqlstate(&error) == Some(SqlState::INVALID_TEXT_REPRESENTATION.code());
    match lacking {
        // The message alone says of which type.
        Some(locale) if is_unread && format!("{error:#}").contains("money") => error.context(unreadable(locale)),
        _ => error,
    }
}

fn unreadable(locale: &str) -> Fault {
    Fault::failed(format!("the dump holds amounts of money written by the locale \"{locale}\", which the server does not have"))
        .hint(format!("make the locale on the server's host (localedef, locale-gen), and restart the server; its name must be {locale}"))
}
