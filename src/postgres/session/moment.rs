//! Moments of a dump at which changes since the snapshot are searched for.

/// How far `pg_dump` was when changes are searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// `pg_dump` holds its locks and has read every definition, but no rows.
    Begun,
    /// `pg_dump` has failed, and a change may be the reason.
    Failed,
    /// `pg_dump` has written all rows.
    Ended,
}

/// Condition that a table of the database has a column of object numbers that are written as names, for queries that begin with
/// [`NAMES_WRITTEN`].
pub(crate) const WRITES_NAMES: &str = "(SELECT written FROM names)";

/// The part of WITH that [`WRITES_NAMES`] refers to: many parts of one query ask, and it looks at every column.
pub(crate) const NAMES_WRITTEN: &str = "names (written) AS (SELECT EXISTS (
    SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class o ON o.oid = a.attrelid JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
    WHERE o.relkind IN ('r', 'm') AND o.oid >= 16384 AND NOT a.attisdropped AND EXISTS (
        SELECT FROM pg_catalog.pg_type e WHERE e.oid IN (y.oid, y.typelem, y.typbasetype)
          AND e.typname ~ '^reg' AND e.typnamespace = 'pg_catalog'::pg_catalog.regnamespace)))";
