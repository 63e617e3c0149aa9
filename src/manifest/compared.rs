//! The tables that a `.meta` states beside those that were found.

use super::Table;
use serde::Serialize;

/// Whether one table is what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Rows, bytes and BLAKE2b are equal.
    Same,
    Differs,
    /// It is stated, and not there.
    Missing,
    /// It is there, and not stated.
    Extra,
    /// Nothing is stated: an archive's `.meta` knows no tables, that of an upload not all.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compared {
    pub name: String,
    pub verdict: Verdict,
    pub stated: Option<Total>,
    pub found: Option<Total>,
}

/// All COPY blocks of one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Total {
    pub rows: u64,
    pub bytes: u64,
    /// Of one block. Where there are several, `pg_dump` wrote the rows of partitions by way of their root, and it is the server's
    /// to choose where each row goes: then rows and bytes must do.
    #[serde(serialize_with = "in_hex", skip_serializing_if = "Option::is_none")]
    pub blake2b: Option<[u8; 32]>,
}

/// Table by table, in the order in which they are stated. Of an archive nothing is stated, and of a dump that was uploaded (`foreign`)
/// only what it has as COPY blocks: rows may stand in INSERT statements, and an empty table nowhere.
pub fn compare(stated: Option<&[Table]>, found: &[Table], foreign: bool) -> Vec<Compared> {
    let names = stated.unwrap_or_default().iter().chain(found).map(|table| table.name.as_str());
    let mut compared: Vec<Compared> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for name in names.filter(|name| seen.insert(*name)) {
        let (ours, theirs) = (stated.and_then(|stated| Total::of(name, stated)), Total::of(name, found));
        let verdict = match (&ours, &theirs) {
            _ if stated.is_none() => Verdict::Unknown,
            (Some(ours), Some(theirs)) if ours == theirs => Verdict::Same,
            (Some(_), Some(_)) => Verdict::Differs,
            (Some(_), None) => Verdict::Missing,
            (None, _) if foreign => Verdict::Unknown,
            (None, _) => Verdict::Extra,
        };
        compared.push(Compared { name: name.to_owned(), verdict, stated: ours, found: theirs });
    }
    compared
}

impl Total {
    fn of(name: &str, tables: &[Table]) -> Option<Total> {
        let mut total: Option<Total> = None;
        for table in tables.iter().filter(|table| table.name == name) {
            total = Some(match total {
                None => Total { rows: table.rows, bytes: table.bytes, blake2b: Some(table.blake2b) },
                // Whoever wrote the document may have stated any figures.
                Some(before) => Total {
                    rows: before.rows.saturating_add(table.rows),
                    bytes: before.bytes.saturating_add(table.bytes),
                    blake2b: None,
                },
            });
        }
        total
    }
}

impl Compared {
    /// Whether the table is not what is stated.
    pub fn is_wrong(&self) -> bool {
        !matches!(self.verdict, Verdict::Same | Verdict::Unknown)
    }

    /// For people.
    pub fn describe(&self) -> String {
        let rows = |total: &Option<Total>| total.as_ref().map_or(0, |total| total.rows);
        match self.verdict {
            Verdict::Same => format!("{} rows, the same", rows(&self.found)),
            Verdict::Unknown => format!("{} rows, nothing to compare with", rows(&self.found)),
            Verdict::Missing => format!("MISSING: the .meta states {} rows", rows(&self.stated)),
            Verdict::Extra => format!("NOT STATED by the .meta: {} rows restored", rows(&self.found)),
            Verdict::Differs if rows(&self.stated) == rows(&self.found) => {
                format!("DIFFERS: {} rows as stated, with other contents", rows(&self.found))
            }
            Verdict::Differs => {
                format!("DIFFERS: the .meta states {} rows, {} were restored", rows(&self.stated), rows(&self.found))
            }
        }
    }
}

fn in_hex<S: serde::Serializer>(hash: &Option<[u8; 32]>, to: S) -> Result<S::Ok, S::Error> {
    hash.map(hex::encode).serialize(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, rows: u64, hash: u8) -> Table {
        Table { name: name.to_owned(), rows, bytes: 10 * rows, blake2b: [hash; 32] }
    }

    fn verdicts(stated: &[Table], found: &[Table]) -> Vec<(String, Verdict)> {
        compare(Some(stated), found, false).into_iter().map(|one| (one.name, one.verdict)).collect()
    }

    #[test]
    fn every_table_has_a_verdict_of_its_own() {
        let stated = [table("a", 1, 1), table("b", 2, 2), table("c", 3, 3), table("d", 4, 4)];
        let found = [table("e", 5, 5), table("b", 2, 9), table("a", 1, 1), table("c", 4, 3)];
        let expected = [
            ("a", Verdict::Same),
            ("b", Verdict::Differs),
            ("c", Verdict::Differs),
            ("d", Verdict::Missing),
            ("e", Verdict::Extra),
        ];
        assert_eq!(verdicts(&stated, &found), expected.map(|(name, verdict)| (name.to_owned(), verdict)));
        let of_an_upload = compare(Some(&stated), &found, true);
        assert!(of_an_upload.iter().all(|one| one.is_wrong() == ["b", "c", "d"].contains(&one.name.as_str())));
        assert!(compare(None, &found, false).iter().all(|one| one.verdict == Verdict::Unknown && !one.is_wrong()));
    }

    #[test]
    fn of_several_blocks_of_one_table_the_rows_and_bytes_count_together() {
        let stated = [table("root", 1, 1), table("root", 2, 2)];
        assert_eq!(verdicts(&stated, &[table("root", 2, 7), table("root", 1, 8)])[0].1, Verdict::Same);
        assert_eq!(verdicts(&stated, &[table("root", 2, 7), table("root", 2, 8)])[0].1, Verdict::Differs);
        // One block is not the same as two, though it may hold as much: that would be another way to dump.
        assert_eq!(verdicts(&stated, &[table("root", 3, 7)])[0].1, Verdict::Differs);
    }
}
