//! Statements that go to the server in one message, and what it must answer to each.

use crate::base::error::{Fault, Kind, Result};
use crate::base::shown::many;
use crate::format::lsn::Lsn;
use crate::format::manifest::encoding::EncodingName;
use crate::postgres::restore::load::failure;
use crate::postgres::restore::replay::escaped_text::escaped;
use crate::postgres::restore::replay::prepared_statements::{PreparedBatch, PreparedStatements};
use postgres::{GenericClient, SimpleQueryMessage};
use std::fmt::Write;

/// Bytes of statements from which on they are sent.
const ENOUGH: usize = 64 << 10;
/// Marks the state before a message, to find the statement in it that was refused.
const MARK: &str = "SAVEPOINT pgbk_replay;\n";
const PASS: &str = "RELEASE SAVEPOINT pgbk_replay";
const BACK: &str = "ROLLBACK TO SAVEPOINT pgbk_replay";

/// Says what to do where a database does not take a change.
const MISFIT: &str =
    "the base and the changes do not fit together; another base can be named by its id, or an earlier moment by --at";

/// Says where in a delta something is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplayPlace {
    pub line: u64,
    /// Where the commit record of its transaction begins.
    pub commit: Lsn,
}

impl ReplayPlace {
    /// Returns a message of what went wrong here.
    pub fn error(&self, what: &str) -> String {
        format!("the change at line {} of the transaction that commits at {}: {what}", self.line, self.commit)
    }

    /// Returns the error of a statement that the server refused. What a restore of a dump can do about it, a replay cannot.
    pub fn refused(&self, refused: &anyhow::Error) -> anyhow::Error {
        let fault = Fault::like(refused, format!("the transaction that commits at {}: {refused:#}", self.commit));
        if fault.kind() == Kind::Refused { fault.hint(MISFIT) } else { fault }.into()
    }
}

/// A statement of a batch.
#[derive(Debug)]
struct BatchStatement {
    place: ReplayPlace,
    /// How many rows it must change. `None`: the server does not say.
    rows: Option<u64>,
}

/// Statements that have not been sent.
#[derive(Debug, Default)]
pub(crate) struct StatementBatch {
    /// A line for each statement.
    text: Vec<u8>,
    statements: Vec<BatchStatement>,
    prepared: PreparedStatements,
}

impl StatementBatch {
    /// Adds a statement, which is one line of a delta and ends with a semicolon. Returns whether there are enough to be sent.
    pub fn add(&mut self, statement: &[u8], rows: Option<u64>, place: ReplayPlace) -> bool {
        self.text.extend_from_slice(statement);
        self.statements.push(BatchStatement { place, rows });
        self.text.push(b'\n');
        self.text.len() >= ENOUGH
    }

    /// Runs the statements in the transaction that is open, and empties the batch. It is an error if one does not change as many rows as it
    /// must.
    pub fn run(&mut self, client: &mut impl GenericClient, encoding: EncodingName) -> Result<()> {
        if self.statements.is_empty() {
            return Ok(());
        }
        let text = utf8(client, encoding, &self.text)?;
        let PreparedBatch { preparing, prepared, statements } = self.prepared.batch(text.lines());
        let answer = client.simple_query(&format!("{MARK}{preparing}{statements}{PASS}"));
        let answer = answer.map_err(|error| self.refusal(client, &text, &error))?;
        let counts: Vec<u64> = answer.iter().filter_map(count).collect();
        // The first and the last are of the mark.
        let of_statements = counts.get(1 + prepared..counts.len().saturating_sub(1)).unwrap_or_default();
        if of_statements.len() != self.statements.len() {
            let (sent, found) = (many(self.statements.len() as u64, "statement"), of_statements.len());
            let what = format!("from here on {sent} went to the server, and it answers to {found}");
            return Err(Fault::failed(self.statements[0].place.error(&what))
                .hint("connect to the server itself, without a pooler before it")
                .into());
        }
        for ((statement, count), text) in self.statements.iter().zip(of_statements).zip(text.lines()) {
            if let Some(rows) = statement.rows.filter(|rows| rows != count) {
                return Err(missed(statement.place, text, *count, rows).into());
            }
        }
        self.text.clear();
        self.text.shrink_to(2 * ENOUGH);
        self.statements.clear();
        Ok(())
    }

    /// Ends the use of the statements that were prepared.
    pub fn release(&mut self, client: &mut impl GenericClient) -> Result<()> {
        client.batch_execute(&self.prepared.release()).map_err(|error| failure::plain("cannot end the replay", &error))
    }

    /// Finds the statement that the server refuses, by running one after the other.
    fn refusal(&self, client: &mut impl GenericClient, text: &str, first: &postgres::Error) -> anyhow::Error {
        // A connection that is lost refuses this as well.
        let is_back = client.batch_execute(BACK).is_ok();
        let mut each = self.statements.iter().zip(text.lines()).filter(|_| is_back);
        let found = each.find_map(|(BatchStatement { place, .. }, text)| {
            let error = client.simple_query(text).err()?;
            Some(place.refused(&failure::of_statement(place.line, text.as_bytes(), &error)))
        });
        found.unwrap_or_else(|| failure::plain("cannot replay changes", first))
    }
}

fn missed(place: ReplayPlace, text: &str, found: u64, rows: u64) -> Fault {
    const SHOWN: usize = 120;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    let what = format!("it changes {found} and must change {}: {shown}", many(rows, "row"));
    Fault::refused(place.error(&what)).hint(MISFIT)
}

fn count(message: &SimpleQueryMessage) -> Option<u64> {
    match message {
        SimpleQueryMessage::CommandComplete(count) => Some(*count),
        _ => None,
    }
}

/// Returns a text of a delta as UTF-8, which is what the connection speaks. The server converts it, as it would a client's.
pub(crate) fn utf8(client: &mut impl GenericClient, encoding: EncodingName, text: &[u8]) -> Result<String> {
    let own = matches!(encoding.as_str(), "UTF8" | "SQL_ASCII");
    if let (true, Ok(text)) = (own || text.is_ascii(), std::str::from_utf8(text)) {
        return Ok(text.to_owned());
    }
    if own {
        return escaped(text).ok_or_else(|| {
            let encoding = encoding.as_str();
            Fault::failed(format!("the changes of a database with encoding {encoding} hold a name that is not UTF-8"))
                .hint("psql replays the changes as they are: the script restore.sh, which is stored beside them, does it by psql")
                .into()
        });
    }
    let mut hex = String::with_capacity(2 * text.len());
    for byte in text {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    let name = encoding.as_str();
    let query = format!("SELECT pg_catalog.convert_from(pg_catalog.decode('{hex}', 'hex'), '{name}')");
    let row = client.query_typed_one(&query, &[]).and_then(|row| row.try_get(0));
    row.map_err(|error| failure::plain("cannot convert the text of changes", &error))
}
