//! Reads from the catalog what the server's stream tells of a table before its first change, and what it does not tell.

use crate::base::error::{Fault, Result};
use crate::format::changes::table_definition::TableDefinition;
use crate::format::pgoutput::relation::{Relation, RelationColumn, ReplicaIdentity};
use crate::format::sql::object_name::{ObjectName, TableName};
use crate::postgres::replication::capture_candidate::{CaptureCandidate, TableCapture};
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::rows;
use postgres::{Client, SimpleQueryRow};
use std::collections::{BTreeMap, BTreeSet};

/// A table as the catalog has it, and how its changes can be captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableShape {
    pub relation: Relation,
    pub capture: TableCapture,
    pub definition: TableDefinition,
    /// Whether a transaction that is going on has changed rows of it, or may.
    pub is_written: bool,
}

/// Query for the columns of all tables. Names come in the server's encoding, as bytes in hexadecimal digits: so they come in the stream.
/// Generated columns are not streamed.
const QUERY: &str = "
    SELECT c.oid, c.relreplident,
           pg_catalog.encode(pg_catalog.convert_to(n.nspname::text, pg_catalog.getdatabaseencoding()), 'hex'),
           pg_catalog.encode(pg_catalog.convert_to(c.relname::text, pg_catalog.getdatabaseencoding()), 'hex'),
           pg_catalog.encode(pg_catalog.convert_to(a.attname::text, pg_catalog.getdatabaseencoding()), 'hex'),
           a.atttypid, a.atttypmod,
           c.relreplident = 'f' OR EXISTS (SELECT FROM pg_catalog.pg_index i
               WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate AND a.attnum = ANY (i.indkey)
                 AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN pg_catalog.pg_attribute a
             ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    WHERE c.relkind IN ('r', 'f', 'm') AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ORDER BY c.oid, a.attnum";

/// Query for fingerprints of all tables: what decides which rows a table takes, in the texts that the catalogs hold themselves; the
/// transactions that wrote its columns in the catalog; and its file. A partition takes what all above it take, and the default one what no
/// other one beside it does. Of a type that is no server's from the beginning the fingerprint has
/// labels, columns and constraints, and those of the types that it is made of.
const DEFINITIONS: &str = "
    WITH RECURSIVE used AS (
        SELECT DISTINCT a.atttypid AS whole FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        WHERE c.relkind IN ('r', 'f', 'm') AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384),
    part (whole, type) AS (
        SELECT whole, whole FROM used
        UNION
        SELECT part.whole, n.next FROM part JOIN pg_catalog.pg_type t ON t.oid = part.type
             CROSS JOIN LATERAL (
                 SELECT t.typelem UNION ALL SELECT t.typbasetype
                 UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
                 UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
                           WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) n (next)
        WHERE n.next >= 16384),
    types AS (
        SELECT part.whole, pg_catalog.string_agg(pg_catalog.concat_ws(' ', t.oid, t.typnotnull, t.typbasetype, t.typtypmod,
            (SELECT pg_catalog.string_agg(e.enumlabel::text, ' ' ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
            (SELECT pg_catalog.string_agg(a.attname::text || ' ' || a.atttypid || ' ' || a.atttypmod, ' ' ORDER BY a.attnum)
             FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped),
            (SELECT pg_catalog.string_agg(o.conbin::text, ' ' ORDER BY o.oid) FROM pg_catalog.pg_constraint o WHERE o.contypid = t.oid)
            ), ' ' ORDER BY t.oid) AS text
        FROM part JOIN pg_catalog.pg_type t ON t.oid = part.type GROUP BY part.whole),
    columns AS (
        SELECT a.attrelid,
               pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attidentity,
                   a.attgenerated, CASE WHEN a.attgenerated <> '' THEN d.adbin::text END, types.text), ' ' ORDER BY a.attnum) AS text,
               pg_catalog.string_agg(a.xmin::text, ' ' ORDER BY a.attnum) AS written
        FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             LEFT JOIN types ON types.whole = a.atttypid
        WHERE a.attnum > 0 AND NOT a.attisdropped GROUP BY a.attrelid),
    constraints AS (
        SELECT o.conrelid, pg_catalog.string_agg(pg_catalog.concat_ws(' ', o.oid, o.contype, o.condeferrable, o.condeferred, o.convalidated, o.conkey,
            o.confrelid, o.confkey, o.confupdtype, o.confdeltype, o.conbin), ' ' ORDER BY o.oid) AS text
        FROM pg_catalog.pg_constraint o WHERE o.conrelid <> 0 GROUP BY o.conrelid),
    indexes AS (
        SELECT i.indrelid, pg_catalog.string_agg(pg_catalog.concat_ws(' ', i.indkey, i.indclass, i.indimmediate, i.indisprimary,
            i.indexprs, i.indpred), '; ' ORDER BY i.indkey::text, i.indclass::text, i.indexprs::text, i.indpred::text) AS text
        FROM pg_catalog.pg_index i WHERE i.indisunique GROUP BY i.indrelid),
    bounds AS (
        SELECT c.oid, pg_catalog.string_agg(b.relpartbound::text, ' ' ORDER BY b.oid) AS text
        FROM pg_catalog.pg_class c CROSS JOIN LATERAL pg_catalog.pg_partition_ancestors(c.oid) a (relid)
             CROSS JOIN LATERAL (
                 SELECT a.relid::pg_catalog.oid UNION
                 SELECT s.inhrelid FROM pg_catalog.pg_partitioned_table d JOIN pg_catalog.pg_inherits h ON h.inhrelid = d.partdefid
                        JOIN pg_catalog.pg_inherits s ON s.inhparent = h.inhparent WHERE d.partdefid = a.relid) o (relid)
             JOIN pg_catalog.pg_class b ON b.oid = o.relid
        WHERE c.relispartition AND c.relkind IN ('r', 'f') GROUP BY c.oid),
    parents AS (
        SELECT h.inhrelid, pg_catalog.string_agg(h.inhparent::text, ' ' ORDER BY h.inhseqno) AS text
        FROM pg_catalog.pg_inherits h GROUP BY h.inhrelid)
    SELECT c.oid, pg_catalog.concat_ws('.',
               pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.concat_ws('; ', bounds.text,
                   columns.text, constraints.text, indexes.text, parents.text), e.name)), 'hex'), 20),
               pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(COALESCE(columns.written, ''), e.name)), 'hex'), 20),
               c.relfilenode)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         CROSS JOIN (SELECT pg_catalog.getdatabaseencoding()) e (name) LEFT JOIN columns ON columns.attrelid = c.oid LEFT JOIN constraints ON constraints.conrelid = c.oid
         LEFT JOIN indexes ON indexes.indrelid = c.oid LEFT JOIN parents ON parents.inhrelid = c.oid
         LEFT JOIN bounds ON bounds.oid = c.oid
    WHERE c.relkind IN ('r', 'f', 'm') AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

