//! Orders the rows of tables: those that foreign keys refer to come first.

use crate::format::archive::contents::DumpContents;
use crate::format::archive::entry::ArchiveEntry;
use crate::format::archive::selection::entry_index::EntryIndex;
use std::collections::{BTreeMap, BTreeSet};

/// The order of rows. A table with partitions, and these, have one place together.
#[derive(Debug, Default)]
pub(crate) struct DataOrder {
    /// The place of each entry with rows.
    pub places: BTreeMap<i64, usize>,
    /// Tables of which each refers to the next, and the last to the first.
    pub circles: Vec<Vec<i64>>,
}

impl DataOrder {
    /// Orders the entries that are wanted by the foreign keys of the dump.
    pub fn of(contents: &DumpContents, wanted: &BTreeSet<i64>) -> DataOrder {
        let index = EntryIndex::of(contents);
        let parents: BTreeMap<i64, i64> = index
            .attachments()
            .filter(|attachment| attachment.is_of_tables)
            .map(|attachment| (attachment.child, attachment.parent))
            .collect();
        let root = |number: i64| {
            let mut table = index.table_of(number);
            while let Some(parent) = parents.get(&table) {
                table = *parent;
            }
            table
        };
        let data: Vec<&ArchiveEntry> =
            contents.entries.iter().filter(|entry| entry.is("TABLE DATA") && wanted.contains(&entry.number)).collect();
        let mut seen = BTreeSet::new();
        let left: Vec<i64> = data.iter().map(|entry| root(entry.number)).filter(|table| seen.insert(*table)).collect();
        let mut refers: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
        for key in contents.entries.iter().filter(|entry| entry.is("FK CONSTRAINT")) {
            let own = root(key.number);
            let others = index.referred(key).map(root).filter(|other| *other != own);
            refers.entry(own).or_default().extend(others);
        }
        let (order, circles) = ordered(left, &refers);
        let by_table: BTreeMap<i64, usize> = order.into_iter().zip(0..).collect();
        let place = |entry: &&ArchiveEntry| Some((entry.number, *by_table.get(&root(entry.number))?));
        DataOrder { places: data.iter().filter_map(place).collect(), circles }
    }
}

/// Returns the tables in an order in which each comes behind those that it refers to, and the circles where there is none.
fn ordered(mut left: Vec<i64>, refers: &BTreeMap<i64, BTreeSet<i64>>) -> (Vec<i64>, Vec<Vec<i64>>) {
    let (mut order, mut circles) = (Vec::new(), Vec::new());
    while let Some(first) = left.first().copied() {
        let open: BTreeSet<i64> = left.iter().copied().collect();
        let next = |table: i64| refers.get(&table).into_iter().flatten().copied().find(|other| open.contains(other));
        let (free, bound): (Vec<i64>, Vec<i64>) = left.iter().partition(|table| next(**table).is_none());
        if free.is_empty() {
            let mut path = vec![first];
            while let Some(other) = path.last().and_then(|last| next(*last)) {
                if let Some(at) = path.iter().position(|table| *table == other) {
                    path.drain(..at);
                    break;
                }
                path.push(other);
            }
            left.retain(|table| *table != path[0]);
            order.push(path[0]);
            circles.push(path);
            continue;
        }
        left = bound;
        order.extend(free);
    }
    (order, circles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_comes_behind_those_that_it_refers_to() {
        let refers = BTreeMap::from([(1, BTreeSet::from([2, 9])), (2, BTreeSet::from([3]))]);
        assert_eq!(ordered(vec![1, 2, 3, 4], &refers), (vec![3, 4, 2, 1], vec![]));
    }

    #[test]
    fn a_circle_is_told_and_the_rest_is_ordered_all_the_same() {
        let refers = BTreeMap::from([(1, BTreeSet::from([2])), (2, BTreeSet::from([3])), (3, BTreeSet::from([2]))]);
        assert_eq!(ordered(vec![1, 2, 3], &refers), (vec![2, 1, 3], vec![vec![2, 3]]));
    }
}
