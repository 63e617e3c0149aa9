//! Defines what pgbk stores: manifests, backup ids, keys and run records; and reads the SQL of dumps.

pub mod anonymise;
pub(crate) mod archive;
pub mod backup_id;
pub mod keys;
pub mod lsn;
pub mod manifest;
pub(crate) mod row_block;
pub(crate) mod row_sum;
pub(crate) mod run_record;
pub mod sql;
pub(crate) mod table_pattern;
