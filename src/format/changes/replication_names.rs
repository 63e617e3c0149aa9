//! Defines the names of replication slots and publications.

use crate::base::error::Fault;
use anyhow::Result;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;
use std::str::FromStr;

/// Most bytes of a name: a server cuts a longer one off, and would mean another thing by it.
const LONGEST: usize = 63;

/// Holds the name of a replication slot, which is one for the whole server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SlotName(String);

impl FromStr for SlotName {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<SlotName> {
        let taken = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if (1..=LONGEST).contains(&name.len()) && name.bytes().all(taken) {
            return Ok(SlotName(name.to_owned()));
        }
        Err(Fault::usage(format!("\"{name}\" is no name for a replication slot"))
            .hint(format!("use 1 to {LONGEST} lower-case letters, digits and underscores"))
            .into())
    }
}

impl<'de> Deserialize<'de> for SlotName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        named(from, "no name of a slot")
    }
}

impl SlotName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name as a part of a command of replication or of a statement.
    pub(crate) fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

impl fmt::Display for SlotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Holds the name of a publication, which is one for its database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PublicationName(String);

impl FromStr for PublicationName {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<PublicationName> {
        if (1..=LONGEST).contains(&name.len()) && !name.contains('\0') {
            return Ok(PublicationName(name.to_owned()));
        }
        Err(Fault::usage(format!("\"{}\" is no name for a publication", name.escape_debug()))
            .hint(format!("use 1 to {LONGEST} bytes"))
            .into())
    }
}

impl<'de> Deserialize<'de> for PublicationName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        named(from, "no name of a publication")
    }
}

impl PublicationName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PublicationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a name out of a document.
fn named<'de, N: FromStr, D: Deserializer<'de>>(from: D, otherwise: &str) -> Result<N, D::Error> {
    String::deserialize(from)?.parse().map_err(|_| de::Error::custom(otherwise))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_a_name_that_the_server_takes_as_it_is() {
        let longest = "x".repeat(63);
        for name in ["pgbk", "a_1", "0", &longest] {
            assert_eq!(name.parse::<SlotName>().unwrap().quoted(), format!("\"{name}\""));
        }
        let long = "x".repeat(64);
        for name in ["", "A", "a-b", "a b", "a\"b", "ä", "a\0", &long] {
            assert!(name.parse::<SlotName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_publication_has_any_name_that_a_server_does_not_cut() {
        assert!("Odd, \"name\" it's \\ ä".parse::<PublicationName>().is_ok());
        let long = "ä".repeat(32);
        for name in ["", "a\0b", &long] {
            assert!(name.parse::<PublicationName>().is_err(), "{name:?}");
        }
    }
}
