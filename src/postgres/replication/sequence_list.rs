//! Reads where the sequences of a database are.
//!
//! The server locks each sequence that it reads up to the end of the transaction, and has room for some thousand locks. So their values are
//! asked for in parts. One that a transaction holds is passed over: nobody waits for it.

use crate::base::error::{Fault, Result};
use crate::format::changes::sequence_sample::{SequenceNote, SequenceState, SequenceValue};
use crate::format::sql::object_name::{ObjectName, TableName};
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::{rows, text};
use postgres::{Client, SimpleQueryRow};
use std::collections::BTreeMap;

/// Sequences whose values are asked for at a time.
const TOGETHER: usize = 1000;
/// Sequences that are asked themselves in one statement: the time to plan it grows with the square.
const JOINED: usize = 10;
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
    let listed = rows(client, LISTED)?;
    let mut all = listed.iter().map(sequence).collect::<Option<Vec<ListedSequence>>>().ok_or_else(unread)?;
    for part in all.chunks_mut(TOGETHER) {
        settle(client, part, &values(part, gives_both))?;
        settle(client, part, &own_values(part))?;
    }
    Ok(all.into_iter().map(|one| one.note).collect())
}

/// A sequence, and how a statement names it while its value is to be asked for. A name that is no text cannot be.
struct ListedSequence {
    note: SequenceNote,
    asked: Option<String>,
}

/// Query for all sequences but those of extensions: whoever makes the extension makes them. Names come in the server's encoding, as bytes in
/// hexadecimal digits.
const LISTED: &str = "
    SELECT c.oid,
           pg_catalog.encode(pg_catalog.convert_to(n.nspname::text, pg_catalog.getdatabaseencoding()), 'hex'),
           pg_catalog.encode(pg_catalog.convert_to(c.relname::text, pg_catalog.getdatabaseencoding()), 'hex'),
           CASE WHEN NOT pg_catalog.has_sequence_privilege(c.oid, 'SELECT') OR NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')
                THEN 'denied' WHEN l.relation IS NOT NULL THEN 'locked' ELSE 'readable' END,
           pg_catalog.format('%I.%I', n.nspname, c.relname)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN (SELECT DISTINCT relation FROM pg_catalog.pg_locks
                    WHERE locktype = 'relation' AND granted AND pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
                      AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
                      AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')) l
              ON l.relation = c.oid
    WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY c.oid";

fn sequence(row: &SimpleQueryRow) -> Option<ListedSequence> {
    let name = |at| ObjectName::new(&hex::decode(cell(row, at)?).ok()?);
    let (oid, name) = (cell(row, 0)?.parse().ok()?, TableName { schema: name(1)?, name: name(2)? });
    // What is readable is denied until its value comes.
    let (state, asked) = match cell(row, 3)? {
        "locked" => (SequenceState::Locked, None),
        "readable" => (SequenceState::Denied, cell(row, 4).map(str::to_owned)),
        _ => (SequenceState::Denied, None),
    };
    Some(ListedSequence { note: SequenceNote { oid, name, state }, asked })
}

/// Returns the statement that asks the catalog for values.
fn values(part: &[ListedSequence], gives_both: bool) -> String {
    let asked = part.iter().filter(|one| one.asked.is_some());
    let oids: Vec<String> = asked.map(|one| one.note.oid.to_string()).collect();
    let value = if gives_both { "pg_get_sequence_data" } else { "pg_sequence_last_value" };
    format!(
        "SELECT s.seqrelid, pg_catalog.{value}(s.seqrelid)::text FROM pg_catalog.pg_sequence s
         WHERE s.seqrelid = ANY ('{{{}}}'::pg_catalog.oid[])",
        oids.join(",")
    )
}

/// Returns the statements that ask those sequences themselves of which the catalog gave nothing: what they will give first.
fn own_values(part: &[ListedSequence]) -> String {
    let one = |one: &ListedSequence| {
        let name = one.asked.as_ref()?;
        Some(format!("SELECT {}::pg_catalog.oid, ROW(last_value, is_called)::text FROM {name}", one.note.oid))
    };
    let asked: Vec<String> = part.iter().filter_map(one).collect();
    asked.chunks(JOINED).map(|some| some.join(" UNION ALL ")).collect::<Vec<_>>().join("; ")
}

/// Runs statements that give identifiers and values, and takes these over.
fn settle(client: &mut Client, part: &mut [ListedSequence], statements: &str) -> Result<()> {
    let found = rows(client, statements)?;
    let value = |row: &SimpleQueryRow| Some((cell(row, 0)?.parse::<u32>().ok()?, cell(row, 1)?.to_owned()));
    // One that was never called has none.
    let values: BTreeMap<u32, String> = found.iter().filter_map(value).collect();
    for one in part {
        if let Some(text) = values.get(&one.note.oid) {
            one.note.state = SequenceState::Known(given(text).ok_or_else(unread)?);
            one.asked = None;
        }
    }
    Ok(())
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
