//! Reads where the sequences of a database are.
//!
//! The server locks each sequence that it reads up to the end of the statement, and has room for some thousand locks. So they are read in
//! parts. One that a transaction holds is passed over: nobody waits for it.

use crate::base::error::{Fault, Result};
use crate::format::changes::sequence_sample::{SequenceNote, SequenceState, SequenceValue};
use crate::format::sql::object_name::{ObjectName, TableName};
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::{rows, text};
use postgres::{Client, SimpleQueryRow};
use std::collections::BTreeMap;

/// Sequences of one statement.
const TOGETHER: usize = 1000;
/// How often they are read, if somebody takes one away meanwhile, or locks it.
const TRIES: u32 = 3;

/// Lists all sequences that are not temporary, in the order of their identifiers, with those that this role may not read.
pub fn list(client: &mut Client) -> Result<Vec<SequenceNote>> {
    let mut tries = 1;
    loop {
        match read(client) {
            Err(_) if tries < TRIES => tries += 1,
            read => return read,
        }
    }
}

fn read(client: &mut Client) -> Result<Vec<SequenceNote>> {
    // Since 18 one function gives both; before, it gives nothing of a sequence that was never called.
    let gives_both =
        text(client, "SELECT pg_catalog.to_regproc('pg_catalog.pg_get_sequence_data') IS NOT NULL")? == "t";
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let found = rows(client, &query(after, gives_both))?;
        let mut part = found.iter().map(note).collect::<Option<Vec<FoundSequence>>>().ok_or_else(unread)?;
        let count = part.len();
        after = part.last().map_or(after, |last| last.note.oid);
        uncalled(client, &mut part)?;
        all.extend(part.into_iter().map(|found| found.note));
        if count < TOGETHER {
            return Ok(all);
        }
    }
}

/// A sequence, and how a statement names it if its value has to be asked of itself.
struct FoundSequence {
    note: SequenceNote,
    asked: Option<String>,
}

/// Returns the query for a part of the sequences. Names come in the server's encoding, as bytes in hexadecimal digits. Those of extensions
/// are left out: whoever makes the extension makes them.
fn query(after: u32, gives_both: bool) -> String {
    let value = match gives_both {
        true => "pg_catalog.pg_get_sequence_data(s.oid)::text",
        false => "pg_catalog.pg_sequence_last_value(s.oid)::text",
    };
    format!(
        "SELECT s.oid,
                pg_catalog.encode(pg_catalog.convert_to(s.nspname::text, pg_catalog.getdatabaseencoding()), 'hex'),
                pg_catalog.encode(pg_catalog.convert_to(s.relname::text, pg_catalog.getdatabaseencoding()), 'hex'),
                s.state, CASE WHEN s.state = 'readable' THEN {value} END,
                pg_catalog.format('%I.%I', s.nspname, s.relname)
         FROM (SELECT c.oid, n.nspname, c.relname,
                      CASE WHEN NOT pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
                                OR NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE') THEN 'denied'
                           WHEN l.relation IS NOT NULL THEN 'locked' ELSE 'readable' END AS state
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                    LEFT JOIN (SELECT DISTINCT relation FROM pg_catalog.pg_locks
                               WHERE locktype = 'relation' AND granted AND pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
                                 AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
                                 AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')) l
                         ON l.relation = c.oid
               WHERE c.relkind = 'S' AND c.oid > {after} AND c.relpersistence <> 't'
                 AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                                 WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
               ORDER BY c.oid LIMIT {TOGETHER}) s
         ORDER BY s.oid"
    )
}

fn note(row: &SimpleQueryRow) -> Option<FoundSequence> {
    let name = |at| ObjectName::new(&hex::decode(cell(row, at)?).ok()?);
    let (oid, name) = (cell(row, 0)?.parse().ok()?, TableName { schema: name(1)?, name: name(2)? });
    let (state, asked) = match (cell(row, 3)?, cell(row, 4)) {
        ("denied", _) => (SequenceState::Denied, None),
        ("locked", _) => (SequenceState::Locked, None),
        // Until its own answer comes; a name that is no text cannot be asked for.
        (_, None) => (SequenceState::Denied, cell(row, 5).map(str::to_owned)),
        (_, Some(value)) => (SequenceState::Known(given(value)?), None),
    };
    Some(FoundSequence { note: SequenceNote { oid, name, state }, asked })
}

/// Reads a value that was given last, such as `42`, or a record with whether it was: `(42,t)`, behind which more may come.
fn given(text: &str) -> Option<SequenceValue> {
    let Some(record) = text.strip_prefix('(') else {
        return Some(SequenceValue { last: text.parse().ok()?, is_called: true });
    };
    let mut fields = record.trim_end_matches(')').split(',');
    let (last, is_called) = (fields.next()?.parse().ok()?, fields.next()?);
    Some(SequenceValue { last, is_called: is_called == "t" })
}

/// Asks each sequence that was never called what it will give first.
fn uncalled(client: &mut Client, part: &mut [FoundSequence]) -> Result<()> {
    let one = |found: &FoundSequence| {
        let name = found.asked.as_ref()?;
        Some(format!("SELECT {}::pg_catalog.oid, last_value, is_called FROM {name}", found.note.oid))
    };
    let queries: Vec<String> = part.iter().filter_map(one).collect();
    if queries.is_empty() {
        return Ok(());
    }
    let value = |row: &SimpleQueryRow| {
        let value = SequenceValue { last: cell(row, 1)?.parse().ok()?, is_called: cell(row, 2)? == "t" };
        Some((cell(row, 0)?.parse::<u32>().ok()?, value))
    };
    let found = rows(client, &queries.join(" UNION ALL "))?;
    let values = found.iter().map(value).collect::<Option<BTreeMap<_, _>>>().ok_or_else(unread)?;
    for found in part {
        if let Some(value) = values.get(&found.note.oid) {
            found.note.state = SequenceState::Known(*value);
        }
    }
    Ok(())
}

fn unread() -> Fault {
    Fault::failed("the catalog describes a sequence in a way that pgbk does not understand")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_each_version_of_the_server_gives_it() {
        let value = |last, is_called| Some(SequenceValue { last, is_called });
        for (text, expected) in [
            ("42", value(42, true)),
            ("-9223372036854775808", value(i64::MIN, true)),
            ("(1,f)", value(1, false)),
            ("(-7,t)", value(-7, true)),
            ("(7,t,0/1A2B)", value(7, true)),
            ("(,)", None),
            ("(1)", None),
            ("", None),
        ] {
            assert_eq!(given(text), expected, "{text}");
        }
    }
}
