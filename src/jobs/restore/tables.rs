//! Restores single tables: chooses what belongs to them, reads of the payload what they need, and loads that in one transaction.

pub(crate) mod choice;
pub(crate) mod moment;
pub(crate) mod object;
pub(crate) mod script;
pub(crate) mod standing;

use crate::base::error::{Fault, Result};
use crate::base::progress::{Monitor, Progress};
use crate::format::archive::contents::DumpContents;
use crate::format::archive::entry::ArchiveEntry;
use crate::format::archive::selection::data_order::DataOrder;
use crate::format::archive::selection::entry_index::{DATA, is_one_of};
use crate::format::archive::selection::shared_rows::SharedRows;
use crate::format::archive::selection::{ArchiveSelection, TablePart, definitions, loose, select};
use crate::format::manifest::{Format, Manifest, Table};
use crate::format::sql::copy;
use crate::format::sql::object_name::TableName;
use crate::format::sql::requirements::Requirements;
use crate::jobs::restore::execute::execute;
use crate::jobs::restore::plan::RestorePlan;
use crate::jobs::restore::tables::choice::TableChoice;
use crate::jobs::restore::tables::object::words;
use crate::jobs::restore::tables::script::TableScript;
use crate::jobs::restore::tables::standing::{Standing, drops};
use crate::jobs::restore::{RestoreReport, admit, carried_out, missing_requirements, properties};
use crate::pipeline::part_reader::PartReader;
use crate::pipeline::table_counter::TableCounter;
use crate::postgres::restore::present::DumpedObject;
use crate::postgres::restore::target::{RestoreTarget, TargetState};
use crate::postgres::tools;
use crate::postgres::tools::script::{MarkedScript, script};
use crate::repository::reader::BackupReader;
use crate::repository::tables::OF_ARCHIVE;
use std::collections::{BTreeSet, HashMap};

/// Says what a restore of tables is going to do.
pub struct TableRestore {
    /// The tables, in words, with their rows and bytes. `None`: they have no rows of their own, such as views.
    pub tables: Vec<(String, Option<(u64, u64)>)>,
    /// Objects that come with them, in words, because they need them and the target lacks them.
    pub with: Vec<String>,
    /// Objects that belong to them and are left out, in words, with the reasons.
    pub without: Vec<String>,
    /// Tables of the target that are dropped first, in words.
    pub replaced: Vec<String>,
    /// Rows that the server may refuse, in words.
    pub warnings: Vec<String>,
    /// Whether these are the definitions of the whole database, and not of some tables beside what is there.
    pub is_whole: bool,
    pub target: RestoreTarget,
    script: MarkedScript,
    /// The rows of each entry with data.
    rows: HashMap<i64, Table>,
    /// The tables whose rows are restored.
    filled: BTreeSet<TableName>,
    /// The sequences that are made or set. One that the target has already, and that others may use, is none of them.
    sequences: BTreeSet<TableName>,
}

impl TableRestore {
    /// Returns how many bytes of the payload are to be read for the rows.
    pub fn expected(&self, opened: &BackupReader) -> Result<u64> {
        let reader = PartReader::new(opened.object.as_ref(), &opened.manifest, opened.derived_keys.as_ref())?;
        let extents = self.rows.values().flat_map(|table| table.at.iter().copied());
        Ok(reader.expected(extents))
    }

    /// Returns how many bytes of the dump the rows are.
    pub fn row_bytes(&self) -> u64 {
        self.rows.values().fold(0, |sum: u64, table| sum.saturating_add(table.bytes))
    }

    /// Returns whether something that the target holds is dropped.
    pub fn replaces(&self) -> bool {
        !self.replaced.is_empty() || self.is_whole && matches!(self.target.state, TargetState::Holds(_))
    }

    /// Returns the kind of all that is restored if none of it has rows of its own, such as `view`; else nothing.
    pub fn without_rows(&self) -> Vec<&'static str> {
        let kinds = ["view", "materialized view", "sequence", "foreign table"];
        let kind = |name: &str| kinds.into_iter().find(|kind| name.starts_with(kind));
        match self.tables.iter().any(|(_, own)| own.is_some()) {
            true => Vec::new(),
            false => self.tables.iter().filter_map(|(name, _)| kind(name)).collect(),
        }
    }
}

