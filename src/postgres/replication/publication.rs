//! Says which tables are streamed: the statements that make, change and remove the publications, to be shown or run.
//!
//! There are two of them. One publishes everything of the tables whose rows have a key, the other INSERT and TRUNCATE of the others: an
//! application could no longer UPDATE or DELETE rows of a table without a key that is published for these. `FOR ALL TABLES` would do just
//! that to every such table, and needs a superuser. So tables are listed, which needs their owner and CREATE on the database, and the
//! lists are kept in step with the database. A table is added before it is taken out elsewhere, so that no change is missed; one that is
//! in both for a moment is streamed once.
//!
//! Each table is listed alone (`ONLY`), a partition too: what a list took in by itself might have no key.

use crate::base::error::{Fault, Kind, Result};
use crate::base::shown::many;
use crate::format::changes::replication_names::PublicationName;
use crate::postgres::connect::errors::said;
use crate::postgres::replication::capture_candidate::{CaptureCandidate, TableCapture};
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::rows;
use crate::postgres::session::quote::{identifier, literal};
use postgres::Client;
use postgres::error::SqlState;
use std::collections::BTreeSet;

/// Tables in one statement.
const EACH: usize = 500;

/// Names the two publications of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publications {
    /// Publishes everything, of tables with a key.
    pub changes: PublicationName,
    /// Publishes INSERT and TRUNCATE, of tables without one.
    pub inserts: PublicationName,
}

/// A table by schema and name.
pub type ListedTable = (String, String);

/// Holds which tables each publication lists. `None`: it is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishedTables {
    pub changes: Option<BTreeSet<ListedTable>>,
    pub inserts: Option<BTreeSet<ListedTable>>,
}

impl PublishedTables {
    pub fn ask(client: &mut Client, names: &Publications) -> Result<PublishedTables> {
        Ok(PublishedTables { changes: listed(client, &names.changes)?, inserts: listed(client, &names.inserts)? })
    }
}

fn listed(client: &mut Client, name: &PublicationName) -> Result<Option<BTreeSet<ListedTable>>> {
    let query = format!(
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_publication p
         LEFT JOIN (pg_catalog.pg_publication_rel m JOIN pg_catalog.pg_class c ON c.oid = m.prrelid
                    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace) ON m.prpubid = p.oid
         WHERE p.pubname = {}",
        literal(name.as_str())
    );
    let rows = rows(client, &query)?;
    // A publication without tables is one row of NULLs.
    let table = |row| Some((cell(row, 0)?.to_owned(), cell(row, 1)?.to_owned()));
    Ok((!rows.is_empty()).then(|| rows.iter().filter_map(table).collect()))
}

/// Returns the statements that bring the publications from what they list to what they should, in the order in which they have to run.
/// None are needed where all is as it should be.
pub fn statements(names: &Publications, tables: &[CaptureCandidate], published: &PublishedTables) -> Vec<String> {
    let wanted = |is: fn(TableCapture) -> bool| -> BTreeSet<ListedTable> {
        let wanted = tables.iter().filter(|table| is(table.capture));
        wanted.map(|table| (table.schema.clone(), table.name.clone())).collect()
    };
    let changes = wanted(|capture| matches!(capture, TableCapture::Keyed | TableCapture::WholeRow));
    let inserts = wanted(|capture| capture == TableCapture::InsertsOnly);
    let none = BTreeSet::new();
    let lists = [
        (&names.changes, "insert, update, delete, truncate", &published.changes, changes),
        (&names.inserts, "insert, truncate", &published.inserts, inserts),
    ];
    let create = lists.iter().filter(|(_, _, listed, _)| listed.is_none()).map(|(name, operations, ..)| {
        format!("CREATE PUBLICATION {} WITH (publish = '{operations}')", identifier(name.as_str()))
    });
    let changed = |verb: &str, from: fn(&BTreeSet<ListedTable>, &BTreeSet<ListedTable>) -> Vec<ListedTable>| {
        let each = lists.iter().map(|(name, _, listed, wanted)| {
            let tables = from(wanted, listed.as_ref().unwrap_or(&none));
            let alter = format!("ALTER PUBLICATION {} {verb}", identifier(name.as_str()));
            tables.chunks(EACH).map(|tables| format!("{alter} TABLE {}", list(tables))).collect::<Vec<_>>()
        });
        each.flatten().collect::<Vec<_>>()
    };
    let add = changed("ADD", |wanted, listed| wanted.difference(listed).cloned().collect());
    let take = changed("DROP", |wanted, listed| listed.difference(wanted).cloned().collect());
    create.chain(add).chain(take).collect()
}

/// Returns the tables, by their identifiers, that these statements take into the publication of all changes or out of it.
pub fn moved(tables: &[CaptureCandidate], published: &PublishedTables) -> Vec<u32> {
    let none = BTreeSet::new();
    let listed = published.changes.as_ref().unwrap_or(&none);
    let is_moved = |table: &&CaptureCandidate| {
        let is_wanted = matches!(table.capture, TableCapture::Keyed | TableCapture::WholeRow);
        is_wanted != listed.contains(&(table.schema.clone(), table.name.clone()))
    };
    tables.iter().filter(is_moved).map(|table| table.oid).collect()
}

