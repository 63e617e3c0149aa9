//! A backup of globals onto a server: what is missing is made, what is there is brought to what the backup says, nothing is removed.

use crate::error::{Fault, Kind, Result, kind};
use crate::monitor::Monitor;
use crate::postgres::globals::{Applied, Globals, LARGEST};
use crate::postgres::settings::Settings;
use crate::stream::drain;
use crate::vault::Opened;

/// The whole script, verified and understood before a server sees any of it.
pub fn read_globals(opened: Opened, monitor: &dyn Monitor) -> Result<Globals> {
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

pub fn apply_globals(globals: Globals, settings: &Settings) -> Result<Applied> {
    globals.apply(settings).map_err(|error| match error.chain().count() {
        // Nobody waited for the server's answer.
        _ if matches!(kind(&error), Kind::Interrupted(_)) => error,
        // The fault of tablespaces says how far it came.
        2.. => error,
        _ => error.context("nothing was changed"),
    })
}
