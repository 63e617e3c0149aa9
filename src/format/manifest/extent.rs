//! Where in the dump the parts of a table are, as one short text: a table may have very many.

use crate::format::manifest::pieces::number;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};
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

/// Writes the parts of a table as one text.
pub fn serialize<S: Serializer>(extents: &[Extent], to: S) -> Result<S::Ok, S::Error> {
    let texts: Vec<String> = extents.iter().map(|extent| format!("{}+{}", extent.at, extent.bytes)).collect();
    to.serialize_str(&texts.join(" "))
}

/// Reads the parts of a table: none overlaps another, and they are in the order of the dump.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Extent>, D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
    let mut extents: Vec<Extent> = Vec::new();
    for part in text.split(' ') {
        let extent = part.split_once('+').and_then(|(at, bytes)| {
            let extent = Extent { at: number(at)?, bytes: number(bytes)? };
            let before = extents.last().map_or(0, |before| before.at + before.bytes);
            extent.at.checked_add(extent.bytes).filter(|_| extent.bytes > 0 && extent.at >= before)?;
            Some(extent)
        });
        extents.push(extent.ok_or_else(|| D::Error::custom(format!("no part of a dump: {part:?}")))?);
    }
    Ok(extents)
}

/// Adds a part that comes after the others, and joins it to the last one if nothing is in between.
pub(crate) fn add(extents: &mut Vec<Extent>, next: Extent) {
    match extents.last_mut() {
        Some(last) if last.at + last.bytes == next.at => last.bytes += next.bytes,
        _ => extents.push(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

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
        [extent(3, 4), extent(7, 1), extent(9, 1)].into_iter().for_each(|next| add(&mut extents, next));
        assert_eq!(extents, [extent(3, 5), extent(9, 1)]);
    }
}
