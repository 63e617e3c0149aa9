//! Does the work of a run. A job knows no flags, prints nothing, and reads no environment.

pub(crate) mod backup;
pub(crate) mod capture;
pub mod lifecycle_tags;
pub mod prune;
pub(crate) mod restore;
pub(crate) mod restore_test;
pub(crate) mod transfer;
pub mod verify;
