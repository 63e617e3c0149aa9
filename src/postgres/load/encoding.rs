//! The encoding that a script is written in, and how its text reaches a connection that speaks UTF-8.

use super::{Header, failure};
use crate::error::{Fault, Result};
use postgres::Transaction;
use std::borrow::Cow;
use std::fmt::Write;
use std::str;

/// In these a backslash or quote may be half of a character, so that statements cannot be told apart byte by byte. No
/// database can be stored in them; a dump is only if somebody asked `pg_dump` for it.
const CLIENT_ONLY: [&str; 16] = [
    "SJIS",
    "SHIFTJIS",
    "MSKANJI",
    "WIN932",
    "WINDOWS932",
    "SHIFTJIS2004",
    "BIG5",
    "WIN950",
    "WINDOWS950",
    "GBK",
    "WIN936",
    "WINDOWS936",
    "UHC",
    "WIN949",
    "GB18030",
    "JOHAB",
];

/// `None` is UTF-8.
#[derive(Debug, Default)]
pub(super) struct Encoding(Option<String>);

impl Encoding {
    /// The encoding of this name, which the statement at `line` asks for.
    pub fn named(name: &str, line: u64) -> Result<Self> {
        let canonical: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_uppercase();
        if CLIENT_ONLY.contains(&canonical.as_str()) {
            let fault =
                Fault::refused(format!("the dump is written in {name} (line {line}), which pgbk cannot restore"));
            return Err(fault.hint("dump the database with --encoding=UTF8").into());
        }
        let utf8 = matches!(canonical.as_str(), "UTF8" | "UNICODE");
        let plain = name.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '-'));
        if !utf8 && !plain {
            return Err(Fault::refused(format!("line {line}: \"{name}\" is no encoding")).into());
        }
        Ok(Encoding((!utf8).then(|| name.to_owned())))
    }

    /// The query that runs this statement.
    pub fn statement<'a>(&self, text: &'a [u8]) -> Cow<'a, str> {
        match (str::from_utf8(text), &self.0) {
            (Ok(plain), None) => Cow::Borrowed(plain),
            (Ok(plain), Some(_)) if plain.is_ascii() => Cow::Borrowed(plain),
            _ => Cow::Owned(format!("DO 'BEGIN EXECUTE {}; END'", self.converted(text).replace('\'', "''"))),
        }
    }

    /// The query that begins this COPY, to be followed by rows just as they stand in the script.
    pub fn copy(&self, transaction: &mut Transaction<'_>, header: &Header) -> Result<String> {
        let text = match (str::from_utf8(&header.text), &self.0) {
            (Ok(plain), None) => plain.to_owned(),
            (Ok(plain), Some(_)) if plain.is_ascii() => plain.to_owned(),
            _ => self.decode(transaction, header)?,
        };
        let Some(encoding) = &self.0 else { return Ok(text) };
        let bare = text.trim_end_matches([';', ' ', '\n', '\r']);
        if !bare.to_ascii_lowercase().ends_with("stdin") {
            let message = format!("line {}: the COPY has options, which pgbk cannot join with {encoding}", header.line);
            return Err(Fault::refused(message).hint("dump the database with --encoding=UTF8").into());
        }
        Ok(format!("{bare} WITH (ENCODING '{encoding}')"))
    }

    /// A COPY cannot be run from within the server, so its text has to become UTF-8 here.
    fn decode(&self, transaction: &mut Transaction<'_>, header: &Header) -> Result<String> {
        let asked = transaction.query_one(&format!("SELECT {}", self.converted(&header.text)), &[]);
        asked.and_then(|row| row.try_get(0)).map_err(|error| failure::of_statement(header.line, &header.text, &error))
    }

    /// An expression that gives the text in the database's own encoding. It holds for either meaning of a backslash in quotes.
    fn converted(&self, text: &[u8]) -> String {
        let mut hex = String::with_capacity(2 * text.len() + 80);
        hex.push_str("pg_catalog.convert_from(pg_catalog.decode('");
        for byte in text {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex.push_str("', 'hex'), '");
        hex.push_str(self.0.as_deref().unwrap_or("UTF8"));
        hex.push_str("')");
        hex
    }
}
