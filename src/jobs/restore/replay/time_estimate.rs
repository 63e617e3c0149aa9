//! Estimates how long a restore to a moment takes, by one rate that was measured and two that are assumed. `docs/restore.md` states them.

use std::fmt;

/// Bytes of a dump that are restored in a second: measured, on two cores beside the server.
const DUMP_RATE: u64 = 64_000_000;
/// Bytes of stored changes that are read and checked in a second: assumed, of a store that is near.
const STORED_RATE: u64 = 100_000_000;
/// Rows that are inserted, updated or deleted in a second, by single statements: assumed, of a server that does nothing else.
const CHANGE_RATE: u64 = 45_000;

/// A time in seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeEstimate(pub u64);

impl TimeEstimate {
    /// Estimates a restore of so many bytes of a dump, with so many changed rows in so many bytes of segments.
    pub fn of(dump_bytes: u64, changed_rows: u64, stored_bytes: u64) -> TimeEstimate {
        let parts = [(dump_bytes, DUMP_RATE), (changed_rows, CHANGE_RATE), (stored_bytes, STORED_RATE)];
        TimeEstimate(parts.into_iter().fold(1, |sum: u64, (amount, rate)| sum.saturating_add(amount / rate)))
    }
}

impl fmt::Display for TimeEstimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TimeEstimate(seconds) = self;
        match seconds {
            0..120 => write!(f, "about {seconds} s")?,
            120..7200 => write!(f, "about {} min", seconds.div_ceil(60))?,
            _ => write!(f, "about {} h", seconds.div_ceil(3600))?,
        }
        let [dump, stored] = [DUMP_RATE, STORED_RATE].map(|rate| rate / 1_000_000);
        write!(
            f,
            ", at {dump} MB/s of the dump (measured), {stored} MB/s of stored changes and {CHANGE_RATE} changed rows/s (assumed)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_restore_has_its_rate() {
        let of = |dump, rows, stored| TimeEstimate::of(dump, rows, stored).to_string();
        assert!(of(0, 0, 0).starts_with("about 1 s, at 64 MB/s of the dump"));
        assert!(of(640_000_000, 450_000, 1_000_000_000).starts_with("about 31 s, "));
        assert!(of(0, 45_000 * 200, 0).starts_with("about 4 min, "));
        assert!(of(u64::MAX, u64::MAX, u64::MAX).contains(" h, "));
    }

    #[test]
    fn the_page_states_the_rates() {
        let page = include_str!("../../../../docs/restore.md");
        assert!(page.contains("64 MB/s") && page.contains("100 MB/s") && page.contains("45,000 changed rows"));
    }
}
