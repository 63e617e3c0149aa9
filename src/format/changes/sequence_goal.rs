//! Says what a sequence is set to behind the rows of a moment.

use crate::format::changes::sequence_sample::SequenceValue;
use crate::format::sql::object_name::TableName;

/// A sequence of a base, and what the samples around the moment say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceGoal {
    pub name: TableName,
    /// Holds what the first sample at or behind the moment says, or the last one before. `None`: no sample says anything.
    pub value: Option<SequenceValue>,
    /// Holds what the sample before says, if the moment lies between the two. `None`: it does not, or the sequence was the same.
    pub before: Option<SequenceValue>,
    /// Whether the value is of the moment or later. If not, it may be behind the rows.
    pub is_sure: bool,
}

impl SequenceGoal {
    /// Returns whether the value is enough. If not, somebody may have set the sequence back behind the moment, or nobody has seen it since:
    /// then it is to be where both values and the rows need it. `descends`: it counts down.
    pub fn suffices(&self, descends: bool) -> bool {
        let is_back = self.before.zip(self.value).is_some_and(|(before, value)| value.is_behind(before, descends));
        self.is_sure && !is_back
    }
}
