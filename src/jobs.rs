//! The work itself. A job knows no flags, prints nothing, and reads no environment.

pub mod backup;
pub mod doctor;
pub mod prune;
pub mod recount;
pub mod restore;
pub mod schedule;
pub mod tag;
pub mod transfer;
pub mod verify;
