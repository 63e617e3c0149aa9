//! Restores single tables: chooses what belongs to them, reads of the payload what they need, and loads that in one transaction.

pub(crate) mod choice;
pub(crate) mod script;

use crate::base::error::{Fault, Result};
use crate::base::progress::{Monitor, Progress};
use crate::base::shown::agree;
use crate::format::archive::contents::DumpContents;
use crate::format::archive::entry::ArchiveEntry;
use crate::format::archive::selection::{ArchiveSelection, TablePart, select};
use crate::format::manifest::{Format, Manifest, Table};
use crate::format::sql::copy;
use crate::format::sql::requirements::Requirements;
use crate::jobs::restore::execute::execute;
use crate::jobs::restore::plan::RestorePlan;
use crate::jobs::restore::tables::choice::TableChoice;
use crate::jobs::restore::tables::script::TableScript;
use crate::jobs::restore::{RestoreReport, carried_out, missing_requirements, properties};
use crate::pipeline::part_reader::PartReader;
use crate::pipeline::table_counter::TableCounter;
use crate::postgres::restore::present::{DumpedObject, present};
use crate::postgres::restore::target::{RestoreTarget, TargetState};
use crate::postgres::tools;
use crate::postgres::tools::script::{MarkedScript, script};
use crate::repository::reader::BackupReader;
use std::collections::{BTreeSet, HashMap};

/// Says what a restore of tables is going to do.
pub struct TableRestore {
    /// The tables, as the dump names them, with their rows and bytes; those without rows of their own have none of both.
    pub tables: Vec<(String, u64, u64)>,
    /// Objects that come with them, in words, because they need them and the target lacks them.
    pub with: Vec<String>,
    /// Objects that belong to them and are left out, in words, with the reasons.
    pub without: Vec<String>,
    pub target: RestoreTarget,
    script: MarkedScript,
    /// The rows of each entry with data.
    rows: HashMap<i64, Table>,
}

impl TableRestore {
    /// Returns how many bytes of the payload are to be read for the rows.
    pub fn expected(&self, opened: &BackupReader) -> Result<u64> {
        let reader = PartReader::new(opened.object.as_ref(), &opened.manifest, opened.derived_keys.as_ref())?;
        let extents = self.rows.values().flat_map(|table| table.at.iter().copied());
        Ok(reader.expected(extents))
    }
}

/// Finds out what a restore of the chosen tables will do, and whether it may start. Nothing has been touched when it fails.
pub fn plan(opened: &BackupReader, choice: &TableChoice, plan: &RestorePlan) -> Result<TableRestore> {
    let manifest = &opened.manifest;
    let contents = contents(opened)?;
    choice.check(&contents, &manifest.id.to_string())?;
    let mut selection = select(&contents, choice.part, |entry| choice.takes(entry));
    let target = RestoreTarget::look(&plan.settings, &plan.database)?;
    let there = there(&contents, &selection, plan, &target)?;
    tables_fit(&contents, &selection, &there, choice, plan)?;
    selection.without(&contents, &there.difference(&selection.tables).copied().collect());
    let without = foreign_keys(&contents, &mut selection, &there);
    choice.without_data(&contents, &mut selection);
    let rows = rows(&contents, &selection, manifest)?;
    let pg_restore =
        tools::for_archive(manifest.tools.pg_dump.as_deref(), target.server_major, plan.bin_dir.as_deref())?;
    let environment = plan.settings.child_environment()?;
    let arguments: &[String] = if plan.clean { &["--clean".to_owned(), "--if-exists".to_owned()] } else { &[] };
    let script = script(&pg_restore, &contents, &selection.wanted, arguments, &environment)?;
    properties::permitted(plan, &target)?;
    properties::shape(manifest, plan, &target)?;
    let unavailable = missing_requirements::check(&requirements(&script), plan, &target)?;
    let with = selection.needed.iter().filter_map(|number| object(&contents, *number)).map(|object| object.describe());
    Ok(TableRestore {
        tables: described(&contents, &selection, &rows),
        with: with.collect(),
        without,
        target: RestoreTarget { unavailable, ..target },
        script,
        rows,
    })
}

/// Restores the tables. On any error the target is as it was; a database made here is gone again.
pub fn restore(
    opened: &BackupReader,
    tables: &TableRestore,
    plan: &RestorePlan,
    monitor: &dyn Monitor,
) -> Result<(RestoreReport, u64)> {
    let (manifest, target, mut fetched) = (&opened.manifest, &tables.target, 0);
    // Beside the tables everything in the target stays.
    let beside = RestoreTarget { state: TargetState::Empty, ..target.clone() };
    let report = carried_out(manifest, plan, target, false, monitor, || {
        let reader = PartReader::new(opened.object.as_ref(), manifest, opened.derived_keys.as_ref())?;
        let counter = TableCounter::of(opened.derived_keys.as_ref(), manifest.pgbk);
        let mut script = TableScript::new(&tables.script, &tables.rows, reader, counter);
        let name = format!("restore tables of {} into {}", manifest.id, plan.database);
        let monitor = &Progress::begin(monitor, &name, Some(script.bytes()));
        let loaded = execute(&mut script, plan, &beside, manifest, monitor)?;
        fetched = script.fetched();
        Ok(loaded)
    })?;
    Ok((report, fetched))
}

/// Returns the table of contents that the `.meta` holds.
fn contents(opened: &BackupReader) -> Result<DumpContents> {
    opened.contents()?.ok_or_else(|| no_contents(&opened.manifest).into())
}

