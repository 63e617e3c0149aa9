//! Moves a dump into its backup.

use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::pipeline::drain;
use crate::repository::writer::BackupWriter;
use std::io::{Read, Write};

pub const STALLED: &str = "the server may wait for a lock or be very slow; DUMP_STALL_TIMEOUT sets how long to wait";

/// Writes the whole dump to the backup.
pub fn store(dump: &mut dyn Read, writer: &mut BackupWriter<'_>, monitor: &dyn Monitor) -> Result<()> {
    drain(dump, monitor, |bytes| {
        writer.write_all(bytes)?;
        monitor.stored(writer.stored());
        Ok(())
    })
}
