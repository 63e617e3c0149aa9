//! Runs single queries.

use crate::base::error::{Fault, Result};
use crate::postgres::connect::errors::explain;
use crate::postgres::session::cell::{cell, first_values, rows_of};
use postgres::error::SqlState;
use postgres::{Client, GenericClient, SimpleQueryRow};
use std::collections::BTreeSet;

/// Returns the first row of a query; `None` if it has none. All queries are simple ones: nothing is prepared.
pub(crate) fn first(client: &mut impl GenericClient, query: &str) -> Result<Option<SimpleQueryRow>> {
    Ok(rows(client, query)?.into_iter().next())
}

pub(crate) fn rows(client: &mut impl GenericClient, query: &str) -> Result<Vec<SimpleQueryRow>> {
    Ok(rows_of(client.simple_query(query).map_err(|error| explain(&error))?).collect())
}

/// Returns the first column of a query, without its NULLs.
pub(crate) fn column(client: &mut impl GenericClient, query: &str) -> Result<Vec<String>> {
    Ok(first_values(client.simple_query(query).map_err(|error| explain(&error))?).collect())
}

/// Returns the first column of a query as a set.
pub(crate) fn names(client: &mut impl GenericClient, query: &str) -> Result<BTreeSet<String>> {
    Ok(column(client, query)?.into_iter().collect())
}

pub(crate) fn text(client: &mut impl GenericClient, query: &str) -> Result<String> {
    let row = first(client, query)?;
    let value = row.as_ref().and_then(|row| cell(row, 0)).map(str::to_owned);
    value.ok_or_else(|| Fault::failed(format!("the server gave no answer to \"{query}\"")).into())
}

/// Asks within a transaction, which goes on as it was before, without the locks that the question took: who waits for one would have a dump wait
/// behind them. Nor does the question wait for a lock longer than some seconds.
pub(crate) fn guarded<T>(client: &mut Client, ask: impl FnOnce(&mut Client) -> Result<T>) -> Result<T> {
    client.batch_execute("SAVEPOINT pgbk; SET LOCAL lock_timeout = '10s'").map_err(|error| explain(&error))?;
    let answer = ask(client);
    let ended = client.batch_execute("ROLLBACK TO SAVEPOINT pgbk; RELEASE SAVEPOINT pgbk");
    // The first error tells more.
    let answer = answer?;
    ended.map_err(|error| explain(&error))?;
    Ok(answer)
}

/// Returns the first value of a query; `None` if it has none, the role may not ask, or an old server does not know the function.
pub(crate) fn permitted(client: &mut impl GenericClient, query: &str) -> Result<Option<String>> {
    match client.simple_query(query) {
        Ok(answer) => Ok(first_values(answer).next()),
        Err(error)
            if matches!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE | &SqlState::UNDEFINED_FUNCTION)) =>
        {
            Ok(None)
        }
        Err(error) => Err(explain(&error)),
    }
}
