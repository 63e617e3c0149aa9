//! Connects for replication, by all rules of pgbk's other connections, and runs the commands that only such a connection knows.

use crate::base::cancel;
use crate::base::error::{Fault, Result};
use crate::format::changes::replication_names::{PublicationName, SlotName};
use crate::format::changes::timeline_history::TimelineSwitch;
use crate::format::lsn::Lsn;
use crate::postgres::connect::plan::{self, ConnectPlan};
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::connect::transport::replication_driver::ReplicationDriver;
use crate::postgres::replication::change_stream::ChangeStream;
use crate::postgres::replication::names::publication_names;
use crate::postgres::replication::slot::{self, FAILOVER_SINCE};
use crate::postgres::replication::timeline;
use crate::postgres::replication::wire_connection::{ANSWER, WireConnection, WireRow};
use crate::postgres::session::quote::literal;
use anyhow::Context;
use std::time::Duration;

/// Runs commands of replication and simple queries in one database. Every wait ends at a signal and at the end of the run's time.
pub struct ReplicationConnection {
    connection: WireConnection,
    /// Settings that lead to this one server.
    settings: ConnectionSettings,
    version_num: u32,
    /// The server's process of this connection.
    process: String,
    /// How the database writes text. The stream's text is in it, too, as pg_dump's is.
    encoding: String,
}

/// Says which server it is and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationIdentity {
    pub system_identifier: String,
    pub timeline: u32,
    /// The end of the server's log on its disk.
    pub flushed: Lsn,
    pub database: String,
}

/// Says how a slot is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SlotOptions {
    /// Whether standbys keep the slot, so that a promoted one goes on with it. Servers before 17 cannot, and refuse it.
    pub failover: bool,
    /// Whether the server exports a snapshot of the moment at which the slot begins. It holds until the connection's next command.
    pub export_snapshot: bool,
}

/// Holds what the server said of a slot that it has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedSlot {
    /// Transactions that commit from here on are streamed.
    pub consistent: Lsn,
    /// The exported snapshot, if one was asked for.
    pub snapshot: Option<String>,
}

impl ConnectionSettings {
    /// Connects to the first server that answers and fits, for replication and SQL in the database.
    pub fn open_for_replication(&self, application: &str) -> Result<ReplicationConnection> {
        let driver = ReplicationDriver::new().context("cannot prepare a connection")?;
        let opened = plan::by(&ConnectPlan::of(self, application, driver)?)?;
        let (at, settings) = (opened.endpoint.to_string(), self.at(&opened.endpoint));
        let wire = opened.client.into_wire().with_context(|| format!("cannot go on with the connection to {at}"))?;
        let mut connection = WireConnection::new(wire, at);
        // What else decides how values are written, the preamble has set.
        let facts =
            "SET TimeZone = 'UTC'; SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_setting('server_encoding')";
        let facts = one(connection.query(facts, "set up a connection", ANSWER)?)?;
        let (process, encoding) = (value(&facts, 0)?.to_owned(), value(&facts, 1)?.to_owned());
        Ok(ReplicationConnection { connection, settings, version_num: opened.before.version_num, process, encoding })
    }
}

impl ReplicationConnection {
    /// Returns the server's version as a number, such as 150018.
    pub fn version_num(&self) -> u32 {
        self.version_num
    }

    /// Returns the encoding of the database, in which the stream's text is.
    pub fn encoding(&self) -> &str {
        &self.encoding
    }

    /// Returns settings that lead to this one server.
    pub fn settings(&self) -> &ConnectionSettings {
        &self.settings
    }

