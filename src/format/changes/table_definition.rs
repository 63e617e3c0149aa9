//! Fingerprints of the definition of a table, by which a change is found that the server's stream does not tell.

use serde::{Deserialize, Serialize};

/// Longest text in bytes.
const LONGEST: usize = 64;

/// Holds what the catalog gave, as text: `<rows>.<columns>.<file>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableDefinition {
    /// Digest of what decides which rows the table takes: columns, constraints, unique indexes, types.
    rows: String,
    /// Digest of which transactions wrote the columns of the catalog.
    columns: String,
    /// Names the file that the rows are in.
    file: String,
}

impl TableDefinition {
    /// Reads what the catalog gave. `None`: this is no fingerprint.
    pub fn of_text(text: &str) -> Option<TableDefinition> {
        let mut parts = text.split('.');
        let mut part = || {
            let part = parts.next()?;
            let is_plain = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_plain.then(|| part.to_owned())
        };
        let read = TableDefinition { rows: part()?, columns: part()?, file: part()? };
        (text.len() <= LONGEST && parts.next().is_none()).then_some(read)
    }

    /// Returns whether rows of before may not fit a table of now, or the other way round. Rows that are in another file while a column was
    /// written anew were made anew by `ALTER COLUMN … TYPE`; another file alone comes of TRUNCATE, CLUSTER and VACUUM FULL.
    pub fn differs(&self, now: &TableDefinition) -> bool {
        self.rows != now.rows || self.columns != now.columns && self.file != now.file
    }
}

impl TryFrom<String> for TableDefinition {
    type Error = &'static str;

    fn try_from(text: String) -> Result<TableDefinition, &'static str> {
        TableDefinition::of_text(&text).ok_or("no fingerprint of a table")
    }
}

impl From<TableDefinition> for String {
    fn from(TableDefinition { rows, columns, file }: TableDefinition) -> String {
        format!("{rows}.{columns}.{file}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewritten_column_differs_and_a_moved_file_alone_does_not() {
        let read = |text: &str| TableDefinition::of_text(text).unwrap();
        let known = read("ab.cd.16384");
        for (now, differs) in [
            ("ab.cd.16384", false),
            ("ab.cd.16999", false),
            ("ab.ce.16384", false),
            ("ab.ce.16999", true),
            ("ac.cd.16384", true),
        ] {
            assert_eq!(known.differs(&read(now)), differs, "{now}");
            assert_eq!(String::from(read(now)), now);
        }
        for text in ["", "ab.cd", "ab.cd.1.2", "ab..1", "ab.cd.x", &format!("{}.1.1", "a".repeat(64))] {
            assert_eq!(TableDefinition::of_text(text), None, "{text}");
        }
    }
}
