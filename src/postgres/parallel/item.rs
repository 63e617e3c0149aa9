//! A statement that reads rows of one table.

use crate::format::archive::entry::ArchiveEntry;
use crate::format::sql::tokens::Tokens;
use crate::postgres::anonymise::address_scan::AddressScan;
use crate::postgres::session::quote::literal;
use crate::postgres::session::snapshot_tables::SnapshotTable;
use std::ops::Range;
use std::sync::Arc;

/// The backups that rows are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowOutputs {
    /// Whether they are for the plain one.
    pub plain: bool,
    /// Says what must not be in them where they are for the anonymised one; `None`: they are not.
    pub anonymised: Option<Arc<AddressScan>>,
}

impl RowOutputs {
    /// The plain backup alone.
    pub const PLAIN: RowOutputs = RowOutputs { plain: true, anonymised: None };

    /// Returns whether other rows are for the same backups.
    pub fn is_same(&self, other: &RowOutputs) -> bool {
        (self.plain, self.anonymised.is_some()) == (other.plain, other.anonymised.is_some())
    }
}

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
    /// The query for its rows where they are changed; `None`: they stay as they are.
    pub select: Option<String>,
    pub outputs: RowOutputs,
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
    pub outputs: RowOutputs,
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
        let (header, source, outputs) = (entry.copy.clone(), source.clone(), RowOutputs::PLAIN);
        Some(TableToRead { table, header, columns, encoding, source, select: None, outputs })
    }

    /// Returns whether ranges of its rows can be read by themselves: the server can, all rows are wanted, and it has columns.
    pub fn is_divisible(&self) -> bool {
        self.source.has_ranges && self.source.condition.is_empty() && !self.columns.is_empty()
    }

    /// Returns the statement that reads all rows.
    pub fn whole(&self) -> CopyItem {
        let SnapshotTable { name, condition, is_foreign, .. } = &self.source;
        let rows = match &self.select {
            Some(select) => format!("({select})"),
            None if condition.is_empty() && !is_foreign => format!("{name} {}", self.columns),
            None => format!("(SELECT {} FROM {name} {condition})", self.list()),
        };
        self.item(&rows, true)
    }

    /// Returns the statement that reads the rows in a range of pages; an end of `None` is the end of the table, wherever it is.
    pub fn range(&self, pages: Range<u64>, is_last: bool) -> CopyItem {
        let from = format!("ctid >= '({},0)'::pg_catalog.tid", pages.start);
        let to = if is_last { String::new() } else { format!(" AND ctid < '({},0)'::pg_catalog.tid", pages.end) };
        let rows = match &self.select {
            Some(select) => select.clone(),
            None => format!("SELECT {} FROM ONLY {}", self.list(), self.source.name),
        };
        self.item(&format!("({rows} WHERE {from}{to})"), pages.start == 0)
    }

    fn item(&self, rows: &str, is_first: bool) -> CopyItem {
        let statement = format!("COPY {rows} TO STDOUT{}", self.encoding);
        let (table, header, outputs) = (self.table.clone(), self.header.clone(), self.outputs.clone());
        CopyItem { table, statement, header, is_first, outputs }
    }

    /// Returns the columns without the brackets.
    fn list(&self) -> &str {
        self.columns.strip_prefix('(').and_then(|list| list.strip_suffix(')')).unwrap_or(&self.columns)
    }
}
