//! Replays changes in a database that was restored up to its keys, by one connection.
//!
//! Statements go to the server many in one message, those of one shape prepared, and runs of rows by COPY. Some thousand transactions of the
//! source are one here: all versions of a row that is updated again and again would be searched each time otherwise, and a commit of each
//! takes longer than the changes. What came of it is dropped by whoever made the database if it ends early.

pub(crate) mod escaped_text;
pub(crate) mod identity_columns;
pub(crate) mod prepared_statements;
pub mod sequence_setting;
pub(crate) mod statement_batch;

use crate::base::error::{Fault, Result};
use crate::base::shown::many;
use crate::format::changes::delta_record::{DeltaRecord, TransactionHead};
use crate::format::changes::replay_session::REPLAY_SESSION;
use crate::format::manifest::encoding::EncodingName;
use crate::format::sql::object_name::TableName;
use crate::postgres::restore::load::failure;
use crate::postgres::restore::replay::identity_columns::IdentityColumns;
use crate::postgres::restore::replay::prepared_statements::PLANS;
use crate::postgres::restore::replay::statement_batch::{ReplayPlace, StatementBatch};
use crate::postgres::session::query::text;
use crate::postgres::session::quote::literal;
use postgres::GenericClient;
use std::collections::BTreeSet;
use std::io::{self, Write};

/// Transactions of the source that are one here.
const TOGETHER: u64 = 1000;
/// Begins a transaction, in which constraints are looked at as late as their definition allows: the source looked at them when several of
/// its statements had run.
const BEGIN: &str = "BEGIN; SET CONSTRAINTS ALL DEFERRED";

/// Counts what was replayed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayCounts {
    pub transactions: u64,
    /// Rows that were inserted, updated or deleted.
    pub rows: u64,
    /// Sequences that were set behind them.
    pub sequences: u64,
}

/// A connection that replays, or a transaction of it.
pub struct Replayer<'a, C> {
    client: &'a mut C,
    /// Holds the settings of the session from before, to which they go back behind a replay within the transaction of somebody else, who ends
    /// it. `None`: it commits on the way.
    before: Option<Vec<(&'static str, String)>>,
    encoding: EncodingName,
    identities: IdentityColumns,
    batch: StatementBatch,
    /// The transaction of the source that is being replayed. `None`: the next one has not begun.
    head: Option<TransactionHead>,
    /// Whether the transaction of the source has changed anything here.
    has_changed: bool,
    /// Transactions of the source since the last commit.
    open: u64,
    /// The rows of a COPY block that have been sent, while one is.
    copy: Option<OpenCopyBlock>,
    counts: ReplayCounts,
}

/// A COPY block whose rows come.
struct OpenCopyBlock {
    place: ReplayPlace,
    statement: Vec<u8>,
    rows: Vec<u8>,
    taken: u64,
}

/// Bytes of rows that are one COPY here.
const ROWS: usize = 8 << 20;

