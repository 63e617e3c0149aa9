//! Lists what a role may not read, so that a dump by it would fail.

use crate::base::error::Result;
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::rows;
use postgres::Client;
use std::fmt;

/// A relation, or a large object (which is in no schema), that makes a dump by this role fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableObject {
    pub schema: String,
    pub name: String,
    pub why: UnreadableReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnreadableReason {
    NoUsageOnSchema,
    NoSelect,
    /// Row-level security would hide rows from this role.
    RowSecurity,
    /// No SELECT on so many large objects, of which the first is named. Their names are numbers.
    LargeObject(u64),
}

impl fmt::Display for UnreadableObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnreadableObject { schema, name, why } = self;
        match why {
            UnreadableReason::NoUsageOnSchema => {
                write!(f, "no USAGE on schema \"{schema}\" of \"{schema}\".\"{name}\"")
            }
            UnreadableReason::NoSelect => write!(f, "no SELECT on \"{schema}\".\"{name}\""),
            UnreadableReason::RowSecurity => write!(f, "row-level security hides rows of \"{schema}\".\"{name}\""),
            UnreadableReason::LargeObject(1) => write!(f, "no SELECT on the large object {name}"),
            UnreadableReason::LargeObject(count) => {
                write!(f, "no SELECT on {count} large objects, the first of them {name}")
            }
        }
    }
}

/// Query for tables, partitioned tables and sequences, without the system's and those of extensions.
const QUERY: &str = "
    SELECT n.nspname, c.relname, CASE
        WHEN NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE') THEN 'usage'
        WHEN c.relkind = 'S' AND NOT pg_catalog.has_sequence_privilege(c.oid, 'SELECT') THEN 'select'
        WHEN c.relkind <> 'S' AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT') THEN 'select'
        ELSE 'rows' END
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
      AND (NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')
        OR CASE WHEN c.relkind = 'S' THEN NOT pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
                ELSE NOT pg_catalog.has_table_privilege(c.oid, 'SELECT') OR pg_catalog.row_security_active(c.oid) END)
    ORDER BY 1, 2";

/// Query for large objects: neither pg_read_all_data nor a grant on all of them exists for these.
const LARGE_OBJECTS: &str = "
    SELECT pg_catalog.count(*), pg_catalog.min(m.oid) FROM pg_catalog.pg_largeobject_metadata m
    WHERE NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
      AND pg_catalog.current_setting('lo_compat_privileges') = 'off' AND NOT pg_catalog.pg_has_role(m.lomowner, 'USAGE')
      AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(m.lomacl) x
                      WHERE x.privilege_type = 'SELECT' AND (x.grantee = 0 OR pg_catalog.pg_has_role(x.grantee, 'USAGE')))";

pub(crate) fn unreadable(client: &mut Client) -> Result<Vec<UnreadableObject>> {
    let mut unreadable = relations(client)?;
    for row in rows(client, LARGE_OBJECTS)? {
        let count = cell(&row, 0).unwrap_or_default().parse()?;
        if count > 0 {
            let (schema, name) = (String::new(), cell(&row, 1).unwrap_or_default().to_owned());
            unreadable.push(UnreadableObject { schema, name, why: UnreadableReason::LargeObject(count) });
        }
    }
    Ok(unreadable)
}

fn relations(client: &mut Client) -> Result<Vec<UnreadableObject>> {
    let found = rows(client, QUERY)?;
    let read = found.iter().map(|row| {
        let value = |index: usize| cell(row, index).unwrap_or_default().to_owned();
        let why = match cell(row, 2) {
            Some("usage") => UnreadableReason::NoUsageOnSchema,
            Some("select") => UnreadableReason::NoSelect,
            _ => UnreadableReason::RowSecurity,
        };
        UnreadableObject { schema: value(0), name: value(1), why }
    });
    Ok(read.collect())
}
