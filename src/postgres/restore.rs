//! Restores a dump into a database: finds the target, empties it, and loads the script.

pub mod load;
pub(crate) mod present;
pub mod replay;
pub(crate) mod target;
pub(crate) mod wipe;
