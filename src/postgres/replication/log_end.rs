//! Asks an ordinary connection where the server's log ends.

use crate::base::error::{Fault, Result};
use crate::format::lsn::Lsn;
use crate::format::pgoutput::message_bytes::time_of_micros;
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::first;
use jiff::Timestamp;
use postgres::Client;

/// Holds where the next record of the log would begin, and the server's clock at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd {
    pub position: Lsn,
    pub time: Timestamp,
}

/// Columns are computed in their order, so what is visible at that time is in the log.
const QUERY: &str = "
    SELECT (EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - '2000-01-01 00:00:00+00'::pg_catalog.timestamptz) * 1000000)::pg_catalog.int8,
           pg_catalog.pg_current_wal_insert_lsn()";

impl LogEnd {
    pub fn ask(client: &mut Client) -> Result<LogEnd> {
        let row = first(client, QUERY)?;
        let read = row.as_ref().and_then(|row| {
            let time = time_of_micros(cell(row, 0)?.parse().ok()?)?;
            Some(LogEnd { position: cell(row, 1)?.parse().ok()?, time })
        });
        read.ok_or_else(|| Fault::failed("the server does not say where its log ends").into())
    }
}
