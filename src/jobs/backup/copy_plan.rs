//! Plans an anonymised backup: which entries of a dump it has, how the rows of each table are read for it, and what people must be told.

use crate::base::error::{Fault, Result};
use crate::base::shown::{agree, many};
use crate::format::anonymise::RuleSet;
use crate::format::archive::contents::DumpContents;
use crate::format::archive::entry::ArchiveEntry;
use crate::format::manifest::anonymised_note::AnonymisedNote;
use crate::format::sql::columns::columns;
use crate::postgres::anonymise::address_scan::{AddressScan, ScannedColumn, holds_address};
use crate::postgres::anonymise::columns::shown;
use crate::postgres::anonymise::plan::{AnonymisePlan, TablePlan};
use crate::postgres::anonymise::{columns as source_columns, plan_check};
use crate::postgres::parallel::item::{RowOutputs, TableToRead};
use crate::postgres::session::control::Control;
use crate::postgres::session::query::guarded;
use crate::postgres::session::quote::identifier;
use crate::postgres::session::snapshot_tables::SnapshotTable;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Most names in one message.
const TOLD: usize = 10;
/// Kinds of entries that may hold values of rows, or that lead to other servers as somebody.
const LEFT_OUT: [&str; 6] = ["STATISTICS DATA", "BLOB", "BLOBS", "BLOB METADATA", "USER MAPPING", "SUBSCRIPTION"];
/// Kinds of entries that are text by people for people.
const REMARKS: [&str; 2] = ["COMMENT", "SECURITY LABEL"];

/// Says how values are changed.
#[derive(Clone)]
pub struct AnonymiseRecipe {
    pub rules: RuleSet,
    /// The file of the rules, for messages.
    pub file: String,
    /// Settings for the sessions that read changed rows, with what is made of the secret.
    pub session: BTreeMap<String, String>,
    pub note: AnonymisedNote,
}

/// Says how each table of one database is read.
pub(crate) struct CopyPlan {
    /// The plan of each table, by its name with its schema, quoted.
    tables: HashMap<String, TablePlan>,
    /// Warnings about the copy.
    pub warnings: Vec<String>,
}

/// The part of a dump that an anonymised backup has.
pub(crate) struct CopyContents {
    /// The numbers of its entries.
    pub wanted: BTreeSet<i64>,
    pub tables: Vec<TableToRead>,
    /// Warnings about what is left out, or stays as it is.
    pub warnings: Vec<String>,
}

impl CopyPlan {
    /// Checks the rules against the tables of the snapshot. Where that fails, the snapshot is held all the same.
    pub fn of(recipe: &AnonymiseRecipe, control: &mut Control) -> Result<CopyPlan> {
        let wrong = |error: anyhow::Error| {
            error.context(Fault::usage(format!("the rules in \"{}\" do not fit the database", recipe.file)))
        };
        let tables = control.ask_within(|client| guarded(client, source_columns::read))?;
        let plan = AnonymisePlan::of(&recipe.rules, &tables).map_err(wrong)?;
        let queries = plan_check::queries(&plan);
        let check = move |client: &mut _| guarded(client, |client| plan_check::check(client, &queries));
        control.ask_within(check).map_err(wrong)?;
        let warnings = named(&plan)?.into_iter().collect();
        let named = |table: TablePlan| (format!("{}.{}", identifier(&table.schema), identifier(&table.name)), table);
        Ok(CopyPlan { tables: plan.tables.into_iter().map(named).collect(), warnings })
    }

