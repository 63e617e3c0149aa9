//! Finds definitions that changed since a snapshot, in the catalogs themselves.
//!
//! `pg_dump` reads the catalogs by its snapshot, but has the server spell much of what it finds (`pg_get_viewdef`, `format_type`,
//! `pg_get_constraintdef` and their like), by functions that see what is committed by then. In between, something may have been
//! dropped, renamed or replaced: then the dump names what it does not make, or makes what never was. The same holds for the text of
//! values, whose labels and columns come from there too.
//!
//! If a row that the snapshot sees has been replaced or removed since, its `xmax` is the number of the transaction that did it. So
//! the session of the snapshot can find it, without a second session, by one scan of each catalog. New rows do no harm, and
//! ANALYZE, VACUUM and CREATE INDEX overwrite a row in place, which leaves no such mark.

use crate::base::error::Result;
use crate::postgres::session::cell::cell;
use crate::postgres::session::moment::{Moment, WRITES_NAMES};
use crate::postgres::session::query::rows;
use postgres::{Client, SimpleQueryRow};
use std::collections::BTreeSet;

/// Catalogs whose rows do not matter. Every row of all others does; catalogs that databases share are in no dump of one database.
const PASSED_OVER: [&str; 8] = [
    // ANALYZE replaces these.
    "pg_statistic",
    "pg_statistic_ext_data",
    // Data, which is read by the snapshot.
    "pg_largeobject",
    "pg_largeobject_metadata",
    // Nothing but the snapshot reads these for a dump; with what they are about goes a row elsewhere.
    "pg_depend",
    "pg_description",
    "pg_seclabel",
    // Replication writes down in it how far it is.
    "pg_subscription_rel",
];

/// Catalogs that the text of values is made of: labels, and columns of composite types.
const LABELS: [&str; 3] = ["pg_enum", "pg_attribute", "pg_class"];

/// Catalogs of objects that a value may name (such as a `regproc`), besides relations and roles.
const NAMES: [&str; 7] =
    ["pg_proc", "pg_operator", "pg_type", "pg_namespace", "pg_collation", "pg_ts_config", "pg_ts_dict"];

/// Query for the catalogs that a role may read, each with the columns that say what a row is about: its schema, its relation, its
/// type, its name. Of `pg_class` only composite types count: harmless commands (GRANT, REFRESH, REINDEX) replace the rows of
/// tables, and other queries find the harmful ones.
const CATALOGS: &str = "
    SELECT c.relname,
        pg_catalog.max(CASE WHEN a.attname ~ 'namespace$' THEN a.attname::pg_catalog.text END),
        CASE WHEN c.relname = 'pg_class' THEN 'oid' ELSE (pg_catalog.array_agg(a.attname ORDER BY a.attnum) FILTER (
            WHERE a.attname ~ 'relid$' AND a.attname <> 'indexrelid' OR a.attname = 'ev_class'))[1]::pg_catalog.text END,
        pg_catalog.max(CASE WHEN a.attname IN ('enumtypid', 'rngtypid') THEN a.attname::pg_catalog.text END),
        (pg_catalog.array_agg(a.attname ORDER BY a.attnum) FILTER (
            WHERE a.atttypid = 'pg_catalog.name'::pg_catalog.regtype))[1]::pg_catalog.text
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace AND c.relkind = 'r' AND NOT c.relisshared
      AND c.oid < 16384 AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
    GROUP BY c.oid, c.relname ORDER BY c.relname";

/// Condition that the transaction in `xmax` committed after the snapshot was taken. An earlier one has only locked the row, or
/// failed. A row has the lower half of the number; the upper half is the one that brings it nearest to the snapshot's.
const REPLACED: &str = "
    CASE WHEN x.xmax <> '0'::pg_catalog.xid THEN (
        SELECT CASE WHEN s.marked >= s.first THEN pg_catalog.txid_status(s.marked) = 'committed' END FROM (
            SELECT b.first, b.first + ((x.xmax::pg_catalog.text::pg_catalog.int8 - b.first + 2147483648) & 4294967295) - 2147483648 AS marked
            FROM (SELECT pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot()) AS first) b) s) END";

/// Pattern of schemas that are not compared: temporary tables come and go all the time, and so do the TOAST tables of large values.
const ONES_OWN: &str = "^pg_(temp|toast)";

