use crate::repository::retention::RetentionRules;
use crate::runs::missing_backups::*;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + 3600 * hour).unwrap()
}

fn id(hour: i64) -> BackupId {
    BackupId::new("shop", at(hour))
}

/// Returns one backup for each hour, each of which found the one before it there.
fn hourly(hours: std::ops::RangeInclusive<i64>) -> Vec<RecordedBackup> {
    let known = |hour| RecordedBackup {
        id: id(hour),
        made: at(hour),
        sequence: hour as u64,
        previous: (hour > 1).then(|| id(hour - 1)),
    };
    hours.map(known).collect()
}

fn ids(hours: impl IntoIterator<Item = i64>) -> BTreeSet<BackupId> {
    hours.into_iter().map(id).collect()
}

fn keep_last(last: u32) -> Policy {
    Policy::new(RetentionRules { last, ..RetentionRules::default() }, TimeZone::UTC).unwrap()
}

/// Returns the hours of the missed backups, newest first.
fn hours(sight: &SeriesCheck) -> Vec<i64> {
    sight.missed.iter().map(|one| (one.made.as_second() - 1_790_000_000) / 3600).collect()
}

struct Case {
    what: &'static str,
    /// Numbers of backups that were made before the first check, and after it.
    made: [i64; 2],
    /// Backups that were there at the first check; `None`: there was none.
    stood: Option<Vec<i64>>,
    /// Backups that are there at the second check.
    stands: Vec<i64>,
    removed: Vec<i64>,
    /// Says whether the runs after the first check found the one before them there.
    found: bool,
    last: Option<u32>,
    missed: Vec<i64>,
}

fn case(what: &'static str, stands: impl IntoIterator<Item = i64>, missed: impl IntoIterator<Item = i64>) -> Case {
    let (stands, missed) = (stands.into_iter().collect(), missed.into_iter().collect());
    Case {
        what,
        made: [5, 0],
        stood: Some((1..=5).collect()),
        stands,
        removed: vec![],
        found: true,
        last: None,
        missed,
    }
}

#[test]
fn what_was_the_newest_or_is_kept_by_the_rules_of_this_host_is_missed_and_nothing_else() {
    let cases = [
        case("all are there", 1..=5, []),
        case("the store is empty", [], [5, 4, 3, 2, 1]),
        case("the newest is gone", 1..=4, [5]),
        case("the newest three are gone", 1..=2, [5, 4, 3]),
        case("one of the old is gone, as if thinned out elsewhere", [1, 2, 4, 5], []),
        case("all but the newest are gone, as if pruned elsewhere", [5], []),
        Case { removed: vec![1, 2, 3, 4, 5], ..case("pgbk removed all of them", [], []) },
        Case { removed: vec![5], ..case("a person knows of the newest", 1..=4, []) },
        Case { removed: vec![1, 2, 3], ..case("pgbk removed some, somebody the rest", [], [5, 4]) },
        Case { stood: None, ..case("at the first look only the newest can be judged", [], [5]) },
        Case { stood: None, ..case("at the first look the old may be gone", [5], []) },
        Case { stood: Some(vec![4, 5]), ..case("what went before the last look went rightly", [], [5, 4]) },
        Case { last: Some(3), ..case("the rules keep it", [1, 2, 4, 5], [3]) },
        Case { last: Some(3), ..case("the rules would have removed it", [3, 4, 5], []) },
        Case { last: Some(3), ..case("the rules keep some of them", [5], [4, 3]) },
        Case { last: Some(3), stood: Some(vec![4, 5]), ..case("the rules were stricter before", [4, 5], []) },
        Case { made: [5, 1], ..case("the newest was pruned elsewhere after the next was made", [6], []) },
        Case { made: [5, 1], found: false, ..case("all were gone when the next was made", [6], [5, 4, 3, 2, 1]) },
        Case { made: [5, 1], found: false, ..case("the newest was gone when the next was made", [1, 2, 3, 4, 6], [5]) },
        Case { made: [5, 2], ..case("two more, and all but the last pruned elsewhere", [7], []) },
        Case { made: [5, 2], ..case("two more, and all is gone", [], [7]) },
        Case { made: [0, 1], stood: Some(vec![]), found: false, ..case("the first one is gone", [], [1]) },
        case("another host's run found the newest there, and that host prunes", [9], []),
    ];
    for case in &cases {
        let [before, more] = case.made;
        let mut known = hourly(1..=before + more);
        for one in known.iter_mut().skip(before as usize).take(usize::from(!case.found)) {
            one.previous = case.stands.iter().filter(|hour| **hour <= before).max().map(|hour| id(*hour));
        }
        let policy = case.last.map(keep_last);
        let removed = ids(case.removed.iter().copied());
        let first = case.stood.as_ref().map(|stood| {
            let there = ids(stood.iter().copied());
            let newest = (before > 0).then(|| id(before));
            SeriesCheck { newest, standing: there, missed: Vec::new() }
        });
        let there = ids(case.stands.iter().copied());
        let look = SeriesFacts {
            known: &known,
            there: &there,
            bare: &BTreeSet::new(),
            removed: &removed,
            policy: policy.as_ref(),
            now: at(100),
        };
        let sight = look.after(first.as_ref());
        assert_eq!(hours(&sight), case.missed, "{}", case.what);
        assert_eq!(look.after(Some(&sight)).missed, sight.missed, "{}: a second look", case.what);
    }
}

