//! Compares what is chosen with what the target has already.

use crate::base::error::{Fault, Result};
use crate::base::shown::agree;
use crate::format::archive::contents::DumpContents;
use crate::format::archive::selection::{ArchiveSelection, TablePart};
use crate::format::manifest::Manifest;
use crate::jobs::restore::plan::RestorePlan;
use crate::jobs::restore::tables::object::object;
use crate::jobs::restore::{is_source, over_source};
use crate::postgres::restore::present::{DumpedObject, partitions, present};
use crate::postgres::restore::target::{RestoreTarget, TargetState};
use std::collections::BTreeSet;

/// Holds what the target has of what is chosen.
pub(crate) struct Standing<'a> {
    pub contents: &'a DumpContents,
    pub plan: &'a RestorePlan,
    pub target: &'a RestoreTarget,
    /// The numbers of the objects that are there.
    pub there: BTreeSet<i64>,
}

impl<'a> Standing<'a> {
    /// Asks the target for the tables, for what they need, for the tables that their foreign keys refer to, and for the parents of partitions.
    pub fn look(
        contents: &'a DumpContents,
        selection: &ArchiveSelection,
        plan: &'a RestorePlan,
        target: &'a RestoreTarget,
    ) -> Result<Standing<'a>> {
        let parents = selection.partitions.iter().map(|partition| &partition.parent);
        let others = selection.foreign_keys.iter().map(|(_, other)| other).chain(parents);
        let numbers: BTreeSet<i64> = selection.tables.iter().chain(&selection.needed).chain(others).copied().collect();
        let objects = numbers.into_iter().filter_map(|number| object(contents, number)).collect();
        let there = match target.state {
            TargetState::Missing => BTreeSet::new(),
            _ => present(&plan.settings.for_database(&plan.database), objects)?,
        };
        Ok(Standing { contents, plan, target, there })
    }

    /// Returns the chosen tables that are there and are dropped, in the order of the dump. It is an error if a table is there that is to be
    /// made beside it, or one is not there that is to be filled, or what may not be dropped would be.
    pub fn replaced(
        &self,
        selection: &ArchiveSelection,
        part: TablePart,
        manifest: &Manifest,
    ) -> Result<Vec<DumpedObject>> {
        if part == TablePart::Data {
            return self.filled(selection).map(|()| Vec::new());
        }
        let entries = self.contents.entries.iter().filter(|entry| selection.tables.contains(&entry.number));
        let there: Vec<DumpedObject> =
            entries.filter(|entry| self.there.contains(&entry.number)).map(DumpedObject::of).collect();
        if there.is_empty() {
            return Ok(there);
        }
        let is_source = is_source(manifest, self.target);
        if !self.plan.clean {
            let clean = if is_source { "--clean --over-source" } else { "--clean" };
            let are = agree(&there.len(), "is", "are");
            let message = format!("{} {are} in database \"{}\" already", described(&there), self.plan.database);
            let hint = match self.plan.into_new {
                true => "--to restores into another database; or drop or rename what is there first".to_owned(),
                false => format!(
                    "--to restores into another database, {clean} replaces what is there, --data-only adds the rows to it"
                ),
            };
            return Err(Fault::failed(message).hint(hint).into());
        }
        if is_source && !self.plan.over_source {
            return Err(over_source(manifest, self.target).into());
        }
        self.partitions_are_chosen(selection, &there)?;
        Ok(there)
    }

    fn filled(&self, selection: &ArchiveSelection) -> Result<()> {
        let missing: Vec<DumpedObject> = selection
            .tables
            .iter()
            .filter(|number| !self.there.contains(number))
            .filter_map(|number| object(self.contents, *number))
            .collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Fault::failed(format!("database \"{}\" has no {}", self.plan.database, described(&missing)))
                .hint("without --data-only the tables are made, too")
                .into()),
        }
    }

    /// Fails if a table that is dropped has a partition that is not restored: it would go with it.
    fn partitions_are_chosen(&self, selection: &ArchiveSelection, dropped: &[DumpedObject]) -> Result<()> {
        let chosen = selection.tables.iter().filter_map(|number| object(self.contents, *number));
        let chosen: BTreeSet<(String, String)> = chosen.map(|object| (object.schema, object.name)).collect();
        let is_chosen = |one: &DumpedObject| chosen.contains(&(one.schema.clone(), one.name.clone()));
        let settings = self.plan.settings.for_database(&self.plan.database);
        let found = partitions(&settings, dropped.to_vec())?;
        let Some((partition, table)) = found.into_iter().find(|(partition, _)| !is_chosen(partition)) else {
            return Ok(());
        };
        Err(Fault::failed(format!(
            "{} is a partition of {table}, would be dropped with it, and is not restored",
            partition.describe()
        ))
        .hint("choose it as well if the backup has it, or detach it first: ALTER TABLE … DETACH PARTITION")
        .into())
    }
}

fn described(objects: &[DumpedObject]) -> String {
    objects.iter().map(DumpedObject::describe).collect::<Vec<_>>().join(", ")
}

/// Returns the statements that drop these, which are in the order of the dump. The server refuses them while others need what is dropped.
pub(crate) fn drops(replaced: &[DumpedObject]) -> String {
    let of = |kinds: &'static [&str]| replaced.iter().rev().filter(move |object| kinds.contains(&object.kind.as_str()));
    let one = |object: &DumpedObject| format!("DROP {} IF EXISTS {};\n", object.kind, object.qualified());
    let views: String = of(&["VIEW", "MATERIALIZED VIEW"]).map(one).collect();
    // All at once: they may refer to each other.
    let tables: Vec<String> = of(&["TABLE"]).map(DumpedObject::qualified).collect();
    let tables =
        if tables.is_empty() { String::new() } else { format!("DROP TABLE IF EXISTS {};\n", tables.join(", ")) };
    let rest: String = of(&["FOREIGN TABLE", "SEQUENCE"]).map(one).collect();
    views + &tables + &rest
}
