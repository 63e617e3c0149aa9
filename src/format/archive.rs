//! Reads and writes archives of `pg_dump --format=custom`, as far as their table of contents goes.

pub(crate) mod contents;
pub(crate) mod entry;
pub(crate) mod fields;
pub(crate) mod selection;