    /// Chooses the entries and tables of a dump. It is an error if rows could not be read as the rules say.
    pub fn choose(&self, contents: &DumpContents, sources: &HashMap<u32, SnapshotTable>) -> Result<CopyContents> {
        let mut chosen = CopyContents { wanted: BTreeSet::new(), tables: Vec::new(), warnings: Vec::new() };
        let encoding = contents.encoding().unwrap_or_default();
        let (mut left_out, mut remarks, mut defined, mut extensions) =
            (BTreeSet::new(), Vec::new(), Vec::new(), Vec::new());
        for entry in &contents.entries {
            if is_left_out(entry) {
                left_out.insert(kind(entry));
                continue;
            }
            if entry.is("TABLE DATA") {
                match self.table(entry, sources, encoding)? {
                    ChosenTable::Own(table) => chosen.tables.push(*table),
                    ChosenTable::Extension(table) => {
                        extensions.push(table.source.name.clone());
                        chosen.tables.push(*table);
                    }
                    ChosenTable::Foreign => {
                        left_out.insert("rows of foreign tables".to_owned());
                        continue;
                    }
                }
            } else if holds_address(entry.bytes()) {
                if REMARKS.iter().any(|kind| entry.is(kind)) {
                    remarks.push(name(entry));
                    continue;
                }
                defined.push(name(entry));
            }
            chosen.wanted.insert(entry.number);
        }
        let left_out = (!left_out.is_empty())
            .then(|| format!("left out: {}", left_out.into_iter().collect::<Vec<_>>().join(", ")));
        let told = [
            left_out,
            some("left out, as they hold what looks like an e-mail address: ", &remarks),
            some("definitions hold what looks like an e-mail address, and stay as they are: ", &defined),
            some("rows of tables of extensions, which no rule names, stay as they are: ", &extensions),
        ];
        chosen.warnings = told.into_iter().flatten().collect();
        Ok(chosen)
    }

    fn table(
        &self,
        entry: &ArchiveEntry,
        sources: &HashMap<u32, SnapshotTable>,
        encoding: &str,
    ) -> Result<ChosenTable> {
        let source = sources.get(&entry.oid);
        let Some((source, mut table)) =
            source.and_then(|source| Some((source, TableToRead::of(entry, source, encoding)?)))
        else {
            return Err(Fault::failed(format!("the rows of {} are no COPY blocks in UTF-8", name(entry))).into());
        };
        let dumped = columns(&entry.copy);
        let Some(plan) = self.tables.get(&source.name) else {
            if source.is_foreign {
                return Ok(ChosenTable::Foreign);
            }
            let columns = dumped.into_iter().map(|name| ScannedColumn { name, may_hold_any: false }).collect();
            table.outputs = copied(&source.name, columns);
            return Ok(ChosenTable::Extension(Box::new(table)));
        };
        let planned = plan.columns.iter().map(|column| column.name.as_str());
        if !planned.eq(dumped.iter().map(String::as_str)) {
            let told = format!("the columns of {} in the dump are others than the server's", source.name);
            return Err(Fault::failed(told).into());
        }
        let scanned = plan
            .columns
            .iter()
            .map(|column| ScannedColumn { name: column.name.clone(), may_hold_any: column.may_hold_addresses() });
        table.outputs = copied(&source.name, scanned.collect());
        table.select = plan.is_changed().then(|| plan.select());
        Ok(ChosenTable::Own(Box::new(table)))
    }
}

/// A table whose rows a dump has.
enum ChosenTable {
    /// One that rules may name.
    Own(Box<TableToRead>),
    /// One that an extension has made.
    Extension(Box<TableToRead>),
    /// One whose rows are another server's.
    Foreign,
}

/// Returns the outputs of rows that are for the anonymised backup alone.
fn copied(table: &str, columns: Vec<ScannedColumn>) -> RowOutputs {
    let scan = AddressScan { table: table.to_owned(), columns };
    RowOutputs { plain: false, anonymised: Some(Arc::new(scan)) }
}