#[test]
fn what_is_missed_stays_so_until_it_is_back_or_known_or_the_rules_would_have_removed_it() {
    let mut known = hourly(1..=5);
    let (nothing, none) = (BTreeSet::new(), BTreeSet::new());
    let sight = |known: &[RecordedBackup],
                 there: &BTreeSet<BackupId>,
                 removed: &BTreeSet<BackupId>,
                 policy: Option<&Policy>,
                 before: Option<&SeriesCheck>,
                 hour| {
        SeriesFacts { known, there, bare: &BTreeSet::new(), removed, policy, now: at(hour) }.after(before)
    };
    let all = sight(&known, &ids(1..=5), &none, None, None, 6);
    let missed = sight(&known, &ids(1..=3), &none, None, Some(&all), 7);
    assert_eq!((hours(&missed), missed.missed[0].since), (vec![5, 4], at(7)));
    // A later look misses it since the same time.
    known.push(RecordedBackup { previous: Some(id(3)), ..hourly(6..=6).remove(0) });
    let later = sight(&known, &ids([1, 2, 3, 6]), &none, None, Some(&missed), 8);
    assert_eq!((hours(&later), later.missed[0].since), (vec![5, 4], at(7)));
    assert!(hours(&sight(&known, &ids(1..=6), &none, None, Some(&later), 9)).is_empty());
    assert_eq!(hours(&sight(&known, &ids([1, 2, 3, 4, 6]), &none, None, Some(&later), 9)), [5]);
    assert_eq!(hours(&sight(&known, &ids([6]), &ids([5]), None, Some(&later), 9)), [4]);
    assert_eq!(hours(&sight(&known, &ids([6]), &none, Some(&keep_last(2)), Some(&later), 9)), [5]);
    // It is told anew where it goes again.
    let back = sight(&known, &ids(1..=6), &none, None, Some(&later), 9);
    let again = sight(&known, &nothing, &none, None, Some(&back), 10);
    assert_eq!((hours(&again), again.missed[0].since), (vec![6, 5, 4, 3, 2, 1], at(10)));
}

#[test]
fn runs_of_older_versions_and_of_roles_that_may_not_list_accuse_nobody() {
    let mut known = hourly(1..=5);
    for one in &mut known {
        (one.sequence, one.previous) = (0, None);
    }
    let none = BTreeSet::new();
    let hours_of = |there: &BTreeSet<BackupId>| {
        hours(
            &SeriesFacts { known: &known, there, bare: &none, removed: &none, policy: Some(&keep_last(9)), now: at(6) }
                .after(None),
        )
    };
    assert!(hours_of(&ids([5])).is_empty());
    assert_eq!(hours_of(&none), [5]);
}

#[test]
fn a_clock_that_fell_back_does_not_make_the_newest_an_old_one() {
    // The last two were made under a clock of years before.
    let mut known = hourly(1..=4);
    for (at, hour) in [(2, -90_000), (3, -89_999)] {
        known[at].id = id(hour);
    }
    known[3].previous = Some(id(2));
    let none = BTreeSet::new();
    let all: BTreeSet<BackupId> = known.iter().map(|one| one.id.clone()).collect();
    let look = |there: &BTreeSet<BackupId>, before: Option<&SeriesCheck>| {
        SeriesFacts { known: &known, there, bare: &none, removed: &none, policy: None, now: at(6) }.after(before)
    };
    let first = look(&all, None);
    let last = &known[3].id;
    let without: BTreeSet<BackupId> = all.iter().filter(|id| *id != last).cloned().collect();
    let missed = look(&without, Some(&first)).missed;
    assert_eq!(missed.iter().map(|one| &one.id).collect::<Vec<_>>(), [last]);
}

#[test]
fn people_read_which_when_and_where() {
    let missed =
        |hour: i64| MissingBackup { id: id(hour), made: at(hour) + SignedDuration::from_mins(1), since: at(9) };
    assert_eq!(describe(&[], "s3://b"), None);
    let one = describe(&[missed(1)], "s3://b").unwrap();
    assert!(
        one.starts_with(&format!("backup {} of \"shop\", made at 2026-", id(1))) && one.contains("is gone from s3://b"),
        "{one}"
    );
    let all: Vec<MissingBackup> = (1..=12).rev().map(missed).collect();
    let several = describe(&all, "s3://b").unwrap();
    assert!(
        several.starts_with("12 backups of \"shop\" are gone from s3://b") && several.ends_with("and 2 more"),
        "{several}"
    );
}
