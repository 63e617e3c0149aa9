//! Breaks: places of the log across which a chain of segments does not carry a table.

use crate::format::lsn::Lsn;
use crate::format::sql::object_name::TableName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Why a table is not covered, or was not for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakReason {
    /// Columns were added, removed, renamed or made of another type.
    Columns,
    /// Something else was changed that decides which rows the table takes: a constraint, a generated column, a type of its columns.
    Definition,
    Renamed,
    /// Another table took its name.
    Replaced,
    /// A row was changed that nothing identifies.
    Unidentified,
    /// A row is larger than a statement may be.
    Oversize,
    /// The table came into being after the first segment.
    Unknown,
    /// The server's stream does not have its changes: it is unlogged, foreign, a materialised view, or of an extension.
    Unstreamed,
    /// It is not in the database any more.
    Dropped,
}

impl BreakReason {
    /// Returns the reason of two breaks of one table, as people are told it: that its definition was changed says least.
    pub fn then(self, later: BreakReason) -> BreakReason {
        if later == BreakReason::Definition { self } else { later }
    }

    /// Says it to people, after the name of the table.
    pub fn describe(self) -> &'static str {
        match self {
            BreakReason::Columns => "its columns were changed",
            BreakReason::Definition => "its definition was changed",
            BreakReason::Renamed => "it was renamed",
            BreakReason::Replaced => "another table has its name",
            BreakReason::Unidentified => "it has no key by which its rows are told apart",
            BreakReason::Oversize => "it has a row that is larger than a statement may be",
            BreakReason::Unknown => "it is new",
            BreakReason::Unstreamed => "the server does not stream its changes",
            BreakReason::Dropped => "it was dropped",
        }
    }
}

/// The transaction with which a break is over. A base that holds it has the table as it is behind the break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakEnd {
    /// Where its commit record begins.
    pub commit: Lsn,
    /// The lower half of its number.
    pub xid: u32,
}

/// A table that is not covered from a place on: a base from before it does not reach further with this table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableBreak {
    pub table: TableName,
    /// The identifier of the table in the source's catalog.
    pub oid: u32,
    /// Up to here the table is as the stream told it. What changed it came no earlier.
    pub from: Lsn,
    pub reason: BreakReason,
    /// Until then, by the server's clock, looks at its catalog found the table as it was. `None`: there was no look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Timestamp>,
    /// From this transaction on the table is covered again, or is gone. `None`: it is not covered until a later break of it has an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<BreakEnd>,
}
