//! Follows the state of the session that a script runs in: which settings the server knows, what a backslash means, which
//! transaction it is.

use crate::base::error::{Fault, Result};
use crate::format::sql::strings::with_escapes;
use crate::format::sql::tokens::Tokens;
use crate::postgres::restore::load::failure;
use crate::postgres::restore::load::privileges::MAINTAIN_SINCE;
use postgres::{Error, Row, Transaction};
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Name of the setting whose value says what a backslash means.
const CONFORMING: &str = "standard_conforming_strings";
/// Servers from this version on: a backslash means itself in every literal without `E`, and that cannot be changed.
const ALWAYS_CONFORMS_SINCE: u32 = 190_000;
const ENCODING: &str = "server_encoding";
const VERSION: &str = "server_version_num";

pub(crate) struct LoadSession {
    settings: HashSet<String>,
    /// Version of the server as `server_version_num`.
    version: u32,
    encoding: String,
    /// Whether a backslash escapes in a literal without `E`, as the server reported it last.
    escapes: Arc<AtomicBool>,
    /// Whether any statement from here on may call code that changes the meaning of a backslash.
    watched: bool,
    /// Number of the restore's transaction.
    transaction: i64,
}

impl LoadSession {
    /// Reads the state before anything is sent: an unknown setting would fail the whole transaction.
    pub fn look(transaction: &mut Transaction<'_>) -> Result<LoadSession> {
        // The view leaves these out although servers take them; `default_with_oids = false` is in every dump of old.
        let hidden = ["role", "session_authorization", "default_with_oids", "seed"].map(String::from);
        let query = "SELECT pg_catalog.lower(name), setting FROM pg_catalog.pg_settings";
        let rows = transaction.query(query, &[]).and_then(|rows| rows.iter().map(pair).collect());
        let rows: Vec<(String, Option<String>)> = rows.map_err(|error| unread(&error))?;
        let value = |name: &str| {
            let row = rows.iter().find(|(known, _)| known == name);
            row.and_then(|(_, value)| value.clone()).unwrap_or_default()
        };
        Ok(LoadSession {
            encoding: value(ENCODING),
            // Every server tells a number.
            version: value(VERSION).parse().unwrap_or_default(),
            escapes: Arc::new(AtomicBool::new(value(CONFORMING) == "off")),
            settings: rows.into_iter().map(|(name, _)| name).chain(hidden).collect(),
            watched: false,
            transaction: number(transaction)?,
        })
    }

    /// Returns whether the server takes a setting of this name. It takes any name with a dot in it.
    pub fn knows(&self, setting: &str) -> bool {
        self.settings.contains(setting) || setting.contains('.')
    }

    /// Returns whether the server knows the privilege MAINTAIN.
    pub fn knows_maintain(&self) -> bool {
        self.version >= MAINTAIN_SINCE
    }

    /// Returns whether this setting is one that the server knows but refuses to change: the script's literals are rewritten
    /// instead.
    pub fn conforms_always(&self, setting: &str) -> bool {
        setting == CONFORMING && self.version >= ALWAYS_CONFORMS_SINCE
    }

