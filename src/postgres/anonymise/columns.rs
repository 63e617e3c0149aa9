//! Reads from the catalogs which tables and columns a database has, as far as rules of anonymising must know them.

use crate::base::error::{Fault, Result};
use crate::postgres::anonymise::shape::{CatalogType, ColumnShape};
use crate::postgres::connect::errors::explain;
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::rows;
use anyhow::Context;
use postgres::{Client, SimpleQueryRow};

/// A table, with what its rows are made of.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceTable {
    pub schema: String,
    pub name: String,
    /// Whether it has no rows of its own: a partitioned table, whose partitions are tables too.
    pub is_partitioned: bool,
    /// The tables that it is a partition or a child of, the nearest first, as schema and name.
    pub ancestors: Vec<(String, String)>,
    /// The columns of its primary key; empty if it has none.
    pub row_key: Vec<String>,
    /// The columns that decide which partition a row of it is in.
    pub partition_key: Vec<String>,
    pub columns: Vec<SourceColumn>,
}

/// A column, with what its values must hold to.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceColumn {
    pub name: String,
    /// The type as the server spells it, such as `character varying(12)`.
    pub type_name: String,
    pub shape: ColumnShape,
    /// Whether letters in upper and lower case are the same to it (`citext`).
    pub folds_case: bool,
    /// The length modifier of the type below all domains; -1 if it has none.
    pub modifier: i32,
    pub is_not_null: bool,
    /// Whether a unique index or an exclusion constraint is about it.
    pub is_unique: bool,
    /// Whether such an index takes only one NULL.
    pub is_null_unique: bool,
    /// Whether it is computed from other columns, and so in no dump.
    pub is_generated: bool,
    /// The columns that it refers to.
    pub refers_to: Vec<ColumnReference>,
}

/// A foreign key's way from one column to another.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnReference {
    pub schema: String,
    pub table: String,
    pub column: String,
    /// Whether NULL in one of the foreign key's columns needs NULL in all (MATCH FULL over several columns).
    pub all_or_none: bool,
}

/// Query for all columns of all tables that a dump has rows of, and of partitioned tables. Lists come as JSON.
const QUERY: &str = "
    WITH RECURSIVE layer (domain, oid, modifier, is_not_null) AS (
        SELECT t.oid, t.typbasetype, t.typtypmod, t.typnotnull FROM pg_catalog.pg_type t WHERE t.typtype = 'd'
        UNION ALL
        SELECT l.domain, t.typbasetype, CASE WHEN l.modifier >= 0 THEN l.modifier ELSE t.typtypmod END, l.is_not_null OR t.typnotnull
        FROM layer l JOIN pg_catalog.pg_type t ON t.oid = l.oid WHERE t.typtype = 'd'),
    base AS (
        SELECT l.* FROM layer l JOIN pg_catalog.pg_type t ON t.oid = l.oid WHERE t.typtype <> 'd'),
    ancestor (child, parent, distance) AS (
        SELECT h.inhrelid, h.inhparent, 1 FROM pg_catalog.pg_inherits h
        UNION ALL
        SELECT a.child, h.inhparent, a.distance + 1 FROM ancestor a JOIN pg_catalog.pg_inherits h ON h.inhrelid = a.parent),
    unique_key (relation, number, one_null) AS (
        SELECT i.indrelid, k.number, COALESCE((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false)
        FROM pg_catalog.pg_index i CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY k (number, place)
        WHERE i.indisunique AND k.place <= i.indnkeyatts
        UNION ALL
        SELECT d.refobjid, d.refobjsubid::pg_catalog.int2, false
        FROM pg_catalog.pg_index i JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND d.objid = i.indexrelid AND d.refclassid = d.classid AND d.refobjid = i.indrelid AND d.refobjsubid > 0
        WHERE i.indisunique AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
        UNION ALL
        SELECT o.conrelid, k.number, false FROM pg_catalog.pg_constraint o CROSS JOIN LATERAL pg_catalog.unnest(o.conkey) k (number)
        WHERE o.contype = 'x'),
    is_unique AS (
        SELECT relation, number, pg_catalog.bool_or(one_null) AS one_null FROM unique_key WHERE number > 0 GROUP BY 1, 2),
    reference AS (
        SELECT o.conrelid AS relation, k.own AS number, pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(n.nspname, c.relname, a.attname,
            o.confmatchtype = 'f' AND pg_catalog.cardinality(o.conkey) > 1)) AS list
        FROM pg_catalog.pg_constraint o CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(o.conkey), pg_catalog.unnest(o.confkey)) k (own, other)
        JOIN pg_catalog.pg_class c ON c.oid = o.confrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_catalog.pg_attribute a ON a.attrelid = o.confrelid AND a.attnum = k.other
        WHERE o.contype = 'f' GROUP BY 1, 2),
    relation AS MATERIALIZED (
        SELECT c.oid, n.nspname, c.relname, c.relkind = 'p' AS is_partitioned,
            (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(pn.nspname, pc.relname) ORDER BY x.distance, pn.nspname, pc.relname)
             FROM ancestor x JOIN pg_catalog.pg_class pc ON pc.oid = x.parent JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace
             WHERE x.child = c.oid) AS ancestors,
            (SELECT pg_catalog.jsonb_agg(a.attname ORDER BY k.place)
             FROM pg_catalog.pg_index i CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY k (number, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
             WHERE i.indrelid = c.oid AND i.indisprimary AND k.place <= i.indnkeyatts) AS row_key,
            (SELECT pg_catalog.jsonb_agg(DISTINCT a.attname)
             FROM (SELECT c.oid AS parent UNION ALL SELECT x.parent FROM ancestor x WHERE x.child = c.oid) x
             JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = x.parent
             JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum > 0
             WHERE a.attnum = ANY (p.partattrs::pg_catalog.int2[])
                OR p.partexprs IS NOT NULL AND EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = p.partrelid AND d.objsubid = 0
                      AND d.refclassid = d.classid AND d.refobjid = p.partrelid AND d.refobjsubid = a.attnum)) AS partition_key
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                          WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'))
    SELECT r.nspname, r.relname, r.is_partitioned, r.ancestors, r.row_key, r.partition_key,
        a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
        CASE WHEN b.oid IS NULL THEN a.atttypmod ELSE b.modifier END, a.attnotnull OR COALESCE(b.is_not_null, false),
        u.number IS NOT NULL, COALESCE(u.one_null, false), a.attgenerated <> '', f.list,
        t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace, t.typname, t.typtype, t.typcategory,
        e.typnamespace = 'pg_catalog'::pg_catalog.regnamespace, e.typname, e.typtype, e.typcategory
    FROM relation r
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN base b ON b.domain = a.atttypid
    LEFT JOIN pg_catalog.pg_type t ON t.oid = COALESCE(b.oid, a.atttypid)
    LEFT JOIN base eb ON eb.domain = t.typelem
    LEFT JOIN pg_catalog.pg_type e ON e.oid = COALESCE(eb.oid, t.typelem) AND t.typcategory = 'A'
    LEFT JOIN is_unique u ON u.relation = r.oid AND u.number = a.attnum
    LEFT JOIN reference f ON f.relation = r.oid AND f.number = a.attnum
    ORDER BY r.nspname, r.relname, r.oid, a.attnum";