/// Returns the statements that remove the publications that are there.
pub fn removal(names: &Publications) -> Vec<String> {
    let names = [&names.changes, &names.inserts];
    names.map(|name| format!("DROP PUBLICATION IF EXISTS {}", identifier(name.as_str()))).into()
}

fn list(tables: &[ListedTable]) -> String {
    let only: Vec<String> =
        tables.iter().map(|(schema, name)| format!("ONLY {}.{}", identifier(schema), identifier(name))).collect();
    only.join(", ")
}

/// Fails if the role may not publish all of these tables; says whose they are.
pub fn require_owned(tables: &[CaptureCandidate]) -> Result<()> {
    let is_captured = |table: &&CaptureCandidate| !matches!(table.capture, TableCapture::Uncaptured(_));
    let foreign: Vec<&CaptureCandidate> = tables.iter().filter(is_captured).filter(|table| !table.owned).collect();
    let Some(first) = foreign.first() else { return Ok(()) };
    let owners: BTreeSet<&str> = foreign.iter().map(|table| table.owner.as_str()).collect();
    let owners: Vec<String> = owners.into_iter().map(identifier).collect();
    let message = format!(
        "the role may not publish {}, the first of them {}.{}: only a table's owner may",
        many(foreign.len() as u64, "table"),
        identifier(&first.schema),
        identifier(&first.name)
    );
    Err(Fault::new(Kind::Denied, message)
        .hint(format!("GRANT {} TO the role that connects, or have a superuser run the statements", owners.join(", ")))
        .into())
}

/// Runs the statements, all of them or none.
pub fn run(client: &mut Client, statements: &[String]) -> Result<()> {
    let mut transaction = client.transaction().map_err(|error| refused("BEGIN", &error))?;
    for statement in statements {
        transaction.batch_execute(statement).map_err(|error| refused(statement, &error))?;
    }
    transaction.commit().map_err(|error| refused("COMMIT", &error))
}

fn refused(statement: &str, error: &postgres::Error) -> anyhow::Error {
    // A list of tables may be very long.
    let words: String = statement.chars().take(200).collect();
    let code = error.code().map(SqlState::code).unwrap_or_default();
    let fault = Fault::failed(format!("cannot run {words}: {}", said(error))).with_sqlstate(code);
    match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => fault.with_kind(Kind::Denied).hint(
            "publications need CREATE on the database and the owner of each table: grant both, or have a superuser run the statements",
        ),
        Some(&SqlState::UNDEFINED_TABLE) => fault.hint("a table has gone meanwhile: try again"),
        _ => fault,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, capture: TableCapture, owned: bool) -> CaptureCandidate {
        let (schema, owner) = ("s\"x".to_owned(), "boss".to_owned());
        CaptureCandidate { oid: 1, schema, name: name.to_owned(), capture, owner, owned }
    }

    fn names() -> Publications {
        Publications { changes: "p".parse().unwrap(), inserts: "Odd \"q\"".parse().unwrap() }
    }

    #[test]
    fn a_table_is_added_where_it_belongs_before_it_is_taken_out_elsewhere() {
        let tables = [table("a", TableCapture::Keyed, true), table("b", TableCapture::InsertsOnly, true)];
        let made = statements(&names(), &tables, &PublishedTables::default());
        assert_eq!(
            made,
            [
                "CREATE PUBLICATION \"p\" WITH (publish = 'insert, update, delete, truncate')",
                "CREATE PUBLICATION \"Odd \"\"q\"\"\" WITH (publish = 'insert, truncate')",
                "ALTER PUBLICATION \"p\" ADD TABLE ONLY \"s\"\"x\".\"a\"",
                "ALTER PUBLICATION \"Odd \"\"q\"\"\" ADD TABLE ONLY \"s\"\"x\".\"b\"",
            ]
        );
        let listed = |name: &str| Some(BTreeSet::from([("s\"x".to_owned(), name.to_owned())]));
        let as_it_is = PublishedTables { changes: listed("a"), inserts: listed("b") };
        assert!(statements(&names(), &tables, &as_it_is).is_empty());
        let before = PublishedTables { changes: Some(BTreeSet::new()), inserts: listed("a") };
        let moved = statements(&names(), &tables[..1], &before);
        assert_eq!(
            (moved.len(), moved[0].contains("\"p\" ADD"), moved[1].contains(" DROP TABLE ONLY ")),
            (2, true, true)
        );
    }

    #[test]
    fn many_tables_are_several_statements() {
        let tables: Vec<_> =
            (0..EACH + 1).map(|number| table(&number.to_string(), TableCapture::WholeRow, true)).collect();
        assert_eq!(statements(&names(), &tables, &PublishedTables::default()).len(), 4);
    }

    #[test]
    fn only_tables_that_would_be_published_have_to_be_owned() {
        use crate::postgres::replication::capture_candidate::UncapturedReason;
        let foreign = table("f", TableCapture::Uncaptured(UncapturedReason::Foreign), false);
        assert!(require_owned(&[table("a", TableCapture::Keyed, true), foreign]).is_ok());
        let error = require_owned(&[table("a", TableCapture::Keyed, false)]).unwrap_err();
        assert!(crate::base::error::hints(&error)[0].contains("GRANT \"boss\""), "{error:#}");
    }
}
