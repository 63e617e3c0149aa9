//! Where the rule of a column is from.

use serde::Serialize;

/// Says where a column has its rule from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleOrigin {
    /// The file names the column, or all others of its table.
    Named,
    /// The file names the same column of the table that this one is a partition or a child of.
    Parent,
    /// The file names a column that this one refers to, or that refers to this one.
    ForeignKey,
    /// No rule names it: what looks like an e-mail address is replaced.
    Default,
    /// No rule names it, and it stays as it is.
    Unnamed,
}
