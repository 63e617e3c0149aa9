//! Chooses the lifecycle that a backup is tagged with, so that the host's own rules let it expire.
//!
//! Only the three newest backups of a database matter: A, B and C. A is always monthly, because nothing has come after it yet;
//! B is compared with A, and C with B. What is older was compared when it was B.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The tag's key.
pub const TAG: &str = "lifecycle";
/// Number of newest backups that are compared and tagged.
pub const LOOKED_AT: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// The last one of its month, as far as is known.
    Monthly,
    /// The last one of its ISO week.
    Weekly,
    Hourly,
}

impl Lifecycle {
    /// The tag's value.
    pub fn name(self) -> &'static str {
        match self {
            Lifecycle::Monthly => "monthly",
            Lifecycle::Weekly => "weekly",
            Lifecycle::Hourly => "hourly",
        }
    }
}

/// Returns the lifecycles of A, B and C, newest first; fewer if there are fewer backups.
pub fn lifecycles(times: &[Timestamp], zone: &TimeZone) -> Vec<Lifecycle> {
    let times = &times[..times.len().min(LOOKED_AT)];
    let newest = times.first().map(|_| Lifecycle::Monthly);
    newest.into_iter().chain(times.windows(2).map(|pair| before(pair[1], pair[0], zone))).collect()
}

/// Returns the lifecycle of a backup that another one followed.
fn before(own: Timestamp, next: Timestamp, zone: &TimeZone) -> Lifecycle {
    let (own, next) = (zone.to_datetime(own).date(), zone.to_datetime(next).date());
    let (own_week, next_week) = (own.iso_week_date(), next.iso_week_date());
    if (own.year(), own.month()) != (next.year(), next.month()) {
        Lifecycle::Monthly
    } else if (own_week.year(), own_week.week()) != (next_week.year(), next_week.week()) {
        Lifecycle::Weekly
    } else {
        Lifecycle::Hourly
    }
}

#[cfg(test)]
mod tests;
