//! Says which tables of a backup are restored, and what of them.

use crate::base::error::{Fault, Result};
use crate::format::archive::contents::DumpContents;
use crate::format::archive::entry::ArchiveEntry;
use crate::format::archive::selection::entry_index::is_relation;
use crate::format::archive::selection::{ArchiveSelection, TablePart};
use crate::format::table_pattern::TablePattern;

/// Patterns for tables and schemas, as pg_dump has them.
#[derive(Debug, Clone)]
pub struct TableChoice {
    pub tables: Vec<TablePattern>,
    pub schemas: Vec<TablePattern>,
    pub exclude_tables: Vec<TablePattern>,
    pub exclude_data: Vec<TablePattern>,
    pub part: TablePart,
}

impl TableChoice {
    /// Returns whether this entry's table is chosen, if it is not left out.
    pub(crate) fn takes(&self, entry: &ArchiveEntry) -> bool {
        let is_in = |pattern: &TablePattern| pattern.matches_names(b"", &entry.schema);
        self.is_all() || self.tables.iter().any(is_table(entry)) || self.schemas.iter().any(is_in)
    }

    /// Returns whether this entry's table is to be left out.
    pub(crate) fn leaves_out(&self, entry: &ArchiveEntry) -> bool {
        self.exclude_tables.iter().any(is_table(entry))
    }

    /// Returns whether nothing was chosen: then all is meant, but for what is left out.
    pub(crate) fn is_all(&self) -> bool {
        self.tables.is_empty() && self.schemas.is_empty()
    }

    /// Returns whether all definitions are meant, and nothing else.
    pub fn is_all_definitions(&self) -> bool {
        let leaves_none_out = self.exclude_tables.is_empty() && self.exclude_data.is_empty();
        self.is_all() && leaves_none_out && self.part == TablePart::Definitions
    }

    /// Fails if a pattern matches nothing, or no table is left.
    pub(crate) fn check(&self, contents: &DumpContents, id: &str) -> Result<()> {
        let relations: Vec<&ArchiveEntry> = contents.entries.iter().filter(|entry| is_relation(entry)).collect();
        let named = self.tables.iter().chain(&self.exclude_tables).chain(&self.exclude_data);
        for pattern in named {
            if !relations.iter().any(|entry| pattern.matches_names(&entry.schema, &entry.name)) {
                let hint = pattern.several().unwrap_or_else(|| held(&relations, id));
                return Err(Fault::usage(format!("no table of {id} matches \"{pattern}\"")).hint(hint).into());
            }
        }
        for pattern in &self.schemas {
            if !relations.iter().any(|entry| pattern.matches_names(b"", &entry.schema)) {
                return Err(Fault::usage(format!("no schema of {id} with tables matches \"{pattern}\""))
                    .hint(format!("pgbk list {id} shows its tables"))
                    .into());
            }
        }
        match relations.iter().any(|entry| self.takes(entry) && !self.leaves_out(entry)) {
            true => Ok(()),
            false => Err(Fault::usage(format!("no table of {id} is left: each is excluded")).into()),
        }
    }

    /// Takes out the rows of tables that are to be made without them.
    pub(crate) fn without_data(&self, contents: &DumpContents, selection: &mut ArchiveSelection) {
        for entry in contents.entries.iter().filter(|entry| entry.is("TABLE DATA")) {
            if self.exclude_data.iter().any(|pattern| pattern.matches_names(&entry.schema, &entry.name)) {
                selection.wanted.remove(&entry.number);
            }
        }
    }
}

/// Names the first tables of a backup, and says where the others are found.
fn held(relations: &[&ArchiveEntry], id: &str) -> String {
    const NAMED: usize = 10;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let tables = relations.iter().filter(|entry| entry.is("TABLE"));
    let names: Vec<String> = tables.map(|entry| format!("{}.{}", text(&entry.schema), text(&entry.name))).collect();
    let more = if names.len() > NAMED { ", …" } else { "" };
    match names.is_empty() {
        true => format!("pgbk list {id} shows its tables"),
        false => {
            format!("it has {}{more}; pgbk list {id} shows its tables", names[..names.len().min(NAMED)].join(", "))
        }
    }
}

fn is_table(entry: &ArchiveEntry) -> impl Fn(&TablePattern) -> bool {
    |pattern| pattern.matches_names(&entry.schema, &entry.name)
}
