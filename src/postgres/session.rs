//! Queries on a connection: the control connection of a backup, and what it asks the server.

pub(crate) mod cell;
pub(crate) mod changed;
pub(crate) mod command;
pub(crate) mod connection;
pub mod control;
pub(crate) mod definitions;
pub(crate) mod holders;
pub(crate) mod identity;
pub(crate) mod moment;
pub(crate) mod omitted;
pub(crate) mod pooler_check;
pub mod privileges;
pub(crate) mod query;
pub(crate) mod quote;
