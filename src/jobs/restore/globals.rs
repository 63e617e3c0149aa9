//! Restores globals to a server: makes what is missing, brings what is there to what the backup says, and removes nothing.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::pipeline::drain;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::globals::{Globals, GlobalsReport, LARGEST};
use crate::repository::reader::BackupReader;

/// Reads the whole script, verified and parsed before a server sees any of it.
pub fn read_globals(opened: BackupReader, monitor: &dyn Monitor) -> Result<Globals> {
    let (id, bytes) = (opened.manifest.id.clone(), opened.manifest.plain.bytes);
    if bytes > LARGEST {
        return Err(Fault::failed(format!("{id} has {bytes} bytes, which no server's globals have"))
            .hint("\"pgbk download\" writes it to a file for psql")
            .into());
    }
    let mut script = Vec::new();
    drain(&mut opened.plain()?, monitor, |bytes| {
        script.extend_from_slice(bytes);
        Ok(())
    })?;
    Globals::parse(&script).map_err(|error| error.context(id.to_string()))
}

pub fn apply_globals(globals: Globals, settings: &ConnectionSettings) -> Result<GlobalsReport> {
    globals.apply(settings).map_err(|error| match error.chain().count() {
        // Nobody waited for the server's answer.
        _ if matches!(kind(&error), Kind::Interrupted(_)) => error,
        // The fault of tablespaces says how far it came.
        2.. => error,
        _ => error.context("nothing was changed"),
    })
}