impl<'a, C: GenericClient> Replayer<'a, C> {
    /// Begins to replay deltas in this encoding. All further use of the connection is the replayer's.
    pub fn begin(client: &'a mut C, encoding: EncodingName) -> Result<Replayer<'a, C>> {
        set(client, session().chain([("synchronous_commit", "off")]), false)?;
        let identities = IdentityColumns::relax(client, None)?;
        client.batch_execute(BEGIN).map_err(|error| not_begun(&error))?;
        Ok(Replayer::new(client, encoding, identities, None))
    }

    /// Begins to replay changes of these tables within the transaction that is open, and commits nothing.
    pub fn within(client: &'a mut C, encoding: EncodingName, tables: &BTreeSet<TableName>) -> Result<Replayer<'a, C>> {
        let mut before = Vec::new();
        for (name, _) in session() {
            before.push((name, text(client, &format!("SELECT pg_catalog.current_setting({})", literal(name)))?));
        }
        set(client, session(), true)?;
        let identities = IdentityColumns::relax(client, Some(tables))?;
        client.batch_execute("SET CONSTRAINTS ALL DEFERRED").map_err(|error| not_begun(&error))?;
        Ok(Replayer::new(client, encoding, identities, Some(before)))
    }

    fn new(
        client: &'a mut C,
        encoding: EncodingName,
        identities: IdentityColumns,
        before: Option<Vec<(&'static str, String)>>,
    ) -> Replayer<'a, C> {
        Replayer {
            client,
            before,
            encoding,
            identities,
            batch: StatementBatch::default(),
            head: None,
            has_changed: false,
            open: 0,
            copy: None,
            counts: ReplayCounts::default(),
        }
    }

    /// Takes the next record of a delta, on this line of it. After an error nothing more can be taken.
    pub fn take(&mut self, record: &DeltaRecord<'_>, line: u64) -> Result<()> {
        self.has_changed |=
            matches!(record, DeltaRecord::Change { .. } | DeltaRecord::Truncate { .. } | DeltaRecord::CopyBegin { .. });
        match record {
            DeltaRecord::Begin(head) => self.head = Some(*head),
            DeltaRecord::Change { statement, rows, .. } => {
                self.counts.rows += rows;
                self.statement(statement, Some(*rows), line)?;
            }
            DeltaRecord::Truncate { statement, .. } => self.statement(statement, None, line)?,
            DeltaRecord::CopyBegin { statement, .. } => {
                self.flush()?;
                let (place, statement) = (self.place(line), statement.to_vec());
                self.copy = Some(OpenCopyBlock { place, statement, rows: Vec::new(), taken: 0 });
            }
            DeltaRecord::CopyRows(rows) => self.rows(rows)?,
            DeltaRecord::CopyEnd { rows, .. } => self.end_copy(*rows)?,
            DeltaRecord::Commit { .. } => self.end_transaction()?,
            DeltaRecord::Relation(_) | DeltaRecord::Break(_) | DeltaRecord::End { .. } => {}
        }
        Ok(())
    }

    /// Ends the replay: commits, or gives the transaction back as it was. The database is for whoever uses it what it was before.
    pub fn finish(mut self) -> Result<ReplayCounts> {
        match self.before.take() {
            None => self.commit("")?,
            Some(before) => {
                self.flush()?;
                // What was put off must be looked at before a definition is changed.
                let refused =
                    |error: postgres::Error| failure::plain("the changes leave what a constraint forbids", &error);
                self.client.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").map_err(refused)?;
                set(self.client, before.iter().map(|(name, value)| (*name, value.as_str())), true)?;
            }
        }
        self.batch.release(self.client)?;
        self.identities.restore(self.client)?;
        Ok(self.counts)
    }

    fn place(&self, line: u64) -> ReplayPlace {
        ReplayPlace { line, commit: self.head.map(|head| head.commit).unwrap_or_default() }
    }

    fn statement(&mut self, statement: &[u8], rows: Option<u64>, line: u64) -> Result<()> {
        let place = self.place(line);
        match self.batch.add(statement, rows, place) {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.batch.run(self.client, self.encoding)
    }

    fn end_transaction(&mut self) -> Result<()> {
        // One that changes other tables alone is passed over.
        if !std::mem::take(&mut self.has_changed) {
            return Ok(());
        }
        self.counts.transactions += 1;
        self.open += 1;
        if self.open < TOGETHER || self.before.is_some() {
            return Ok(());
        }
        self.commit(BEGIN)
    }

    /// Commits, and runs `next` in the same message.
    fn commit(&mut self, next: &str) -> Result<()> {
        self.flush()?;
        self.open = 0;
        self.client.batch_execute(&format!("COMMIT; {next}")).map_err(|error| {
            let head = self.head.map(|head| format!(" up to {}", head.commit)).unwrap_or_default();
            failure::plain(&format!("cannot commit the changes{head}"), &error)
        })
    }

    fn rows(&mut self, rows: &[u8]) -> Result<()> {
        let Some(copy) = &mut self.copy else { return Ok(()) };
        copy.rows.extend_from_slice(rows);
        if copy.rows.len() >= ROWS { self.send_rows() } else { Ok(()) }
    }

    fn end_copy(&mut self, rows: u64) -> Result<()> {
        self.send_rows()?;
        let Some(copy) = self.copy.take() else { return Ok(()) };
        self.counts.rows += rows;
        match copy.taken == rows {
            true => Ok(()),
            false => {
                let message = format!("the server took {} of {}", copy.taken, many(rows, "row"));
                Err(Fault::failed(copy.place.error(&message))
                    .hint("a trigger of the table may leave rows out: disable it while the changes are replayed")
                    .into())
            }
        }
    }

    /// Sends the rows that have come of a block.
    fn send_rows(&mut self) -> Result<()> {
        let Some(copy) = self.copy.as_mut().filter(|copy| !copy.rows.is_empty()) else { return Ok(()) };
        let text = statement_batch::utf8(self.client, self.encoding, &copy.statement)?;
        let query = match self.encoding.as_str() {
            "UTF8" => text,
            other => format!("{} WITH (ENCODING '{other}')", text.trim_end_matches(';')),
        };
        let refused = |error| copy.place.refused(&failure::of_rows(copy.place.line, &copy.statement, &error));
        copy.taken += send(self.client, &query, &copy.rows).map_err(refused)?;
        copy.rows.clear();
        Ok(())
    }
}

/// Sends a block of rows. Returns how many of them the server took.
fn send(client: &mut impl GenericClient, query: &str, rows: &[u8]) -> io::Result<u64> {
    let mut writer = client.copy_in(query).map_err(io::Error::other)?;
    writer.write_all(rows)?;
    writer.finish().map_err(io::Error::other)
}

/// Returns the settings that a replay needs.
fn session() -> impl Iterator<Item = (&'static str, &'static str)> {
    REPLAY_SESSION.iter().chain(PLANS).copied()
}

/// Sets settings of the session, or of the transaction alone.
fn set<'s>(
    client: &mut impl GenericClient,
    settings: impl Iterator<Item = (&'s str, &'s str)>,
    of_transaction: bool,
) -> Result<()> {
    let one = |(name, value)| {
        format!("SELECT pg_catalog.set_config({}, {}, {of_transaction})", literal(name), literal(value))
    };
    let all: Vec<String> = settings.map(one).collect();
    client.batch_execute(&all.join("; ")).map_err(|error| not_begun(&error))
}

fn not_begun(error: &postgres::Error) -> anyhow::Error {
    failure::plain("cannot begin to replay changes", error)
}
