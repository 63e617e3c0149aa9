//! Looks up what belongs to the tables of an archive, what attaches them, and what they need.

use crate::format::archive::contents::DumpContents;
use crate::format::archive::entry::ArchiveEntry;
use std::collections::{BTreeMap, BTreeSet};

/// Kinds that a pattern for tables chooses among, as `pg_dump --table` does.
const RELATIONS: [&str; 5] = ["TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE"];
/// Kinds that hold data, or set what the data have reached.
pub(crate) const DATA: [&str; 4] = ["TABLE DATA", "MATERIALIZED VIEW DATA", "SEQUENCE SET", "STATISTICS DATA"];
/// Kinds that attach a partition or its index to that of the parent.
pub(crate) const JOINING: [&str; 2] = ["TABLE ATTACH", "INDEX ATTACH"];
/// Kinds that have an index.
const INDEXES: [&str; 2] = ["INDEX", "CONSTRAINT"];

/// Looks entries up.
pub(crate) struct EntryIndex<'a> {
    contents: &'a DumpContents,
    /// The entries that need an entry.
    users: BTreeMap<i64, Vec<&'a ArchiveEntry>>,
}

/// An entry that attaches a partition, or the index of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub number: i64,
    pub child: i64,
    pub parent: i64,
    /// Whether tables are attached, and not indexes.
    pub is_of_tables: bool,
}

impl<'a> EntryIndex<'a> {
    pub fn of(contents: &'a DumpContents) -> EntryIndex<'a> {
        let mut users: BTreeMap<i64, Vec<&ArchiveEntry>> = BTreeMap::new();
        for entry in &contents.entries {
            entry.needs.iter().for_each(|need| users.entry(*need).or_default().push(entry));
        }
        EntryIndex { contents, users }
    }

    /// Returns the entries that need this one.
    pub fn users_of(&self, number: i64) -> impl Iterator<Item = &'a ArchiveEntry> {
        self.users.get(&number).into_iter().flatten().copied()
    }

    pub fn is_one_of(&self, number: i64, kinds: &[&str]) -> bool {
        self.contents.entry(number).is_some_and(|entry| is_one_of(entry, kinds))
    }

