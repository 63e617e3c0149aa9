//! Tables that changed their files or their names between a snapshot and the locks of `pg_dump`.
//!
//! A snapshot sees the rows as they were, but TRUNCATE, and whatever writes a table anew, takes the files away in which these lie: a dump would
//! find the table empty, as it never was. A table that another took the name of would be dumped under that.

use super::cell::cell;
use super::control::rows;
use crate::error::Result;
use postgres::Client;

/// The catalog's rows are seen by the snapshot; `pg_relation_filenode` and the cast of a number to a name tell what is now.
const FILES: &str = "
    SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid >= 16384 AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND (c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
             AND c.oid::pg_catalog.regclass::pg_catalog.text <> pg_catalog.format('%I.%I', n.nspname, c.relname)
        OR c.relkind = 'r' AND c.relfilenode <> 0
             AND pg_catalog.pg_relation_filenode(c.oid) IS DISTINCT FROM c.relfilenode";

/// What nobody has locked for reading is not in the dump, and may change at any time. A small dump is over by the time that it is looked for: then
/// nobody reads the catalog in a transaction either, and every change counts.
const LOCKED: &str = "
             AND (c.oid IN (SELECT relation FROM read)
               OR 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid NOT IN (SELECT relation FROM read))";

/// What others than this session have locked for reading.
const READ: &str = "
    WITH read (relation) AS (
        SELECT l.relation FROM pg_catalog.pg_locks l
        WHERE l.locktype = 'relation' AND l.mode = 'AccessShareLock' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()
          AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()))";

/// Columns that are gone: the function gives NULL for them.
const COLUMNS: &str = "
        OR c.relkind IN ('r', 'p') AND EXISTS (
             SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT') IS NULL)";

/// Returns the names of the tables that are not what they were, in the transaction that holds the snapshot.
///
/// `locked`: `pg_dump` holds its locks, so that none of its tables can change any more. Else it has ended, and whatever has changed may be why.
pub(super) fn since_snapshot(client: &mut Client, locked: bool) -> Result<Vec<String>> {
    let more = if locked { format!("{LOCKED})") } else { format!("{COLUMNS})") };
    let found = rows(client, &format!("{READ}{FILES}{more} ORDER BY 1"))?;
    Ok(found.iter().filter_map(|row| cell(row, 0)).map(str::to_owned).collect())
}
