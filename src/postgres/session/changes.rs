//! Finds what changed between a snapshot and a dump of it, so that the dump holds two states in one.
//!
//! A snapshot sees the rows as they were, but TRUNCATE, and every command that rewrites a table, removes the files that hold them:
//! a dump would find the table empty, as it never was. If another table took its name, that name would be in the dump. And the
//! server's functions that spell definitions, and those that write values as text, use no snapshot at all: see [`definitions`].

use crate::base::error::Result;
use crate::postgres::session::cell::cell;
use crate::postgres::session::definitions;
use crate::postgres::session::moment::{Moment, NAMES_WRITTEN, WRITES_NAMES};
use crate::postgres::session::query::rows;
use postgres::Client;

/// Query for the relations that sessions other than this one have locked for reading.
const READ: &str = "
    WITH read (relation) AS (
        SELECT l.relation FROM pg_catalog.pg_locks l
        WHERE l.locktype = 'relation' AND l.mode = 'AccessShareLock' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()
          AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()))";

/// Condition that a relation `r` is in the dump: another session has locked it for reading. A small dump may be over by now: then
/// no other session reads the catalog in a transaction either, and every change counts.
const LOCKED: &str = "(r.oid IN (SELECT relation FROM read)
               OR 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid NOT IN (SELECT relation FROM read))";

/// Returns a query for the relations that meet this condition. The snapshot sees the catalog's rows as they were;
/// `pg_relation_filenode` and the cast of a number to a name show the present state.
fn relations(condition: &str) -> String {
    format!(
        "SELECT pg_catalog.format('%I.%I', n.nspname, r.relname)
    FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
    WHERE r.oid >= 16384 AND r.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND {condition}"
    )
}

const RENAMED: &str = "r.relkind <> 't'
    AND r.oid::pg_catalog.regclass::pg_catalog.text <> pg_catalog.format('%I.%I', n.nspname, r.relname)";

const WRITTEN_ANEW: &str = "r.relkind = 'r' AND r.relfilenode <> 0
    AND pg_catalog.pg_relation_filenode(r.oid) IS DISTINCT FROM r.relfilenode";

/// Query for roles with another name than in the snapshot: a dump names owners as the snapshot has them, and grantees as they are
/// called now. A role that has been dropped owned nothing here any more.
const RENAMED_ROLES: &str = "SELECT 'role ' || pg_catalog.quote_ident(o.rolname) FROM pg_catalog.pg_roles o
    WHERE o.oid::pg_catalog.regrole::pg_catalog.text NOT IN (pg_catalog.quote_ident(o.rolname), o.oid::pg_catalog.text)";

/// Condition that a role `o` owns something here or was granted something. Dependencies of the first role are not recorded.
const HAS_A_PART: &str = "(o.oid = 10 OR EXISTS (SELECT FROM pg_catalog.pg_shdepend s JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
    WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.refobjid = o.oid
      AND (s.dbid = d.oid OR s.classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND s.objid = d.oid)))";

/// Returns the names of what changed since the snapshot. Runs in the transaction that holds the snapshot.
pub(crate) fn since_snapshot(client: &mut Client, moment: Moment) -> Result<Vec<String>> {
    let dumped = if moment == Moment::Begun { LOCKED } else { "true" };
    let mut looks = definitions::looks(client, moment, dumped)?;
    if moment == Moment::Ended {
        // What pg_dump has locked, views among it, keeps its file and its name. An index or a role does not.
        looks.push(format!("{} AND {WRITES_NAMES}", relations(RENAMED)));
        looks.push(format!("{RENAMED_ROLES} AND {WRITES_NAMES}"));
    } else {
        looks.push(relations(&format!("({RENAMED} OR {WRITTEN_ANEW} AND {dumped})")));
        looks.push(format!("{RENAMED_ROLES} AND {HAS_A_PART}"));
    }
    let found = rows(client, &format!("{READ}, {NAMES_WRITTEN} {} ORDER BY 1", looks.join(" UNION ")))?;
    Ok(found.iter().filter_map(|row| cell(row, 0)).map(str::to_owned).collect())
}
