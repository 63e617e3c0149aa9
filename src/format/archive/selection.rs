//! Chooses the entries of an archive that belong to some of its tables.

use crate::format::archive::contents::DumpContents;
use crate::format::archive::entry::ArchiveEntry;
use std::collections::{BTreeMap, BTreeSet};

/// Kinds of entries that say how the script is read; every script has them.
const SETTINGS: [&str; 3] = ["ENCODING", "STDSTRINGS", "SEARCHPATH"];
/// Kinds that a pattern for tables chooses among, as `pg_dump --table` does.
const RELATIONS: [&str; 5] = ["TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE"];
/// Kinds that belong to what they need.
const OWN: [&str; 21] = [
    "TABLE DATA",
    "MATERIALIZED VIEW DATA",
    "DEFAULT",
    "CONSTRAINT",
    "CHECK CONSTRAINT",
    "FK CONSTRAINT",
    "INDEX",
    "STATISTICS",
    "STATISTICS DATA",
    "TRIGGER",
    "RULE",
    "POLICY",
    "ROW SECURITY",
    "SEQUENCE",
    "SEQUENCE OWNED BY",
    "SEQUENCE SET",
    "TABLE ATTACH",
    "INDEX ATTACH",
    "COMMENT",
    "SECURITY LABEL",
    "ACL",
];
/// Kinds that join two objects, and belong to both.
const JOINING: [&str; 2] = ["TABLE ATTACH", "INDEX ATTACH"];
/// Kinds that hold data, or set what the data have reached.
const DATA: [&str; 4] = ["TABLE DATA", "MATERIALIZED VIEW DATA", "SEQUENCE SET", "STATISTICS DATA"];

/// Which part of the chosen tables is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TablePart {
    Whole,
    Definitions,
    Data,
}

/// The entries of some tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ArchiveSelection {
    /// The numbers of all entries that are wanted.
    pub wanted: BTreeSet<i64>,
    /// Those of the tables themselves.
    pub tables: BTreeSet<i64>,
    /// Those of objects that the tables need, and that are no part of them, such as types and functions.
    pub needed: Vec<i64>,
    /// Foreign keys to tables that are not among them, with the number of the other table.
    pub foreign_keys: Vec<(i64, i64)>,
}

/// Looks entries up.
struct EntryIndex<'a> {
    contents: &'a DumpContents,
    /// The entries that need an entry.
    users: BTreeMap<i64, Vec<&'a ArchiveEntry>>,
}

/// Returns the entries of the tables for which `is_chosen` says yes, with all that belongs to them and all that they need. Foreign keys to
/// other tables are left out.
pub(crate) fn select(
    contents: &DumpContents,
    part: TablePart,
    is_chosen: impl Fn(&ArchiveEntry) -> bool,
) -> ArchiveSelection {
    let index = EntryIndex::of(contents);
    let chosen = contents.entries.iter().filter(|entry| is_relation(entry) && is_chosen(entry));
    let tables = index.with_partitions(chosen.map(|entry| entry.number).collect());
    let mut selection = ArchiveSelection { tables: tables.clone(), ..ArchiveSelection::default() };
    let mut own = tables.clone();
    let mut rest: Vec<i64> = tables.into_iter().collect();
    while let Some(number) = rest.pop() {
        for user in index.users.get(&number).into_iter().flatten().filter(|user| is_one_of(user, &OWN)) {
            let other = index.other_table(user, &selection.tables).filter(|_| user.is("FK CONSTRAINT"));
            if let Some(other) = other {
                selection.foreign_keys.push((user.number, other));
                continue;
            }
            if own.insert(user.number) {
                rest.push(user.number);
            }
        }
    }
    match part {
        TablePart::Data => {
            own.retain(|number| index.is_one_of(*number, &DATA));
            selection.foreign_keys.clear();
        }
        TablePart::Definitions => own.retain(|number| !index.is_one_of(*number, &DATA)),
        TablePart::Whole => {}
    }
    let needed = if part == TablePart::Data { BTreeSet::new() } else { index.needed(&own) };
    // What joins a table to one that is not wanted would fail.
    own.retain(|number| {
        let entry = contents.entry(*number);
        entry.is_none_or(|entry| {
            !is_one_of(entry, &JOINING)
                || entry
                    .needs
                    .iter()
                    .all(|need| !index.is_joined(*need) || selection.tables.contains(&index.table_of(*need)))
        })
    });
    selection.foreign_keys.sort_unstable();
    selection.foreign_keys.dedup();
    selection.wanted =
        contents.entries.iter().filter(|entry| is_one_of(entry, &SETTINGS)).map(|entry| entry.number).collect();
    selection.needed = needed.iter().filter(|number| !own.contains(number)).copied().collect();
    selection.wanted.extend(own);
    selection.wanted.extend(needed);
    selection
}

