//! Sets sequences behind the rows, each to where the rows of the moment need it, or further.

use crate::base::error::Result;
use crate::format::changes::sequence_goal::SequenceGoal;
use crate::format::changes::sequence_sample::SequenceValue;
use crate::format::manifest::encoding::EncodingName;
use crate::format::sql::object_name::TableName;
use crate::postgres::connect::errors::explain;
use crate::postgres::restore::replay::statement_batch::utf8;
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::{first, rows};
use postgres::{GenericClient, SimpleQueryRow};
use std::collections::BTreeMap;

/// Sequences that are set at a time; the server keeps a lock of each up to the end of the transaction.
const TOGETHER: usize = 500;

/// Query for all sequences: names, and what they may give.
const SEQUENCES: &str = "
    SELECT n.nspname, c.relname, s.seqrelid, s.seqincrement < 0, s.seqmin, s.seqmax,
           pg_catalog.has_sequence_privilege(c.oid, 'UPDATE'), pg_catalog.format('%I.%I', n.nspname, c.relname)
    FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relpersistence <> 't'";

/// Says what came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetSequences {
    pub count: u64,
    /// Those that were not set, each with the reason, in words.
    pub left: Vec<String>,
}

/// A sequence of the database that is restored into.
struct StandingSequence {
    oid: u32,
    descends: bool,
    least: i64,
    most: i64,
    may_be_set: bool,
    /// The name as SQL has it.
    quoted: String,
}

/// Sets the sequences that are there. `encoding` is that of their names. One that is not there, or does not take its value, is left as it is
/// and named.
pub(crate) fn set_sequences(
    client: &mut impl GenericClient,
    encoding: EncodingName,
    goals: &[SequenceGoal],
) -> Result<SetSequences> {
    let (mut outcome, mut statements) = (SetSequences::default(), Vec::new());
    if goals.is_empty() {
        return Ok(outcome);
    }
    let there: BTreeMap<(String, String), StandingSequence> = standing(client)?;
    for goal in goals {
        let found = name(client, encoding, &goal.name).and_then(|name| there.get(&name));
        match found {
            None => outcome.left.push(left(goal, "the base does not have it")),
            Some(one) if !one.may_be_set => outcome.left.push(left(goal, "the role may not set it")),
            Some(one) => match value(client, one, goal)? {
                None => {}
                Some(value) if !(one.least..=one.most).contains(&value.last) => {
                    outcome.left.push(left(goal, &format!("in the base it cannot be {}", value.last)));
                }
                Some(SequenceValue { last, is_called }) => {
                    statements.push(format!(
                        "SELECT pg_catalog.setval({}::pg_catalog.regclass, '{last}'::pg_catalog.int8, {is_called})",
                        one.oid
                    ));
                }
            },
        }
    }
    for part in statements.chunks(TOGETHER) {
        client.batch_execute(&part.join("; ")).map_err(|error| explain(&error).context("cannot set sequences"))?;
    }
    outcome.count = statements.len() as u64;
    Ok(outcome)
}

fn left(goal: &SequenceGoal, why: &str) -> String {
    format!("the value of sequence {}: {why}", goal.name.text())
}

/// Returns the parts of a name as text. `None`: they are none, and no text of this database.
fn name(client: &mut impl GenericClient, encoding: EncodingName, name: &TableName) -> Option<(String, String)> {
    let mut part = |bytes: &[u8]| utf8(client, encoding, bytes).ok();
    Some((part(name.schema.bytes())?, part(name.name.bytes())?))
}

fn standing(client: &mut impl GenericClient) -> Result<BTreeMap<(String, String), StandingSequence>> {
    let one = |row: &SimpleQueryRow| {
        let name = (cell(row, 0)?.to_owned(), cell(row, 1)?.to_owned());
        let standing = StandingSequence {
            oid: cell(row, 2)?.parse().ok()?,
            descends: cell(row, 3)? == "t",
            least: cell(row, 4)?.parse().ok()?,
            most: cell(row, 5)?.parse().ok()?,
            may_be_set: cell(row, 6)? == "t",
            quoted: cell(row, 7)?.to_owned(),
        };
        Some((name, standing))
    };
    Ok(rows(client, SEQUENCES)?.iter().filter_map(one).collect())
}

/// Returns what a sequence is set to. `None`: it stays as it is.
fn value(
    client: &mut impl GenericClient,
    one: &StandingSequence,
    goal: &SequenceGoal,
) -> Result<Option<SequenceValue>> {
    if goal.suffices(one.descends) {
        return Ok(goal.value);
    }
    let mut known: Vec<SequenceValue> = goal.value.into_iter().chain(goal.before).collect();
    if !goal.is_sure {
        known.extend(own_value(client, one)?);
    }
    known.extend(used(client, one)?);
    Ok(known.into_iter().reduce(|known, other| known.further(other, one.descends)))
}

/// Returns where the sequence is, as the base has it and the changes left it. `None`: the role may not read it.
fn own_value(client: &mut impl GenericClient, one: &StandingSequence) -> Result<Option<SequenceValue>> {
    let readable = format!("SELECT pg_catalog.has_sequence_privilege({}, 'SELECT')", one.oid);
    if first(client, &readable)?.as_ref().and_then(|row| cell(row, 0)) != Some("t") {
        return Ok(None);
    }
    let row = first(client, &format!("SELECT last_value, is_called FROM {}", one.quoted))?;
    Ok(row
        .as_ref()
        .and_then(|row| Some(SequenceValue { last: cell(row, 0)?.parse().ok()?, is_called: cell(row, 1)? == "t" })))
}

/// Returns the furthest value in the columns that take their values from a sequence, short of its end: behind that it could give nothing.
/// `None`: there is none.
fn used(client: &mut impl GenericClient, one: &StandingSequence) -> Result<Option<SequenceValue>> {
    let StandingSequence { oid, descends, least, most, .. } = one;
    let columns = format!(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.quote_ident(a.attname)
         FROM (SELECT d.refobjid AS relid, d.refobjsubid AS number FROM pg_catalog.pg_depend d
               WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = {oid}
                 AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
               UNION
               SELECT f.adrelid, f.adnum FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attrdef f ON f.oid = d.objid
               WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
                 AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = {oid}) u
              JOIN pg_catalog.pg_class c ON c.oid = u.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
              JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.number
         WHERE a.atttypid IN (20, 21, 23) AND c.relkind IN ('r', 'p') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')"
    );
    let mut furthest: Option<SequenceValue> = None;
    for row in rows(client, &columns)? {
        let (Some(table), Some(column)) = (cell(&row, 0), cell(&row, 1)) else { continue };
        let (end, within) = if *descends {
            ("min", format!("> '{least}'::pg_catalog.int8"))
        } else {
            ("max", format!("< '{most}'::pg_catalog.int8"))
        };
        let query = format!("SELECT pg_catalog.{end}({column}) FROM {table} WHERE {column} {within}");
        let value = first(client, &query)?.as_ref().and_then(|row| cell(row, 0)?.parse().ok());
        let value = value.map(|last| SequenceValue { last, is_called: true });
        furthest = furthest.into_iter().chain(value).reduce(|known, other| known.further(other, *descends));
    }
    Ok(furthest)
}
