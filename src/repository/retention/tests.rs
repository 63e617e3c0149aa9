use crate::base::error::{Kind, kind};
use crate::repository::retention::*;

const NOW: &str = "2026-11-21T12:00:00Z";

fn good(time: &str) -> Candidate {
    Candidate {
        id: BackupId::new("shop", time.parse().unwrap()),
        server: None,
        sequence: 0,
        proven: false,
        held: Vec::new(),
        trouble: None,
    }
}

fn bad(time: &str) -> Candidate {
    Candidate { trouble: Some("its payload is missing".to_owned()), ..good(time) }
}

fn policy(rules: RetentionRules) -> Policy {
    Policy::new(rules, TimeZone::UTC).unwrap()
}

/// Returns the time and the reasons of each backup that stays.
fn kept(policy: &Policy, backups: &[Candidate]) -> Vec<(String, String)> {
    let decisions = policy.decide(backups, NOW.parse().unwrap());
    assert_eq!(decisions.len(), backups.len());
    assert!(decisions.is_sorted_by_key(|decision| std::cmp::Reverse(decision.id.taken_at())));
    let kept = decisions.iter().filter(|decision| decision.keeps());
    kept.map(|decision| (decision.id.taken_at().to_string(), decision.reasons.join(", "))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(time, why)| ((*time).to_owned(), (*why).to_owned())).collect()
}

/// Returns one backup for each day, at this time, from this day back.
fn daily(from: Timestamp, count: i64) -> Vec<Candidate> {
    (0..count).map(|day| good(&(from - std::time::Duration::from_secs(day as u64 * 86_400)).to_string())).collect()
}

fn three(day: u8) -> Timestamp {
    format!("2026-11-{day:02}T03:00:00Z").parse().unwrap()
}

#[test]
fn rules_that_keep_nothing_are_refused() {
    for rules in [RetentionRules::default(), RetentionRules { minimum: 5, ..RetentionRules::default() }] {
        assert_eq!(kind(&Policy::new(rules, TimeZone::UTC).unwrap_err()), Kind::Usage);
    }
}

#[test]
fn the_newest_of_each_day_week_month_and_year_stays_as_often_as_the_rule_says() {
    let backups = [daily(three(21), 500), vec![good("2026-11-20T23:00:00Z"), good("2026-11-20T22:00:00Z")]].concat();
    let rules = RetentionRules { daily: 3, weekly: 3, monthly: 3, yearly: 5, ..RetentionRules::default() };
    let expected = [
        ("2026-11-21T03:00:00Z", "newest good one, daily 2026-11-21, weekly 2026-W47, monthly 2026-11, yearly 2026"),
        ("2026-11-20T23:00:00Z", "daily 2026-11-20"),
        ("2026-11-19T03:00:00Z", "daily 2026-11-19"),
        ("2026-11-15T03:00:00Z", "weekly 2026-W46"),
        ("2026-11-08T03:00:00Z", "weekly 2026-W45"),
        ("2026-10-31T03:00:00Z", "monthly 2026-10"),
        ("2026-09-30T03:00:00Z", "monthly 2026-09"),
        ("2025-12-31T03:00:00Z", "yearly 2025"),
    ];
    assert_eq!(kept(&policy(rules), &backups), pairs(&expected));
}

#[test]
fn periods_without_a_backup_do_not_count() {
    let backups = [
        good("2026-11-21T03:00:00Z"),
        good("2026-11-14T03:00:00Z"),
        good("2026-03-01T03:00:00Z"),
        good("2024-01-01T00:00:00Z"),
    ];
    let kept = kept(&policy(RetentionRules { daily: 3, ..RetentionRules::default() }), &backups);
    assert_eq!(
        kept[1..],
        pairs(&[("2026-11-14T03:00:00Z", "daily 2026-11-14"), ("2026-03-01T03:00:00Z", "daily 2026-03-01")])
    );
}

#[test]
fn days_and_hours_begin_where_the_zone_has_them() {
    let backups = [
        good("2026-10-25T23:30:00Z"),
        good("2026-10-25T22:30:00Z"),
        good("2026-10-25T01:30:00Z"),
        good("2026-10-25T00:30:00Z"),
        good("2026-10-24T22:30:00Z"),
        good("2026-10-24T21:30:00Z"),
    ];
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let days = Policy::new(RetentionRules { daily: 9, ..RetentionRules::default() }, berlin.clone()).unwrap();
    let expected = [
        ("2026-10-25T23:30:00Z", "newest good one, daily 2026-10-26"),
        ("2026-10-25T22:30:00Z", "daily 2026-10-25"),
        ("2026-10-24T21:30:00Z", "daily 2026-10-24"),
    ];
    assert_eq!(kept(&days, &backups), pairs(&expected));
    // The clock on the wall shows half past two twice.
    let hours = Policy::new(RetentionRules { hourly: 4, ..RetentionRules::default() }, berlin).unwrap();
    let expected = [
        ("2026-10-25T23:30:00Z", "newest good one, hourly 2026-10-26T00"),
        ("2026-10-25T22:30:00Z", "hourly 2026-10-25T23"),
        ("2026-10-25T01:30:00Z", "hourly 2026-10-25T02"),
        ("2026-10-25T00:30:00Z", "hourly 2026-10-25T02"),
    ];
    assert_eq!(kept(&hours, &backups), pairs(&expected));
}

