//! Runs single queries.

use crate::base::error::{Fault, Result};
use crate::postgres::connect::errors;
use crate::postgres::connect::transport::last_word::LastWord;
use crate::postgres::session::cell::{cell, first_values, rows_of};
use postgres::error::SqlState;
use postgres::{Client, SimpleQueryRow};

/// Returns the first row of a query; `None` if it has none. All queries are simple ones: this connection prepares nothing.
pub(crate) fn first(client: &mut Client, query: &str) -> Result<Option<SimpleQueryRow>> {
    Ok(rows(client, query)?.into_iter().next())
}

pub(crate) fn rows(client: &mut Client, query: &str) -> Result<Vec<SimpleQueryRow>> {
    Ok(rows_of(client.simple_query(query).map_err(explain)?).collect())
}

/// Turns a driver's error into one with the server's message. The driver's own text is only "db error".
fn explain(error: postgres::Error) -> anyhow::Error {
    let by_server = error.as_db_error().is_some() || LastWord::of(&error).is_some();
    let said = errors::said(&error);
    Fault::failed(if by_server { format!("the server says: {said}") } else { said }).into()
}

pub(crate) fn text(client: &mut Client, query: &str) -> Result<String> {
    let row = first(client, query)?;
    let value = row.as_ref().and_then(|row| cell(row, 0)).map(str::to_owned);
    value.ok_or_else(|| Fault::failed(format!("the server gave no answer to \"{query}\"")).into())
}

/// Returns the first value of a query; `None` if it has none, the role may not ask, or an old server does not know the function.
pub(crate) fn permitted(client: &mut Client, query: &str) -> Result<Option<String>> {
    match client.simple_query(query) {
        Ok(answer) => Ok(first_values(answer).next()),
        Err(error)
            if matches!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE | &SqlState::UNDEFINED_FUNCTION)) =>
        {
            Ok(None)
        }
        Err(error) => Err(explain(error)),
    }
}
