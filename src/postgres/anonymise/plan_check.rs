//! Has the server read what a plan takes over from the rules as it is: expressions and constants.

use crate::base::error::{Fault, Result, sqlstate};
use crate::format::anonymise::rule::Rule;
use crate::postgres::anonymise::columns::shown;
use crate::postgres::anonymise::plan::AnonymisePlan;
use crate::postgres::connect::errors::explain;
use postgres::Client;
use postgres::error::SqlState;

/// A query, and what it is about.
pub(crate) struct CheckedQuery {
    about: String,
    query: String,
}

/// Returns the queries that the server must understand: one for each column with an expression or a constant, so that a mistake is
/// told with its column, then one for its table.
pub(crate) fn queries(plan: &AnonymisePlan) -> Vec<CheckedQuery> {
    let mut queries = Vec::new();
    for table in &plan.tables {
        let is_foreign = |rule: &Option<Rule>| matches!(rule, Some(Rule::Sql(_) | Rule::Constant(_)));
        let mut found = false;
        for column in table.columns.iter().filter(|column| is_foreign(&column.rule)) {
            found = true;
            let about = shown(&table.schema, &table.name, &column.name);
            queries.push(CheckedQuery { about, query: table.select_only(std::slice::from_ref(column)) });
        }
        if found {
            queries.push(CheckedQuery {
                about: format!("\"{}\".\"{}\"", table.schema, table.name),
                query: table.select(),
            });
        }
    }
    queries
}

/// Fails with kind `Usage` if the server does not understand one of them. None is carried out.
pub(crate) fn check(client: &mut Client, queries: &[CheckedQuery]) -> Result<()> {
    for CheckedQuery { about, query } in queries {
        // A prepared statement is one statement, whatever is in the expression.
        client.prepare(query).map_err(|error| {
            let told = explain(&error);
            if sqlstate(&told) == Some(SqlState::LOCK_NOT_AVAILABLE.code()) {
                return Fault::failed(format!("the rule for {about} cannot be checked now: {told:#}"));
            }
            Fault::usage(format!("the server does not accept the rule for {about}: {told:#}"))
        })?;
    }
    Ok(())
}
