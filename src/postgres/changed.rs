//! What changed between a snapshot and a dump of it, so that the dump holds two states in one.
//!
//! A snapshot sees the rows as they were, but TRUNCATE, and whatever writes a table anew, takes the files away in which these lie: a dump would
//! find the table empty, as it never was. A table that another took the name of would be dumped under that. And the server's own functions that
//! spell definitions, and those that write values as text, know no snapshot at all: see [`definitions`].

use super::cell::cell;
use super::control::rows;
use super::definitions;
use crate::error::Result;
use postgres::Client;

/// When it is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// `pg_dump` holds its locks and has read every definition, but no rows of tables.
    Begun,
    /// `pg_dump` has failed, and whatever has changed may be why.
    Failed,
    /// `pg_dump` has written all rows.
    Ended,
}

/// What others than this session have locked for reading.
const READ: &str = "
    WITH read (relation) AS (
        SELECT l.relation FROM pg_catalog.pg_locks l
        WHERE l.locktype = 'relation' AND l.mode = 'AccessShareLock' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()
          AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()))";

/// What nobody has locked for reading is not in the dump, and may change at any time. A small dump is over by the time that it is looked for: then
/// nobody reads the catalog in a transaction either, and every change counts.
const LOCKED: &str = "(r.oid IN (SELECT relation FROM read)
               OR 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid NOT IN (SELECT relation FROM read))";

/// The catalog's rows are seen by the snapshot; `pg_relation_filenode` and the cast of a number to a name tell what is now.
fn files(dumped: &str) -> String {
    format!(
        "SELECT pg_catalog.format('%I.%I', n.nspname, r.relname)
    FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
    WHERE r.oid >= 16384 AND r.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND (r.relkind <> 't'
             AND r.oid::pg_catalog.regclass::pg_catalog.text <> pg_catalog.format('%I.%I', n.nspname, r.relname)
        OR r.relkind = 'r' AND r.relfilenode <> 0
             AND pg_catalog.pg_relation_filenode(r.oid) IS DISTINCT FROM r.relfilenode AND {dumped})"
    )
}

/// Returns the names of what is not what it was, in the transaction that holds the snapshot.
pub(super) fn since_snapshot(client: &mut Client, moment: Moment) -> Result<Vec<String>> {
    let dumped = if moment == Moment::Begun { LOCKED } else { "true" };
    let mut looks = definitions::looks(client, moment, dumped)?;
    // What pg_dump has locked keeps its file and its name.
    if moment != Moment::Ended {
        looks.push(files(dumped));
    }
    if looks.is_empty() {
        return Ok(Vec::new());
    }
    let found = rows(client, &format!("{READ} {} ORDER BY 1", looks.join(" UNION ")))?;
    Ok(found.iter().filter_map(|row| cell(row, 0)).map(str::to_owned).collect())
}
