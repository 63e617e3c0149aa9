//! Settings of the server that is backed up.

use crate::base::error::Result;
use crate::cli::settings::ServerArgs;
use crate::config::environment;
use crate::config::environment::plain;
use crate::postgres::connect::settings::{ConnectionOverrides, ConnectionSettings};

pub fn server(args: &ServerArgs) -> Result<ConnectionSettings> {
    let given = ConnectionOverrides {
        host: args.host.clone(),
        port: args.port,
        user: args.user.clone(),
        password: environment::secret("DB_PASSWORD")?,
        named: None,
    };
    ConnectionSettings::resolve(given, &plain)
}