impl ArchiveSelection {
    /// Takes an object that is needed out, with what belongs to it: it is there already.
    pub fn without(&mut self, contents: &DumpContents, present: &BTreeSet<i64>) {
        self.needed.retain(|number| !present.contains(number));
        self.wanted.retain(|number| !present.contains(number));
        let gone = |entry: &&ArchiveEntry| {
            (entry.is("COMMENT") || entry.is("ACL") || entry.is("SECURITY LABEL"))
                && entry.needs.iter().any(|need| present.contains(need))
        };
        for entry in contents.entries.iter().filter(gone) {
            self.wanted.remove(&entry.number);
        }
    }

    /// Adds a foreign key that was left out.
    pub fn with_foreign_key(&mut self, number: i64) {
        self.foreign_keys.retain(|(key, _)| *key != number);
        self.wanted.insert(number);
    }
}

impl<'a> EntryIndex<'a> {
    fn of(contents: &'a DumpContents) -> EntryIndex<'a> {
        let mut users: BTreeMap<i64, Vec<&ArchiveEntry>> = BTreeMap::new();
        for entry in &contents.entries {
            entry.needs.iter().for_each(|need| users.entry(*need).or_default().push(entry));
        }
        EntryIndex { contents, users }
    }

    fn is_one_of(&self, number: i64, kinds: &[&str]) -> bool {
        self.contents.entry(number).is_some_and(|entry| is_one_of(entry, kinds))
    }

    /// Returns whether an entry is one that another is joined to: a table, or an index or key of one.
    fn is_joined(&self, number: i64) -> bool {
        self.is_one_of(number, &["TABLE", "FOREIGN TABLE", "INDEX", "CONSTRAINT"])
    }

    /// Adds the partitions of these tables, and theirs.
    fn with_partitions(&self, mut tables: BTreeSet<i64>) -> BTreeSet<i64> {
        let attached = |entry: &&&ArchiveEntry| entry.is("TABLE ATTACH");
        let mut rest: Vec<i64> = tables.iter().copied().collect();
        while let Some(table) = rest.pop() {
            for attach in self.users.get(&table).into_iter().flatten().filter(attached) {
                // An attachment has its partition's name, and needs both.
                let is_partition = |need: &&i64| {
                    let entry = self.contents.entry(**need);
                    entry.is_some_and(|entry| {
                        is_relation(entry) && entry.name == attach.name && entry.schema == attach.schema
                    })
                };
                rest.extend(attach.needs.iter().find(is_partition).filter(|number| tables.insert(**number)));
            }
        }
        tables
    }

    /// Returns the number of the table that an entry belongs to; its own for a table.
    fn table_of(&self, number: i64) -> i64 {
        let Some(entry) = self.contents.entry(number) else { return number };
        let table = entry.needs.iter().find(|need| self.is_one_of(**need, &RELATIONS));
        if is_relation(entry) { number } else { table.copied().unwrap_or(number) }
    }

    /// Returns the table that a foreign key refers to, if it is none of these.
    fn other_table(&self, key: &ArchiveEntry, tables: &BTreeSet<i64>) -> Option<i64> {
        key.needs
            .iter()
            .filter(|need| self.is_joined(**need))
            .map(|need| self.table_of(*need))
            .find(|table| !tables.contains(table))
    }

    /// Returns all that these entries need, however far away, and every extension: an archive does not say who needs one.
    fn needed(&self, own: &BTreeSet<i64>) -> BTreeSet<i64> {
        let extensions = self.contents.entries.iter().filter(|entry| entry.is("EXTENSION")).map(|entry| entry.number);
        let mut rest: Vec<i64> = own.iter().copied().chain(extensions).collect();
        let mut needed: BTreeSet<i64> = rest.iter().copied().filter(|number| !own.contains(number)).collect();
        while let Some(number) = rest.pop() {
            for need in self.contents.entry(number).into_iter().flat_map(|entry| &entry.needs) {
                // Numbers without an entry are of what the dump does not make.
                let known = self.contents.entry(*need).is_some_and(|entry| !is_one_of(entry, &DATA));
                if known && !own.contains(need) && needed.insert(*need) {
                    rest.push(*need);
                }
            }
        }
        needed
    }
}

/// Returns whether a pattern for tables may choose this entry.
pub(crate) fn is_relation(entry: &ArchiveEntry) -> bool {
    is_one_of(entry, &RELATIONS)
}

fn is_one_of(entry: &ArchiveEntry, kinds: &[&str]) -> bool {
    kinds.iter().any(|kind| entry.is(kind))
}
