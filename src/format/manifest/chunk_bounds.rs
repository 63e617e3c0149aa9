//! Tells whether the chunk tags of a document can be those of its payload.

use crate::format::manifest::{Chunks, LARGEST_CHUNK, MOST_CHUNKS, SMALLEST_CHUNK};

impl Chunks {
    /// Returns why these cannot be the tags of an object of so many bytes. `None`: they can.
    pub(crate) fn fault(&self, stored: u64) -> Option<&'static str> {
        if !self.size.is_power_of_two() || !(SMALLEST_CHUNK..=LARGEST_CHUNK).contains(&self.size) {
            return Some("its chunk size is out of range");
        }
        let expected = stored.div_ceil(self.size).max(1);
        let fits = expected <= MOST_CHUNKS && self.tags.len() as u64 == expected;
        (!fits).then_some("the number of its chunk tags does not fit its size")
    }
}
