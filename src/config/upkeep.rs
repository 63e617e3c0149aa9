//! What follows a backup: lifecycle tags and retention.

use crate::cli::{RetentionArgs, UpkeepArgs, ZoneArgs};
use crate::error::{Fault, Result};
use crate::retention::{Policy, Rules};
use crate::upkeep::Upkeep;
use jiff::tz::TimeZone;

/// `TZ`, without which it is UTC. A zone that nobody knows is no UTC.
pub fn zone(args: &ZoneArgs) -> Result<TimeZone> {
    let name = args.time_zone.as_deref().unwrap_or_default().trim();
    if name.is_empty() {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).or_else(|_| TimeZone::posix(name)).map_err(|_| {
        Fault::usage(format!("TZ: there is no time zone \"{name}\""))
            .hint("a zone looks like Europe/Berlin or UTC")
            .into()
    })
}

/// The `KEEP_` rules, of which there must be one.
pub fn policy(args: &RetentionArgs, zone: &TimeZone) -> Result<Policy> {
    let rules = Rules {
        last: args.keep_last.unwrap_or(0),
        hourly: args.keep_hourly.unwrap_or(0),
        daily: args.keep_daily.unwrap_or(0),
        weekly: args.keep_weekly.unwrap_or(0),
        monthly: args.keep_monthly.unwrap_or(0),
        yearly: args.keep_yearly.unwrap_or(0),
        within: args.keep_within,
        minimum: args.keep_minimum.unwrap_or(0),
    };
    Policy::new(rules, zone.clone())
}

/// What follows a backup. Without any `KEEP_` setting everything stays.
pub fn upkeep(args: &UpkeepArgs, zone: &ZoneArgs) -> Result<Upkeep> {
    let zone = self::zone(zone)?;
    let retention = args.retention.any().then(|| policy(&args.retention, &zone)).transpose()?;
    Ok(Upkeep { tags: args.lifecycle_tags, retention, zone })
}
