//! A statement that reads rows of one table.

use crate::format::archive::entry::ArchiveEntry;
use crate::format::sql::tokens::Tokens;
use crate::postgres::session::quote::literal;
use crate::postgres::session::snapshot_tables::SnapshotTable;
use std::ops::Range;

/// The encoding of every connection.
const CONNECTION: &str = "UTF8";

/// A table that rows are read from, as the dump names it and as the server does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableToRead {
    /// The name in the script.
    table: String,
    /// The statement before the rows in the script, with its line break.
    pub header: Vec<u8>,
    /// The columns with the brackets around them; empty for all.
    columns: String,
    /// The option of COPY for rows in another encoding than the connection's; empty for that one.
    encoding: String,
    pub source: SnapshotTable,
}

/// A `COPY … TO STDOUT`, and what stands before its rows in the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyItem {
    /// The table as the dump names it.
    pub table: String,
    pub statement: String,
    pub header: Vec<u8>,
    /// Whether the script has a block for it although there are no rows: of each table there is one.
    pub is_first: bool,
}

impl TableToRead {
    /// Returns the table of an entry with rows, in the encoding of the dump. `None`: they are no COPY block, or its names cannot be read.
    pub fn of(entry: &ArchiveEntry, source: &SnapshotTable, encoding: &str) -> Option<TableToRead> {
        let statement = std::str::from_utf8(&entry.copy).ok()?;
        let is_own = encoding == CONNECTION;
        if !is_own && !statement.is_ascii() {
            return None;
        }
        let end = statement.rfind(" FROM stdin;")?;
        let mut tokens = Tokens::new(&statement.as_bytes()[..end]);
        if !tokens.accept(&["copy"]) {
            return None;
        }
        let table = String::from_utf8_lossy(tokens.take_name()?).into_owned();
        let columns = std::str::from_utf8(tokens.rest()).ok()?.trim().to_owned();
        let encoding = if is_own { String::new() } else { format!(" (ENCODING {})", literal(encoding)) };
        Some(TableToRead { table, header: entry.copy.clone(), columns, encoding, source: source.clone() })
    }

    /// Returns whether ranges of its rows can be read by themselves: the server can, all rows are wanted, and it has columns.
    pub fn is_divisible(&self) -> bool {
        self.source.has_ranges && self.source.condition.is_empty() && !self.columns.is_empty()
    }

    /// Returns the statement that reads all rows.
    pub fn whole(&self) -> CopyItem {
        let SnapshotTable { name, condition, is_foreign, .. } = &self.source;
        let encoding = &self.encoding;
        let statement = match condition.is_empty() && !is_foreign {
            true => format!("COPY {name} {} TO STDOUT{encoding}", self.columns),
            false => format!("COPY (SELECT {} FROM {name} {condition}) TO STDOUT{encoding}", self.list()),
        };
        CopyItem { table: self.table.clone(), statement, header: self.header.clone(), is_first: true }
    }

    /// Returns the statement that reads the rows in a range of pages; an end of `None` is the end of the table, wherever it is.
    pub fn range(&self, pages: Range<u64>, is_last: bool) -> CopyItem {
        let from = format!("ctid >= '({},0)'::pg_catalog.tid", pages.start);
        let to = if is_last { String::new() } else { format!(" AND ctid < '({},0)'::pg_catalog.tid", pages.end) };
        let (list, name, encoding) = (self.list(), &self.source.name, &self.encoding);
        let statement = format!("COPY (SELECT {list} FROM ONLY {name} WHERE {from}{to}) TO STDOUT{encoding}");
        CopyItem { table: self.table.clone(), statement, header: self.header.clone(), is_first: pages.start == 0 }
    }

    /// Returns the columns without the brackets.
    fn list(&self) -> &str {
        self.columns.strip_prefix('(').and_then(|list| list.strip_suffix(')')).unwrap_or(&self.columns)
    }
}