/// Returns what to tell of columns that no rule names. It is an error if every column must have one.
fn named(plan: &AnonymisePlan) -> Result<Option<String>> {
    let all: Vec<String> =
        plan.unnamed().map(|(table, column)| shown(&table.schema, &table.name, &column.name)).collect();
    if plan.strict && !all.is_empty() {
        let verb = agree(&all.len(), "has", "have");
        let told = format!("the rules are strict, and {} {verb} none: ", many(all.len(), "column"));
        return Err(Fault::failed(some(&told, &all).unwrap_or_default())
            .hint("give each a rule, \"keep\" where it may stay; \"pgbk anonymise --check\" lists them all")
            .into());
    }
    let text = plan.unnamed().filter(|(_, column)| column.may_hold_text).count();
    Ok((text > 0).then(|| {
        format!(
            "{} that may hold text {} no rule: e-mail addresses in {} become nobody@example.com, and all else stays; \"pgbk anonymise --check\" lists them",
            many(text, "column"),
            agree(&text, "has", "have"),
            agree(&text, "it", "them")
        )
    }))
}

fn is_left_out(entry: &ArchiveEntry) -> bool {
    // What belongs to a large object has its name.
    LEFT_OUT.iter().any(|kind| entry.is(kind))
        || entry.kind.starts_with(b"SUBSCRIPTION")
        || !entry.is("TABLE DATA") && entry.schema.is_empty() && entry.name.starts_with(b"LARGE OBJECT ")
}

/// Returns the kind of an entry in words.
fn kind(entry: &ArchiveEntry) -> String {
    let kind = String::from_utf8_lossy(&entry.kind).to_lowercase();
    let is_object = kind.starts_with("blob") || entry.name.starts_with(b"LARGE OBJECT ");
    match kind.as_str() {
        _ if is_object => "large objects".to_owned(),
        "statistics data" => "statistics, which hold values".to_owned(),
        _ if kind.starts_with("subscription") => "subscriptions".to_owned(),
        _ => format!("{kind}s"),
    }
}

fn name(entry: &ArchiveEntry) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match entry.schema.is_empty() {
        true => format!("{} {}", text(&entry.kind), text(&entry.name)),
        false => format!("{} {}.{}", text(&entry.kind), text(&entry.schema), text(&entry.name)),
    }
}

/// Returns the first names behind these words, and how many more there are; `None` for no names.
fn some(words: &str, names: &[String]) -> Option<String> {
    let told = names.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => None,
        count if count > TOLD => Some(format!("{words}{told} and {} more", count - TOLD)),
        _ => Some(format!("{words}{told}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, schema: &str, name: &str) -> ArchiveEntry {
        let mut entry = ArchiveEntry::new(Vec::new(), &[], Vec::new());
        [entry.kind, entry.schema, entry.name] = [kind, schema, name].map(|text| text.as_bytes().to_vec());
        entry
    }

    #[test]
    fn what_holds_values_or_leads_elsewhere_is_left_out_and_what_only_looks_like_it_is_not() {
        for (kind, schema, name, told) in [
            ("STATISTICS DATA", "public", "people", "statistics, which hold values"),
            ("BLOBS", "", "BLOBS", "large objects"),
            ("BLOB", "", "4711", "large objects"),
            ("BLOB METADATA", "", "4711..4799", "large objects"),
            ("COMMENT", "", "LARGE OBJECT 4711", "large objects"),
            ("ACL", "", "LARGE OBJECT 4711", "large objects"),
            ("USER MAPPING", "", "USER MAPPING anna SERVER elsewhere", "user mappings"),
            ("SUBSCRIPTION", "", "all", "subscriptions"),
            ("SUBSCRIPTION TABLE", "", "all", "subscriptions"),
        ] {
            let entry = entry(kind, schema, name);
            assert!(is_left_out(&entry) && super::kind(&entry) == told, "{kind}: {}", super::kind(&entry));
        }
        for (kind, schema, name) in [
            ("STATISTICS", "public", "names"),
            ("TABLE", "public", "LARGE OBJECT 4711"),
            ("TABLE DATA", "public", "BLOBS"),
            ("MATERIALIZED VIEW DATA", "public", "spenders"),
            ("SEQUENCE SET", "public", "people_id_seq"),
        ] {
            assert!(!is_left_out(&entry(kind, schema, name)), "{kind}");
        }
    }
}
