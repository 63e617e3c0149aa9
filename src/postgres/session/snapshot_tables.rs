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
    /// Size in pages, with those of values that are stored outside of the rows. Of small tables as the server last counted; 0 if it has
    /// not.
    pub pages: u64,
    /// Pages of the rows alone.
    pub heap_pages: u64,
    /// The condition of an extension for its rows, beginning with `WHERE`; empty for all rows.
    pub condition: String,
    /// Whether its rows are another server's.
    pub is_foreign: bool,
    /// Whether a query reads ranges of its pages, and the same rows as COPY by the table's name. Other access methods than the server's own
    /// have no ranges, and some extensions have queries read more than the table itself holds.
    pub has_ranges: bool,
}

/// To look at the file of each of many small tables would take a second or two, so that is done for those that are large by the server's
/// last count, or have none and were given some rows.
const QUERY: &str = "
    SELECT c.oid, n.nspname, c.relname, c.relkind, s.heap, s.heap + s.toast, e.condition,
        a.amname = 'heap' AND NOT EXISTS (SELECT FROM pg_catalog.pg_extension x WHERE x.extname IN ('timescaledb', 'citus'))
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_catalog.pg_class t ON t.oid = c.reltoastrelid
        LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam
        CROSS JOIN pg_catalog.current_setting('block_size') AS b (size)
        CROSS JOIN LATERAL (SELECT CASE WHEN c.relpages + coalesce(t.relpages, 0) >= 512
            OR c.relpages = 0 AND c.reltuples <= 0 AND pg_catalog.pg_stat_get_tuples_inserted(c.oid) > 50 THEN true ELSE false END) AS l (large)
        CROSS JOIN LATERAL (SELECT
            coalesce(CASE WHEN l.large THEN pg_catalog.pg_relation_size(c.oid) / b.size::int END, c.relpages),
            coalesce(CASE WHEN l.large THEN pg_catalog.pg_relation_size(t.oid) / b.size::int END, t.relpages, 0)) AS s (heap, toast)
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
            has_ranges: value(7) == "t",
        };
        tables.insert(value(0).parse()?, table);
    }
    Ok(tables)
}
