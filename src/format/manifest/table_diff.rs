//! Compares the tables that a `.meta` states with those that were found.

use crate::base::error::{Fault, Result};
use crate::base::shown::{agree, many};
use crate::format::manifest::Table;
use serde::Serialize;

/// The result for one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableDiff {
    /// Rows, bytes and BLAKE2b are equal.
    Same,
    Differs,
    /// The `.meta` states it, but it was not found.
    Missing,
    /// It was found, but the `.meta` does not state it.
    Extra,
    /// The `.meta` states nothing to compare with: an archive's has no tables, and an upload's not all of them.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableComparison {
    pub name: String,
    pub verdict: TableDiff,
    pub stated: Option<TableTotal>,
    pub found: Option<TableTotal>,
}

/// Totals of all COPY blocks of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableTotal {
    pub rows: u64,
    pub bytes: u64,
    /// BLAKE2b of the only block. `None` if there are several: `pg_dump` wrote the rows of partitions by way of their root, and the
    /// server chooses where each row goes, so rows and bytes must do.
    #[serde(serialize_with = "in_hex", skip_serializing_if = "Option::is_none")]
    pub blake2b: Option<[u8; 32]>,
}

/// Returns the result for each table, in the order in which they are stated. An archive states none (`stated` is `None`). An
/// uploaded dump (`foreign`) states only those with COPY blocks: rows may be in INSERT statements, and an empty table may be left
/// out.
pub fn compare(stated: Option<&[Table]>, found: &[Table], foreign: bool) -> Vec<TableComparison> {
    let names = stated.unwrap_or_default().iter().chain(found).map(|table| table.name.as_str());
    let mut compared: Vec<TableComparison> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for name in names.filter(|name| seen.insert(*name)) {
        let (ours, theirs) = (stated.and_then(|stated| TableTotal::of(name, stated)), TableTotal::of(name, found));
        let verdict = match (&ours, &theirs) {
            _ if stated.is_none() => TableDiff::Unknown,
            (Some(ours), Some(theirs)) if ours == theirs => TableDiff::Same,
            (Some(_), Some(_)) => TableDiff::Differs,
            (Some(_), None) => TableDiff::Missing,
            (None, _) if foreign => TableDiff::Unknown,
            (None, _) => TableDiff::Extra,
        };
        compared.push(TableComparison { name: name.to_owned(), verdict, stated: ours, found: theirs });
    }
    compared
}

impl Table {
    /// Fails if this table, among those that were read, is another one than the document states.
    pub(crate) fn compare(&self, found: &[Table]) -> Result<()> {
        let found = found.iter().find(|table| table.name == self.name);
        if found.is_some_and(|found| (found.rows, found.bytes, found.blake2b) == (self.rows, self.bytes, self.blake2b))
        {
            return Ok(());
        }
        let rows = many(found.map_or(0, |found| found.rows), "row");
        let message =
            format!("table {} is not what the .meta states: {rows} of {}, or another content", self.name, self.rows);
        Err(Fault::damaged(message).into())
    }
}

impl TableTotal {
    fn of(name: &str, tables: &[Table]) -> Option<TableTotal> {
        let mut total: Option<TableTotal> = None;
        for table in tables.iter().filter(|table| table.name == name) {
            total = Some(match total {
                None => TableTotal { rows: table.rows, bytes: table.bytes, blake2b: Some(table.blake2b) },
                // Whoever wrote the document may have stated any figures.
                Some(before) => TableTotal {
                    rows: before.rows.saturating_add(table.rows),
                    bytes: before.bytes.saturating_add(table.bytes),
                    blake2b: None,
                },
            });
        }
        total
    }
}

impl TableComparison {
    /// Returns whether the table differs from what is stated.
    pub fn is_wrong(&self) -> bool {
        !matches!(self.verdict, TableDiff::Same | TableDiff::Unknown)
    }

    /// Returns the result in words for people.
    pub fn describe(&self) -> String {
        let number = |total: &Option<TableTotal>| total.as_ref().map_or(0, |total| total.rows);
        let (stated, found) = (number(&self.stated), number(&self.found));
        let rows = |number| many(number, "row");
        match self.verdict {
            TableDiff::Same => format!("{}, the same", rows(found)),
            TableDiff::Unknown => format!("{}, nothing to compare with", rows(found)),
            TableDiff::Missing => format!("MISSING: the .meta states {}", rows(stated)),
            TableDiff::Extra => format!("NOT STATED by the .meta: {} restored", rows(found)),
            TableDiff::Differs if stated == found => {
                format!("DIFFERS: {} as stated, with other contents", rows(found))
            }
            TableDiff::Differs => {
                let were = agree(&found, "was", "were");
                format!("DIFFERS: the .meta states {}, {found} {were} restored", rows(stated))
            }
        }
    }
}

fn in_hex<S: serde::Serializer>(hash: &Option<[u8; 32]>, to: S) -> std::result::Result<S::Ok, S::Error> {
    hash.map(hex::encode).serialize(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, rows: u64, hash: u8) -> Table {
        Table { name: name.to_owned(), rows, bytes: 10 * rows, blake2b: [hash; 32], at: Vec::new() }
    }

    fn verdicts(stated: &[Table], found: &[Table]) -> Vec<(String, TableDiff)> {
        compare(Some(stated), found, false).into_iter().map(|one| (one.name, one.verdict)).collect()
    }

    #[test]
    fn every_table_has_a_verdict_of_its_own() {
        let stated = [table("a", 1, 1), table("b", 2, 2), table("c", 3, 3), table("d", 4, 4)];
        let found = [table("e", 5, 5), table("b", 2, 9), table("a", 1, 1), table("c", 4, 3)];
        let expected = [
            ("a", TableDiff::Same),
            ("b", TableDiff::Differs),
            ("c", TableDiff::Differs),
            ("d", TableDiff::Missing),
            ("e", TableDiff::Extra),
        ];
        assert_eq!(verdicts(&stated, &found), expected.map(|(name, verdict)| (name.to_owned(), verdict)));
        let of_an_upload = compare(Some(&stated), &found, true);
        assert!(of_an_upload.iter().all(|one| one.is_wrong() == ["b", "c", "d"].contains(&one.name.as_str())));
        assert!(compare(None, &found, false).iter().all(|one| one.verdict == TableDiff::Unknown && !one.is_wrong()));
    }

    #[test]
    fn of_several_blocks_of_one_table_the_rows_and_bytes_count_together() {
        let stated = [table("root", 1, 1), table("root", 2, 2)];
        assert_eq!(verdicts(&stated, &[table("root", 2, 7), table("root", 1, 8)])[0].1, TableDiff::Same);
        assert_eq!(verdicts(&stated, &[table("root", 2, 7), table("root", 2, 8)])[0].1, TableDiff::Differs);
        // One block is not the same as two, though it may hold as much: that would be another way to dump.
        assert_eq!(verdicts(&stated, &[table("root", 3, 7)])[0].1, TableDiff::Differs);
    }
}
