//! Several schedules, each with databases of its own if it names them.

use crate::base::databases::Databases;
use crate::base::error::Fault;
use crate::runs::schedule::cron::Schedule;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The parsed form of `EXPR; EXPR = db1, db2; …`.
#[derive(Debug, Clone)]
pub struct Timetable {
    pub entries: Vec<TimetableEntry>,
    pub zone: TimeZone,
}

#[derive(Debug, Clone)]
pub struct TimetableEntry {
    pub schedule: Schedule,
    /// `None`: the default databases.
    pub databases: Option<Databases>,
}

impl Timetable {
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Timetable, Fault> {
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        let entries = parts.map(|part| TimetableEntry::parse(part, zone)).collect::<Result<Vec<_>, _>>()?;
        if entries.is_empty() {
            return Err(Fault::usage("no schedule is set").hint("for example CRON_SCHEDULE=\"0 */6 * * *\""));
        }
        Ok(Timetable { entries, zone: zone.clone() })
    }

    /// Returns the next `count` runs after a moment, in the order of time.
    pub fn coming(&self, after: Timestamp, count: usize) -> Vec<(Timestamp, &TimetableEntry)> {
        let next = |entry: &TimetableEntry, after| entry.schedule.next_after(after);
        let mut coming: Vec<(Timestamp, &TimetableEntry)> = Vec::new();
        for entry in &self.entries {
            let times = std::iter::successors(next(entry, after), |last| next(entry, *last));
            coming.extend(times.take(count).map(|at| (at, entry)));
        }
        coming.sort_by_key(|(at, _)| *at);
        coming.truncate(count);
        coming
    }
}

impl TimetableEntry {
    fn parse(text: &str, zone: &TimeZone) -> Result<TimetableEntry, Fault> {
        let (schedule, databases) = match text.split_once('=') {
            Some((schedule, databases)) => (schedule, Some(databases.parse()?)),
            None => (text, None),
        };
        Ok(TimetableEntry { schedule: Schedule::parse(schedule, zone)?, databases })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_databases_of_their_own_where_they_say_so() {
        let table = Timetable::parse("0 3 * * *;@hourly = shop, crm ; 0 0 0 1 * * = *;", &TimeZone::UTC).unwrap();
        let shown: Vec<_> =
            table.entries.iter().map(|entry| (entry.schedule.to_string(), entry.databases.clone())).collect();
        let named = Databases::Named(vec!["shop".into(), "crm".into()]);
        let expected = [("0 3 * * *", None), ("@hourly", Some(named)), ("0 0 0 1 * *", Some(Databases::All))];
        assert_eq!(shown, expected.map(|(text, databases)| (text.to_owned(), databases)));
        for wrong in ["", ";", "0 3 * * * =", "= shop", "@hourly = \"open", "@hourly, @daily"] {
            assert!(Timetable::parse(wrong, &TimeZone::UTC).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_comes_next_is_in_the_order_of_time() {
        let table = Timetable::parse("0 6 * * *; 0 */4 * * *", &TimeZone::UTC).unwrap();
        let coming = table.coming("2026-11-21T03:00:00Z".parse().unwrap(), 4);
        let shown: Vec<_> = coming.iter().map(|(at, entry)| format!("{at} {}", entry.schedule)).collect();
        assert_eq!(
            shown,
            [
                "2026-11-21T04:00:00Z 0 */4 * * *",
                "2026-11-21T06:00:00Z 0 6 * * *",
                "2026-11-21T08:00:00Z 0 */4 * * *",
                "2026-11-21T12:00:00Z 0 */4 * * *",
            ]
        );
    }
}
