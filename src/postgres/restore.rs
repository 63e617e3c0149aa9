//! Puts a dump into a database: the target, its emptying, and the loading of a script.

pub mod load;
pub(crate) mod target;
pub(crate) mod wipe;
