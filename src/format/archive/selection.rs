//! Chooses the entries of an archive that belong to some of its tables.

pub(crate) mod data_order;
pub(crate) mod entry_index;
pub(crate) mod shared_rows;

use crate::format::archive::contents::DumpContents;
use crate::format::archive::entry::ArchiveEntry;
use crate::format::archive::selection::entry_index::{DATA, EntryIndex, JOINING, is_one_of, is_relation};
use std::collections::BTreeSet;

/// Kinds of entries that say how the script is read; every script has them.
const SETTINGS: [&str; 3] = ["ENCODING", "STDSTRINGS", "SEARCHPATH"];
/// Kinds that belong to what they need.
const OWN: [&str; 19] = [
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
    "COMMENT",
    "SECURITY LABEL",
    "ACL",
];
/// The beginning of kinds that put something into a publication.
const MEMBER: &[u8] = b"PUBLICATION ";
/// Kinds that say something of what they need.
const ABOUT: [&str; 3] = ["COMMENT", "ACL", "SECURITY LABEL"];

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
    /// Partitions whose parent is not among them.
    pub partitions: Vec<LonePartition>,
    /// Entries whose place is behind all others.
    pub last: BTreeSet<i64>,
}

/// A partition that is wanted without its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LonePartition {
    pub number: i64,
    pub parent: i64,
    /// The entry that attaches it.
    pub attach: i64,
}

/// Returns the entries of the tables that `takes` says yes to, and of their partitions, with all that belongs to them and all that they need.
/// What `leaves_out` says yes to is none of them. Foreign keys to other tables are left out, and so is what attaches a partition to a parent
/// that is none of them.
pub(crate) fn select(
    contents: &DumpContents,
    part: TablePart,
    takes: impl Fn(&ArchiveEntry) -> bool,
    leaves_out: impl Fn(&ArchiveEntry) -> bool,
) -> ArchiveSelection {
    let index = EntryIndex::of(contents);
    let chosen = contents.entries.iter().filter(|entry| is_relation(entry) && takes(entry) && !leaves_out(entry));
    let tables = index.with_partitions(chosen.map(|entry| entry.number).collect(), leaves_out);
    let mut selection = ArchiveSelection { tables, ..ArchiveSelection::default() };
    let mut own = selection.belonging(&index);
    match part {
        TablePart::Data => {
            own.retain(|number| index.is_one_of(*number, &DATA));
            selection.foreign_keys.clear();
        }
        TablePart::Definitions => own.retain(|number| !index.is_one_of(*number, &DATA)),
        TablePart::Whole => {}
    }
    if part != TablePart::Data {
        selection.join(&index, &mut own);
    }
    let needed = if part == TablePart::Data { BTreeSet::new() } else { index.needed(&own) };
    selection.wanted = settings(contents);
    selection.needed = needed.iter().filter(|number| !own.contains(number)).copied().collect();
    selection.wanted.extend(own);
    selection.wanted.extend(needed);
    selection
}

/// Returns all entries but those of rows, large objects and the database itself.
pub(crate) fn definitions(contents: &DumpContents) -> ArchiveSelection {
    let entries = contents.entries.iter().filter(|entry| !is_one_of(entry, &DATA) && !is_beside(entry));
    let wanted = entries.map(|entry| entry.number).collect();
    let tables = contents.entries.iter().filter(|entry| is_relation(entry)).map(|entry| entry.number).collect();
    ArchiveSelection { wanted, tables, ..ArchiveSelection::default() }
}

/// Returns the entries of objects that belong to no table, such as functions and types.
pub(crate) fn loose(contents: &DumpContents) -> impl Iterator<Item = &ArchiveEntry> {
    contents.entries.iter().filter(|entry| {
        let is_of_table = is_relation(entry) || is_one_of(entry, &OWN) || is_one_of(entry, &JOINING);
        let is_member = entry.kind.starts_with(MEMBER);
        !is_of_table && !is_member && !is_beside(entry) && !is_one_of(entry, &SETTINGS)
    })
}

/// Returns whether an entry is of a large object, or of the database itself.
fn is_beside(entry: &ArchiveEntry) -> bool {
    let is_large = entry.kind.starts_with(b"BLOB") || entry.name.starts_with(b"LARGE OBJECT");
    is_large || entry.kind.starts_with(b"DATABASE")
}

/// Returns the entries that every script has.
fn settings(contents: &DumpContents) -> BTreeSet<i64> {
    contents.entries.iter().filter(|entry| is_one_of(entry, &SETTINGS)).map(|entry| entry.number).collect()
}