/// A catalog, with the columns that say what its rows are about.
struct SystemCatalog<'a> {
    name: &'a str,
    schema: Option<&'a str>,
    relation: Option<&'a str>,
    of_type: Option<&'a str>,
    called: Option<&'a str>,
}

/// Returns a query for each catalog that matters at this moment and in which something may have changed: it gives the names of what did.
/// `dumped` is the condition on a table `r` that it is in the dump.
pub(crate) fn looks(client: &mut Client, moment: Moment, dumped: &str) -> Result<Vec<String>> {
    let found = rows(client, CATALOGS)?;
    let catalogs: Vec<SystemCatalog<'_>> =
        found.iter().filter_map(SystemCatalog::of).filter(|catalog| catalog.matters(moment)).collect();
    let marked = marked(client, &catalogs)?;
    let marked = catalogs.iter().filter(|catalog| marked.contains(catalog.name));
    Ok(marked.map(|catalog| catalog.look(moment, dumped)).collect())
}

/// Returns those of the catalogs in which a row that the snapshot sees has been locked, replaced or removed, by whomever and however long
/// ago. In most there is none, and to plan a look at all of them takes the server longer than everything else here.
fn marked(client: &mut Client, catalogs: &[SystemCatalog<'_>]) -> Result<BTreeSet<String>> {
    let look = |SystemCatalog { name, .. }: &SystemCatalog<'_>| {
        format!("SELECT '{name}' WHERE EXISTS (SELECT FROM pg_catalog.{name} x WHERE x.xmax <> '0'::pg_catalog.xid)")
    };
    let looks: Vec<String> = catalogs.iter().map(look).collect();
    // A role may have no right to read any.
    if looks.is_empty() {
        return Ok(BTreeSet::new());
    }
    let found = rows(client, &looks.join(" UNION ALL "))?;
    Ok(found.iter().filter_map(|row| cell(row, 0)).map(str::to_owned).collect())
}

impl SystemCatalog<'_> {
    fn of(row: &SimpleQueryRow) -> Option<SystemCatalog<'_>> {
        let column = |index| cell(row, index);
        let name = column(0).filter(|name| !PASSED_OVER.contains(name))?;
        Some(SystemCatalog { name, schema: column(1), relation: column(2), of_type: column(3), called: column(4) })
    }

    /// Returns whether changes of this catalog matter. Once `pg_dump` has all definitions, only the text of values can still
    /// change.
    fn matters(&self, moment: Moment) -> bool {
        moment != Moment::Ended || LABELS.contains(&self.name) || NAMES.contains(&self.name)
    }

    fn look(&self, moment: Moment, dumped: &str) -> String {
        let SystemCatalog { name, .. } = self;
        let column =
            |column: Option<&str>| column.map_or("NULL::pg_catalog.oid".to_owned(), |name| format!("x.{name}"));
        let (schema, relation, of_type) = (column(self.schema), column(self.relation), column(self.of_type));
        let called = self.called.map_or("NULL".to_owned(), |called| format!("pg_catalog.quote_ident(x.{called})"));
        let about = match *name {
            "pg_class" => "r.relkind = 'c'",
            "pg_attribute" if moment == Moment::Ended => "r.relkind = 'c'",
            name if moment == Moment::Ended && NAMES.contains(&name) => WRITES_NAMES,
            _ => "true",
        };
        format!(
            "SELECT CASE WHEN r.oid IS NOT NULL THEN pg_catalog.format('%I.%I', n.nspname, r.relname)
                ELSE COALESCE(NULLIF(pg_catalog.concat_ws('.', pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(t.typname), {called}), ''),
                    'a row') || ' ({name})' END
            FROM pg_catalog.{name} x LEFT JOIN pg_catalog.pg_class r ON r.oid = {relation}
                LEFT JOIN pg_catalog.pg_type t ON t.oid = {of_type}
                LEFT JOIN pg_catalog.pg_namespace n ON n.oid = COALESCE(r.relnamespace, t.typnamespace, {schema})
            WHERE {REPLACED} AND COALESCE(n.nspname !~ '{ONES_OWN}', true) AND {about}
              AND (r.oid IS NULL OR r.relkind NOT IN ('r', 'p') OR {dumped})"
        )
    }
}
