//! Finds partitions whose rows a dump writes by way of their root, all of them together.

use crate::base::error::{Fault, Result};
use crate::format::archive::contents::DumpContents;
use crate::format::archive::entry::ArchiveEntry;
use crate::format::sql::copy;
use crate::format::sql::tokens::{Token, Tokens};
use std::collections::BTreeMap;

/// The entries of rows that stand together, by the name of their root as the dump writes it.
#[derive(Default)]
pub(crate) struct SharedRows<'a>(pub BTreeMap<String, Vec<&'a ArchiveEntry>>);

impl<'a> SharedRows<'a> {
    /// Finds them: pg_dump does so where the server's own order decides who gets a row, and with `--load-via-partition-root`.
    pub fn of(contents: &'a DumpContents) -> SharedRows<'a> {
        let mut roots: BTreeMap<String, Vec<&ArchiveEntry>> = BTreeMap::new();
        for entry in contents.entries.iter().filter(|entry| entry.is("TABLE DATA")) {
            let root = copy::table(&entry.copy).filter(|root| !is_name_of(root, entry));
            if let Some(root) = root {
                roots.entry(root).or_default().push(entry);
            }
        }
        SharedRows(roots)
    }

    /// Fails if the rows of some partitions are wanted, and those of others that stand among them are not.
    pub fn check(&self, is_wanted: impl Fn(&str, &ArchiveEntry) -> bool) -> Result<()> {
        for (root, entries) in &self.0 {
            let left: Vec<_> = entries.iter().filter(|entry| !is_wanted(root, entry)).collect();
            if let (Some(first), false) = (left.first(), left.len() == entries.len()) {
                return Err(inseparable(root, first).into());
            }
        }
        Ok(())
    }
}

/// Returns whether this is the name of the entry's own table.
fn is_name_of(name: &str, entry: &ArchiveEntry) -> bool {
    let tokens = Tokens::new(name.as_bytes()).filter(|token| !matches!(token, Token::Mark(_)));
    let names: Vec<Vec<u8>> = tokens.filter_map(|token| token.name().map(String::into_bytes)).collect();
    match names.as_slice() {
        [schema, name] => *schema == entry.schema && *name == entry.name,
        [name] => *name == entry.name,
        _ => true,
    }
}

/// Returns the fault that the rows of a partition cannot be told from those of the others.
fn inseparable(root: &str, partition: &ArchiveEntry) -> Fault {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let name = format!("{}.{}", text(&partition.schema), text(&partition.name));
    Fault::usage(format!(
        "the backup holds the rows of all partitions of {root} together, and those of {name} cannot be left out"
    ))
    .hint(format!("choose the root, with all of its partitions: --table '{root}'"))
}
