//! Breaks: tables that a chain of segments does not cover from a place on.

use crate::format::lsn::Lsn;
use crate::format::sql::object_name::TableName;
use serde::{Deserialize, Serialize};

/// Why a table is not covered any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakReason {
    /// Columns were added, removed, renamed or made of another type.
    Columns,
    Renamed,
    /// Another table took its name.
    Replaced,
    /// A row was changed that nothing identifies.
    Unidentified,
    /// A row is larger than a statement may be.
    Oversize,
    /// The table came into being after the base, whose definition it would need.
    Unknown,
    /// The server's stream does not have its changes: it is unlogged, foreign, a materialised view, or of an extension.
    Unstreamed,
    /// It is not in the database any more.
    Dropped,
}

impl BreakReason {
    /// Says it to people, after the name of the table.
    pub fn describe(self) -> &'static str {
        match self {
            BreakReason::Columns => "its columns were changed",
            BreakReason::Renamed => "it was renamed",
            BreakReason::Replaced => "another table has its name",
            BreakReason::Unidentified => "it has no key by which its rows are told apart",
            BreakReason::Oversize => "it has a row that is larger than a statement may be",
            BreakReason::Unknown => "it is newer than the generation",
            BreakReason::Unstreamed => "the server does not stream its changes",
            BreakReason::Dropped => "it was dropped",
        }
    }
}

/// A table that is not covered from a place on, until a later segment states its relation again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableBreak {
    pub table: TableName,
    /// The identifier of the table in the source's catalog.
    pub oid: u32,
    /// Where the commit record of the transaction begins, from which on changes are missing.
    pub from: Lsn,
    pub reason: BreakReason,
}
