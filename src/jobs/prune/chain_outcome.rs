//! Tells what became of the captured changes of one generation.

use crate::format::changes::generation_id::GenerationId;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainOutcome {
    pub generation: GenerationId,
    /// How many segments the generation had.
    pub segments: usize,
    /// How many of them were removed, or would be.
    pub gone: usize,
    /// How many should be removed, but the store refuses: they are locked, or the role may not.
    pub left: usize,
    /// The sizes of the payloads that are gone, in bytes.
    pub bytes: u64,
    /// Whether the generation goes as a whole.
    pub whole: bool,
    /// Why the others stay.
    pub why: String,
}