fn no_contents(manifest: &Manifest) -> Fault {
    let fault = Fault::usage(format!("{} has no table of contents, by which single tables are restored", manifest.id));
    match manifest.dump.format {
        Format::Plain => {
            fault.hint("restore all of it into another database (--to), or take rows out of it: pgbk download --table")
        }
        Format::Custom => fault.hint("download it; pg_restore --table takes tables out of an archive"),
        Format::Tar => fault,
    }
}

/// Returns which of the tables, of what they need, and of the tables that their foreign keys refer to, the target has.
fn there(
    contents: &DumpContents,
    selection: &ArchiveSelection,
    plan: &RestorePlan,
    target: &RestoreTarget,
) -> Result<BTreeSet<i64>> {
    if target.state == TargetState::Missing {
        return Ok(BTreeSet::new());
    }
    let others = selection.foreign_keys.iter().map(|(_, other)| other);
    let numbers: BTreeSet<i64> = selection.tables.iter().chain(&selection.needed).chain(others).copied().collect();
    let objects = numbers.into_iter().filter_map(|number| object(contents, number)).collect();
    present(&plan.settings.for_database(&plan.database), objects)
}

/// Fails if a table is there that is to be made, or one is not there that is to be filled.
fn tables_fit(
    contents: &DumpContents,
    selection: &ArchiveSelection,
    there: &BTreeSet<i64>,
    choice: &TableChoice,
    plan: &RestorePlan,
) -> Result<()> {
    let names = |wrong: &dyn Fn(&i64) -> bool| -> Vec<String> {
        let numbers = selection.tables.iter().filter(|number| wrong(number));
        numbers.filter_map(|number| object(contents, *number)).map(|object| object.describe()).collect()
    };
    let database = &plan.database;
    let is_there = |number: &i64| there.contains(number);
    if choice.part == TablePart::Data {
        let missing = names(&|number| !is_there(number));
        return match missing.is_empty() {
            true => Ok(()),
            false => Err(Fault::failed(format!("database \"{database}\" has no {}", missing.join(", ")))
                .hint("without --data-only the tables are made, too")
                .into()),
        };
    }
    let present = names(&is_there);
    if present.is_empty() || plan.clean {
        return Ok(());
    }
    let are = agree(&present.len(), "is", "are");
    Err(Fault::failed(format!("{} {are} in database \"{database}\" already", present.join(", ")))
        .hint("--to restores into another database, --clean replaces what is there, --data-only adds the rows to it")
        .into())
}

/// Takes in foreign keys whose other table the target has. Returns those that are left out, in words.
fn foreign_keys(contents: &DumpContents, selection: &mut ArchiveSelection, there: &BTreeSet<i64>) -> Vec<String> {
    let mut without = Vec::new();
    for (key, other) in selection.foreign_keys.clone() {
        if there.contains(&other) {
            selection.with_foreign_key(key);
        } else if let (Some(key), Some(other)) = (object(contents, key), object(contents, other)) {
            without.push(format!("{}: {} is not there", key.describe(), other.describe()));
        }
    }
    without
}

/// Returns the rows of each entry that is wanted and has data.
fn rows(contents: &DumpContents, selection: &ArchiveSelection, manifest: &Manifest) -> Result<HashMap<i64, Table>> {
    let by_name: HashMap<&str, &Table> = manifest.tables.iter().map(|table| (table.name.as_str(), table)).collect();
    let (mut rows, mut seen) = (HashMap::new(), BTreeSet::new());
    for entry in contents.entries.iter().filter(|entry| entry.has_data && selection.wanted.contains(&entry.number)) {
        let name = copy::table(&entry.copy).ok_or_else(|| {
            Fault::usage(format!("the rows of {} are no COPY blocks", DumpedObject::of(entry).describe()))
                .hint("--schema-only restores the table without them; a restore of the whole backup has them")
        })?;
        let table = by_name.get(name.as_str()).ok_or_else(|| {
            Fault::damaged(format!("the .meta does not state the table {name}, which the table of contents names"))
        })?;
        // The rows of partitions may have been written by way of their root: all of them stand there.
        if seen.insert(name) {
            rows.insert(entry.number, (*table).clone());
        }
    }
    Ok(rows)
}

/// Returns the tables with rows and bytes, in the order of the dump.
fn described(
    contents: &DumpContents,
    selection: &ArchiveSelection,
    rows: &HashMap<i64, Table>,
) -> Vec<(String, u64, u64)> {
    let data = contents.entries.iter().filter_map(|entry| Some((entry, rows.get(&entry.number)?)));
    let of: HashMap<i64, &Table> =
        data.flat_map(|(entry, table)| entry.needs.iter().map(move |need| (*need, table))).collect();
    let tables = contents.entries.iter().filter(|entry| selection.tables.contains(&entry.number));
    tables
        .map(|table| {
            let (rows, bytes) = of.get(&table.number).map_or((0, 0), |table| (table.rows, table.bytes));
            (DumpedObject::of(table).describe(), rows, bytes)
        })
        .collect()
}

/// Returns what the script needs from the server.
fn requirements(script: &MarkedScript) -> Requirements {
    let mut counter = TableCounter::default();
    script.text().for_each(|text| counter.update(text));
    counter.finish().requirements
}

fn object(contents: &DumpContents, number: i64) -> Option<DumpedObject> {
    contents.entry(number).map(DumpedObject::of)
}

impl DumpedObject {
    fn of(entry: &ArchiveEntry) -> DumpedObject {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        DumpedObject {
            number: entry.number,
            kind: text(&entry.kind),
            schema: text(&entry.schema),
            name: text(&entry.name),
        }
    }
}
