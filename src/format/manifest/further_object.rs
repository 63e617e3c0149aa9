//! An object of a payload behind the first one, as the document states it.

use crate::format::manifest::bounded_members;
use serde::{Deserialize, Serialize};

/// Most objects of one payload: their numbers have four digits.
pub(crate) const MOST_OBJECTS: usize = 9_999;
pub(crate) const MOST_FURTHER: usize = MOST_OBJECTS - 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FurtherObject {
    pub bytes: u64,
    /// Its version, in a bucket that keeps versions.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded_members::maybe_word")]
    pub version_id: Option<String>,
}
