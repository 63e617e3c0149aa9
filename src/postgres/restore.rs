//! Restores a dump into a database: finds the target, empties it, and loads the script.

pub mod load;
pub(crate) mod present;
pub(crate) mod target;
pub(crate) mod wipe;
