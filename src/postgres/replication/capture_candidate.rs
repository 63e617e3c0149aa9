//! Lists the tables of a database by how their changes can be captured.

use crate::base::error::Result;
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::rows;
use postgres::Client;

/// Holds a table, and how its changes can be captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureCandidate {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub capture: TableCapture,
    pub owner: String,
    /// Whether the connection's role may do what the owner may, such as to put the table into a publication.
    pub owned: bool,
}

/// Says how the changes of a table can be captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableCapture {
    /// All of them: a key tells which row an UPDATE or DELETE is about.
    Keyed,
    /// All of them: the whole old row is in the server's log (REPLICA IDENTITY FULL).
    WholeRow,
    /// Inserted rows and TRUNCATE only. The server refuses an UPDATE or DELETE of a table that is published for it and has no key,
    /// so such a table must not be.
    InsertsOnly,
    /// None. A base has the rows of all of these but foreign tables.
    Uncaptured(UncapturedReason),
}

/// Says why the changes of a table are not in the server's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UncapturedReason {
    /// The server's log does not hold its rows.
    Unlogged,
    /// Its rows are on another server.
    Foreign,
    /// A materialised view: REFRESH is not streamed.
    MaterialisedView,
    /// It belongs to an extension, which makes it and may fill it.
    Extension,
    /// No publication lists it.
    Unlisted,
}

impl UncapturedReason {
    pub fn as_str(self) -> &'static str {
        match self {
            UncapturedReason::Unlogged => "unlogged",
            UncapturedReason::Foreign => "foreign",
            UncapturedReason::MaterialisedView => "materialised view",
            UncapturedReason::Extension => "of an extension",
            UncapturedReason::Unlisted => "in no publication",
        }
    }
}

/// Query for what has rows of its own. A partitioned table has none: its partitions are there one by one, each with the key that it has
/// itself. Temporary tables go with their session and the system's with the server; no backup has either.
///
/// A deferrable primary key is none to the server here, nor is an index that is not valid.
const QUERY: &str = "
    SELECT c.oid, n.nspname, c.relname, CASE
               WHEN c.relkind = 'f' THEN 'foreign'
               WHEN c.relkind = 'm' THEN 'view'
               WHEN EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                            AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e') THEN 'extension'
               WHEN c.relpersistence = 'u' THEN 'unlogged'
               WHEN c.relreplident = 'f' THEN 'full'
               WHEN EXISTS (SELECT FROM pg_catalog.pg_index i
                            WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate
                              AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END)
                   THEN 'key'
               ELSE 'inserts' END,
           r.rolname, pg_catalog.pg_has_role(c.relowner, 'USAGE')
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
    WHERE c.relkind IN ('r', 'f', 'm') AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ORDER BY 2, 3";

impl CaptureCandidate {
    /// Returns every table of the database, in the order of schema and name.
    pub fn list(client: &mut Client) -> Result<Vec<CaptureCandidate>> {
        Ok(rows(client, QUERY)?
            .iter()
            .map(|row| {
                let text = |index: usize| cell(row, index).unwrap_or_default().to_owned();
                CaptureCandidate {
                    oid: text(0).parse().unwrap_or_default(),
                    schema: text(1),
                    name: text(2),
                    capture: capture(&text(3)),
                    owner: text(4),
                    owned: cell(row, 5) == Some("t"),
                }
            })
            .collect())
    }
}

fn capture(word: &str) -> TableCapture {
    match word {
        "key" => TableCapture::Keyed,
        "full" => TableCapture::WholeRow,
        "foreign" => TableCapture::Uncaptured(UncapturedReason::Foreign),
        "view" => TableCapture::Uncaptured(UncapturedReason::MaterialisedView),
        "extension" => TableCapture::Uncaptured(UncapturedReason::Extension),
        "unlogged" => TableCapture::Uncaptured(UncapturedReason::Unlogged),
        _ => TableCapture::InsertsOnly,
    }
}
