//! Identifies the server that settings lead to.

use crate::base::error::{Fault, Result};
use crate::base::worker;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::restore::target::MAINTENANCE;
use crate::postgres::session::cell::first_values;
use ::postgres::Client;

const APPLICATION: &str = "pgbk";

/// Returns the server's system identifier; `None` if this role may not ask for it. It is an error if no server answers.
pub fn of_server(settings: &ConnectionSettings) -> Result<Option<String>> {
    let settings = settings.clone();
    worker::ask(move || {
        let mut last = None;
        // The database itself need not be there yet.
        for database in MAINTENANCE.into_iter().chain([settings.database()]) {
            match settings.for_database(database).connect(APPLICATION) {
                Ok(mut client) => return Ok(identifier(&mut client)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Fault::failed("no database to connect to").into()))
    })?
}

fn identifier(client: &mut Client) -> Option<String> {
    let answer = client.simple_query("SELECT system_identifier FROM pg_catalog.pg_control_system()").ok()?;
    first_values(answer).next()
}
