use crate::base::error::{Kind, hints};
use crate::runs::schedule::cron::*;
use proptest::prelude::*;

fn schedule(text: &str, zone: &str) -> Schedule {
    Schedule::parse(text, &TimeZone::get(zone).unwrap()).unwrap()
}

/// Returns every run of a day and at its edges, as the clock on the wall shows it, with the
/// offset, which differs for a time that comes twice.
fn runs(text: &str, zone: &str, day: &str) -> Vec<String> {
    let schedule = schedule(text, zone);
    let zone = TimeZone::get(zone).unwrap();
    let day: jiff::civil::Date = day.parse().unwrap();
    let midnight = |date: jiff::civil::Date| date.to_zoned(zone.clone()).unwrap().timestamp();
    let (from, until) = (midnight(day), midnight(day.tomorrow().unwrap()));
    let before = from - jiff::SignedDuration::from_nanos(1);
    schedule
        .due(before, until - jiff::SignedDuration::from_nanos(1))
        .map(|at| at.to_zoned(zone.clone()).strftime("%H:%M%:z").to_string())
        .collect()
}

const BERLIN: &str = "Europe/Berlin";
const NEW_YORK: &str = "America/New_York";
/// Its clock is changed by 30 minutes: 02:00 to 02:30 in October, 02:00 back to 01:30 in April.
const LORD_HOWE: &str = "Australia/Lord_Howe";

#[test]
fn a_fixed_time_that_is_skipped_runs_right_after_the_change_and_one_that_comes_twice_runs_once() {
    for (zone, day, text, expected) in [
        (BERLIN, "2026-03-29", "30 2 * * *", vec!["03:00+02:00"]),
        (BERLIN, "2026-03-29", "0 2 * * *", vec!["03:00+02:00"]),
        (BERLIN, "2026-03-29", "0 3 * * *", vec!["03:00+02:00"]),
        // Several that were skipped are made up for by one run.
        (BERLIN, "2026-03-29", "0,30 2,3 * * *", vec!["03:00+02:00", "03:30+02:00"]),
        (BERLIN, "2026-03-29", "59 1 * * *", vec!["01:59+01:00"]),
        (BERLIN, "2026-10-25", "30 2 * * *", vec!["02:30+02:00"]),
        (
            BERLIN,
            "2026-10-25",
            "0,30 1-3 * * *",
            vec!["01:00+02:00", "01:30+02:00", "02:00+02:00", "02:30+02:00", "03:00+01:00", "03:30+01:00"],
        ),
        (BERLIN, "2026-10-25", "@daily", vec!["00:00+02:00"]),
        (NEW_YORK, "2026-03-08", "15 2 * * *", vec!["03:00-04:00"]),
        (NEW_YORK, "2026-11-01", "15 1 * * *", vec!["01:15-04:00"]),
        (LORD_HOWE, "2026-10-04", "15 2 * * *", vec!["02:30+11:00"]),
        (LORD_HOWE, "2026-10-04", "45 2 * * *", vec!["02:45+11:00"]),
        (LORD_HOWE, "2026-04-05", "45 1 * * *", vec!["01:45+11:00"]),
        (LORD_HOWE, "2026-04-05", "15 1 * * *", vec!["01:15+11:00"]),
    ] {
        assert_eq!(runs(text, zone, day), expected, "{text} in {zone} on {day}");
    }
}