/// Finds out what a restore of the chosen tables will do, and whether it may start. Nothing has been touched when it fails.
pub fn plan(opened: &BackupReader, choice: &TableChoice, plan: &RestorePlan) -> Result<TableRestore> {
    let manifest = &opened.manifest;
    let contents = contents(opened)?;
    if choice.is_all_definitions() {
        return whole_definitions(manifest, &contents, plan);
    }
    choice.check(&contents, &manifest.id.to_string())?;
    let mut selection = select(&contents, choice.part, |entry| choice.takes(entry), |entry| choice.leaves_out(entry));
    if choice.is_all() && choice.part != TablePart::Data {
        selection.with(&contents, loose(&contents).map(|entry| entry.number));
    }
    let target = RestoreTarget::look(&plan.settings, &plan.database)?;
    let standing = Standing::look(&contents, &selection, plan, &target)?;
    let replaced = standing.replaced(&selection, choice.part, manifest)?;
    let without = left_out(choice, &mut selection, &standing);
    choice.without_data(&contents, &mut selection);
    SharedRows::of(&contents).check(|_, entry| selection.wanted.contains(&entry.number))?;
    let rows = rows(&contents, &selection.wanted, manifest)?;
    let (contents, warnings) = in_order(contents, &selection, choice.part);
    let mut script = written(&contents, &selection.wanted, manifest, plan, &target)?;
    script.begin_with(&drops(&replaced));
    properties::permitted(plan, &target)?;
    properties::shape(manifest, plan, &target)?;
    let unavailable = missing_requirements::check(&requirements(&script), plan, &target)?;
    let filled = named(&contents, &selection.wanted, &["TABLE DATA"]);
    let sequences = named(&contents, &selection.wanted, &["SEQUENCE", "SEQUENCE SET"]);
    let with = selection.needed.iter().map(|number| words(&contents, *number));
    Ok(TableRestore {
        tables: described(&contents, &selection.tables, &rows),
        with: with.collect(),
        without,
        replaced: replaced.iter().map(DumpedObject::describe).collect(),
        warnings,
        is_whole: false,
        target: RestoreTarget { unavailable, ..target },
        script,
        rows,
        filled,
        sequences,
    })
}

/// Finds out what a restore of all definitions will do: the same as that of the whole backup, without rows.
fn whole_definitions(manifest: &Manifest, contents: &DumpContents, plan: &RestorePlan) -> Result<TableRestore> {
    let target = admit(manifest, plan)?;
    let selection = definitions(contents);
    let script = written(contents, &selection.wanted, manifest, plan, &target)?;
    let rows = HashMap::new();
    Ok(TableRestore {
        tables: described(contents, &selection.tables, &rows),
        with: Vec::new(),
        without: Vec::new(),
        replaced: Vec::new(),
        warnings: Vec::new(),
        is_whole: true,
        target,
        script,
        rows,
        filled: BTreeSet::new(),
        sequences: BTreeSet::new(),
    })
}

/// Has pg_restore write the script of these entries.
fn written(
    contents: &DumpContents,
    wanted: &BTreeSet<i64>,
    manifest: &Manifest,
    plan: &RestorePlan,
    target: &RestoreTarget,
) -> Result<MarkedScript> {
    let pg_restore =
        tools::for_archive(manifest.tools.pg_dump.as_deref(), target.server_major, plan.bin_dir.as_deref())?;
    script(&pg_restore, contents, wanted, &[], &plan.settings.child_environment()?)
}

/// Returns the contents in the order in which they are to be restored, and warnings of rows that have none.
fn in_order(contents: DumpContents, selection: &ArchiveSelection, part: TablePart) -> (DumpContents, Vec<String>) {
    if part != TablePart::Data {
        return (contents.sorted(|entry| usize::from(selection.last.contains(&entry.number))), Vec::new());
    }
    let order = DataOrder::of(&contents, &selection.wanted);
    let told = |circle: &Vec<i64>| {
        let names: Vec<String> = circle.iter().map(|table| words(&contents, *table)).collect();
        let names = names.join(", ");
        format!(
            "foreign keys lead from each to the next and back again: {names}. Rows of none can come first: make a key DEFERRABLE INITIALLY DEFERRED, or drop it until they are there"
        )
    };
    let warnings = order.circles.iter().map(told).collect();
    let sorted = contents.sorted(|entry| match entry.is("TABLE DATA") {
        true => order.places.get(&entry.number).map_or(0, |place| 1 + place),
        false if is_one_of(entry, &DATA) => usize::MAX,
        false => 0,
    });
    (sorted, warnings)
}

/// Restores the tables. On any error the target is as it was; a database made here is gone again.
pub fn restore(
    opened: &BackupReader,
    tables: &TableRestore,
    plan: &RestorePlan,
    monitor: &dyn Monitor,
) -> Result<(RestoreReport, u64)> {
    let (manifest, target, mut fetched) = (&opened.manifest, &tables.target, 0);
    // Beside single tables everything in the target stays.
    let state = if tables.is_whole { target.state } else { TargetState::Empty };
    let beside = RestoreTarget { state, ..target.clone() };
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
        Format::Custom => fault.hint(OF_ARCHIVE),
        Format::Tar => fault,
    }
}