impl ArchiveSelection {
    /// Returns the tables with what belongs to them, but for foreign keys to others, which are noted.
    fn belonging(&mut self, index: &EntryIndex<'_>) -> BTreeSet<i64> {
        let mut own = self.tables.clone();
        let mut rest: Vec<i64> = own.iter().copied().collect();
        while let Some(number) = rest.pop() {
            let users = index.users_of(number).filter(|user| is_one_of(user, &OWN) && index.belongs(user, number));
            for user in users {
                let other = index.other_table(user, &self.tables).filter(|_| user.is("FK CONSTRAINT"));
                if let Some(other) = other {
                    self.foreign_keys.push((user.number, other));
                } else if own.insert(user.number) {
                    rest.push(user.number);
                }
            }
        }
        self.foreign_keys.sort_unstable();
        self.foreign_keys.dedup();
        own
    }

    /// Takes in what attaches these tables and their indexes to each other, and notes partitions without their parents.
    fn join(&mut self, index: &EntryIndex<'_>, own: &mut BTreeSet<i64>) {
        for attachment in index.attachments() {
            let tables = [attachment.child, attachment.parent].map(|end| index.table_of(end));
            match tables.map(|table| self.tables.contains(&table)) {
                [true, true] => {
                    own.insert(attachment.number);
                }
                [true, false] if attachment.is_of_tables => self.partitions.push(LonePartition {
                    number: attachment.child,
                    parent: attachment.parent,
                    attach: attachment.number,
                }),
                _ => {}
            }
        }
    }

    /// Takes in objects that belong to no table, with what they need and what is said of them.
    pub fn with(&mut self, contents: &DumpContents, objects: impl Iterator<Item = i64>) {
        let index = EntryIndex::of(contents);
        let mut more: BTreeSet<i64> = objects.filter(|number| !self.wanted.contains(number)).collect();
        more.extend(index.needed(&more));
        more.retain(|number| !self.wanted.contains(number));
        let said: Vec<i64> = more
            .iter()
            .flat_map(|number| index.users_of(*number))
            .filter(|user| {
                let is_member = user.kind.starts_with(MEMBER) && self.tables.contains(&index.table_of(user.number));
                is_member || is_one_of(user, &ABOUT) && index.belongs(user, 0)
            })
            .map(|user| user.number)
            .collect();
        self.needed.extend(&more);
        self.wanted.extend(more);
        self.wanted.extend(said);
    }

    /// Leaves out refreshing views whose rows would be wrong. Returns each with the table that comes along without the rows of its source.
    pub fn without_refresh(&mut self, contents: &DumpContents) -> Vec<(i64, i64)> {
        let index = EntryIndex::of(contents);
        let mut left_out = Vec::new();
        for entry in contents.entries.iter().filter(|entry| entry.is("MATERIALIZED VIEW DATA")) {
            if !self.wanted.contains(&entry.number) {
                continue;
            }
            let view = index.table_of(entry.number);
            let reads = index.needed(&BTreeSet::from([view]));
            let is_bare = |number: &&i64| {
                self.needed.contains(number) && index.is_one_of(**number, &["TABLE", "MATERIALIZED VIEW"])
            };
            if let Some(bare) = reads.iter().find(is_bare) {
                left_out.push((view, *bare));
                self.wanted.remove(&entry.number);
            }
        }
        left_out
    }

    /// Takes an object that is needed out, with what belongs to it: it is there already.
    pub fn without(&mut self, contents: &DumpContents, present: &BTreeSet<i64>) {
        self.needed.retain(|number| !present.contains(number));
        self.wanted.retain(|number| !present.contains(number));
        let gone =
            |entry: &&ArchiveEntry| is_one_of(entry, &ABOUT) && entry.needs.iter().any(|need| present.contains(need));
        for entry in contents.entries.iter().filter(gone) {
            self.wanted.remove(&entry.number);
        }
    }

    /// Adds a foreign key that was left out.
    pub fn with_foreign_key(&mut self, number: i64) {
        self.foreign_keys.retain(|(key, _)| *key != number);
        self.wanted.insert(number);
    }

    /// Attaches a partition to its parent, which is there: behind all else, so that the server finds the partition's own keys and indexes
    /// for those of the parent. It would make new ones before.
    pub fn attach(&mut self, partition: &LonePartition) {
        self.partitions.retain(|other| other != partition);
        self.wanted.insert(partition.attach);
        self.last.insert(partition.attach);
    }
}
