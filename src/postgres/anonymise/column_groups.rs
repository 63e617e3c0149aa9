//! Columns that refer to each other by foreign keys. All of one group must be changed alike, or rows lose those that they refer to.

use crate::postgres::anonymise::columns::SourceTable;
use std::collections::{BTreeMap, BTreeSet};

/// The place of a column: the index of its table, and its own within the table.
pub(crate) type ColumnPlace = (usize, usize);

/// The groups of all columns that have a foreign key or are referred to by one.
pub(crate) struct ColumnGroups {
    groups: Vec<Vec<ColumnPlace>>,
    /// The index of each column's group.
    index: BTreeMap<ColumnPlace, usize>,
    referred_to: BTreeSet<ColumnPlace>,
}

impl ColumnGroups {
    /// Finds the groups. Places that `left_out` names refer to nothing: NULL in every row needs no row elsewhere.
    pub(crate) fn find(tables: &[SourceTable], left_out: impl Fn(ColumnPlace) -> bool) -> ColumnGroups {
        let names: BTreeMap<(&str, &str), usize> =
            tables.iter().enumerate().map(|(at, table)| ((table.schema.as_str(), table.name.as_str()), at)).collect();
        let mut leaders: BTreeMap<ColumnPlace, ColumnPlace> = BTreeMap::new();
        let mut referred_to = BTreeSet::new();
        for (at, table) in tables.iter().enumerate() {
            for (own, column) in table.columns.iter().enumerate().filter(|(own, _)| !left_out((at, *own))) {
                for reference in &column.refers_to {
                    let Some(other) = names.get(&(reference.schema.as_str(), reference.table.as_str())) else {
                        continue;
                    };
                    let found = tables[*other].columns.iter().position(|column| column.name == reference.column);
                    let Some(target) = found.map(|column| (*other, column)) else { continue };
                    referred_to.insert(target);
                    let (one, two) = (leader(&mut leaders, (at, own)), leader(&mut leaders, target));
                    leaders.insert(one.max(two), one.min(two));
                }
            }
        }
        let members: Vec<ColumnPlace> = leaders.keys().copied().collect();
        let mut groups: BTreeMap<ColumnPlace, Vec<ColumnPlace>> = BTreeMap::new();
        for member in members {
            groups.entry(leader(&mut leaders, member)).or_default().push(member);
        }
        let groups: Vec<_> = groups.into_values().filter(|group| group.len() > 1).collect();
        let members = groups.iter().enumerate().flat_map(|(at, group)| group.iter().map(move |place| (*place, at)));
        ColumnGroups { index: members.collect(), groups, referred_to }
    }

    pub(crate) fn all(&self) -> &[Vec<ColumnPlace>] {
        &self.groups
    }

    /// Returns the columns of this one's group; none if no foreign key is about it.
    pub(crate) fn of(&self, place: ColumnPlace) -> &[ColumnPlace] {
        self.index.get(&place).map_or(&[], |at| self.groups[*at].as_slice())
    }

    pub(crate) fn is_referred_to(&self, place: ColumnPlace) -> bool {
        self.referred_to.contains(&place)
    }
}

/// Returns the place that stands for the group of this one, and makes it a group of its own if it is new.
fn leader(leaders: &mut BTreeMap<ColumnPlace, ColumnPlace>, place: ColumnPlace) -> ColumnPlace {
    let mut at = place;
    loop {
        let next = *leaders.entry(at).or_insert(at);
        if next == at {
            leaders.insert(place, at);
            return at;
        }
        at = next;
    }
}
