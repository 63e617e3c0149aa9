//! Checks of keys, ranges and versions that every store makes alike.

use crate::base::error::{Fault, Result};
use crate::base::shown::many;
use crate::store::directory::partial_file::Partial;
use std::ops::Range;

/// Refuses a key that a store cannot hold, or that would lead to another place than the one it names.
pub(crate) fn check(key: &str) -> Result<()> {
    let wrong = if key.is_empty() {
        "is empty"
    } else if key.contains(char::is_control) {
        "has a control character"
    } else if key.starts_with('/') {
        "is absolute"
    } else if key.split('/').any(|name| name.is_empty() || name == "." || name == "..") {
        "has an empty, \".\" or \"..\" component"
    } else if Partial::final_name(name(key)).is_some() {
        "is the name of an unfinished upload"
    } else {
        return Ok(());
    };
    Err(Fault::usage(format!("key {key:?} {wrong}")).into())
}

/// Refuses a range that is not within the object.
pub(crate) fn check_range(name: &str, range: &Range<u64>, bytes: u64) -> Result<()> {
    if range.start <= range.end && range.end <= bytes {
        return Ok(());
    }
    let Range { start, end } = range;
    Err(Fault::damaged(format!("\"{name}\" has {}: bytes {start} to {end} are not all in it", many(bytes, "byte")))
        .into())
}

/// Refuses any version, for stores that keep no versions.
pub(crate) fn refuse_version(version: Option<&str>) -> Result<()> {
    match version {
        None => Ok(()),
        Some(version) => Err(Fault::not_found(format!("version \"{version}\": this store keeps no versions")).into()),
    }
}

pub fn name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}
