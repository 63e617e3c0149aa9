//! Names generations.

use crate::base::random;
use anyhow::Result;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

const STAMP: &str = "%Y%m%dT%H%M%SZ";

/// Names a generation by the time when it began and a random part: `20260822T031500Z-5f0c21ab`. Sorts by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GenerationId {
    /// Whole seconds.
    began_at: Timestamp,
    nonce: [u8; 4],
}

impl GenerationId {
    /// Names a generation that begins now.
    pub fn new(now: Timestamp) -> Result<GenerationId> {
        Ok(GenerationId { began_at: Timestamp::from_second(now.as_second())?, nonce: random::bytes()? })
    }
}

impl fmt::Display for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp = self.began_at.to_zoned(TimeZone::UTC).strftime(STAMP);
        write!(f, "{stamp}-{}", hex::encode(self.nonce))
    }
}

impl FromStr for GenerationId {
    type Err = anyhow::Error;

    /// Reads the one spelling that is written.
    fn from_str(text: &str) -> Result<GenerationId> {
        let parsed = || {
            let (stamp, nonce) = text.split_once('-')?;
            let time = DateTime::strptime(STAMP, stamp).ok()?.to_zoned(TimeZone::UTC).ok()?;
            let id = GenerationId { began_at: time.timestamp(), nonce: nonce_of(nonce)? };
            (id.to_string() == text).then_some(id)
        };
        parsed().ok_or_else(|| anyhow::anyhow!("no id of a generation"))
    }
}

impl Serialize for GenerationId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GenerationId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// Reads eight hexadecimal digits, of which letters are small.
pub(crate) fn nonce_of(text: &str) -> Option<[u8; 4]> {
    let mut nonce = [0; 4];
    hex::decode_to_slice(text, &mut nonce).ok()?;
    (hex::encode(nonce) == text).then_some(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_generations_of_one_second_have_two_names() {
        let now = "2026-08-22T03:15:00.75Z".parse().unwrap();
        let ids = [GenerationId::new(now).unwrap(), GenerationId::new(now).unwrap()];
        assert!(ids[0] != ids[1] && ids.iter().all(|id| id.to_string().parse::<GenerationId>().unwrap() == *id));
    }
}
