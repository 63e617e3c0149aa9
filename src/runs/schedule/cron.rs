//! Schedules as crontab(5) writes them, in a time zone: they say when something is due.
//!
//! A schedule is about the clock on the wall, and that clock is changed twice a year. What happens then is what Vixie cron
//! does. A job whose minute and hour are both fixed runs once for each time that it names: right after the change where the
//! time was skipped, and the first time only where it comes twice. A job whose minute or hour begins with `*` follows the
//! real clock: what is skipped does not run, what comes twice runs twice.

#[cfg(test)]
mod tests;

use crate::base::error::Fault;
use crate::base::shown::many;
use croner::Cron;
use croner::parser::CronParser;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One expression in its time zone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "ScheduleDocument", try_from = "ScheduleDocument")]
pub struct Schedule {
    text: String,
    cron: Cron,
    zone: TimeZone,
    /// Says whether it follows the real clock.
    wildcard: bool,
}

/// The form in which a schedule is saved.
#[derive(Serialize, Deserialize)]
struct ScheduleDocument {
    expression: String,
    #[serde(with = "jiff::fmt::serde::tz::required")]
    zone: TimeZone,
}

impl From<Schedule> for ScheduleDocument {
    fn from(schedule: Schedule) -> ScheduleDocument {
        ScheduleDocument { expression: schedule.text, zone: schedule.zone }
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Schedule) -> bool {
        self.text == other.text && self.zone == other.zone
    }
}

impl TryFrom<ScheduleDocument> for Schedule {
    type Error = Fault;

    fn try_from(written: ScheduleDocument) -> Result<Schedule, Fault> {
        Schedule::parse(&written.expression, &written.zone)
    }
}

const NICKNAMES: &[(&str, &str)] = &[
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

const FORM: &str = "write five fields (minute hour day month weekday) such as \"0 */6 * * *\", six with seconds before them, \
    seven with the year behind, or @hourly, @daily, @weekly, @monthly, @yearly";

impl Schedule {
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Schedule, Fault> {
        let text = text.trim();
        let wrong = |why: &str| Fault::usage(format!("\"{text}\" is no schedule: {why}")).hint(FORM);
        let nickname = NICKNAMES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
        let fields: Vec<&str> = nickname.map_or(text, |(_, fields)| fields).split_whitespace().collect();
        if text.starts_with('@') && nickname.is_none() {
            return Err(wrong("there is no such name"));
        }
        // Of neither does the parser make a time: it would look for one until the end of all time, and take a core for it.
        if fields.iter().any(|field| field.split(',').any(str::is_empty)) {
            return Err(wrong("a comma has nothing on one of its sides"));
        }
        if text.contains('+') {
            return Err(wrong("it holds a \"+\""));
        }
        // With seconds, everything stands one further to the right.
        let first = match fields.len() {
            5 => 0,
            6 | 7 => 1,
            count => return Err(wrong(&format!("it has {}", many(count, "field")))),
        };
        let star = |at: usize| fields[first + at].starts_with('*');
        // As crontab(5) has it, a day must fit both fields when one of them begins with a star, else either.
        let parser = CronParser::builder().dom_and_dow(star(2) || star(4)).build();
        let cron = parser.parse(&fields.join(" ")).map_err(|error| {
            let why = reason(&error.to_string());
            wrong(&guilty(&parser, &fields, first).map_or(why.clone(), |field| format!("{field}: {why}")))
        })?;
        Ok(Schedule { text: text.to_owned(), cron, zone: zone.clone(), wildcard: star(0) || star(1) })
    }

    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Returns the first time after `after`; `None` if it never comes.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        if self.wildcard { self.next_real(after) } else { self.next_named(after) }
    }

    /// Returns every time after `after`, up to and including `until`.
    pub fn due(&self, after: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        std::iter::successors(self.next_after(after), |last| self.next_after(*last)).take_while(move |at| *at <= until)
    }

    /// Returns the next time by the real clock: between two changes of the clock, wall and real time run side by side.
    fn next_real(&self, after: Timestamp) -> Option<Timestamp> {
        let (mut from, mut inclusive) = (after, false);
        loop {
            let offset = self.zone.to_offset(from);
            let change = self.zone.following(from).next().map(|change| change.timestamp());
            let at = offset.to_timestamp(self.on_the_wall(offset.to_datetime(from), inclusive)?).ok()?;
            match change {
                Some(change) if at >= change => (from, inclusive) = (change, true),
                _ => return Some(at),
            }
        }
    }

    /// Returns the next time by the clock on the wall: each time that the schedule names comes once.
    fn next_named(&self, after: Timestamp) -> Option<Timestamp> {
        let mut wall = self.zone.to_datetime(after);
        loop {
            wall = self.on_the_wall(wall, false)?;
            let at = self.moment(wall)?;
            if at > after {
                return Some(at);
            }
        }
    }

    /// Returns the one moment of a time on the wall: of two the first, and the change itself for one that was skipped.
    fn moment(&self, wall: DateTime) -> Option<Timestamp> {
        match self.zone.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall).ok(),
            AmbiguousOffset::Gap { after, .. } => {
                let before_the_change = after.to_timestamp(wall).ok()?;
                self.zone.following(before_the_change).next().map(|change| change.timestamp())
            }
        }
    }

    fn on_the_wall(&self, from: DateTime, inclusive: bool) -> Option<DateTime> {
        // Past the last year of a pattern, or a day such as 30 February: there is none.
        self.cron.find_next_occurrence(&from, inclusive).ok()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Names of the fields, and what each may hold.
const FIELDS: [(&str, &str); 7] = [
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31"),
    ("month", "1 to 12, or JAN to DEC"),
    ("day of the week", "0 to 7, or SUN to SAT"),
    ("year", "1 to 5000"),
];

/// Names the field that the parser rejects: each is tried alone, with a star in place of the others. `None` if all pass alone.
fn guilty(parser: &CronParser, fields: &[&str], first: usize) -> Option<String> {
    let alone = |at: usize| {
        let others: Vec<&str> = (0..fields.len()).map(|other| if other == at { fields[at] } else { "*" }).collect();
        parser.parse(&others.join(" ")).is_err()
    };
    let at = (0..fields.len()).find(|at| alone(*at))?;
    let (name, range) = FIELDS.get(at + 1 - first)?;
    Some(format!("the {name} is \"{}\", and may be {range}", fields[at]))
}

/// Returns the parser's words, without its names for its own parts.
fn reason(said: &str) -> String {
    let text = said.rsplit_once(": ").map_or(said, |(_, text)| text).trim_end_matches('.');
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
