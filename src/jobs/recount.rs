//! What a database holds, told as a backup's `.meta` tells it.

use crate::error::{Fault, Result};
use crate::manifest::{Manifest, ServerNote};
use crate::monitor::Monitor;
use crate::postgres::dump;
use crate::postgres::preamble;
use crate::postgres::settings::Settings;
use crate::postgres::tools;
use crate::process::ChildReader;
use crate::stream::drain;
use crate::stream::tables::{Outcome, Tables};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// A dump that writes nothing for so long has stopped.
const STALL: Duration = Duration::from_secs(3600);

/// What a database holds.
pub struct Recounted {
    pub found: Outcome,
    /// A program of this major version made the backup, of a server of the same: then it words what it makes alike.
    pub is_worded_alike: bool,
}

/// Dumps the database as the backup was dumped, through the counter that counted for its `.meta`, under the same key; nothing is stored.
///
/// That is a proof: `pg_dump` writes the rows of a table in the order in which they lie, and a restore lays them down in the order
/// in which the backup has them, for each COPY goes into a table that the same transaction has made, whose free space nobody
/// looks for. So the same rows give the same bytes, and one byte that did not come back as it was gives another BLAKE2b. What
/// else the text of a value depends on is taken over: the user's arguments, the encoding, and the settings of the session.
pub fn recount(
    manifest: &Manifest,
    mut tables: Tables,
    scratch: &Settings,
    server_major: u32,
    bin_dir: Option<&Path>,
    monitor: &dyn Monitor,
) -> Result<Recounted> {
    let pg_dump = tools::find("pg_dump", server_major, bin_dir)?;
    let server = manifest.server.as_ref();
    let mut session = server.map(|server| (*server.session).clone()).unwrap_or_default();
    // Before format 2 a dump was in whatever encoding the role or the database asked for.
    if let Some(server) = server.filter(|_| manifest.pgbk >= 2) {
        session.insert("client_encoding".to_owned(), server.encoding.as_str().to_owned());
    }
    session.extend(preamble::unhurried(server_major));
    let environment = scratch.with_session(&session).child_environment()?;
    let mut arguments = dump::again(&manifest.dump.arguments)?;
    if manifest.server.as_ref().is_some_and(|server| server.in_recovery) {
        // A standby has no rows of unlogged tables, and pg_dump passes over them there.
        arguments.push("--no-unlogged-table-data".to_owned());
    }
    monitor.begin(&format!("compare {}", manifest.id), Some(manifest.plain.bytes));
    let mut dump = ChildReader::spawn(&pg_dump.path, &arguments, &environment, STALL)?;
    let count = |dump: &mut dyn Read| {
        drain(dump, monitor, |bytes| {
            tables.update(bytes);
            Ok(())
        })
    };
    let ((), remarks) = dump.through(count)?;
    monitor.end();
    remarks.tell(monitor);
    let found = tables.finish();
    if found.more_tables {
        return Err(Fault::failed(format!(
            "what {} was restored to has more tables than a .meta can list",
            manifest.id
        ))
        .into());
    }
    Ok(Recounted { found, is_worded_alike: is_worded_alike(manifest, pg_dump.major, server_major) })
}

fn is_worded_alike(manifest: &Manifest, ours: u32, server_major: u32) -> bool {
    let of = |version: &str| version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    let theirs = manifest.tools.pg_dump.as_deref().and_then(of);
    theirs == Some(ours) && manifest.server.as_ref().map(ServerNote::major) == Some(server_major)
}
