//! Statements that go to the server in one message, and what it must answer to each.

use crate::base::error::{Fault, Result};
use crate::base::shown::many;
use crate::format::lsn::Lsn;
use crate::format::manifest::encoding::EncodingName;
use crate::postgres::restore::load::failure;
use crate::postgres::restore::replay::escaped_text::escaped;
use postgres::{GenericClient, SimpleQueryMessage};
use std::fmt::Write;
use std::io;

/// Bytes of statements from which on they are sent.
const ENOUGH: usize = 64 << 10;
/// Marks the state before a message, to find the statement in it that was refused.
const MARK: &str = "SAVEPOINT pgbk_replay;\n";
const PASS: &str = "RELEASE SAVEPOINT pgbk_replay";
const BACK: &str = "ROLLBACK TO SAVEPOINT pgbk_replay";

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

    /// Returns the error of a statement that the server refused.
    pub fn refused(&self, statement: &[u8], error: &postgres::Error) -> anyhow::Error {
        let refused = failure::of_statement(self.line, statement, error);
        Fault::like(&refused, format!("the transaction that commits at {}: {refused:#}", self.commit)).into()
    }

    /// Returns the error of rows that did not reach the server.
    pub fn unsent(&self, statement: &[u8], error: &io::Error) -> anyhow::Error {
        let text = String::from_utf8_lossy(statement);
        Fault::failed(self.error(&format!("{text} {error}"))).into()
    }
}

/// A statement of a batch.
#[derive(Debug)]
struct BatchStatement {
    place: ReplayPlace,
    /// Where it is in the text of the batch.
    begin: usize,
    end: usize,
    /// How many rows it must change. `None`: the server does not say.
    rows: Option<u64>,
}

/// Statements that have not been sent.
#[derive(Debug, Default)]
pub(crate) struct StatementBatch {
    text: Vec<u8>,
    statements: Vec<BatchStatement>,
}

impl StatementBatch {
    /// Adds a statement, which ends with a semicolon. Returns whether there are enough to be sent.
    pub fn add(&mut self, statement: &[u8], rows: Option<u64>, place: ReplayPlace) -> bool {
        let begin = self.text.len();
        self.text.extend_from_slice(statement);
        self.statements.push(BatchStatement { place, begin, end: self.text.len(), rows });
        self.text.push(b'\n');
        self.text.len() >= ENOUGH
    }

    /// Runs the statements in the transaction that is open, and empties the batch. It is an error if one does not change as many rows as it
    /// must.
    pub fn run(&mut self, client: &mut impl GenericClient, encoding: EncodingName) -> Result<()> {
        if self.statements.is_empty() {
            return Ok(());
        }
        let text = format!("{MARK}{}{PASS}", utf8(client, encoding, &self.text)?);
        let answer = match client.simple_query(&text) {
            Ok(answer) => answer,
            Err(error) => return Err(self.refusal(client, encoding, &error)),
        };
        let counts: Vec<u64> = answer.iter().filter_map(count).collect();
        // The first and the last are of the mark.
        let of_statements = counts.get(1..counts.len().saturating_sub(1)).unwrap_or_default();
        if of_statements.len() != self.statements.len() {
            return Err(Fault::failed("the server answers another number of statements than it was sent").into());
        }
        for (statement, count) in self.statements.iter().zip(of_statements) {
            if let Some(rows) = statement.rows.filter(|rows| rows != count) {
                return Err(self.missed(statement, *count, rows).into());
            }
        }
        self.text.clear();
        self.text.shrink_to(2 * ENOUGH);
        self.statements.clear();
        Ok(())
    }

    /// Finds the statement that the server refuses, by running one after the other.
    fn refusal(
        &self,
        client: &mut impl GenericClient,
        encoding: EncodingName,
        first: &postgres::Error,
    ) -> anyhow::Error {
        let lost = |error: &postgres::Error| failure::plain("cannot replay changes", error);
        if client.batch_execute(BACK).is_err() {
            return lost(first);
        }
        for statement in &self.statements {
            let bytes = &self.text[statement.begin..statement.end];
            let ran = utf8(client, encoding, bytes).map(|text| client.simple_query(&text));
            match ran {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return statement.place.refused(bytes, &error),
                Err(error) => return error,
            }
        }
        lost(first)
    }

    fn missed(&self, statement: &BatchStatement, found: u64, rows: u64) -> Fault {
        const SHOWN: usize = 120;
        let text = String::from_utf8_lossy(&self.text[statement.begin..statement.end]);
        let mut shown: String = text.chars().take(SHOWN).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        let what = format!("it changes {found} and must change {}: {shown}", many(rows, "row"));
        Fault::refused(statement.place.error(&what)).hint(
            "the base and the changes do not fit together; another base can be named by its id, or an earlier moment by --at",
        )
    }
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
                .hint("psql replays the deltas as they are")
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