#[test]
fn weeks_are_those_of_iso_8601() {
    let backups = [
        good("2021-01-04T03:00:00Z"),
        good("2021-01-03T03:00:00Z"),
        good("2020-12-28T03:00:00Z"),
        good("2020-12-27T03:00:00Z"),
    ];
    let kept = kept(&policy(RetentionRules { weekly: 9, ..RetentionRules::default() }), &backups);
    let expected = [
        ("2021-01-04T03:00:00Z", "newest good one, weekly 2021-W01"),
        ("2021-01-03T03:00:00Z", "weekly 2020-W53"),
        ("2020-12-27T03:00:00Z", "weekly 2020-W52"),
    ];
    assert_eq!(kept, pairs(&expected));
}

#[test]
fn a_span_is_counted_from_the_newest_good_backup_so_that_a_pause_costs_nothing() {
    let rules = || RetentionRules { within: Some("7d".parse().unwrap()), ..RetentionRules::default() };
    // Nothing was backed up for two weeks.
    let backups = daily(three(7), 20);
    let kept = kept(&policy(rules()), &backups);
    assert_eq!(kept.len(), 8);
    assert_eq!(kept[7], ("2026-10-31T03:00:00Z".to_owned(), "within 7d".to_owned()));
    let forever = RetentionRules { within: Some("19000y".parse().unwrap()), ..RetentionRules::default() };
    assert_eq!(policy(forever).decide(&backups, NOW.parse().unwrap()).iter().filter(|one| one.keeps()).count(), 20);
}

#[test]
fn the_last_ones_stay_and_the_minimum_fills_up() {
    let backups = daily(three(21), 9);
    let kept = kept(&policy(RetentionRules { last: 2, weekly: 2, minimum: 5, ..RetentionRules::default() }), &backups);
    let expected = [
        ("2026-11-21T03:00:00Z", "newest good one, last 1, weekly 2026-W47"),
        ("2026-11-20T03:00:00Z", "last 2"),
        ("2026-11-19T03:00:00Z", "minimum 5"),
        ("2026-11-18T03:00:00Z", "minimum 5"),
        ("2026-11-15T03:00:00Z", "weekly 2026-W46"),
    ];
    assert_eq!(kept, pairs(&expected));
}

#[test]
fn what_is_no_good_stays_and_takes_nobodys_place() {
    let backups = [
        bad("2026-11-21T03:00:00Z"),
        good("2026-11-20T03:00:00Z"),
        bad("2026-11-19T23:00:00Z"),
        good("2026-11-19T03:00:00Z"),
        good("2026-11-18T03:00:00Z"),
    ];
    let kept = kept(&policy(RetentionRules { last: 1, daily: 2, ..RetentionRules::default() }), &backups);
    let expected = [
        ("2026-11-21T03:00:00Z", "no good, left for you to see: its payload is missing"),
        ("2026-11-20T03:00:00Z", "newest good one, last 1, daily 2026-11-20"),
        ("2026-11-19T23:00:00Z", "no good, left for you to see: its payload is missing"),
        ("2026-11-19T03:00:00Z", "daily 2026-11-19"),
    ];
    assert_eq!(kept, pairs(&expected));
}

#[test]
fn a_time_still_to_come_costs_nobody_its_place() {
    let step = [good("2027-06-01T03:00:00Z"), good("2027-05-31T03:00:00Z"), good("2026-11-21T13:00:01Z")];
    let past = daily(three(21), 30);
    let rules = RetentionRules {
        last: 2,
        daily: 3,
        monthly: 2,
        within: Some("4d".parse().unwrap()),
        minimum: 6,
        ..RetentionRules::default()
    };
    let alone = kept(&policy(rules.clone()), &past);
    let together = kept(&policy(rules), &[step.to_vec(), past].concat());
    assert_eq!(together[3..], alone);
    assert!(together[..3].iter().all(|(_, why)| why == "its time is still to come"), "{together:?}");
}

#[test]
fn the_order_is_that_of_the_series_whatever_a_clock_has_dated() {
    let made = |time: &str, sequence| Candidate { sequence, ..good(time) };
    // A clock fell back by a year before the third, and was right again for the fourth.
    let backups = [
        made("2026-11-20T03:00:00Z", 1),
        made("2026-11-21T03:00:00Z", 2),
        made("2025-11-21T03:00:00Z", 3),
        made("2026-11-21T04:00:00Z", 4),
    ];
    let decide = |backups: &[Candidate]| {
        policy(RetentionRules { last: 1, ..RetentionRules::default() }).decide(backups, NOW.parse().unwrap())
    };
    let keeps = |backups: &[Candidate]| {
        let decisions = decide(backups);
        decisions.into_iter().filter(Decision::keeps).map(|one| one.id.taken_at().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(keeps(&backups[..3]), ["2025-11-21T03:00:00Z"]);
    assert_eq!(keeps(&backups), ["2026-11-21T04:00:00Z"]);
}

#[test]
fn what_is_held_stays_and_takes_the_place_that_a_rule_gives_it() {
    let mut backups = daily(three(21), 4);
    backups[0].held.push("pinned".to_owned());
    backups[2].held.push("pinned".to_owned());
    let kept = kept(&policy(RetentionRules { last: 1, ..RetentionRules::default() }), &backups);
    let expected = [("2026-11-21T03:00:00Z", "newest good one, last 1, pinned"), ("2026-11-19T03:00:00Z", "pinned")];
    assert_eq!(kept, pairs(&expected));
}

#[test]
fn half_is_not_yet_most() {
    let decide = |count| {
        policy(RetentionRules { last: 1, ..RetentionRules::default() })
            .decide(&daily(three(21), count), NOW.parse().unwrap())
    };
    assert!(!is_most(&decide(0)) && !is_most(&decide(1)) && !is_most(&decide(2)));
    assert!(is_most(&decide(3)) && is_most(&decide(100)));
}
