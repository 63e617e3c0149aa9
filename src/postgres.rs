//! PostgreSQL: where the server is and how to get in, the control connection of a backup, the server's own tools, and the target of
//! a restore.

mod apart;
mod attempt;
mod cell;
pub mod changed;
mod child;
mod command;
mod contents;
pub mod control;
mod definitions;
pub mod dump;
pub mod globals;
pub mod holders;
mod hurried;
pub mod identity;
mod keepalive;
mod line;
pub mod load;
pub mod locks;
mod omitted;
mod parameters;
mod passfile;
mod pool;
pub mod preamble;
mod privileges;
pub mod properties;
mod refusal;
pub mod scratch;
mod service;
pub mod settings;
pub mod shape;
pub mod target;
mod tls;
pub mod tools;
mod transport;

pub use control::{Control, Server, Snapshot, Unreadable, Why};
pub use parameters::variable_of;
pub use settings::{Given, Settings};
pub use tools::Tool;