/// Takes out what is there already, and takes in what leads to tables that are. Returns what is left out, in words.
fn left_out(choice: &TableChoice, selection: &mut ArchiveSelection, standing: &Standing<'_>) -> Vec<String> {
    let (contents, there) = (standing.contents, &standing.there);
    selection.without(contents, &there.difference(&selection.tables).copied().collect());
    let mut without = unattached(selection, standing);
    without.extend(foreign_keys(contents, selection, there));
    for (view, bare) in selection.without_refresh(contents) {
        without.push(format!(
            "the rows of {}: {} comes along without its own",
            words(contents, view),
            words(contents, bare)
        ));
    }
    if !choice.is_all() && choice.part != TablePart::Data {
        let in_schemas = loose(contents).filter(|entry| {
            choice.schemas.iter().any(|pattern| !entry.schema.is_empty() && pattern.matches_names(b"", &entry.schema))
        });
        let unused =
            in_schemas.filter(|entry| !selection.wanted.contains(&entry.number) && !there.contains(&entry.number));
        without.extend(unused.map(|entry| format!("{}: no chosen table needs it", DumpedObject::of(entry).describe())));
    }
    without
}

/// Attaches partitions to parents that the target has. Returns those that are not attached, in words.
fn unattached(selection: &mut ArchiveSelection, standing: &Standing<'_>) -> Vec<String> {
    let mut without = Vec::new();
    for partition in selection.partitions.clone() {
        if standing.there.contains(&partition.parent) {
            selection.attach(&partition);
            continue;
        }
        let [child, parent] = [partition.number, partition.parent].map(|number| words(standing.contents, number));
        without.push(format!("that {child} is a partition: {parent} is not there"));
    }
    without
}

/// Takes in foreign keys whose other table the target has. Returns those that are left out, in words.
fn foreign_keys(contents: &DumpContents, selection: &mut ArchiveSelection, there: &BTreeSet<i64>) -> Vec<String> {
    let mut without = Vec::new();
    for (key, other) in selection.foreign_keys.clone() {
        if there.contains(&other) {
            selection.with_foreign_key(key);
        } else {
            without.push(format!("{}: {} is not there", words(contents, key), words(contents, other)));
        }
    }
    without
}

/// Returns the rows of each entry that is wanted and has data.
fn rows(contents: &DumpContents, wanted: &BTreeSet<i64>, manifest: &Manifest) -> Result<HashMap<i64, Table>> {
    let by_name: HashMap<&str, &Table> = manifest.tables.iter().map(|table| (table.name.as_str(), table)).collect();
    let (mut rows, mut seen) = (HashMap::new(), BTreeSet::new());
    for entry in contents.entries.iter().filter(|entry| entry.has_data && wanted.contains(&entry.number)) {
        let name = copy::table(&entry.copy).ok_or_else(|| {
            // The rows are an entry of their own, which needs that of the table.
            let table = entry.needs.first().copied().unwrap_or(entry.number);
            Fault::usage(format!("the rows of {} are no COPY blocks", words(contents, table)))
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

/// Returns the names of those entries that are wanted and of one of these kinds.
fn named(contents: &DumpContents, wanted: &BTreeSet<i64>, kinds: &[&str]) -> BTreeSet<TableName> {
    let entries = contents.entries.iter().filter(|entry| is_one_of(entry, kinds) && wanted.contains(&entry.number));
    entries.filter_map(ArchiveEntry::table).collect()
}

/// Returns the tables with rows and bytes, in the order of the dump.
fn described(
    contents: &DumpContents,
    tables: &BTreeSet<i64>,
    rows: &HashMap<i64, Table>,
) -> Vec<(String, Option<(u64, u64)>)> {
    let data = contents.entries.iter().filter_map(|entry| Some((entry, rows.get(&entry.number)?)));
    let of: HashMap<i64, &Table> =
        data.flat_map(|(entry, table)| entry.needs.iter().map(move |need| (*need, table))).collect();
    let tables = contents.entries.iter().filter(|entry| tables.contains(&entry.number));
    tables
        .map(|table| {
            let own = of.get(&table.number).map(|rows| (rows.rows, rows.bytes));
            (DumpedObject::of(table).describe(), own.or(table.is("TABLE").then_some((0, 0))))
        })
        .collect()
}

/// Returns what the script needs from the server.
fn requirements(script: &MarkedScript) -> Requirements {
    let mut counter = TableCounter::default();
    script.text().for_each(|text| counter.update(text));
    counter.finish().requirements
}
