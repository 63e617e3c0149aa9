//! Keeps bases whatever other rules say: the newest one, the newest that is proven, and those by which every moment of a time is restorable.

use crate::format::backup_id::BackupId;
use crate::format::changes::generation_id::GenerationId;
use crate::format::lsn::Lsn;
use crate::format::manifest::Manifest;
use crate::repository::retention::{Candidate, Policy};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The changes that a base needs: all segments of its generation that end behind a place.
#[derive(Debug, Clone)]
pub(crate) struct BaseNeed {
    pub id: BackupId,
    pub generation: GenerationId,
    pub from: Lsn,
}

impl BaseNeed {
    /// Returns what a backup needs; `None`: it is no base.
    pub fn of(manifest: &Manifest) -> Option<BaseNeed> {
        let alignment = manifest.changes.as_ref()?;
        let from = manifest.first_missing(alignment);
        Some(BaseNeed { id: manifest.id.clone(), generation: alignment.generation(), from })
    }
}

/// Adds the reasons why bases of a series stay. Only good ones of the past count.
pub(crate) fn hold(
    group: &mut [Candidate],
    bases: &BTreeMap<&BackupId, GenerationId>,
    policy: &Policy,
    now: Timestamp,
) {
    let mut found: Vec<(Timestamp, GenerationId, usize)> = Vec::new();
    for (at, backup) in group.iter().enumerate() {
        if let Some(generation) = bases.get(&backup.id)
            && backup.trouble.is_none()
            && !backup.id.is_from_the_future(now)
        {
            found.push((backup.id.taken_at(), *generation, at));
        }
    }
    found.sort();
    let Some((newest, _, last)) = found.last().copied() else { return };
    group[last].held.push("newest base".to_owned());
    // What is newer may turn out to be worth nothing.
    if let Some((.., at)) = found.iter().rev().find(|(.., at)| group[*at].proven) {
        group[*at].held.push("last proven base".to_owned());
    }
    let Some((since, rule)) = policy.capture_since(newest) else { return };
    needed(&found, since).into_iter().for_each(|at| group[at].held.push(rule.clone()));
}

/// Returns the bases by which every moment since then can be restored: the last one before it, and the first one of each generation that
/// begins later. The oldest base comes first.
fn needed(bases: &[(Timestamp, GenerationId, usize)], since: Timestamp) -> Vec<usize> {
    let later = bases.partition_point(|(taken_at, ..)| *taken_at <= since);
    let mut seen = BTreeSet::new();
    let from_then_on = &bases[later.saturating_sub(1)..];
    from_then_on.iter().filter(|(_, generation, _)| seen.insert(*generation)).map(|(.., at)| *at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_base_before_a_time_is_needed_and_the_first_of_each_generation_behind_it() {
        let time = |second| Timestamp::from_second(second).unwrap();
        let [one, two]: [GenerationId; 2] =
            ["20260822T031500Z-5f0c21ab", "20260823T031500Z-00000001"].map(|id| id.parse().unwrap());
        let bases: Vec<_> = [(10, one), (20, one), (30, one), (40, two), (50, two)]
            .into_iter()
            .enumerate()
            .map(|(at, (second, generation))| (time(second), generation, at))
            .collect();
        for (since, expected) in
            [(5, vec![0, 3]), (10, vec![0, 3]), (25, vec![1, 3]), (35, vec![2, 3]), (40, vec![3]), (60, vec![4])]
        {
            assert_eq!(needed(&bases, time(since)), expected, "{since}");
        }
    }
}
