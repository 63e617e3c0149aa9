//! The sequences of a database as all samples of a chain together state them.

use crate::format::changes::sequence_sample::{SequenceNote, SequenceSample, SequenceState};
use crate::format::sql::object_name::TableName;
use std::collections::BTreeMap;

/// Sequences, by their identifiers in the source's catalog. None of them is gone.
#[derive(Debug, Clone, Default)]
pub struct KnownSequences(BTreeMap<u32, SequenceNote>);

impl KnownSequences {
    /// Takes a sample, after all samples before it.
    pub fn apply(&mut self, sample: &SequenceSample) {
        for note in &sample.changed {
            match note.state {
                SequenceState::Gone => self.0.remove(&note.oid),
                _ => self.0.insert(note.oid, note.clone()),
            };
        }
    }

    /// Returns those of all sequences of the database that are not as they are known, and those that are not there any more, in the order of
    /// their identifiers. `found` is in that order.
    pub fn changes(&self, found: &[SequenceNote]) -> Vec<SequenceNote> {
        let other = found.iter().filter(|note| self.0.get(&note.oid) != Some(*note));
        let is_there = |oid: &u32| found.binary_search_by_key(oid, |note| note.oid).is_ok();
        let gone = self.0.values().filter(|known| !is_there(&known.oid));
        let mut all: Vec<SequenceNote> =
            gone.map(|known| SequenceNote { state: SequenceState::Gone, ..known.clone() }).collect();
        all.extend(other.cloned());
        all.sort_by_key(|note| note.oid);
        all
    }

    /// Returns all of them, in the order of their identifiers.
    pub fn into_notes(self) -> Vec<SequenceNote> {
        self.0.into_values().collect()
    }

    /// Returns those that the role may not read.
    pub fn denied(&self) -> impl Iterator<Item = &TableName> {
        self.0.values().filter(|known| known.state == SequenceState::Denied).map(|known| &known.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::lsn::Lsn;

    fn notes(texts: &[&str]) -> Vec<SequenceNote> {
        texts.iter().map(|text| SequenceNote::of_text(text).unwrap()).collect()
    }

    #[test]
    fn only_what_differs_is_a_change_and_all_changes_together_are_what_was_found() {
        let mut known = KnownSequences::default();
        let mut take = |found: &[&str], changed: &[&str]| {
            let found = notes(found);
            let changes = known.changes(&found);
            assert_eq!(changes, notes(changed));
            known.apply(&SequenceSample { at: Lsn(1), changed: changes });
            assert_eq!(known.clone().into_notes(), found);
            known.denied().count()
        };
        let (a, b) = (r#"5 "s"."a" 1 uncalled"#, r#"7 "s"."b" 3 called"#);
        take(&[a, b], &[a, b]);
        take(&[a, b], &[]);
        let (set_back, renamed) = (r#"7 "s"."b" 2 called"#, r#"5 "s"."A" 1 uncalled"#);
        take(&[renamed, set_back], &[renamed, set_back]);
        let hidden = r#"7 "s"."b" denied"#;
        assert_eq!(take(&[hidden], &[r#"5 "s"."A" gone"#, hidden]), 1);
        assert_eq!(take(&[], &[r#"7 "s"."b" gone"#]), 0);
    }
}
