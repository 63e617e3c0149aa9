//! Which tables of two bases can be compared, once the changes between them were replayed.

use crate::base::error::{Fault, Result};
use crate::format::archive::contents::DumpContents;
use crate::format::sql::columns::columns;
use crate::format::sql::copy;
use crate::format::sql::object_name::TableName;
use crate::jobs::restore::replay::replay_plan::ReplayPlan;
use crate::repository::reader::BackupReader;
use std::collections::BTreeMap;

/// A table as a dump has it.
#[derive(Debug, PartialEq)]
struct DumpedTable {
    /// The name as the dump writes it before the rows.
    written: String,
    columns: Vec<String>,
    /// The statement that makes it.
    definition: Vec<u8>,
}

/// The tables that cannot be compared, by their names as a dump writes them, each with the reason.
pub(super) struct IncomparableTables(pub BTreeMap<String, String>);

impl IncomparableTables {
    /// Finds them: those of which not all changes are replayed, and those that are not in both bases with the same columns.
    pub fn of(base: &BackupReader, reached: &BackupReader, changes: &ReplayPlan) -> Result<IncomparableTables> {
        let (from, to) = (tables(&contents(base)?), tables(&contents(reached)?));
        let (base, reached) = (&base.manifest, &reached.manifest);
        // Another pg_dump may word the same definition in another way.
        let is_worded_alike = base.tools.pg_dump == reached.tools.pg_dump;
        let mut found = BTreeMap::new();
        for (name, table) in &from {
            let Some(later) = to.get(name) else {
                found.insert(table.written.clone(), format!("{} does not have it", reached.id));
                continue;
            };
            if table.columns != later.columns || is_worded_alike && table.definition != later.definition {
                found.insert(later.written.clone(), format!("its definition is another one in {}", reached.id));
            }
        }
        for (_, table) in to.iter().filter(|(name, _)| !from.contains_key(*name)) {
            found.insert(table.written.clone(), format!("{} does not have it", base.id));
        }
        // What the chain says of a table is the better reason.
        for (name, uncovered) in &changes.uncovered {
            for table in [from.get(name), to.get(name)].into_iter().flatten() {
                found.insert(table.written.clone(), uncovered.why().to_owned());
            }
        }
        Ok(IncomparableTables(found))
    }
}

fn contents(opened: &BackupReader) -> Result<DumpContents> {
    let id = &opened.manifest.id;
    opened
        .contents()?
        .ok_or_else(|| Fault::failed(format!("{id} has no table of contents to compare tables by")).into())
}

/// Returns the tables with rows, by their names.
fn tables(contents: &DumpContents) -> BTreeMap<TableName, DumpedTable> {
    let with_rows = contents.entries.iter().filter(|entry| entry.is("TABLE DATA"));
    let named = with_rows.filter_map(|entry| {
        let name = entry.table()?;
        let made = entry.needs.iter().filter_map(|number| contents.entry(*number));
        let definition = made.filter(|made| made.is("TABLE")).map(|made| made.definition().to_vec()).next();
        let table = DumpedTable {
            written: copy::table(&entry.copy)?,
            columns: columns(&entry.copy),
            definition: definition.unwrap_or_default(),
        };
        Some((name, table))
    });
    named.collect()
}
