//! Core dumps: there are none, for memory holds keys and passwords.

use crate::error::Result;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use std::io;

/// For this process and, by the limit, for all that it starts. What a handler of the system's collects goes by the other flag,
/// which also hides the environment from other processes of the same user.
pub fn forbid() -> Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(io::Error::from)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(io::Error::from)?;
    Ok(())
}
