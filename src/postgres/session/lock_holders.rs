//! Names the sessions that hold the locks that a restore waits for.

use crate::base::error::Result;
use crate::base::worker;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::restore::target::APPLICATION;
use crate::postgres::session::query::column;
use crate::postgres::session::quote::literal;

/// Returns a line for each of the first five sessions that hold locks on tables of this database: process, role, application, state
/// and start of the transaction, as far as the server shows them to the role.
pub fn holders(settings: &ConnectionSettings) -> Result<Vec<String>> {
    let settings = settings.clone();
    worker::ask(move || {
        let mut client = settings.connect(APPLICATION)?;
        let query = format!(
            "SELECT pg_catalog.format('pid %s of role %I, application %L, %s since %s', a.pid, COALESCE(a.usename, '?'),
                COALESCE(a.application_name, '?'), COALESCE(a.state, '?'), COALESCE(a.xact_start::pg_catalog.text, '?'))
             FROM pg_catalog.pg_stat_activity a
             WHERE a.datname = pg_catalog.current_database() AND a.application_name IS DISTINCT FROM {}
               AND EXISTS (SELECT FROM pg_catalog.pg_locks l
                           WHERE l.pid = a.pid AND l.granted AND l.locktype = 'relation' AND l.relation >= 16384)
             ORDER BY a.xact_start LIMIT 5",
            literal(APPLICATION)
        );
        column(&mut client, &query)
    })?
}
