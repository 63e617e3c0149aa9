//! Defines what pgbk stores: manifests, backup ids, keys and run records; and reads the SQL of dumps.

pub(crate) mod archive;
pub mod backup_id;
pub mod keys;
pub mod manifest;
pub(crate) mod run_record;
pub mod sql;
pub(crate) mod table_pattern;