#[test]
fn what_begins_with_a_star_follows_the_real_clock() {
    for (zone, day, text, expected) in [
        (
            BERLIN,
            "2026-03-29",
            "0 */2 * * *",
            vec![
                "00:00+01:00",
                "04:00+02:00",
                "06:00+02:00",
                "08:00+02:00",
                "10:00+02:00",
                "12:00+02:00",
                "14:00+02:00",
                "16:00+02:00",
                "18:00+02:00",
                "20:00+02:00",
                "22:00+02:00",
            ],
        ),
        (BERLIN, "2026-10-25", "0 */6 * * *", vec!["00:00+02:00", "06:00+01:00", "12:00+01:00", "18:00+01:00"]),
        (BERLIN, "2026-10-25", "*/30 2 * * *", vec!["02:00+02:00", "02:30+02:00", "02:00+01:00", "02:30+01:00"]),
        (BERLIN, "2026-03-29", "*/30 2 * * *", vec![]),
        (
            LORD_HOWE,
            "2026-04-05",
            "*/15 1 * * *",
            vec!["01:00+11:00", "01:15+11:00", "01:30+11:00", "01:45+11:00", "01:30+10:30", "01:45+10:30"],
        ),
        (LORD_HOWE, "2026-10-04", "*/15 2 * * *", vec!["02:30+11:00", "02:45+11:00"]),
    ] {
        assert_eq!(runs(text, zone, day), expected, "{text} in {zone} on {day}");
    }
}

#[test]
fn the_days_of_the_change_have_as_many_runs_as_they_have_hours_or_times() {
    // Spring and autumn: real minutes, real hours, and one for each time that is named.
    for (zone, spring, autumn, shift) in [
        (BERLIN, "2026-03-29", "2026-10-25", 60),
        (NEW_YORK, "2026-03-08", "2026-11-01", 60),
        (LORD_HOWE, "2026-10-04", "2026-04-05", 30),
    ] {
        let count = |text: &str, day: &str| runs(text, zone, day).len();
        assert_eq!(count("* * * * *", spring), 24 * 60 - shift, "{zone}");
        assert_eq!(count("* * * * *", autumn), 24 * 60 + shift, "{zone}");
        let named = "0 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23 * * *";
        // 02:00 is skipped and runs at the change, which is 03:00 or 02:30.
        assert_eq!(count(named, spring), if shift == 60 { 23 } else { 24 }, "{zone}");
        assert_eq!(count(named, autumn), 24, "{zone}");
        assert_eq!(count("30 * * * *", spring), if shift == 60 { 23 } else { 24 }, "{zone}");
        assert_eq!(count("30 * * * *", autumn), 25, "{zone}");
        assert_eq!(count("15 * * * *", autumn), if shift == 60 { 25 } else { 24 }, "{zone}");
    }
}

#[test]
fn five_fields_mean_what_crontab_says() {
    let next = |text: &str, after: &str| schedule(text, "UTC").next_after(after.parse().unwrap()).unwrap().to_string();
    // 2026-11-21 is a Saturday.
    let after = "2026-11-21T12:00:00Z";
    for (text, expected) in [
        ("0 */6 * * *", "2026-11-21T18:00:00Z"),
        ("  5   4 * * sun ", "2026-11-22T04:05:00Z"),
        ("0 0 * * 7", "2026-11-22T00:00:00Z"),
        ("0 0 * * 0", "2026-11-22T00:00:00Z"),
        ("0 0 * * mon-fri", "2026-11-23T00:00:00Z"),
        ("0 0 13 * 5", "2026-11-27T00:00:00Z"),
        // With a star at its beginning, a day must fit both.
        ("0 0 */2 * 1", "2026-11-23T00:00:00Z"),
        ("0 0 2-30/2 * 1", "2026-11-22T00:00:00Z"),
        ("0 0 1 jan *", "2027-01-01T00:00:00Z"),
        ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
        ("@hourly", "2026-11-21T13:00:00Z"),
        ("@Midnight", "2026-11-22T00:00:00Z"),
        ("@weekly", "2026-11-22T00:00:00Z"),
        ("@monthly", "2026-12-01T00:00:00Z"),
        ("@annually", "2027-01-01T00:00:00Z"),
        ("*/10 * * * * *", "2026-11-21T12:00:10Z"),
        ("30 0 3 * * *", "2026-11-22T03:00:30Z"),
        ("0 0 3 1 6 * 2030", "2030-06-01T03:00:00Z"),
    ] {
        assert_eq!(next(text, after), expected, "{text}");
    }
}

