//! How the upload was verified: whether the store has the bytes that were sent.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadCheck {
    /// Not checked: it was not wanted, or not allowed.
    No,
    /// Checked, but format 1 does not say how.
    Somehow,
    /// Every byte was read again and hashed.
    ReadBack,
    /// The store returned the MD5 of exactly the bytes that were sent.
    Md5,
    /// The directory was flushed to disk.
    Synced,
}

const ALL: [UploadCheck; 5] =
    [UploadCheck::No, UploadCheck::Somehow, UploadCheck::ReadBack, UploadCheck::Md5, UploadCheck::Synced];

impl UploadCheck {
    /// Returns the word of the `.meta`.
    pub fn word(self) -> &'static str {
        match self {
            UploadCheck::No => "no",
            UploadCheck::Somehow => "yes",
            UploadCheck::ReadBack => "read back",
            UploadCheck::Md5 => "md5",
            UploadCheck::Synced => "synced",
        }
    }

    /// Returns the result in words for people.
    pub fn describe(self) -> &'static str {
        match self {
            UploadCheck::No => "NOT checked",
            UploadCheck::Somehow => "checked",
            UploadCheck::ReadBack => "read back",
            UploadCheck::Md5 => "MD5 compared",
            UploadCheck::Synced => "synced to disk",
        }
    }

    pub fn is_checked(self) -> bool {
        self != UploadCheck::No
    }
}

impl Serialize for UploadCheck {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for UploadCheck {
    /// Reads a word, or the yes and no of format 1.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(UploadCheckVisitor)
    }
}

/// Visits the value as it comes. If one type were tried after the other, serde would first copy whatever is there.
struct UploadCheckVisitor;

impl Visitor<'_> for UploadCheckVisitor {
    type Value = UploadCheck;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one of the words of the format, or true or false")
    }

    fn visit_bool<E: Error>(self, checked: bool) -> Result<UploadCheck, E> {
        Ok(if checked { UploadCheck::Somehow } else { UploadCheck::No })
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<UploadCheck, E> {
        let known = ALL.into_iter().find(|verified| verified.word() == word);
        known.ok_or_else(|| E::custom("\"verified\" is none of the words of the format"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_was_written_and_format_1_has_two_of_its_own() {
        for verified in ALL {
            let text = serde_json::to_string(&verified).unwrap();
            assert_eq!(serde_json::from_str::<UploadCheck>(&text).unwrap(), verified);
        }
        assert_eq!(serde_json::from_str::<UploadCheck>("true").unwrap(), UploadCheck::Somehow);
        assert_eq!(serde_json::from_str::<UploadCheck>("false").unwrap(), UploadCheck::No);
        assert!(serde_json::from_str::<UploadCheck>("\"perhaps\"").is_err());
        assert!(serde_json::from_str::<UploadCheck>("null").is_err());
    }
}
