//! A statement that reads rows of one table.

use crate::format::archive::entry::ArchiveEntry;
use crate::format::sql::tokens::Tokens;
use crate::postgres::anonymise::address_scan::AddressScan;
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

/// A table that rows are read from, as the dump names it and as the server does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableToRead {
    /// The name in the script.
    table: String,
    /// The statement before the rows in the script, with its line break.
    pub header: Vec<u8>,
    /// The columns with the brackets around them; empty for all.
    columns: String,
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
    /// Returns the table of an entry with rows. `None`: they are no COPY block, or not in UTF-8.
    pub fn of(entry: &ArchiveEntry, source: &SnapshotTable) -> Option<TableToRead> {
        let statement = std::str::from_utf8(&entry.copy).ok()?;
        let end = statement.rfind(" FROM stdin;")?;
        let mut tokens = Tokens::new(&statement.as_bytes()[..end]);
        if !tokens.accept(&["copy"]) {
            return None;
        }
        let table = String::from_utf8_lossy(tokens.take_name()?).into_owned();
        let columns = std::str::from_utf8(tokens.rest()).ok()?.trim().to_owned();
        let header = entry.copy.clone();
        Some(TableToRead { table, header, columns, source: source.clone(), select: None, outputs: RowOutputs::PLAIN })
    }

    /// Returns whether ranges of its rows can be read by themselves: it lies on this server, all rows are wanted, and it has columns.
    pub fn is_divisible(&self) -> bool {
        !self.source.is_foreign && self.source.condition.is_empty() && !self.columns.is_empty()
    }

    /// Returns the statement that reads all rows.
    pub fn whole(&self) -> CopyItem {
        let SnapshotTable { name, condition, is_foreign, .. } = &self.source;
        let statement = match &self.select {
            Some(select) => format!("COPY ({select}) TO STDOUT"),
            None if condition.is_empty() && !is_foreign => format!("COPY {name} {} TO STDOUT", self.columns),
            None => format!("COPY (SELECT {} FROM {name} {condition}) TO STDOUT", self.list()),
        };
        self.item(statement, true)
    }

    /// Returns the statement that reads the rows in a range of pages; an end of `None` is the end of the table, wherever it is.
    pub fn range(&self, pages: Range<u64>, is_last: bool) -> CopyItem {
        let from = format!("ctid >= '({},0)'::pg_catalog.tid", pages.start);
        let to = if is_last { String::new() } else { format!(" AND ctid < '({},0)'::pg_catalog.tid", pages.end) };
        let rows = match &self.select {
            Some(select) => select.clone(),
            None => format!("SELECT {} FROM ONLY {}", self.list(), self.source.name),
        };
        self.item(format!("COPY ({rows} WHERE {from}{to}) TO STDOUT"), pages.start == 0)
    }

    fn item(&self, statement: String, is_first: bool) -> CopyItem {
        let (table, header, outputs) = (self.table.clone(), self.header.clone(), self.outputs.clone());
        CopyItem { table, statement, header, is_first, outputs }
    }

    /// Returns the columns without the brackets.
    fn list(&self) -> &str {
        self.columns.strip_prefix('(').and_then(|list| list.strip_suffix(')')).unwrap_or(&self.columns)
    }
}
