//! Queries on a connection: the control connection of a backup, and what it asks the server.

pub(crate) mod cell;
pub(crate) mod changes;
pub(crate) mod command;
pub(crate) mod connection;
pub mod control;
pub(crate) mod definitions;
pub(crate) mod dump_omissions;
pub(crate) mod identity;
pub(crate) mod large_object_count;
pub(crate) mod lock_holders;
pub(crate) mod moment;
pub(crate) mod pooler_check;
pub mod privileges;
pub(crate) mod query;
pub(crate) mod quote;
pub(crate) mod snapshot_tables;
