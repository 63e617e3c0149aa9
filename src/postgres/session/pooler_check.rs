//! Detects a connection pool that lends a server connection for one transaction only.

use crate::base::error::{Fault, Result};
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::first;
use postgres::Client;
use std::hash::{BuildHasher, RandomState};

/// Fails if the connection leads to such a pool. Behind one, a second connection meets the server process of the first, or what the
/// first left in it: the first has no open transaction meanwhile, so that the pool may lend its server process.
pub(crate) fn refuse(client: &mut Client, settings: &ConnectionSettings) -> Result<()> {
    let mark = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
    client.batch_execute(&format!("SET pgbk.session = '{mark}'"))?;
    let own = session(client)?;
    let mut other = settings.connect("pgbk")?;
    let others = session(&mut other)?;
    let again = session(client)?;
    if own == again && own.process != others.process && others.mark != mark {
        return Ok(());
    }
    // Others are lent these next, who expect the path of their own.
    for lent in [client, &mut other] {
        lent.batch_execute("RESET ALL")?;
    }
    let message = format!(
        "{} shares server connections between clients, as PgBouncer does in transaction pooling: no lock or snapshot holds there",
        settings.describe()
    );
    Err(Fault::usage(message)
        .hint("let DB_HOST and DB_PORT name the server itself (often port 5432) or a pool with pool_mode=session")
        .into())
}

#[derive(PartialEq)]
struct PoolerSession {
    process: String,
    mark: String,
}

fn session(client: &mut Client) -> Result<PoolerSession> {
    let row = first(client, "SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_setting('pgbk.session', true)")?;
    let value = |index: usize| row.as_ref().and_then(|row| cell(row, index)).unwrap_or_default().to_owned();
    Ok(PoolerSession { process: value(0), mark: value(1) })
}
