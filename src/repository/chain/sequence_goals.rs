//! Says where the sequences of a base are to be at a moment, by the samples of the chain's segments.
//!
//! The first sample at or behind the moment counts: in it each sequence is at or beyond what the rows of the moment have used. It is that of
//! the segment that holds the moment, or that ends there.

use crate::format::changes::sequence_goal::SequenceGoal;
use crate::format::changes::sequence_sample::{SequenceNote, SequenceSample, SequenceState, SequenceValue};
use crate::format::lsn::Lsn;
use crate::format::manifest::base_alignment::BaseAlignment;
use crate::format::sql::object_name::TableName;
use crate::repository::chain::chain_span::ChainSpan;
use std::collections::{BTreeMap, BTreeSet};

/// Says where all sequences are to be, and how far that is known.
#[derive(Debug, Clone, Default)]
pub struct SequenceGoals {
    pub goals: Vec<SequenceGoal>,
    /// Whether there is a sample at or behind the moment. If not, sequences may be behind the rows.
    pub is_sampled: bool,
    /// Those that the role of the capture was not allowed to read then.
    pub denied: Vec<TableName>,
}

/// Holds what is known of one sequence on the way through the samples.
struct SequenceTrack {
    /// Its name when the base was taken; of one that came later, its first one.
    name: TableName,
    /// Its place among all, in the order in which they came. A later one may have the name of one that is gone.
    place: usize,
    value: Option<SequenceValue>,
    before: Option<SequenceValue>,
    state: SequenceState,
}

impl SequenceGoals {
    /// Follows the samples up to the first one at or behind a moment.
    pub fn of(span: &ChainSpan, alignment: &BaseAlignment, to: Lsn) -> SequenceGoals {
        let removed = span.cut().and_then(|cut| Some((cut.start, cut.sequences.as_ref()?)));
        let linked = span.links().iter().filter_map(|link| Some((link.segment.end, link.segment.sequences.as_ref()?)));
        goals(removed.into_iter().chain(linked), alignment.after_lsn(), to)
    }

    /// Leaves only these sequences.
    pub fn only(&mut self, names: &BTreeSet<TableName>) {
        self.goals.retain(|goal| names.contains(&goal.name));
        self.denied.retain(|name| names.contains(name));
    }
}

/// `samples` come with the ends of their segments; `after`: what ends there is in the base.
fn goals<'a>(samples: impl Iterator<Item = (Lsn, &'a SequenceSample)>, after: Lsn, to: Lsn) -> SequenceGoals {
    let mut tracks: BTreeMap<u32, SequenceTrack> = BTreeMap::new();
    let (mut is_sampled, mut place) = (false, 0);
    for (end, sample) in samples {
        for note in &sample.changed {
            if note.state == SequenceState::Gone && end <= after {
                tracks.remove(&note.oid);
                continue;
            }
            place += 1;
            let track = tracks.entry(note.oid).or_insert_with(|| SequenceTrack::new(note, place));
            if end <= after {
                track.name = note.name.clone();
            }
            track.take(note.state, to < end);
        }
        is_sampled = to <= end;
        if is_sampled {
            break;
        }
    }
    let mut tracks: Vec<SequenceTrack> = tracks.into_values().collect();
    tracks.sort_by_key(|track| track.place);
    let mut names = BTreeSet::new();
    tracks.retain(|track| names.insert(track.name.clone()));
    let denied = tracks.iter().filter(|track| track.state == SequenceState::Denied);
    let denied = denied.map(|track| track.name.clone()).collect();
    let goals = tracks.into_iter().map(|track| track.goal(is_sampled)).collect();
    SequenceGoals { goals, is_sampled, denied }
}

impl SequenceTrack {
    fn new(note: &SequenceNote, place: usize) -> SequenceTrack {
        SequenceTrack { name: note.name.clone(), place, value: None, before: None, state: note.state }
    }

    /// Takes what a sample says. `is_inside`: the moment lies before the sample, and behind the one before it.
    fn take(&mut self, state: SequenceState, is_inside: bool) {
        self.state = state;
        if let SequenceState::Known(value) = state {
            self.before = self.value.replace(value).filter(|_| is_inside);
        }
    }