#[test]
fn what_is_no_schedule_is_refused_with_the_reason() {
    for (text, why) in [
        ("", "it has 0 fields"),
        ("* * * *", "it has 4 fields"),
        ("1 2 3 4 5 6 7 8", "it has 8 fields"),
        ("60 * * * *", "out of bounds"),
        ("5/15 * * * *", "5/15"),
        ("0 22-2 * * *", "22-2"),
        ("0 0 * * someday", "illegal character"),
        ("*/0 * * * *", "0"),
        (", 0 * * * *", "comma"),
        ("0 0 3,,5 * *", "comma"),
        ("0 0 * * 5,", "comma"),
        ("0 2 29 1 +", "+"),
        ("@reboot", "there is no such name"),
        ("@every 5m", "there is no such name"),
    ] {
        let fault = Schedule::parse(text, &TimeZone::UTC).expect_err(text);
        assert_eq!(fault.kind(), Kind::Usage);
        let said = fault.to_string();
        assert!(said.starts_with(&format!("\"{text}\" is no schedule: ")) && said.contains(why), "{said}");
        assert!(!said.ends_with('.') && hints(&fault.into()).len() == 1);
    }
}

#[test]
fn a_time_that_never_comes_is_none() {
    let now = "2026-11-21T12:00:00Z".parse().unwrap();
    for text in ["0 0 30 2 *", "* * 30 2 *", "0 0 3 1 6 * 2020", "* * * * * * 2020"] {
        assert_eq!(schedule(text, BERLIN).next_after(now), None, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "([0-9*/,@a-zLW#+? -]|\\PC){0,24}") {
        if let Ok(schedule) = Schedule::parse(&text, &TimeZone::UTC) {
            prop_assert_eq!(schedule.to_string(), text.trim());
        }
    }

    #[test]
    fn each_time_is_later_than_the_one_before_and_asking_in_between_changes_nothing(
        minute in prop::sample::select(vec!["*", "*/7", "0", "30", "0,30", "10-50/20"]),
        hour in prop::sample::select(vec!["*", "*/5", "2", "1,2,3", "0-4", "1"]),
        zone in prop::sample::select(vec![BERLIN, NEW_YORK, LORD_HOWE, "UTC", "Asia/Kolkata", "Africa/Casablanca"]),
        start in 1_774_000_000i64..1_806_000_000,
    ) {
        let schedule = schedule(&format!("{minute} {hour} * * *"), zone);
        let mut at = Timestamp::from_second(start).unwrap();
        for _ in 0..20 {
            let next = schedule.next_after(at).unwrap();
            prop_assert!(next > at);
            let between = Timestamp::from_second((at.as_second() + next.as_second()) / 2).unwrap();
            if between > at && between < next {
                prop_assert_eq!(schedule.next_after(between), Some(next));
            }
            at = next;
        }
    }
}

#[test]
fn of_a_schedule_that_is_none_the_field_is_named_with_what_it_may_hold() {
    let names = ["second", "minute", "hour", "day of the month", "month", "day of the week", "year"];
    let mut seen = 0;
    for (count, first) in [(5, 1), (6, 0), (7, 0)] {
        for at in 0..count {
            for wrong in ["99999", "x", "5-", "*/0", "1-99999"] {
                let mut fields = vec!["*"; count];
                fields[at] = wrong;
                let said = Schedule::parse(&fields.join(" "), &TimeZone::UTC).unwrap_err().to_string();
                let field = format!("the {} is \"{wrong}\", and may be ", names[first + at]);
                assert!(said.contains(&field), "{said} does not say {field}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 90);
    let said = Schedule::parse("0 25 * * *", &TimeZone::UTC).unwrap_err().to_string();
    assert_eq!(said, "\"0 25 * * *\" is no schedule: the hour is \"25\", and may be 0 to 23: number out of bounds");
}
