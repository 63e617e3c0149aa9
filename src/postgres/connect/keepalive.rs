//! Has the kernel probe idle connections, to notice a server that has vanished. The control connection is idle for as long as the
//! dump takes, and one of a restore for as long as an index; firewalls forget such connections within minutes.

use crate::base::error::Result;
use crate::postgres::connect::parameters::Parameters;
use std::time::Duration;
use tokio_postgres::Config;

/// Keepalive settings in seconds and probes: three minutes in all. libpq by itself leaves it to the kernel, which first probes
/// after two hours.
const DEFAULTS: [(&str, u32); 3] = [("keepalives_idle", 60), ("keepalives_interval", 15), ("keepalives_count", 8)];

pub(crate) fn set(config: &mut Config, parameters: &Parameters) -> Result<()> {
    let [idle, interval, count] = DEFAULTS;
    let number = |(keyword, default)| Ok::<_, anyhow::Error>(parameters.number(keyword)?.unwrap_or(default).max(1));
    config.keepalives(parameters.number("keepalives")?.unwrap_or(1) != 0);
    config.keepalives_idle(Duration::from_secs(number(idle)?.into()));
    config.keepalives_interval(Duration::from_secs(number(interval)?.into()));
    config.keepalives_retries(number(count)?);
    // For what was sent and not acknowledged. It also counts while a server that lives takes nothing, which a restore may have to
    // wait for; so the kernel's own limit holds unless somebody says another.
    if let Some(milliseconds) = parameters.number("tcp_user_timeout")?.filter(|time| *time > 0) {
        config.tcp_user_timeout(Duration::from_millis(milliseconds.into()));
    }
    Ok(())
}

/// Returns the keepalive settings for PostgreSQL's own programs, without those that somebody has set.
pub(crate) fn for_children(parameters: &Parameters) -> impl Iterator<Item = (&'static str, String)> {
    let unsaid = DEFAULTS.iter().filter(|(keyword, _)| parameters.get(keyword).is_none());
    unsaid.map(|(keyword, default)| (*keyword, default.to_string()))
}

/// Longest wait for a connection, in seconds: a server that accepts and then sends nothing must not hold a run for ever.
/// `PGCONNECT_TIMEOUT=0` waits without a limit, as libpq does.
pub(crate) const CONNECT_TIMEOUT: u32 = 30;
