//! PostgreSQL: how to reach a server, the control connection of a backup, the server's own tools, and the target of a restore.

pub mod anonymise;
pub mod connect;
pub mod globals;
pub(crate) mod parallel;
pub(crate) mod properties;
pub mod replication;
pub mod restore;
pub(crate) mod scratch;
pub mod session;
pub(crate) mod shape;
pub mod tools;
