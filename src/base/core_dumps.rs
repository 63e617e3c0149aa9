//! Core dumps: they are disabled, for memory holds keys and passwords.

use crate::base::error::Result;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use std::io;

/// Disables core dumps here and, through `RLIMIT_CORE`, in children. A process that is not dumpable is not handed to the system's
/// core handler either, and its environment is hidden from other processes of the same user.
pub fn forbid() -> Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(io::Error::from)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(io::Error::from)?;
    Ok(())
}
