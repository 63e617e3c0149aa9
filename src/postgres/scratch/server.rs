//! Connections to the server that scratch databases are made on.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::restore::target::MAINTENANCE;
use postgres::Client;

/// Beginning of the name of a scratch database; eight hexadecimal digits follow.
pub const PREFIX: &str = "pgbk_scratch_";
/// The `application_name` of restore tests.
pub const APPLICATION: &str = "pgbk verify";

/// Connects to a database that every server has, and returns the connection with the settings that lead to this one server.
pub fn open(settings: &ConnectionSettings) -> Result<(Client, ConnectionSettings)> {
    let mut found = Err(Fault::failed("no database to connect to").into());
    for database in MAINTENANCE {
        found = settings.for_database(database).connect_pinned(APPLICATION);
        if !matches!(&found, Err(error) if kind(error) == Kind::NotFound) {
            break;
        }
    }
    found
}