    /// Runs statements and returns the rows of all of them. A value is `None` if it is NULL.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        self.connection.query(sql, "run a query", ANSWER)
    }

    /// Asks the server who it is.
    pub fn identify(&mut self) -> Result<ReplicationIdentity> {
        let row = one(self.connection.query("IDENTIFY_SYSTEM", "identify the server", ANSWER)?)?;
        Ok(ReplicationIdentity {
            system_identifier: value(&row, 0)?.to_owned(),
            timeline: value(&row, 1)?.parse().context("timeline")?,
            flushed: value(&row, 2)?.parse()?,
            database: value(&row, 3)?.to_owned(),
        })
    }

    /// Returns where the timelines before this one ended, the oldest first. The first timeline has none before it.
    pub fn timeline_history(&mut self, timeline: u32) -> Result<Vec<TimelineSwitch>> {
        if timeline <= 1 {
            return Ok(Vec::new());
        }
        let command = format!("TIMELINE_HISTORY {timeline}");
        let row = one(self.connection.query(&command, &format!("read the history of timeline {timeline}"), ANSWER)?)?;
        timeline::read_history(value(&row, 1)?)
    }

    /// Makes a slot that decodes by `pgoutput`. The server first waits until every transaction that writes now is over. If that takes
    /// longer than `limit`, or a signal comes, the slot is not left behind.
    pub fn create_slot(&mut self, slot: &SlotName, options: SlotOptions, limit: Duration) -> Result<CreatedSlot> {
        let command = create(slot, options, self.version_num)?;
        let made = self.connection.query(&command, &format!("make replication slot \"{slot}\""), limit);
        let row = match made {
            Ok(rows) => one(rows)?,
            Err(error) if self.connection.is_busy() => {
                self.abandon(slot);
                return Err(unfinished(error));
            }
            Err(error) => return Err(error),
        };
        let snapshot = row.get(2).cloned().flatten();
        Ok(CreatedSlot { consistent: value(&row, 1)?.parse()?, snapshot })
    }

    /// Drops a slot; waits until nobody streams from it.
    pub fn drop_slot(&mut self, slot: &SlotName, limit: Duration) -> Result<()> {
        let command = format!("DROP_REPLICATION_SLOT {} WAIT", slot.quoted());
        self.connection.query(&command, &format!("drop replication slot \"{slot}\""), limit).map(drop)
    }

    /// Begins to stream what has been committed since `from`, or since what was confirmed last, if that is later.
    pub fn stream(mut self, slot: &SlotName, from: Lsn, publications: &[PublicationName]) -> Result<ChangeStream> {
        let tried = format!("stream from replication slot \"{slot}\"");
        let is_foreign = |name: &&PublicationName| self.encoding != "UTF8" && !name.as_str().is_ascii();
        if let Some(name) = publications.iter().find(is_foreign) {
            let message =
                format!("publication \"{name}\" cannot be named in a database with encoding {}", self.encoding);
            return Err(Fault::usage(message).hint("give the publication a name of ASCII characters").into());
        }
        // Text then comes as the database holds it, and nothing of it can fail to be converted.
        let encoding = format!("SET client_encoding = {}", literal(&self.encoding));
        self.connection.query(&encoding, &tried, ANSWER)?;
        self.connection.begin_stream(&start(slot, from, publications, self.version_num), &tried)?;
        Ok(ChangeStream::new(self.connection, tried))
    }

    /// Ends the making of a slot: the server's process would go on with it, and nobody would know of the slot.
    fn abandon(&self, slot: &SlotName) {
        // Who cannot be reached keeps it; its name tells whose it is.
        if let Ok(mut client) = self.settings.connect_to_clear_up("pgbk") {
            let _ = slot::abandon(&mut client, slot, &self.process);
        }
    }
}

/// Returns the command that makes a slot. From 15 on options are in parentheses; those of before are known as well.
fn create(slot: &SlotName, options: SlotOptions, version_num: u32) -> Result<String> {
    let SlotOptions { failover, export_snapshot } = options;
    if failover && version_num < FAILOVER_SINCE {
        return Err(Fault::usage("this server cannot keep a slot on its standbys: PostgreSQL 17 and newer can").into());
    }
    let quoted = slot.quoted();
    Ok(match (failover, export_snapshot) {
        (false, false) => format!("CREATE_REPLICATION_SLOT {quoted} LOGICAL pgoutput NOEXPORT_SNAPSHOT"),
        (false, true) => format!("CREATE_REPLICATION_SLOT {quoted} LOGICAL pgoutput EXPORT_SNAPSHOT"),
        (true, export) => {
            let snapshot = if export { "export" } else { "nothing" };
            format!("CREATE_REPLICATION_SLOT {quoted} LOGICAL pgoutput (SNAPSHOT '{snapshot}', FAILOVER true)")
        }
    })
}

/// Returns the command that begins to stream. Messages that applications write into the log come from 14 on.
fn start(slot: &SlotName, from: Lsn, publications: &[PublicationName], version_num: u32) -> String {
    let messages = if version_num >= 140_000 { ", messages 'true'" } else { "" };
    let (slot, names) = (slot.quoted(), publication_names(publications));
    format!("START_REPLICATION SLOT {slot} LOGICAL {from} (proto_version '1', {names}{messages})")
}

/// Returns the error of a slot that was not made in time.
fn unfinished(error: anyhow::Error) -> anyhow::Error {
    if cancel::check().is_err() {
        return error;
    }
    let message = format!("{error:#}");
    Fault::like(&error, message)
        .hint("the server waits for the end of each transaction that writes: SELECT pid, xact_start, query FROM pg_stat_activity WHERE backend_xid IS NOT NULL")
        .into()
}

fn one(rows: Vec<WireRow>) -> Result<WireRow> {
    rows.into_iter().next().ok_or_else(|| Fault::failed("the server's answer has no row").into())
}

fn value(row: &WireRow, index: usize) -> Result<&str> {
    let value = row.get(index).and_then(Option::as_deref);
    value.ok_or_else(|| Fault::failed("the server's answer lacks a value").into())
}

#[cfg(test)]
mod tests;
