//! PostgreSQL: where the server is and how to get in, the control connection of a backup, and the server's own tools.

mod attempt;
mod child;
pub mod control;
pub mod dump;
mod parameters;
mod passfile;
mod pool;
mod privileges;
mod refusal;
mod service;
pub mod settings;
mod tls;
pub mod tools;

pub use child::ChildEnvironment;
pub use control::{Control, Server, Snapshot, Unreadable, Why};
pub use settings::{Given, Settings};
pub use tools::Tool;
