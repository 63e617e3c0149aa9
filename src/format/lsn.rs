//! Defines positions in a server's write-ahead log.

use anyhow::{Result, anyhow};
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

    fn from_str(text: &str) -> Result<Lsn> {
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
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for text in ["", "/", "1", "1/", "/1", "1/2/3", "+1/2", "1/ 2", "G/1", "123456789/1", "1/123456789", "1/٣"] {
            assert!(text.parse::<Lsn>().is_err(), "{text:?}");
        }
    }
}
