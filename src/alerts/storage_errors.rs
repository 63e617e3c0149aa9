//! Says what could not be kept of alerts, and why.

use crate::base::error::{Fault, Result};
use crate::base::state_dir::file::StateFile;

/// Writes a file of alerts as a whole or not at all.
pub fn write(file: &StateFile, text: &[u8]) -> Result<()> {
    file.write(text).map_err(|why| {
        Fault::failed(format!("cannot write \"{file}\": {why}"))
            .hint("STATE_DIR names a folder that pgbk may write to")
            .into()
    })
}
