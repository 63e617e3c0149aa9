//! Judges health by the age of the newest backups, for pgbk run by a timer or by cron: there is no scheduler to ask.

use crate::base::databases::Selection;
use crate::base::variant::Variant;
use crate::cli::units;
use crate::monitoring::capture_condition::CaptureCondition;
use crate::monitoring::status::{DatabaseStatus, Status};
use jiff::SignedDuration;
use std::time::Duration;

/// Returns the status, which is healthy if each of these databases has a backup that is no older than `most`, of each output that its
/// runs make. Without names, it is about all databases that ever had a backup.
pub fn judged(mut status: Status, most: Duration, names: &[Selection]) -> Status {
    let most = SignedDuration::try_from(most).unwrap_or(SignedDuration::MAX);
    let known = |name: &Selection| status.databases.iter().find(|database| database.name == *name);
    let mut reasons: Vec<String> = match names {
        [] => {
            let had_one = status.databases.iter().filter(|database| had_one(database, &status));
            let aged: Vec<Option<String>> = had_one.map(|database| too_old(database, &status, most)).collect();
            if aged.is_empty() {
                vec!["no backup was made by this host".to_owned()]
            } else {
                aged.into_iter().flatten().collect()
            }
        }
        names => names
            .iter()
            .flat_map(|name| {
                let plain = match known(name) {
                    Some(database) => too_old(database, &status, most),
                    None => Some(format!("{name}: no backup was made by this host")),
                };
                let copies = status.databases.iter().filter(|one| is_copy_of(one, name));
                plain.into_iter().chain(copies.filter_map(|one| too_old(one, &status, most)))
            })
            .collect(),
    };
    // A capture runs beside any timer, and is judged in the same way.
    let is_meant = |database: &str| names.is_empty() || names.iter().any(|name| name.name() == database);
    let captures = status.captures.iter().filter(|one| is_meant(&one.database));
    reasons.extend(captures.filter_map(CaptureCondition::reason));
    status.healthy = reasons.is_empty();
    status.reasons = reasons;
    status
}

/// Returns whether the database ever had a backup. An output that its runs make counts as well while there is none of it.
fn had_one(database: &DatabaseStatus, status: &Status) -> bool {
    match database.variant {
        Variant::Plain => database.name != Selection::Every && database.success.is_some(),
        _ => status.databases.iter().any(|one| one.success.is_some() && is_copy_of(database, &one.name)),
    }
}

/// Returns whether it is an output that the runs of this database make beside the plain one.
fn is_copy_of(copy: &DatabaseStatus, plain: &Selection) -> bool {
    !copy.variant.is_plain()
        && copy.is_still_made
        && plain.in_variants(&[copy.variant]).contains(&copy.name)
        && plain.variant().is_plain()
}

/// Returns why the database is not healthy. None: its newest backup is young enough.
fn too_old(database: &DatabaseStatus, status: &Status, most: SignedDuration) -> Option<String> {
    let name = &database.name;
    let Some(success) = &database.success else { return Some(format!("{name}: no backup was made by this host")) };
    let age = status.at.duration_since(success.ended);
    (age > most)
        .then(|| format!("{name}: the newest backup is {} old, and may be {}", units::age(age), units::age(most)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitoring::status::NewestBackup;
    use jiff::Timestamp;

    fn status(ages: &[(&str, Option<i64>)]) -> Status {
        let mut status = Status::unknown(Timestamp::from_second(1_790_000_000).unwrap());
        status.databases = ages
            .iter()
            .map(|(name, hours)| {
                DatabaseStatus::nothing(&Selection::from(*name), hours.map(|hours| success(status.at, hours)))
            })
            .collect();
        status
    }

    fn success(now: Timestamp, hours: i64) -> NewestBackup {
        let ended = now - SignedDuration::from_hours(hours);
        NewestBackup {
            backup: "id".to_owned(),
            ended,
            seconds: 1.0,
            plain_bytes: 1,
            stored_bytes: 1,
            tables: 1,
            rows: None,
        }
    }

    #[test]
    fn what_is_too_old_or_was_never_made_is_unhealthy_and_nothing_else_is() {
        let day = Duration::from_secs(26 * 3600);
        let all = [("shop", Some(3)), ("crm", Some(27)), ("typo", None), ("*", None)];
        for (ages, names, reasons) in [
            (&all[..], vec![], vec!["crm: the newest backup is 27 h old, and may be 26 h"]),
            (&all[..], vec!["shop"], vec![]),
            (&all[..1], vec![], vec![]),
            (&all[..], vec!["shop", "typo"], vec!["typo: no backup was made by this host"]),
            (&all[..], vec!["other"], vec!["other: no backup was made by this host"]),
            (&[][..], vec![], vec!["no backup was made by this host"]),
            (&all[2..], vec![], vec!["no backup was made by this host"]),
        ] {
            let names: Vec<Selection> = names.into_iter().map(Selection::from).collect();
            let judged = judged(status(ages), day, &names);
            assert_eq!(
                (judged.reasons, judged.healthy),
                (reasons.iter().map(|text| (*text).to_owned()).collect(), reasons.is_empty()),
                "{names:?}"
            );
        }
    }
}
