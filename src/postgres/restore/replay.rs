//! Replays changes in a database that was restored up to its keys, by one connection.
//!
//! Statements go to the server as they are in the delta, many in one message, and runs of rows by COPY. Some thousand transactions of the
//! source are one here: all versions of a row that is updated again and again would be searched each time otherwise, and a commit of each
//! takes longer than the changes. What came of it is dropped by whoever made the database if it ends early.

pub(crate) mod identity_columns;
pub(crate) mod statement_batch;

use crate::base::error::{Fault, Result};
use crate::base::shown::many;
use crate::format::changes::delta_record::{DeltaRecord, TransactionHead};
use crate::format::changes::replay_session::REPLAY_SESSION;
use crate::format::manifest::encoding::EncodingName;
use crate::postgres::restore::load::failure;
use crate::postgres::restore::replay::identity_columns::IdentityColumns;
use crate::postgres::restore::replay::statement_batch::{ReplayPlace, StatementBatch};
use crate::postgres::session::quote::literal;
use postgres::Client;
use std::io::Write;

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
}

/// A connection that replays.
pub struct Replayer {
    client: Client,
    encoding: EncodingName,
    identities: IdentityColumns,
    batch: StatementBatch,
    /// The transaction of the source that is being replayed. `None`: the next one has not begun.
    head: Option<TransactionHead>,
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

impl Replayer {
    /// Begins to replay deltas in this encoding. All further use of the connection is the replayer's.
    pub fn begin(mut client: Client, encoding: EncodingName) -> Result<Replayer> {
        let failed = |error: postgres::Error| failure::plain("cannot begin to replay changes", &error);
        let settings = REPLAY_SESSION.iter().chain(&[("synchronous_commit", "off")]);
        let set: Vec<String> = settings
            .map(|(name, value)| format!("SELECT pg_catalog.set_config({}, {}, false)", literal(name), literal(value)))
            .collect();
        client.batch_execute(&set.join("; ")).map_err(failed)?;
        let identities = IdentityColumns::relax(&mut client)?;
        client.batch_execute(BEGIN).map_err(failed)?;
        Ok(Replayer {
            client,
            encoding,
            identities,
            batch: StatementBatch::default(),
            head: None,
            open: 0,
            copy: None,
            counts: ReplayCounts::default(),
        })
    }

    /// Takes the next record of a delta, on this line of it. After an error nothing more can be taken.
    pub fn take(&mut self, record: &DeltaRecord<'_>, line: u64) -> Result<()> {
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

    /// Commits what was replayed, and makes the database what it was before for whoever uses it.
    pub fn finish(mut self) -> Result<ReplayCounts> {
        self.commit()?;
        self.identities.restore(&mut self.client)?;
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
        self.batch.run(&mut self.client, self.encoding)
    }

    fn end_transaction(&mut self) -> Result<()> {
        self.counts.transactions += 1;
        self.open += 1;
        if self.open < TOGETHER {
            return Ok(());
        }
        self.commit()?;
        self.client.batch_execute(BEGIN).map_err(|error| failure::plain("cannot go on to replay changes", &error))
    }

    fn commit(&mut self) -> Result<()> {
        self.flush()?;
        self.open = 0;
        self.client.batch_execute("COMMIT").map_err(|error| {
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
                Err(Fault::failed(copy.place.error(&message)).into())
            }
        }
    }

    /// Sends the rows that have come of a block.
    fn send_rows(&mut self) -> Result<()> {
        let Some(copy) = self.copy.as_mut().filter(|copy| !copy.rows.is_empty()) else { return Ok(()) };
        let text = statement_batch::utf8(&mut self.client, self.encoding, &copy.statement)?;
        let query = match self.encoding.as_str() {
            "UTF8" | "SQL_ASCII" => text,
            other => format!("{} WITH (ENCODING '{other}')", text.trim_end_matches(';')),
        };
        let refused = |error: &postgres::Error| copy.place.refused(&copy.statement, error);
        let mut writer = self.client.copy_in(&query).map_err(|error| refused(&error))?;
        writer.write_all(&copy.rows).map_err(|error| copy.place.unsent(&copy.statement, &error))?;
        copy.taken += writer.finish().map_err(|error| refused(&error))?;
        copy.rows.clear();
        Ok(())
    }
}