/// Query for the tables that a transaction of somebody else may write to: it keeps such a lock to its end.
const WRITTEN: &str = "
    SELECT DISTINCT relation FROM pg_catalog.pg_locks
    WHERE locktype = 'relation' AND granted AND pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
      AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
      AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";

impl TableShape {
    /// Returns these tables of the database, in the order of their identifiers. A table that went meanwhile is missing.
    pub fn list(client: &mut Client, tables: &[CaptureCandidate]) -> Result<Vec<TableShape>> {
        let unread = || Fault::failed("the catalog describes a table in a way that pgbk does not understand");
        let mut shapes: BTreeMap<u32, Relation> = BTreeMap::new();
        for row in rows(client, QUERY)? {
            let relation = relation(&row).ok_or_else(unread)?;
            let shape = shapes.entry(relation.oid).or_insert(relation);
            if cell(&row, 4).is_some() {
                shape.columns.push(column(&row).ok_or_else(unread)?);
            }
        }
        let definition = |row: &SimpleQueryRow| Some((number(row, 0)?, TableDefinition::of_text(cell(row, 1)?)?));
        let definitions = rows(client, DEFINITIONS)?;
        let definitions = definitions.iter().map(definition).collect::<Option<BTreeMap<_, _>>>();
        let mut definitions = definitions.ok_or_else(unread)?;
        let written: BTreeSet<u32> = rows(client, WRITTEN)?.iter().filter_map(|row| number(row, 0)).collect();
        let captures = tables.iter().map(|table| (table.oid, table.capture));
        let mut captures: BTreeMap<u32, TableCapture> = captures.collect();
        let shape = |relation: Relation| {
            let oid = relation.oid;
            let (capture, definition) = (captures.remove(&oid)?, definitions.remove(&oid)?);
            Some(TableShape { capture, definition, relation, is_written: written.contains(&oid) })
        };
        Ok(shapes.into_values().filter_map(shape).collect())
    }

    /// Returns whether anything else is known by this shape than by another one of the same table.
    pub fn is_news(&self, before: &TableShape) -> bool {
        (&self.relation, self.capture, &self.definition) != (&before.relation, before.capture, &before.definition)
    }
}

fn number(row: &SimpleQueryRow, index: usize) -> Option<u32> {
    cell(row, index)?.parse().ok()
}

fn relation(row: &SimpleQueryRow) -> Option<Relation> {
    let identity = ReplicaIdentity::of_letter(*cell(row, 1)?.as_bytes().first()?)?;
    let table = TableName { schema: name(row, 2)?, name: name(row, 3)? };
    Some(Relation { oid: cell(row, 0)?.parse().ok()?, table, identity, columns: Vec::new() })
}

fn column(row: &SimpleQueryRow) -> Option<RelationColumn> {
    let type_oid = cell(row, 5)?.parse().ok()?;
    Some(RelationColumn {
        name: name(row, 4)?,
        type_oid,
        modifier: cell(row, 6)?.parse().ok()?,
        is_key: cell(row, 7)? == "t",
    })
}

fn name(row: &SimpleQueryRow, index: usize) -> Option<ObjectName> {
    ObjectName::new(&hex::decode(cell(row, index)?).ok()?)
}
