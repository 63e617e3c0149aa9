//! One of the connections that read the rows of a dump, and make pieces of the script of them.

use crate::base::error::{Fault, Result};
use crate::postgres::connect::copy_connection::{CopyConnection, CopyStep};
use crate::postgres::parallel::item::CopyItem;
use crate::postgres::parallel::script_piece::{OutputPiece, PIECE, RowKeys, ScriptPiece};
use crate::postgres::parallel::work::DumpWork;
use crate::postgres::session::quote::literal;
use std::time::Duration;

/// Most names in one statement of LOCK.
const LOCKS: usize = 500;

/// Settings of the session that rows depend on, besides those that every connection gets. Without them the same table is read in different
/// orders.
const SETTINGS: &str = "SET synchronize_seqscans = off; SET max_parallel_workers_per_gather = 0";

/// Says how long a connection waits for its locks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LockWait {
    /// It waits as long as this; zero waits for ever.
    Within(Duration),
    /// It fails at once with `lock_not_available` where somebody has a lock that excludes it, or waits for one.
    Never,
}

/// Begins to read in a snapshot of another session, with these settings, and locks tables as pg_dump does.
pub(crate) fn begin(
    connection: &mut CopyConnection,
    snapshot: &str,
    settings: &[String],
    locks: &[&str],
    wait: LockWait,
) -> Result<()> {
    let (limit, ending) = match wait {
        LockWait::Within(limit) => (limit, ""),
        LockWait::Never => (Duration::ZERO, " NOWAIT"),
    };
    connection.query(&format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}; {SETTINGS}; SET lock_timeout = {}",
        literal(snapshot),
        limit.as_millis()
    ))?;
    for setting in settings {
        connection.query(setting)?;
    }
    for names in locks.chunks(LOCKS) {
        let names: Vec<String> = names.iter().map(|name| format!("ONLY {name}")).collect();
        connection.query(&format!("LOCK TABLE {} IN ACCESS SHARE MODE{ending}", names.join(", ")))?;
    }
    Ok(())
}

/// Reads all that is this connection's to read, and passes whole COPY blocks to `hand_on`, which returns false once nobody wants them.
pub(crate) fn read(
    connection: &mut CopyConnection,
    work: &DumpWork,
    number: usize,
    keys: &RowKeys,
    hand_on: &mut dyn FnMut(OutputPiece) -> bool,
) -> Result<()> {
    let mut piece = ScriptPiece::new(keys, hand_on);
    while let Some(items) = work.next(number) {
        let statements: Vec<&str> = items.iter().map(|item| item.statement.as_str()).collect();
        connection.copy(&statements.join("; "))?;
        for item in &items {
            rows(connection, item, &mut piece)?;
        }
        match connection.next(&mut Vec::new())? {
            CopyStep::Done => {}
            CopyStep::Rows | CopyStep::End => return Err(unexpected("more")),
        }
    }
    piece.flush()
}

/// Reads the rows of one statement.
fn rows(connection: &mut CopyConnection, item: &CopyItem, piece: &mut ScriptPiece<'_>) -> Result<()> {
    let mut is_needed = item.is_first;
    piece.next_statement();
    loop {
        piece.open(item)?;
        match connection.next(&mut piece.text)? {
            CopyStep::Rows if piece.count() < PIECE => {}
            CopyStep::Rows => {
                piece.close(true);
                piece.flush()?;
                is_needed = false;
            }
            CopyStep::End => {
                piece.close(is_needed);
                return if piece.text.len() < PIECE { Ok(()) } else { piece.flush() };
            }
            CopyStep::Done => return Err(unexpected("fewer")),
        }
    }
}

fn unexpected(what: &str) -> anyhow::Error {
    Fault::failed(format!("the server sent {what} rows than were asked for")).into()
}
