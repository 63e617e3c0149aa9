//! Where in the dump the parts of a table are, as one short text: a table may have very many.

use crate::format::manifest::pieces::number;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::{self, Display, Formatter};
use std::ops::Range;

/// A part of the dump in bytes from its beginning. Written as `1048576+4096`: the place of its first byte, and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub at: u64,
    pub bytes: u64,
}

impl Extent {
    pub fn range(self) -> Range<u64> {
        self.at..self.at + self.bytes
    }
}

impl Display for Extent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.at, self.bytes)
    }
}

impl Extent {
    /// Reads a part as it is written. `None`: it is none, or holds nothing.
    fn read(text: &str) -> Option<Extent> {
        let (at, bytes) = text.split_once('+')?;
        let extent = Extent { at: number(at)?, bytes: number(bytes)? };
        extent.at.checked_add(extent.bytes).filter(|_| extent.bytes > 0)?;
        Some(extent)
    }
}

impl Serialize for Extent {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Extent {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Extent, D::Error> {
        let text = String::deserialize(from)?;
        Extent::read(&text).ok_or_else(|| D::Error::custom(format!("no part of a dump: {text:?}")))
    }
}

/// Writes the parts of a table as one text.
pub fn serialize<S: Serializer>(extents: &[Extent], to: S) -> Result<S::Ok, S::Error> {
    let texts: Vec<String> = extents.iter().map(Extent::to_string).collect();
    to.serialize_str(&texts.join(" "))
}

/// Reads the parts of a table: none overlaps another, and they are in the order of the dump.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Extent>, D::Error> {
    let text = String::deserialize(from)?;
    let mut extents: Vec<Extent> = Vec::new();
    for part in text.split(' ') {
        let before = extents.last().map_or(0, |before| before.at + before.bytes);
        let extent = Extent::read(part).filter(|extent| extent.at >= before);
        extents.push(extent.ok_or_else(|| D::Error::custom(format!("no part of a dump: {part:?}")))?);
    }
    Ok(extents)
}

/// Adds a part that comes after the others, and joins it to the last one if nothing is in between. Returns whether it was joined.
pub(crate) fn add(extents: &mut Vec<Extent>, next: Extent) -> bool {
    match extents.last_mut() {
        Some(last) if last.at + last.bytes == next.at => {
            last.bytes += next.bytes;
            true
        }
        _ => {
            extents.push(next);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Parts(#[serde(with = "crate::format::manifest::extent")] Vec<Extent>);

    fn extent(at: u64, bytes: u64) -> Extent {
        Extent { at, bytes }
    }

    #[test]
    fn parts_are_read_as_they_are_written_and_nothing_else_is() {
        let parts = Parts(vec![extent(0, 5), extent(10, 1)]);
        assert_eq!(serde_json::to_string(&parts).unwrap(), r#""0+5 10+1""#);
        assert_eq!(serde_json::from_str::<Parts>(r#""0+5 10+1""#).unwrap(), parts);
        for text in
            ["", "1", "1+", "+1", "1+0", "5+5 9+1", "0+1  5+1", " 0+1", "1+18446744073709551615", "00+1", "1+1,2+1"]
        {
            assert!(serde_json::from_str::<Parts>(&format!("{text:?}")).is_err(), "{text}");
        }
    }

    #[test]
    fn parts_without_anything_between_them_are_one() {
        let mut extents = Vec::new();
        let joined = [extent(3, 4), extent(7, 1), extent(9, 1)].map(|next| add(&mut extents, next));
        assert_eq!(joined, [false, true, false]);
        assert_eq!(extents, [extent(3, 5), extent(9, 1)]);
    }
}
