//! Defines positions in a server's write-ahead log.

use anyhow::anyhow;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// Holds a position in the write-ahead log, in bytes since its beginning. Zero is no position: servers use it for "none".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Returns the position as 16 hexadecimal digits, so that names with it are in the log's order.
    pub fn sortable(self) -> String {
        format!("{:016X}", self.0)
    }

    /// Reads 16 hexadecimal digits as [`sortable`](Self::sortable) writes them. `None`: these are others.
    pub fn of_sortable(text: &str) -> Option<Lsn> {
        let lsn = Lsn(u64::from_str_radix(text, 16).ok()?);
        (lsn.sortable() == text).then_some(lsn)
    }

    /// Reads a position that is spelt as it is written here. `None`: it is none, or spelt otherwise.
    pub fn canonical(text: &str) -> Option<Lsn> {
        text.parse().ok().filter(|lsn: &Lsn| lsn.to_string() == text)
    }
}

/// Writes the position as PostgreSQL does, such as `16/B374D848`.
impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

/// Reads what PostgreSQL writes: two halves of one to eight hexadecimal digits.
impl FromStr for Lsn {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Lsn, anyhow::Error> {
        let half = |digits: &str| match (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit())
        {
            true => u64::from_str_radix(digits, 16).ok(),
            false => None,
        };
        let halves = text.split_once('/').and_then(|(high, low)| Some((half(high)?, half(low)?)));
        let (high, low) = halves.ok_or_else(|| anyhow!("is no position in a write-ahead log (such as 16/B374D848)"))?;
        Ok(Lsn(high << 32 | low))
    }
}

impl Serialize for Lsn {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lsn {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Lsn, D::Error> {
        let text = String::deserialize(from)?;
        Lsn::canonical(&text).ok_or_else(|| de::Error::custom("no position in a write-ahead log"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_written_and_its_sortable_form_keeps_the_order() {
        let positions = [0, 1, 0xFFFF_FFFF, 0x1_0000_0000, 0x16_B374_D848, u64::MAX].map(Lsn);
        for position in positions {
            assert_eq!(position.to_string().parse::<Lsn>().unwrap(), position);
        }
        assert!(positions.windows(2).all(|pair| pair[0].sortable() < pair[1].sortable()));
        assert_eq!(Lsn(0x16_B374_D848).to_string(), "16/B374D848");
        assert!(positions.iter().all(|position| Lsn::of_sortable(&position.sortable()) == Some(*position)));
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for text in ["", "/", "1", "1/", "/1", "1/2/3", "+1/2", "1/ 2", "G/1", "123456789/1", "1/123456789", "1/٣"] {
            assert!(text.parse::<Lsn>().is_err(), "{text:?}");
        }
        for text in ["0/01", "00/1", "0/ab", "0/1 "] {
            assert_eq!(Lsn::canonical(text), None, "{text:?}");
        }
        for text in ["", "1", "+00000000000000A", "00000016b374d848", "000000000000000010", "0000000000000_10"] {
            assert_eq!(Lsn::of_sortable(text), None, "{text:?}");
        }
    }
}
