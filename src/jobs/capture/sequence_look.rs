//! Holds what one look at the sequences found.

use crate::format::changes::known_sequences::KnownSequences;
use crate::format::changes::sequence_sample::{SequenceNote, SequenceSample};
use crate::format::lsn::Lsn;

pub(crate) struct SequenceLook {
    /// They are as they were at this place of the log, or newer.
    pub at: Lsn,
    /// All of them, in the order of their identifiers. `None`: they could not be read.
    pub found: Option<Vec<SequenceNote>>,
}

impl SequenceLook {
    /// Returns the sample of a segment that ends here: what is not as it is known. `None`: no sequence was read behind that place.
    pub fn sample(&self, end: Lsn, known: &KnownSequences) -> Option<SequenceSample> {
        let found = self.found.as_ref().filter(|_| end <= self.at)?;
        Some(SequenceSample { at: self.at, changed: known.changes(found) })
    }
}
