//! Defines what pgbk stores: manifests, backup ids, keys, run records and segments of changes; reads the SQL of dumps and the changes that
//! a server sends.

pub mod anonymise;
pub(crate) mod archive;
pub mod backup_id;
pub(crate) mod capture_record;
pub mod changes;
pub mod keys;
pub mod lsn;
pub mod manifest;
pub mod pgoutput;
pub mod restore_point;
pub(crate) mod row_block;
pub(crate) mod row_sum;
pub(crate) mod run_record;
pub(crate) mod sealed_text;
pub mod sql;
pub(crate) mod table_pattern;
pub mod transaction_snapshot;
