//! Looks at tables and slot over an ordinary connection while changes are streamed, and keeps the publications in step with the tables.
//!
//! The catalog is ahead of the stream. So what a look found counts from a transaction on that is made after it: the mark.

use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::jobs::capture::plan::CapturePlan;
use crate::jobs::capture::round_end::{RoundEnd, RoundResult};
use crate::jobs::capture::sequence_look::SequenceLook;
use crate::jobs::capture::table_look::TableLook;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::replication::capture_candidate::{CaptureCandidate, TableCapture, UncapturedReason};
use crate::postgres::replication::conditions::ReplicationConditions;
use crate::postgres::replication::log_end::LogEnd;
use crate::postgres::replication::publication::{Publications, PublishedTables, moved, run, statements};
use crate::postgres::replication::sequence_list;
use crate::postgres::replication::slot::SlotState;
use crate::postgres::replication::table_shape::TableShape;
use crate::postgres::session::connection::TimedConnection;
use crate::postgres::session::large_object_count::large_object_count;
use crate::postgres::session::query::{column, text};
use postgres::Client;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How often tables and slot are looked at, and how often at most.
const EVERY: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(1);
/// How often slot and log are looked at.
const LOG_EVERY: Duration = Duration::from_secs(5);
/// Most log that is kept for a slot where the server has no limit of its own, in bytes.
const LIMIT: u64 = 10 << 30;
/// The prefix of the message that says which tables were taken into a publication, or out of it.
pub(crate) const LISTED: &[u8] = b"pgbk.listed";

pub(crate) struct TableWatch {
    line: TimedConnection,
    plan: CapturePlan,
    looked: Option<Instant>,
    asked: Option<Instant>,
    /// How long the last look took.
    took: Duration,
    /// Whether a look is wanted before its time.
    is_wanted: bool,
    /// Whether the next look needs a mark, whatever it finds.
    needs_mark: bool,
    /// The tables as the last look found them.
    last: BTreeMap<u32, TableShape>,
    /// Tables that transactions had written to, with the number of the first one that had not begun by then.
    written: BTreeMap<u32, u64>,
    /// When the publications could not be brought in step, and what was told of it.
    failed: Option<(Instant, String)>,
    /// Holds what was told of sequences that could not be read, since they last could.
    unread: Option<String>,
    wal_limit: u64,
    in_recovery: bool,
}

impl TableWatch {
    pub fn open(plan: &CapturePlan, settings: &ConnectionSettings) -> Result<TableWatch> {
        let mut line = TimedConnection::new(settings.connect("pgbk")?);
        // While it waits nobody reads the stream, and the server does not wait for ever.
        let conditions = line.ask(|client| {
            column(client, "SET lock_timeout = '5s'; SET statement_timeout = '30s'; SET jit = off")?;
            ReplicationConditions::ask(client)
        })?;
        let of_server = conditions.slot_keep_megabytes.map(|megabytes| (megabytes << 20) / 4);
        let wal_limit = plan.wal_limit.or(of_server).unwrap_or(LIMIT);
        Ok(TableWatch {
            line,
            plan: plan.clone(),
            looked: None,
            asked: None,
            took: Duration::ZERO,
            is_wanted: false,
            needs_mark: true,
            last: BTreeMap::new(),
            written: BTreeMap::new(),
            failed: None,
            unread: None,
            wal_limit,
            in_recovery: conditions.in_recovery,
        })
    }

    /// Fails if the server is a standby, which may be promoted soon.
    pub fn require_primary(&self) -> RoundResult<()> {
        match self.in_recovery {
            false => Ok(()),
            true => Err(RoundEnd::Passing(
                Fault::failed("the server is a standby, and changes are captured from its primary")
                    .hint("let DB_HOST name the primary, or wait until this server is promoted")
                    .into(),
            )),
        }
    }

    /// Returns how many bytes of log the server may keep for the slot.
    pub fn wal_limit(&self) -> u64 {
        self.wal_limit
    }

    pub fn slot(&mut self) -> Result<Option<SlotState>> {
        let slot = self.plan.slot.clone();
        self.line.ask(move |client| SlotState::find(client, &slot))
    }

    /// Returns the slot, where the server's log ends, and how many changes of large objects it counts.
    pub fn log(&mut self) -> Result<(Option<SlotState>, LogEnd, u64)> {
        self.asked = Some(Instant::now());
        let slot = self.plan.slot.clone();
        self.line
            .ask(move |client| Ok((SlotState::find(client, &slot)?, LogEnd::ask(client)?, large_object_count(client)?)))
    }

    /// Returns whether the log is to be looked at.
    pub fn is_log_due(&self) -> bool {
        self.asked.is_none_or(|asked| asked.elapsed() >= LOG_EVERY)
    }

    /// Asks for a look as soon as it may be. `needs_mark`: it has to be followed by a transaction, whatever it finds.
    pub fn want(&mut self, needs_mark: bool) {
        self.is_wanted = true;
        self.needs_mark |= needs_mark;
    }

    pub fn is_due(&self) -> bool {
        // Where there are very many tables, nobody reads the stream for a while.
        let soon = SOON.max(self.took.saturating_mul(10)).min(EVERY);
        let patience = if self.is_wanted { soon } else { EVERY };
        self.looked.is_none_or(|looked| looked.elapsed() >= patience)
    }

