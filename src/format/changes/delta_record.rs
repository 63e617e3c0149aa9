//! The records of a delta, as its reader tells them.

use crate::format::lsn::Lsn;
use crate::format::pgoutput::relation::Relation;
use crate::format::sql::object_name::TableName;
use jiff::Timestamp;

/// The first line of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionHead {
    pub xid: u32,
    /// Where its commit record begins.
    pub commit: Lsn,
    pub commit_time: Timestamp,
}

/// Tells what a statement does to the rows of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    Insert,
    /// Changes exactly one row.
    Update,
    /// Removes exactly one row.
    Delete,
}

/// A record of a delta. Statements end with a semicolon, and have no line end.
#[derive(Debug, PartialEq, Eq)]
pub enum DeltaRecord<'a> {
    /// A transaction begins. The script has `BEGIN;` here.
    Begin(TransactionHead),
    /// The shape of a table, before its first change. It is a comment in the script.
    Relation(&'a Relation),
    /// The table is not covered from this transaction on. It is a comment in the script.
    Break(TableName),
    Change {
        kind: ChangeKind,
        table: &'a TableName,
        statement: &'a [u8],
        /// How many rows the server must say that it changed.
        rows: u64,
    },
    /// `tables` are those that the statement names.
    Truncate {
        tables: Vec<TableName>,
        statement: &'a [u8],
    },
    /// Rows follow, up to their end.
    CopyBegin {
        table: &'a TableName,
        statement: &'a [u8],
    },
    /// Whole lines of the table whose block began last.
    CopyRows(&'a [u8]),
    CopyEnd {
        table: &'a TableName,
        rows: u64,
    },
    /// The transaction is whole. The script has `COMMIT;` here.
    Commit {
        /// Where its commit record ends.
        end: Lsn,
    },
    /// The delta is whole, and nothing follows.
    End {
        end: Lsn,
    },
}