    fn goal(self, is_sampled: bool) -> SequenceGoal {
        let is_sure = is_sampled && matches!(self.state, SequenceState::Known(_));
        SequenceGoal { name: self.name, value: self.value, before: self.before, is_sure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(changed: &[&str]) -> SequenceSample {
        let note = |text: &&str| SequenceNote::of_text(text).unwrap();
        SequenceSample { at: Lsn(1000), changed: changed.iter().map(note).collect() }
    }

    /// Returns each goal as a text, of samples that end at 10, 20 and so on.
    fn told(samples: &[&[&str]], after: u64, to: u64) -> (Vec<String>, bool) {
        let samples: Vec<SequenceSample> = samples.iter().map(|changed| sample(changed)).collect();
        let ends = (1..).map(|number: u64| Lsn(10 * number));
        let found = goals(ends.zip(&samples), Lsn(after), Lsn(to));
        let value = |value: Option<SequenceValue>| {
            value.map_or("none".to_owned(), |value| format!("{}{}", value.last, if value.is_called { "" } else { "-" }))
        };
        let one = |goal: &SequenceGoal| {
            let name = String::from_utf8(goal.name.name.bytes().to_vec()).unwrap();
            format!(
                "{name} {} {} {}",
                value(goal.value),
                value(goal.before),
                if goal.is_sure { "sure" } else { "unsure" }
            )
        };
        (found.goals.iter().map(one).collect(), found.is_sampled)
    }

    fn goals_of(samples: &[&[&str]], after: u64, to: u64) -> Vec<String> {
        told(samples, after, to).0
    }

    #[test]
    fn the_first_sample_at_or_behind_the_moment_counts() {
        let a = [r#"1 "s"."a" 1 uncalled"#, r#"1 "s"."a" 20 called"#, r#"1 "s"."a" 5 called"#];
        let samples: &[&[&str]] = &[&[a[0], r#"2 "s"."b" 7 called"#], &[a[1]], &[], &[a[2]]];
        for (to, expected) in [
            (10, ["a 1- none sure", "b 7 none sure"]),
            (11, ["a 20 1- sure", "b 7 none sure"]),
            (20, ["a 20 none sure", "b 7 none sure"]),
            (25, ["a 20 none sure", "b 7 none sure"]),
            (31, ["a 5 20 sure", "b 7 none sure"]),
            (40, ["a 5 none sure", "b 7 none sure"]),
        ] {
            assert_eq!(told(samples, 5, to), (expected.map(str::to_owned).to_vec(), true), "{to}");
        }
        let (behind, is_sampled) = told(samples, 5, 41);
        assert_eq!((behind[0].as_str(), is_sampled), ("a 5 none unsure", false));
        assert_eq!(told(&[], 5, 41), (vec![], false));
    }

    #[test]
    fn what_could_not_be_read_at_the_moment_is_not_sure() {
        let known = r#"1 "s"."a" 20 called"#;
        for state in ["denied", "locked", "gone"] {
            let after = format!(r#"1 "s"."a" {state}"#);
            let samples: &[&[&str]] = &[&[known], &[&after], &[r#"1 "s"."a" 30 called"#]];
            assert_eq!(goals_of(samples, 10, 15), ["a 20 none unsure"], "{state}");
            assert_eq!(goals_of(samples, 10, 25), ["a 30 20 sure"], "{state}");
        }
        assert_eq!(goals_of(&[&[r#"1 "s"."a" denied"#]], 5, 10), ["a none none unsure"]);
    }

    #[test]
    fn a_sequence_has_the_name_that_the_base_knows() {
        let samples: &[&[&str]] = &[
            &[r#"1 "s"."a" 1 called"#],
            &[r#"1 "s"."b" 2 called"#],
            &[r#"1 "s"."c" 3 called"#, r#"2 "s"."b" 9 called"#],
        ];
        assert_eq!(goals_of(samples, 20, 30), ["b 3 none sure"], "another one has the name since");
        assert_eq!(goals_of(samples, 10, 30), ["a 3 none sure", "b 9 none sure"]);
        // One that was gone before the base is none of it.
        let samples: &[&[&str]] = &[&[r#"1 "s"."a" 50 called"#], &[r#"1 "s"."a" gone"#, r#"2 "s"."a" 1 called"#]];
        assert_eq!(goals_of(samples, 20, 20), ["a 1 none sure"]);
        assert_eq!(goals_of(samples, 10, 20), ["a 50 none unsure"]);
    }
}
