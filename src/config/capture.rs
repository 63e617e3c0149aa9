//! Settings of a capture.

use crate::base::databases::Databases;
use crate::base::error::{Fault, Result};
use crate::base::subject::Subject;
use crate::cli::capture_args::CaptureArgs;
use crate::config;
use crate::jobs::capture::plan::{CapturePlan, publications, slot_name};

/// Returns what a capture has to do. It is an error if not one database is named.
pub fn plan(args: &CaptureArgs) -> Result<CapturePlan> {
    let server = config::server::server(&args.server)?;
    let named = Databases::of(&args.databases)?;
    let found = match (&named, server.named_database()) {
        (Some(databases), _) => databases.only().cloned(),
        (None, Some(name)) => Some(Subject::from(name)),
        (None, None) => None,
    };
    let database = found.as_ref().and_then(Subject::database).ok_or_else(unnamed)?.name();
    let slot = args.slot.as_deref().map_or_else(|| slot_name(database), str::parse)?;
    Ok(CapturePlan {
        settings: server.for_database(database),
        slot,
        publications: publications()?,
        compression: config::pipeline::compression(&args.pipeline)?,
        interval: args.interval,
        bytes: args.bytes,
        wal_limit: args.wal_limit,
    })
}

fn unnamed() -> Fault {
    Fault::usage("a capture is of one database, and not one is named")
        .hint("say pgbk capture DB, or set DB_NAME to one database")
}
