//! Finds out of which tables the rows of a dump come.

use crate::base::error::Result;
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::rows;
use crate::postgres::session::quote::identifier;
use postgres::Client;
use std::collections::HashMap;

/// A table of the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SnapshotTable {
    /// The name with its schema, quoted.
    pub name: String,
    /// Size in pages as the server last counted, with those of values that are stored outside of the rows; 0 if it has not counted.
    pub pages: u64,
    /// Pages of the rows alone.
    pub heap_pages: u64,
    /// The condition of an extension for its rows, beginning with `WHERE`; empty for all rows.
    pub condition: String,
    /// Whether its rows are another server's.
    pub is_foreign: bool,
}

const QUERY: &str = "
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpages, c.relpages + coalesce(t.relpages, 0), e.condition
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_catalog.pg_class t ON t.oid = c.reltoastrelid
        LEFT JOIN (SELECT pg_catalog.unnest(x.extconfig) AS oid, pg_catalog.unnest(x.extcondition) AS condition
                   FROM pg_catalog.pg_extension x) e ON e.oid = c.oid
    WHERE c.relkind IN ('r', 'f') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_(catalog|toast)'";

/// Returns the tables by their numbers. Runs in the transaction that holds the snapshot.
pub(crate) fn snapshot_tables(client: &mut Client) -> Result<HashMap<u32, SnapshotTable>> {
    let mut tables = HashMap::new();
    for row in rows(client, QUERY)? {
        let value = |index| cell(&row, index).unwrap_or_default();
        let number = |index| value(index).parse().unwrap_or(0);
        let table = SnapshotTable {
            name: format!("{}.{}", identifier(value(1)), identifier(value(2))),
            is_foreign: value(3) == "f",
            heap_pages: number(4),
            pages: number(5),
            condition: value(6).to_owned(),
        };
        tables.insert(value(0).parse()?, table);
    }
    Ok(tables)
}
