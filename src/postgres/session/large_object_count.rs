//! Counts changes of large objects, of which no stream of changes tells.

use crate::base::error::{Fault, Result};
use crate::postgres::session::query::text;
use postgres::Client;

const QUERY: &str = "
    SELECT coalesce(pg_catalog.sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::pg_catalog.int8
    FROM pg_catalog.pg_stat_sys_tables
    WHERE schemaname = 'pg_catalog' AND relname IN ('pg_largeobject', 'pg_largeobject_metadata')";

/// Returns how many changes of large objects the server's statistics count in the database. It is another number once one was changed, some
/// seconds later at most; also after a crash, when the server begins to count anew.
pub fn large_object_count(client: &mut Client) -> Result<u64> {
    let count = text(client, QUERY)?;
    count.parse().map_err(|_| Fault::failed("the server gave no number of changes of large objects").into())
}
