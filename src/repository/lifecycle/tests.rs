use crate::repository::lifecycle::Lifecycle::{Hourly, Monthly, Weekly};
use crate::repository::lifecycle::*;

const BERLIN: &str = "Europe/Berlin";
const NEW_YORK: &str = "America/New_York";

/// Lists a backup, the one after it, and the lifecycle of the first of the two; computed by another program than this one.
const TABLE: &[(&str, &str, &str, Lifecycle)] = &[
    // A plain day.
    ("UTC", "2026-11-18T03:00:00Z", "2026-11-18T09:00:00Z", Hourly),
    ("UTC", "2026-11-18T03:00:00Z", "2026-11-19T03:00:00Z", Hourly),
    ("UTC", "2026-11-16T00:00:00Z", "2026-11-22T23:59:59Z", Hourly),
    ("UTC", "2026-11-18T03:00:00Z", "2026-11-18T03:00:01Z", Hourly),
    // The turn of a week.
    ("UTC", "2026-11-22T23:59:59Z", "2026-11-23T00:00:00Z", Weekly),
    (BERLIN, "2026-11-22T22:59:59Z", "2026-11-22T23:00:00Z", Weekly),
    (NEW_YORK, "2026-11-23T04:59:59Z", "2026-11-23T05:00:00Z", Weekly),
    ("UTC", "2026-11-20T03:00:00Z", "2026-11-23T03:00:00Z", Weekly),
    ("UTC", "2026-11-16T12:00:00Z", "2026-11-23T12:00:00Z", Weekly),
    ("UTC", "2026-11-21T12:00:00Z", "2026-11-22T12:00:00Z", Hourly),
    // The turn of a month.
    ("UTC", "2026-10-31T23:59:59Z", "2026-11-01T00:00:00Z", Monthly),
    (BERLIN, "2026-10-31T22:59:59Z", "2026-10-31T23:00:00Z", Monthly),
    (NEW_YORK, "2026-11-01T03:59:59Z", "2026-11-01T04:00:00Z", Monthly),
    ("UTC", "2026-06-30T12:00:00Z", "2026-07-01T12:00:00Z", Monthly),
    ("UTC", "2026-11-29T12:00:00Z", "2026-11-30T12:00:00Z", Weekly),
    ("UTC", "2026-11-30T12:00:00Z", "2026-12-01T12:00:00Z", Monthly),
    ("UTC", "2026-03-31T23:00:00Z", "2026-04-30T23:00:00Z", Monthly),
    // The turn of a month that is one of a week as well.
    ("UTC", "2026-02-28T23:00:00Z", "2026-03-02T01:00:00Z", Monthly),
    ("UTC", "2026-05-31T23:59:59Z", "2026-06-01T00:00:00Z", Monthly),
    // The end of February.
    ("UTC", "2028-02-28T12:00:00Z", "2028-02-29T12:00:00Z", Hourly),
    ("UTC", "2028-02-29T12:00:00Z", "2028-03-01T12:00:00Z", Monthly),
    ("UTC", "2027-02-28T23:59:59Z", "2027-03-01T00:00:00Z", Monthly),
    (BERLIN, "2100-02-28T11:00:00Z", "2100-03-01T11:00:00Z", Monthly),
    // The same month of another year.
    ("UTC", "2025-11-18T03:00:00Z", "2026-11-18T03:00:00Z", Monthly),
    ("UTC", "2025-11-17T03:00:00Z", "2027-11-17T03:00:00Z", Monthly),
    // The turn of a year.
    ("UTC", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z", Monthly),
    (BERLIN, "2026-12-31T22:59:59Z", "2026-12-31T23:00:00Z", Monthly),
    (NEW_YORK, "2027-01-01T04:59:59Z", "2027-01-01T05:00:00Z", Monthly),
    // Week 53 goes on into January.
    ("UTC", "2027-01-01T12:00:00Z", "2027-01-03T23:59:59Z", Hourly),
    ("UTC", "2027-01-03T23:59:59Z", "2027-01-04T00:00:00Z", Weekly),
    ("UTC", "2026-12-28T12:00:00Z", "2026-12-31T12:00:00Z", Hourly),
    ("UTC", "2026-12-27T23:00:00Z", "2026-12-28T01:00:00Z", Weekly),
    ("UTC", "2020-12-31T12:00:00Z", "2021-01-01T12:00:00Z", Monthly),
    ("UTC", "2021-01-03T12:00:00Z", "2021-01-04T12:00:00Z", Weekly),
    // Week 52 goes on into January.
    ("UTC", "2022-12-31T12:00:00Z", "2023-01-01T12:00:00Z", Monthly),
    ("UTC", "2023-01-01T12:00:00Z", "2023-01-02T12:00:00Z", Weekly),
    ("UTC", "2022-12-25T12:00:00Z", "2022-12-26T12:00:00Z", Weekly),
    ("UTC", "2022-01-02T12:00:00Z", "2022-01-03T12:00:00Z", Weekly),
    // Week 1 begins in December.
    ("UTC", "2024-12-29T12:00:00Z", "2024-12-30T12:00:00Z", Weekly),
    ("UTC", "2024-12-30T12:00:00Z", "2024-12-31T12:00:00Z", Hourly),
    ("UTC", "2025-12-28T23:59:59Z", "2025-12-29T00:00:00Z", Weekly),
    (BERLIN, "2025-12-29T11:00:00Z", "2025-12-31T11:00:00Z", Hourly),
    ("UTC", "2024-12-31T12:00:00Z", "2025-01-01T12:00:00Z", Monthly),
    ("UTC", "2025-01-01T12:00:00Z", "2025-01-05T12:00:00Z", Hourly),
    ("UTC", "2025-01-05T12:00:00Z", "2025-01-06T12:00:00Z", Weekly),
    // The same week a year apart, and the same month.
    ("UTC", "2024-12-04T12:00:00Z", "2024-12-30T12:00:00Z", Weekly),
    // The clock is set forward in Berlin.
    (BERLIN, "2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z", Hourly),
    (BERLIN, "2026-03-28T22:59:59Z", "2026-03-28T23:00:00Z", Hourly),
    (BERLIN, "2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z", Weekly),
    (BERLIN, "2026-03-29T22:00:00Z", "2026-03-29T23:00:00Z", Hourly),
    // The clock is set back in Berlin.
    (BERLIN, "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", Hourly),
    (BERLIN, "2026-10-25T01:30:00Z", "2026-10-25T22:30:00Z", Hourly),
    (BERLIN, "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z", Weekly),
    (BERLIN, "2026-10-25T22:00:00Z", "2026-10-25T22:59:59Z", Hourly),
    // The clock is set forward in New York.
    (NEW_YORK, "2026-03-08T06:59:59Z", "2026-03-08T07:00:00Z", Hourly),
    (NEW_YORK, "2026-03-09T03:59:59Z", "2026-03-09T04:00:00Z", Weekly),
    (NEW_YORK, "2026-03-09T04:00:00Z", "2026-03-09T05:00:00Z", Hourly),
    // The clock is set back in New York, on the first of a month.
    (NEW_YORK, "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", Hourly),
    (NEW_YORK, "2026-11-01T03:59:59Z", "2026-11-01T04:00:00Z", Monthly),
    (NEW_YORK, "2026-11-02T04:59:59Z", "2026-11-02T05:00:00Z", Weekly),
    // What is one month or week here is two there.
    ("UTC", "2026-06-30T22:30:00Z", "2026-07-01T00:30:00Z", Monthly),
    (BERLIN, "2026-06-30T22:30:00Z", "2026-07-01T00:30:00Z", Hourly),
    (NEW_YORK, "2026-06-30T22:30:00Z", "2026-07-01T00:30:00Z", Hourly),
    ("UTC", "2026-07-01T03:30:00Z", "2026-07-01T04:30:00Z", Hourly),
    (BERLIN, "2026-07-01T03:30:00Z", "2026-07-01T04:30:00Z", Hourly),
    (NEW_YORK, "2026-07-01T03:30:00Z", "2026-07-01T04:30:00Z", Monthly),
    (BERLIN, "2026-12-31T23:30:00Z", "2027-01-01T01:00:00Z", Hourly),
    (NEW_YORK, "2026-12-31T23:30:00Z", "2027-01-01T01:00:00Z", Hourly),
    ("UTC", "2026-07-31T09:30:00Z", "2026-07-31T10:30:00Z", Hourly),
    ("Pacific/Kiritimati", "2026-07-31T09:30:00Z", "2026-07-31T10:30:00Z", Monthly),
    ("Pacific/Pago_Pago", "2026-07-31T09:30:00Z", "2026-07-31T10:30:00Z", Hourly),
    ("UTC", "2026-08-01T10:30:00Z", "2026-08-01T11:30:00Z", Hourly),
    ("Pacific/Kiritimati", "2026-08-01T10:30:00Z", "2026-08-01T11:30:00Z", Hourly),
    ("Pacific/Pago_Pago", "2026-08-01T10:30:00Z", "2026-08-01T11:30:00Z", Monthly),
];

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn times(texts: &[&str]) -> Vec<Timestamp> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn a_backup_is_what_it_is_to_the_one_after_it() {
    assert!(TABLE.len() >= 60);
    for (name, own, next, expected) in TABLE {
        let found = lifecycles(&times(&[next, own]), &zone(name));
        assert_eq!(found, [Monthly, *expected], "{own} before {next} in {name}");
        // The same two once there is a newer one.
        let later = next.parse::<Timestamp>().unwrap() + std::time::Duration::from_secs(1);
        let found = lifecycles(&[later, next.parse().unwrap(), own.parse().unwrap()], &zone(name));
        assert_eq!((found[0], found[2]), (Monthly, *expected), "{own} before {next} in {name}");
    }
}

#[test]
fn only_the_three_newest_are_looked_at() {
    let daily =
        times(&["2026-11-24T03:00:00Z", "2026-11-23T03:00:00Z", "2026-11-22T03:00:00Z", "2026-10-31T03:00:00Z"]);
    assert_eq!(lifecycles(&daily, &TimeZone::UTC), [Monthly, Hourly, Weekly]);
    assert_eq!(lifecycles(&daily[1..], &TimeZone::UTC), [Monthly, Weekly, Monthly]);
    assert_eq!(lifecycles(&daily[..1], &TimeZone::UTC), [Monthly]);
    assert_eq!(lifecycles(&[], &TimeZone::UTC), []);
}