    /// Returns the tables, views and sequences that an entry needs.
    fn relations(&self, entry: &ArchiveEntry) -> Vec<&'a ArchiveEntry> {
        entry.needs.iter().filter_map(|need| self.contents.entry(*need)).filter(|need| is_relation(need)).collect()
    }

    /// Returns the table, view or sequence that an entry is a part of. `None`: it needs none, such as a comment on an index.
    fn owner(&self, entry: &ArchiveEntry) -> Option<&'a ArchiveEntry> {
        let relations = self.relations(entry);
        // A policy or a default may name other tables; its own name begins with its table's.
        let is_named = |relation: &&&ArchiveEntry| {
            let rest = entry.name.strip_prefix(relation.name.as_slice());
            relation.schema == entry.schema && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b" "))
        };
        relations.iter().find(is_named).or(relations.first()).copied()
    }

    /// Returns whether an entry is a part of the one with this number, which it needs.
    pub fn belongs(&self, entry: &ArchiveEntry, number: i64) -> bool {
        self.owner(entry).is_none_or(|owner| owner.number == number)
    }

    /// Returns the number of the table that an entry belongs to; its own for a table.
    pub fn table_of(&self, number: i64) -> i64 {
        let Some(entry) = self.contents.entry(number) else { return number };
        if is_relation(entry) { number } else { self.owner(entry).map_or(number, |owner| owner.number) }
    }

    /// Returns all attachments, in the order of the dump.
    pub fn attachments(&self) -> impl Iterator<Item = Attachment> {
        self.contents.entries.iter().filter(|entry| is_one_of(entry, &JOINING)).filter_map(|entry| {
            let is_of_tables = entry.is("TABLE ATTACH");
            let is_end = |end: &&ArchiveEntry| if is_of_tables { is_relation(end) } else { is_one_of(end, &INDEXES) };
            let ends: Vec<_> =
                entry.needs.iter().filter_map(|need| self.contents.entry(*need)).filter(is_end).collect();
            // An attachment has its partition's name. The name of a key has its table's before it.
            let is_child = |end: &&ArchiveEntry| {
                let before = end.name.strip_suffix(entry.name.as_slice());
                let is_whole = |before: &[u8]| before.is_empty() || (!is_of_tables && before.ends_with(b" "));
                end.schema == entry.schema && before.is_some_and(is_whole)
            };
            let child = ends.iter().copied().find(is_child)?.number;
            let parent = ends.iter().find(|end| end.number != child)?.number;
            Some(Attachment { number: entry.number, child, parent, is_of_tables })
        })
    }

    /// Adds the partitions of these tables, and theirs, without those that are left out.
    pub fn with_partitions(
        &self,
        mut tables: BTreeSet<i64>,
        leaves_out: impl Fn(&ArchiveEntry) -> bool,
    ) -> BTreeSet<i64> {
        let mut partitions: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for attachment in self.attachments().filter(|attachment| attachment.is_of_tables) {
            partitions.entry(attachment.parent).or_default().push(attachment.child);
        }
        let mut rest: Vec<i64> = tables.iter().copied().collect();
        while let Some(table) = rest.pop() {
            for partition in partitions.get(&table).into_iter().flatten() {
                let is_left_out = self.contents.entry(*partition).is_some_and(&leaves_out);
                if !is_left_out && tables.insert(*partition) {
                    rest.push(*partition);
                }
            }
        }
        tables
    }

    /// Returns the table that a foreign key refers to, if it is none of these.
    pub fn other_table(&self, key: &ArchiveEntry, tables: &BTreeSet<i64>) -> Option<i64> {
        self.referred(key).find(|table| !tables.contains(table))
    }

    /// Returns the tables that a foreign key needs, with its own.
    pub fn referred(&self, key: &ArchiveEntry) -> impl Iterator<Item = i64> {
        let ends = ["TABLE", "FOREIGN TABLE", "INDEX", "CONSTRAINT"];
        key.needs.iter().filter(move |need| self.is_one_of(**need, &ends)).map(|need| self.table_of(*need))
    }

    /// Returns all that these entries need, however far away, and every extension: an archive does not say who needs one.
    pub fn needed(&self, own: &BTreeSet<i64>) -> BTreeSet<i64> {
        let extensions = self.contents.entries.iter().filter(|entry| entry.is("EXTENSION")).map(|entry| entry.number);
        // A partition is made without its parent, and attached to it afterwards.
        let attached = self.attachments().map(|attachment| (attachment.child, attachment.parent));
        let attached: BTreeSet<(i64, i64)> = attached.collect();
        let mut rest: Vec<i64> = own.iter().copied().chain(extensions).collect();
        let mut needed: BTreeSet<i64> = rest.iter().copied().filter(|number| !own.contains(number)).collect();
        while let Some(number) = rest.pop() {
            let Some(entry) = self.contents.entry(number) else { continue };
            // Numbers without an entry are of what the dump does not make.
            for need in entry.needs.iter().filter_map(|need| self.contents.entry(*need)) {
                let is_parent = attached.contains(&(number, need.number));
                if is_needed(entry, need) && !is_parent && !own.contains(&need.number) && needed.insert(need.number) {
                    rest.push(need.number);
                }
            }
        }
        needed
    }
}

/// Returns whether an entry cannot do without another that it names. It can do without data, and the index of a parent without those of
/// partitions, after which it only comes.
fn is_needed(entry: &ArchiveEntry, need: &ArchiveEntry) -> bool {
    let is_only_before = is_one_of(need, &JOINING) || is_one_of(entry, &INDEXES) && is_one_of(need, &INDEXES);
    !is_one_of(need, &DATA) && !is_only_before
}

/// Returns whether a pattern for tables may choose this entry.
pub(crate) fn is_relation(entry: &ArchiveEntry) -> bool {
    is_one_of(entry, &RELATIONS)
}

pub(crate) fn is_one_of(entry: &ArchiveEntry, kinds: &[&str]) -> bool {
    kinds.iter().any(|kind| entry.is(kind))
}
