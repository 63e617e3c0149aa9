//! Reads the settings of what follows a backup: lifecycle tags and retention.

use crate::base::error::{Fault, Result};
use crate::base::plain_file;
use crate::cli::setting::ANONYMISED;
use crate::cli::settings::{RetentionArgs, UpkeepArgs, ZoneArgs};
use crate::cli::variables;
use crate::config::{arguments, environment};
use crate::repository::retention::{Policy, RetentionRules};
use crate::runs::after_backup::AfterBackup;
use jiff::tz::TimeZone;
use std::path::Path;

/// Returns the zone that `TZ` names. Unset or empty, it is UTC; an unknown zone is an error.
pub fn zone(args: &ZoneArgs) -> Result<TimeZone> {
    let given = args.time_zone.as_deref().unwrap_or_default().trim();
    // To the C library a colon says that no rule such as CET-1CEST follows; it changes nothing else.
    let name = given.strip_prefix(':').unwrap_or(given);
    if name.is_empty() {
        return Ok(TimeZone::UTC);
    }
    let found = if name.starts_with('/') { zone_of_file(name) } else { named_zone(name) };
    found.ok_or_else(|| {
        Fault::usage(format!("TZ: there is no time zone \"{given}\""))
            .hint("a zone looks like Europe/Berlin, UTC or /etc/localtime")
            .into()
    })
}

fn named_zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).or_else(|_| TimeZone::posix(name)).ok()
}

/// Reads a zone by its path, as the C library does. A zone of the standard database need not be installed.
fn zone_of_file(path: &str) -> Option<TimeZone> {
    let name = path.split_once("/zoneinfo/").map(|(_, name)| name);
    match plain_file::read_named(Path::new(path)) {
        Ok(bytes) => TimeZone::tzif(name.unwrap_or(path), &bytes).ok(),
        Err(_) => TimeZone::get(name?).ok(),
    }
}

/// Returns the retention policy of the `KEEP_` settings. It is an error if none is set.
pub fn policy(args: &RetentionArgs, zone: &TimeZone) -> Result<Policy> {
    let rules = RetentionRules {
        last: args.keep_last.or(args.max_full_backups).unwrap_or(0),
        hourly: args.keep_hourly.unwrap_or(0),
        daily: args.keep_daily.unwrap_or(0),
        weekly: args.keep_weekly.unwrap_or(0),
        monthly: args.keep_monthly.unwrap_or(0),
        yearly: args.keep_yearly.unwrap_or(0),
        within: args.keep_within,
        minimum: args.keep_minimum.unwrap_or(0),
        capture: args.keep_capture,
    };
    Policy::new(rules, zone.clone())
}

/// Returns what follows a backup. Without any `KEEP_` setting, all backups are kept.
pub fn upkeep(args: &UpkeepArgs, zone: &ZoneArgs) -> Result<AfterBackup> {
    let zone = self::zone(zone)?;
    let retention = args.retention.any().then(|| policy(&args.retention, &zone)).transpose()?;
    Ok(AfterBackup { tags: args.lifecycle_tags, retention, zone })
}

/// Returns the retention policy of the `ANON_KEEP_` settings; `None` if none is set.
pub fn copy_policy(zone: &TimeZone) -> Result<Option<Policy>> {
    let args = variables::prefixed::<RetentionArgs>(ANONYMISED, &environment::raw).map_err(arguments::told)?;
    args.any().then(|| policy(&args, zone)).transpose()
}

/// Returns what follows an anonymised backup: the rules of the `ANON_KEEP_` settings; without any of them the same as after others.
pub fn copy_upkeep(others: &AfterBackup) -> Result<AfterBackup> {
    let own = copy_policy(&others.zone)?;
    Ok(AfterBackup { retention: own.or_else(|| others.retention.clone()), ..others.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Kind, kind};

    fn zone(name: &str) -> Result<TimeZone> {
        super::zone(&ZoneArgs { time_zone: Some(name.to_owned()) })
    }

    /// Each zone in every form that the C library takes.
    #[test]
    fn a_zone_is_taken_by_name_by_rule_and_by_path_with_a_colon_and_without() {
        let summer: jiff::Timestamp = "2026-07-01T00:00:00Z".parse().unwrap();
        let mut seen = 0;
        for (forms, hours) in [
            (["Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3", "/usr/share/zoneinfo/Europe/Berlin"], 2),
            (["America/New_York", "EST5EDT,M3.2.0,M11.1.0", "/usr/share/zoneinfo/America/New_York"], -4),
            (["UTC", "UTC0", "/usr/share/zoneinfo/UTC"], 0),
            (["Etc/UTC", "<+00>0", "/nowhere/zoneinfo/Etc/UTC"], 0),
        ] {
            for form in forms {
                for text in [form.to_owned(), format!(":{form}"), format!(" :{form} ")] {
                    let offset = zone(&text).unwrap_or_else(|error| panic!("{text}: {error:#}")).to_offset(summer);
                    assert_eq!(offset.seconds(), hours * 3600, "{text}");
                    seen += 1;
                }
            }
        }
        assert_eq!(seen, 36);
        for utc in ["", " ", ":", " : "] {
            assert_eq!(zone(utc).unwrap(), TimeZone::UTC);
        }
    }

    #[test]
    fn what_is_no_zone_is_a_mistake_and_not_utc() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "no zone").unwrap();
        for wrong in ["Europe/Berln", ":Europe/Berln", "/etc/passwd", "/", "::UTC", "/nowhere/zoneinfo/x", ":/nowhere"]
            .into_iter()
            .chain([file.to_str().unwrap(), folder.path().to_str().unwrap()])
        {
            assert_eq!(kind(&zone(wrong).unwrap_err()), Kind::Usage, "{wrong}");
        }
    }
}