    /// Returns the statement as this server reads it.
    pub fn worded<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        match self.version >= ALWAYS_CONFORMS_SINCE && self.escapes.load(Ordering::Relaxed) {
            true => with_escapes(text),
            false => Cow::Borrowed(text),
        }
    }

    /// Returns whether the database holds UTF-8.
    pub fn in_utf8(&self) -> bool {
        self.encoding == "UTF8"
    }

    /// Returns whether the database has no encoding, so that names may be any bytes.
    pub fn takes_any_bytes(&self) -> bool {
        self.encoding == "SQL_ASCII"
    }

    /// Returns the flag that [`LoadSession::after`] updates, for the code that finds the ends of literals.
    pub fn escapes(&self) -> Arc<AtomicBool> {
        self.escapes.clone()
    }

    /// Asks the server what a backslash means, if the statement that has just run may have changed it. A script that hides such a
    /// change is split in the wrong places, which the server refuses.
    pub fn after(&mut self, text: &[u8], transaction: &mut Transaction<'_>) -> Result<()> {
        if self.version >= ALWAYS_CONFORMS_SINCE {
            return Ok(());
        }
        let mut tokens = Tokens::new(text);
        let resets = tokens.accept(&["reset"]);
        let names = names_conforming(text);
        if !(self.watched || resets || names) {
            return Ok(());
        }
        // A function, or what calls one: it may be at work in any statement from here on.
        self.watched |= names && !tokens.accept(&["set"]) && !tokens.accept(&["select"]);
        let query = "SELECT pg_catalog.current_setting('standard_conforming_strings') = 'off'";
        let off = transaction.query_typed_one(query, &[]).and_then(|row| row.try_get(0));
        self.escapes.store(off.map_err(|error| unread(&error))?, Ordering::Relaxed);
        Ok(())
    }

    /// Returns whether a statement like this leaves alone what a backslash means, so that others may be read before it has run.
    pub fn is_steady(&self, text: &[u8]) -> bool {
        self.version >= ALWAYS_CONFORMS_SINCE || !self.watched && !names_conforming(text)
    }

    /// Takes the transaction that is open now for the restore's.
    pub fn renumber(&mut self, transaction: &mut Transaction<'_>) -> Result<()> {
        self.transaction = number(transaction)?;
        Ok(())
    }

    /// Fails unless the restore's transaction is still open. Checked last before the commit.
    pub fn still_in(&self, transaction: &mut Transaction<'_>) -> Result<()> {
        if number(transaction)? == self.transaction {
            return Ok(());
        }
        Err(Fault::refused("a statement of the dump ended the restore's transaction: what ran before it may stand")
            .hint("look at the target before you use it")
            .into())
    }
}

fn pair(row: &Row) -> std::result::Result<(String, Option<String>), Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Returns the number of the transaction, which no other one has.
fn number(transaction: &mut Transaction<'_>) -> Result<i64> {
    let number = transaction.query_typed_one("SELECT pg_catalog.txid_current()", &[]).and_then(|row| row.try_get(0));
    number.map_err(|error| unread(&error))
}

/// Returns whether a text contains the setting's name, in upper or lower case and in any place.
fn names_conforming(text: &[u8]) -> bool {
    let name = CONFORMING.as_bytes();
    // The first of its underscores is found fast.
    memchr::memchr_iter(b'_', text).any(|underscore| {
        let start = underscore.checked_sub("standard".len());
        let found = start.and_then(|start| text.get(start..start + name.len()));
        found.is_some_and(|found| found.eq_ignore_ascii_case(name))
    })
}

fn unread(error: &postgres::Error) -> anyhow::Error {
    failure::plain("cannot read the server's settings", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(version: u32, escapes: bool) -> LoadSession {
        LoadSession {
            settings: HashSet::from([CONFORMING.to_owned()]),
            version,
            encoding: "UTF8".to_owned(),
            escapes: Arc::new(AtomicBool::new(escapes)),
            watched: false,
            transaction: 1,
        }
    }

    /// No server of version 19 is at hand: the rule is tried on the text.
    #[test]
    fn a_server_that_always_conforms_is_sent_the_literals_of_older_ones_in_its_own_words() {
        let text = br"INSERT INTO t VALUES ('a\\b');".as_slice();
        let anew = br"INSERT INTO t VALUES ( E'a\\b');".as_slice();
        for (version, escapes, sent) in [
            (180_004, true, text),
            (180_004, false, text),
            (190_000, false, text),
            (190_000, true, anew),
            (200_001, true, anew),
        ] {
            let session = session(version, escapes);
            assert_eq!(&*session.worded(text), sent, "{version}, {escapes}");
            assert_eq!(session.conforms_always(CONFORMING), version >= 190_000);
            assert!(!session.conforms_always("search_path"));
        }
    }
}
