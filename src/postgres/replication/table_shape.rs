//! Reads from the catalog what the server's stream tells of a table before its first change.

use crate::base::error::{Fault, Result};
use crate::format::pgoutput::relation::{Relation, RelationColumn, ReplicaIdentity};
use crate::format::sql::object_name::{ObjectName, TableName};
use crate::postgres::replication::capture_candidate::{CaptureCandidate, TableCapture};
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::rows;
use postgres::{Client, SimpleQueryRow};
use std::collections::BTreeMap;

/// A table as the catalog has it, and how its changes can be captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableShape {
    pub relation: Relation,
    pub capture: TableCapture,
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

impl TableShape {
    /// Returns these tables of the database, in the order of their identifiers. A table that went meanwhile is missing.
    pub fn list(client: &mut Client, tables: &[CaptureCandidate]) -> Result<Vec<TableShape>> {
        let mut shapes: BTreeMap<u32, Relation> = BTreeMap::new();
        for row in rows(client, QUERY)? {
            let unread = || Fault::failed("the catalog describes a table in a way that pgbk does not understand");
            let relation = relation(&row).ok_or_else(unread)?;
            let shape = shapes.entry(relation.oid).or_insert(relation);
            if cell(&row, 4).is_some() {
                shape.columns.push(column(&row).ok_or_else(unread)?);
            }
        }
        let captures = tables.iter().map(|table| (table.oid, table.capture));
        let mut captures: BTreeMap<u32, TableCapture> = captures.collect();
        let shape = |relation: Relation| Some(TableShape { capture: captures.remove(&relation.oid)?, relation });
        Ok(shapes.into_values().filter_map(shape).collect())
    }
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
