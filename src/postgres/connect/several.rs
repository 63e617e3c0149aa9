//! Opens several connections at a time, where fewer will do.

use crate::base::cancel;
use crate::base::error::Result;
use crate::base::progress::Monitor;

/// Has `connect` open as many connections as are wanted, or fewer, which people are told. `purpose` says what they do.
pub(crate) fn open_several<T>(
    wanted: usize,
    purpose: &str,
    monitor: &dyn Monitor,
    connect: impl Fn() -> Result<T>,
) -> Result<Vec<T>> {
    let mut open = Vec::new();
    while open.len() < wanted {
        match connect() {
            Ok(connection) => open.push(connection),
            Err(error) => {
                // What a signal kept from connecting is no limit of the server.
                cancel::check()?;
                monitor.warn(&format!("{} of {wanted} connections {purpose}: {error:#}", open.len()));
                break;
            }
        }
    }
    Ok(open)
}
