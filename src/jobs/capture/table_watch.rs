//! Looks at tables and slot over an ordinary connection while changes are streamed, and keeps the publications in step with the tables.

use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::jobs::capture::plan::CapturePlan;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::replication::capture_candidate::{CaptureCandidate, TableCapture, UncapturedReason};
use crate::postgres::replication::conditions::ReplicationConditions;
use crate::postgres::replication::log_end::LogEnd;
use crate::postgres::replication::publication::{PublishedTables, run, statements};
use crate::postgres::replication::slot::SlotState;
use crate::postgres::replication::table_shape::TableShape;
use crate::postgres::session::connection::TimedConnection;
use crate::postgres::session::query::column;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How often tables are looked at.
const EVERY: Duration = Duration::from_secs(60);
/// How often slot and log are looked at.
const LOG_EVERY: Duration = Duration::from_secs(5);
/// Most log that is kept for a slot where the server has no limit of its own, in bytes.
const LIMIT: u64 = 10 << 30;

pub(crate) struct TableWatch {
    line: TimedConnection,
    plan: CapturePlan,
    looked: Option<Instant>,
    asked: Option<Instant>,
    /// Statements that the publications need, once the maker of segments has noted the tables.
    due: Vec<String>,
    wal_limit: u64,
}

impl TableWatch {
    pub fn open(plan: &CapturePlan, settings: &ConnectionSettings) -> Result<TableWatch> {
        let mut line = TimedConnection::new(settings.connect("pgbk")?);
        // While it waits nobody reads the stream, and the server does not wait for ever.
        let conditions = line.ask(|client| {
            column(client, "SET lock_timeout = '5s'; SET statement_timeout = '30s'")?;
            ReplicationConditions::ask(client)
        })?;
        let of_server = conditions.slot_keep_megabytes.map(|megabytes| (megabytes << 20) / 4);
        let wal_limit = plan.wal_limit.or(of_server).unwrap_or(LIMIT);
        Ok(TableWatch { line, plan: plan.clone(), looked: None, asked: None, due: Vec::new(), wal_limit })
    }

    /// Returns how many bytes of log the server may keep for the slot.
    pub fn wal_limit(&self) -> u64 {
        self.wal_limit
    }

    pub fn slot(&mut self) -> Result<Option<SlotState>> {
        let slot = self.plan.slot.clone();
        self.line.ask(move |client| SlotState::find(client, &slot))
    }

    /// Returns the slot, and where the server's log ends.
    pub fn log(&mut self) -> Result<(Option<SlotState>, LogEnd)> {
        self.asked = Some(Instant::now());
        let slot = self.plan.slot.clone();
        self.line.ask(move |client| Ok((SlotState::find(client, &slot)?, LogEnd::ask(client)?)))
    }

    /// Returns whether the log is to be looked at.
    pub fn is_log_due(&self) -> bool {
        self.asked.is_none_or(|asked| asked.elapsed() >= LOG_EVERY)
    }

    /// Writes a message into the server's log, so that the stream of a quiet server has an end that lies behind its beginning.
    pub fn mark(&mut self) -> Result<()> {
        let query = "SELECT pg_catalog.pg_logical_emit_message(true, 'pgbk.begin', '')";
        self.line.ask(move |client| column(client, query)).map(drop)
    }

    pub fn is_due(&self) -> bool {
        self.looked.is_none_or(|looked| looked.elapsed() >= EVERY)
    }

    /// Returns the tables as the catalog has them now. One that no publication lists yet is not streamed.
    pub fn look(&mut self) -> Result<Vec<TableShape>> {
        self.looked = Some(Instant::now());
        let names = self.plan.publications.clone();
        let (shapes, due) = self.line.ask(move |client| {
            let published = PublishedTables::ask(client, &names)?;
            let tables = CaptureCandidate::list(client)?;
            let due = statements(&names, &tables, &published);
            let listed = published.changes.unwrap_or_default();
            let is_listed = |table: &&CaptureCandidate| listed.contains(&(table.schema.clone(), table.name.clone()));
            let streamed: BTreeSet<u32> = tables.iter().filter(is_listed).map(|table| table.oid).collect();
            let mut shapes = TableShape::list(client, &tables)?;
            for shape in &mut shapes {
                let is_whole = matches!(shape.capture, TableCapture::Keyed | TableCapture::WholeRow);
                if is_whole && !streamed.contains(&shape.relation.oid) {
                    shape.capture = TableCapture::Uncaptured(UncapturedReason::Unlisted);
                }
            }
            Ok((shapes, due))
        })?;
        self.due = due;
        Ok(shapes)
    }

    /// Brings the publications in step. What is not covered by that has been noted before.
    pub fn publish(&mut self, monitor: &dyn Monitor) {
        let due = std::mem::take(&mut self.due);
        if due.is_empty() {
            return;
        }
        due.iter().for_each(|statement| monitor.info(statement));
        if let Err(error) = self.line.ask(move |client| run(client, &due)) {
            monitor.warn(&format!("the publications are not in step with the tables: {error:#}"));
        }
    }
}
