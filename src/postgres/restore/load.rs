//! Runs a plain dump on a server over the wire: no `psql`, so nothing in a dump can run on this host.
//!
//! The connection's encoding stays UTF-8, which is what the driver can read. A dump in another encoding keeps its bytes all the
//! same: rows are sent as they are with `COPY … (ENCODING …)`, and a statement that is not plain ASCII is sent as bytes which the
//! server itself converts.
//!
//! The server decides where a statement ends: each is sent by itself, in a message that takes one command.

pub(crate) mod beside;
pub(crate) mod block;
pub(crate) mod build_batch;
pub(crate) mod build_runner;
pub(crate) mod build_statement;
pub(crate) mod encoding;
pub(crate) mod existing_objects;
pub(crate) mod extension_notice;
pub(crate) mod failure;
pub(crate) mod header;
pub(crate) mod held_statements;
pub(crate) mod load_omissions;
pub(crate) mod loader;
pub(crate) mod loader_thread;
pub(crate) mod money;
pub mod options;
pub(crate) mod parallel_load;
pub(crate) mod privileges;
pub(crate) mod renamed_tables;
pub mod requirements_check;
pub(crate) mod rows;
pub(crate) mod script;
pub(crate) mod script_pipe;
pub(crate) mod session;
pub(crate) mod setting_statement;
pub(crate) mod side_connection;
pub(crate) mod skipped_statements;
pub(crate) mod statement_action;
pub(crate) mod suggestions;
pub(crate) mod table_rows;

use crate::base::error::Result;
use crate::base::progress::{Monitor, NullMonitor};
use crate::postgres::restore::load::loader::Loader;
use crate::postgres::restore::load::options::{BetweenStep, LoadOptions, LoadReport};
use crate::postgres::restore::load::parallel_load::ParallelLoad;
use postgres::Client;
use std::io::Read;

/// Runs the script in one transaction: all of it, or nothing.
///
/// The first error rolls everything back. The session keeps the settings that the script made, so the connection must not be used
/// for anything else afterwards.
pub fn load(
    client: &mut Client,
    script: &mut dyn Read,
    options: &LoadOptions,
    monitor: &dyn Monitor,
) -> Result<LoadReport> {
    load_around(client, script, options, None, monitor)
}

/// Runs the script in one transaction, as [`load`], with a step between keys and rest where the options hold the rest back.
pub(crate) fn load_around(
    client: &mut Client,
    script: &mut dyn Read,
    options: &LoadOptions,
    between: Option<BetweenStep>,
    monitor: &dyn Monitor,
) -> Result<LoadReport> {
    let loader = Loader::begin(client, options)?.around(between);
    let lacking = loader.lacking.clone();
    loader.run(script, monitor).map_err(|error| money::explained(error, lacking.as_deref()))
}

/// Runs the script with other connections, and commits on the way. After an error the target holds a part of it.
pub(crate) fn load_in_parallel(
    client: &mut Client,
    parallel: ParallelLoad,
    script: &mut dyn Read,
    options: &LoadOptions,
) -> Result<LoadReport> {
    let loader = Loader::begin(client, options)?.with(parallel);
    let lacking = loader.lacking.clone();
    loader.run(script, &NullMonitor).map_err(|error| money::explained(error, lacking.as_deref()))
}
