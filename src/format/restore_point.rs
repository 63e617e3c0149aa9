//! The moment that a database is restored to, as a person says it.

use crate::format::lsn::Lsn;
use jiff::Timestamp;
use std::fmt;
use std::str::FromStr;

/// A moment between two commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestorePoint {
    /// The end of the stored changes.
    Latest,
    /// A place in the log: every transaction is in whose commit record ends there or before, such as one that `pgbk log` shows with it.
    Position(Lsn),
    /// A time: every transaction is in up to the first one that committed later.
    Time(Timestamp),
}

impl RestorePoint {
    /// Returns the time. `None`: it is said in another way.
    pub fn time(self) -> Option<Timestamp> {
        match self {
            RestorePoint::Time(time) => Some(time),
            RestorePoint::Latest | RestorePoint::Position(_) => None,
        }
    }
}

impl FromStr for RestorePoint {
    type Err = String;

    fn from_str(text: &str) -> Result<RestorePoint, String> {
        if text == "latest" {
            return Ok(RestorePoint::Latest);
        }
        if let Ok(position) = text.parse::<Lsn>() {
            return Ok(RestorePoint::Position(position));
        }
        text.parse().map(RestorePoint::Time).map_err(|_| {
            "is neither \"latest\", nor a time with its offset (such as 2026-08-22T03:15:00Z, or 2026-08-22 05:15:00+02:00), nor a position in the server's log (such as 16/B374D848)".to_owned()
        })
    }
}

impl fmt::Display for RestorePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestorePoint::Latest => f.write_str("the last stored change"),
            RestorePoint::Position(position) => position.fmt(f),
            RestorePoint::Time(time) => time.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_with_its_offset_or_a_position_or_the_latest() {
        let time = RestorePoint::Time("2026-08-22T03:15:00Z".parse().unwrap());
        for (text, point) in [
            ("latest", RestorePoint::Latest),
            ("16/B374D848", RestorePoint::Position(Lsn(0x16_B374_D848))),
            ("2026-08-22T03:15:00Z", time),
            ("2026-08-22 05:15:00+02:00", time),
            ("2026-08-22 05:15+02", time),
        ] {
            assert_eq!(text.parse(), Ok(point), "{text}");
        }
        for text in ["", "now", "2026-08-22", "2026-08-22 03:15:00", "16", "16/X"] {
            assert!(text.parse::<RestorePoint>().is_err(), "{text}");
        }
    }
}