    /// Brings the publications in step with the tables, and returns these as the catalog has them now. The sequences are read last: behind
    /// the mark no transaction is left that the stream has before it.
    pub fn look(&mut self, monitor: &dyn Monitor) -> Result<(TableLook, SequenceLook)> {
        let begun = Instant::now();
        (self.looked, self.is_wanted) = (Some(begun), false);
        self.publish(monitor)?;
        let names = self.plan.publications.clone();
        let (LogEnd { position: at, time }, (first, next), mut shapes) =
            self.line.ask(move |client| list(client, &names))?;
        self.settle_writers(&mut shapes, first, next);
        let is_same = |shape: &TableShape| self.last.get(&shape.relation.oid).is_some_and(|last| !shape.is_news(last));
        let is_news = self.needs_mark || shapes.len() != self.last.len() || !shapes.iter().all(is_same);
        let mark = if is_news { Some(self.mark()?) } else { None };
        let sequences = self.sequences(monitor)?;
        (self.needs_mark, self.took) = (false, begun.elapsed());
        self.last = shapes.iter().map(|shape| (shape.relation.oid, shape.clone())).collect();
        Ok((TableLook { at, time, shapes, mark }, sequences))
    }

    /// Reads the sequences. Where that fails rows are captured on, and a restore has the sequences of an earlier segment.
    fn sequences(&mut self, monitor: &dyn Monitor) -> Result<SequenceLook> {
        let (at, found) = self.line.ask(|client| Ok((LogEnd::ask(client)?.position, sequence_list::list(client))))?;
        let failed = found.as_ref().err().map(|error| format!("the sequences cannot be read: {error:#}"));
        if let Some(text) = failed.as_ref().filter(|text| self.unread.as_ref() != Some(text)) {
            monitor.warn(text);
        }
        self.unread = failed;
        Ok(SequenceLook { at, found: found.ok() })
    }

    /// Changes the publications to what they should list. The stream tells, at the place of the change, which tables it is about.
    fn publish(&mut self, monitor: &dyn Monitor) -> Result<()> {
        let names = self.plan.publications.clone();
        let (mut due, moved) = self.line.ask(move |client| {
            let published = PublishedTables::ask(client, &names)?;
            let tables = CaptureCandidate::list(client)?;
            Ok((statements(&names, &tables, &published), moved(&tables, &published)))
        })?;
        let has_failed = self.failed.as_ref().is_some_and(|(when, _)| when.elapsed() < EVERY);
        if due.is_empty() || has_failed {
            return Ok(());
        }
        due.iter().for_each(|statement| monitor.info(statement));
        let moved: Vec<String> = moved.iter().map(u32::to_string).collect();
        let prefix = String::from_utf8_lossy(LISTED);
        due.push(format!("SELECT pg_catalog.pg_logical_emit_message(true, '{prefix}', '{}')", moved.join(" ")));
        // Who writes now may have written before the change.
        self.written.clear();
        let failed = self.line.ask(move |client| run(client, &due)).err();
        let failed = failed.map(|error| format!("the publications are not in step with the tables: {error:#}"));
        let told = self.failed.take().map(|(_, told)| told);
        if let Some(text) = failed {
            if told.as_ref() != Some(&text) {
                monitor.warn(&text);
            }
            self.failed = Some((Instant::now(), text));
        }
        Ok(())
    }

    /// Leaves those tables written to whose writers may have begun before their changes were streamed. `first`: the first transaction that
    /// is going on; `next`: the first one that has not begun.
    fn settle_writers(&mut self, shapes: &mut [TableShape], first: u64, next: u64) {
        let written = std::mem::take(&mut self.written);
        for shape in shapes.iter_mut().filter(|shape| shape.is_written) {
            let since = written.get(&shape.relation.oid).copied().unwrap_or(next);
            shape.is_written = first < since;
            self.written.insert(shape.relation.oid, since);
        }
    }

    /// Makes a transaction that the stream has, and returns the lower half of its number.
    fn mark(&mut self) -> Result<u32> {
        let query = "SELECT pg_catalog.txid_current() & 4294967295 FROM pg_catalog.pg_logical_emit_message(true, 'pgbk.look', '')";
        let xid = self.line.ask(move |client| text(client, query))?;
        Ok(xid.parse().map_err(|_| Fault::failed("the server gave no number of a transaction"))?)
    }
}

type FoundTables = (LogEnd, (u64, u64), Vec<TableShape>);

/// Lists all tables, as of one moment. One that no publication lists is not streamed. Returns a place of the log and a time before
/// that moment, and the first transactions that are going on and that have not begun.
fn list(client: &mut Client, names: &Publications) -> Result<FoundTables> {
    let end = LogEnd::ask(client)?;
    column(client, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    let snapshot = text(client, "SELECT pg_catalog.txid_current_snapshot()")?;
    let published = PublishedTables::ask(client, names)?;
    let tables = CaptureCandidate::list(client)?;
    let mut shapes = TableShape::list(client, &tables)?;
    column(client, "COMMIT")?;
    let listed = published.changes.unwrap_or_default();
    let is_listed = |table: &&CaptureCandidate| listed.contains(&(table.schema.clone(), table.name.clone()));
    let streamed: BTreeSet<u32> = tables.iter().filter(is_listed).map(|table| table.oid).collect();
    for shape in &mut shapes {
        let is_whole = matches!(shape.capture, TableCapture::Keyed | TableCapture::WholeRow);
        if is_whole && !streamed.contains(&shape.relation.oid) {
            shape.capture = TableCapture::Uncaptured(UncapturedReason::Unlisted);
        }
    }
    let mut parts = snapshot.split(':').map(str::parse::<u64>);
    match (parts.next(), parts.next()) {
        (Some(Ok(first)), Some(Ok(next))) => Ok((end, (first, next), shapes)),
        _ => Err(Fault::failed("the server gave no snapshot").into()),
    }
}