/// Compiling so large a query takes longer than the query, for thousands of tables too.
const WITHOUT_JIT: &str = "SET LOCAL jit = off";

/// Returns every table of the database, ordered by name, as the transaction of the connection sees it.
pub fn read(client: &mut Client) -> Result<Vec<SourceTable>> {
    let mut tables: Vec<SourceTable> = Vec::new();
    client.batch_execute(WITHOUT_JIT).map_err(|error| explain(&error))?;
    for row in rows(client, QUERY).context("read which columns there are")? {
        let (schema, name) = (text(&row, 0), text(&row, 1));
        if tables.last().is_none_or(|last| (&last.schema, &last.name) != (&schema, &name)) {
            tables.push(table(&row, schema, name)?);
        }
        if let (Some(table), Some(_)) = (tables.last_mut(), cell(&row, 6)) {
            table.columns.push(column(&row)?);
        }
    }
    Ok(tables)
}

fn table(row: &SimpleQueryRow, schema: String, name: String) -> Result<SourceTable> {
    Ok(SourceTable {
        schema,
        name,
        is_partitioned: flag(row, 2),
        ancestors: list(row, 3)?,
        row_key: list(row, 4)?,
        partition_key: list(row, 5)?,
        columns: Vec::new(),
    })
}

fn column(row: &SimpleQueryRow) -> Result<SourceColumn> {
    let base = catalog_type(row, 14);
    let element = cell(row, 19).map(|_| catalog_type(row, 18));
    let references: Vec<(String, String, String, bool)> = list(row, 13)?;
    let reference = |(schema, table, column, all_or_none)| ColumnReference { schema, table, column, all_or_none };
    Ok(SourceColumn {
        name: text(row, 6),
        type_name: text(row, 7),
        shape: ColumnShape::of(&base, element.as_ref()),
        folds_case: base.name == "citext",
        modifier: text(row, 8).parse().unwrap_or(-1),
        is_not_null: flag(row, 9),
        is_unique: flag(row, 10),
        is_null_unique: flag(row, 11),
        is_generated: flag(row, 12),
        refers_to: references.into_iter().map(reference).collect(),
    })
}

fn catalog_type(row: &SimpleQueryRow, first: usize) -> CatalogType {
    CatalogType {
        own: flag(row, first),
        name: text(row, first + 1),
        kind: text(row, first + 2),
        category: text(row, first + 3),
    }
}

fn text(row: &SimpleQueryRow, index: usize) -> String {
    cell(row, index).unwrap_or_default().to_owned()
}

fn flag(row: &SimpleQueryRow, index: usize) -> bool {
    cell(row, index) == Some("t")
}

/// Returns a list that the server gives as JSON; an empty one where it gives NULL.
fn list<T: serde::de::DeserializeOwned>(row: &SimpleQueryRow, index: usize) -> Result<Vec<T>> {
    let Some(json) = cell(row, index) else { return Ok(Vec::new()) };
    serde_json::from_str(json)
        .map_err(|error| Fault::failed(format!("the server's catalogs cannot be read: {error}")).into())
}

impl SourceColumn {
    /// Returns how many characters a value may have; `None` if the type has no limit.
    pub fn max_chars(&self) -> Option<usize> {
        (self.shape == ColumnShape::Text && self.modifier > 4).then(|| self.modifier as usize - 4)
    }

    /// Returns the digits of a `numeric(precision, scale)`; `None` if the type has no limit.
    pub fn digits(&self) -> Option<(u32, i32)> {
        let held = (self.shape == ColumnShape::Numeric && self.modifier >= 4).then(|| self.modifier - 4)?;
        // The scale has eleven bits, and may be negative.
        let scale = ((held & 0x7ff) ^ 0x400) - 0x400;
        Some(((held >> 16) as u32 & 0xffff, scale))
    }
}

/// Returns the name of a column for messages.
pub(crate) fn shown(schema: &str, table: &str, column: &str) -> String {
    format!("\"{schema}\".\"{table}\".\"{column}\"")
}
