//! Thousands of histories at random, each pruned by the real job: what must never go never goes.

use crate::prune::past::{made, repository};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use pgbk::base::progress::NullMonitor;
use pgbk::base::subject::Subject;
use pgbk::format::backup_id::BackupId;
use pgbk::jobs::prune::scope::PruneScope;
use pgbk::jobs::prune::{PruneMode, PruneOrder, PruneOutcome, prune};
use pgbk::repository::Repository;
use pgbk::repository::newest::ServerIdentity;
use pgbk::repository::retention::{Policy, RetentionRules};
use pgbk::store::memory::Memory;
use pgbk::store::{ObjectInfo, Store, write_small};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use support::proof;
use support::random::Random;

const NOW: &str = "2026-11-21T12:00:00Z";
/// Beside the one that is pruned.
const OTHERS: [&str; 4] = ["app_staging", "App", "ap", "app-20240101T000000Z"];
const FOREIGN: [&str; 8] = [
    "app/notes.txt",
    "app/backup.meta",
    "app/app-20261320T000000Z.meta",
    "app/app-20240101T000000Z.meta.meta",
    "app/app_staging-20240101T000000Z.meta",
    "app/app_staging-20240101T000000Z.sql",
    "app/copy/app-20240101T000000Z.meta",
    "app-20240101T000000Z.meta",
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Good,
    PayloadMissing,
    PayloadShort,
    MetaCut,
    MetaChanged,
    /// The `.meta` of another backup under this one's name.
    MetaOfAnother,
}

#[derive(Debug, Clone)]
struct History {
    /// Seconds before now, also after it, and what became of it since.
    backups: BTreeMap<i64, State>,
    /// Which of the others have backups.
    others: [bool; OTHERS.len()],
    foreign: [bool; FOREIGN.len()],
    rules: RetentionRules,
    mode: PruneMode,
}

/// Within hours, a week or two years, and now and then in the future.
fn age(random: &mut Random) -> i64 {
    let within = |random: &mut Random, seconds: usize| i64::try_from(random.below(seconds)).expect("an age");
    match random.below(10) {
        0 | 1 => within(random, 10_800),
        2..=5 => within(random, 9 * 86_400),
        6..=8 => within(random, 800 * 86_400),
        _ => -within(random, 400 * 86_400),
    }
}

fn state(random: &mut Random) -> State {
    match random.below(17) {
        0 => State::PayloadMissing,
        1 => State::PayloadShort,
        2 => State::MetaCut,
        3 => State::MetaChanged,
        4 => State::MetaOfAnother,
        _ => State::Good,
    }
}

fn count(random: &mut Random) -> u32 {
    match random.below(8) {
        0 => u32::MAX,
        1..=4 => 1 + u32::try_from(random.below(5)).expect("a count"),
        _ => 0,
    }
}

fn within(random: &mut Random) -> Option<Span> {
    let many = 1 + i64::try_from(random.below(400)).expect("a time");
    match random.below(6) {
        0 => Some(Span::new().hours(many)),
        1 => Some(Span::new().days(many)),
        _ => None,
    }
}

fn rules(random: &mut Random) -> RetentionRules {
    let mut rules = RetentionRules {
        last: count(random),
        hourly: count(random),
        daily: count(random),
        weekly: count(random),
        monthly: count(random),
        yearly: count(random),
        within: within(random),
        minimum: u32::try_from(random.below(5)).expect("a count"),
        capture: None,
    };
    if Policy::new(rules.clone(), TimeZone::UTC).is_err() {
        rules.last = 1;
    }
    rules
}

fn history(random: &mut Random) -> History {
    History {
        backups: (0..random.below(9)).map(|_| (age(random), state(random))).collect(),
        others: [(); OTHERS.len()].map(|()| random.below(2) == 0),
        foreign: [(); FOREIGN.len()].map(|()| random.below(2) == 0),
        rules: rules(random),
        mode: [PruneMode::Force, PruneMode::Force, PruneMode::Careful, PruneMode::DryRun][random.below(4)],
    }
}

/// What a repository has stored of a backup of `app` at that time: the `.meta` without its seal, and the payload.
static TEMPLATE: LazyLock<(String, Vec<u8>)> = LazyLock::new(|| {
    let repository = repository(Memory::default());
    let id = made(&repository, "app", NOW);
    let read = |key: &str| {
        let object = repository.store.open(key, None).expect("open");
        object.read(0..object.info().bytes).expect("read")
    };
    let meta = String::from_utf8(read(&id.meta_key())).expect("text");
    let covered = meta.split(",\n  \"checksum\"").next().expect("what the seal covers");
    (covered.to_owned(), read(&id.object_key("sql")))
});

/// The `.meta` of another backup, as a repository would have written it.
fn meta_of(id: &BackupId) -> Vec<u8> {
    let stamp = "app-20261121T120000Z";
    let covered = TEMPLATE.0.replace(&format!("app/{stamp}"), &format!("{}/{id}", id.subject()));
    let covered = covered.replace(stamp, &id.to_string()).replace(NOW, &id.taken_at().to_string());
    let covered = covered.replace("\"database\": \"app\"", &format!("\"database\": \"{}\"", id.subject()));
    let seal = blake2b_simd::Params::new().hash_length(32).hash(covered.as_bytes());
    format!("{covered},\n  \"checksum\": \"{}\"\n}}\n", seal.to_hex()).into_bytes()
}

type Objects = Vec<(String, Vec<u8>)>;

/// What is stored of each of the others.
static OF_OTHERS: LazyLock<Vec<Objects>> = LazyLock::new(|| {
    let bytes = |store: &Memory, listed: &ObjectInfo| store.open(&listed.key, None)?.read(0..listed.bytes);
    let objects = |other: &&str| {
        let store = Memory::default();
        for ago in [0, 1, 3600, 86_400, 40 * 86_400] {
            put(&store, &BackupId::new(*other, now() - SignedDuration::from_secs(ago)), State::Good);
        }
        let listed = store.list("").expect("list");
        listed.iter().map(|listed| (listed.key.clone(), bytes(&store, listed).expect("its bytes"))).collect()
    };
    OTHERS.iter().map(objects).collect()
});

fn put(store: &Memory, id: &BackupId, state: State) {
    let before = || BackupId::new(id.subject().clone(), id.taken_at() - SignedDuration::from_secs(1));
    let mut meta = meta_of(&if state == State::MetaOfAnother { before() } else { id.clone() });
    match state {
        State::MetaCut => meta.truncate(meta.len() / 2),
        State::MetaChanged => {
            let at = meta.len() / 2;
            meta[at] ^= 1;
        }
        _ => {}
    }
    write_small(store, &id.meta_key(), &meta).expect("put");
    let payload = match state {
        State::PayloadMissing => return,
        State::PayloadShort => &TEMPLATE.1[1..],
        _ => &TEMPLATE.1,
    };
    write_small(store, &id.object_key("sql"), payload).expect("put");
}

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

impl History {
    fn ids(&self) -> Vec<(BackupId, State)> {
        let now = now();
        let time = |ago: i64| now - SignedDuration::from_secs(ago);
        self.backups.iter().map(|(ago, state)| (BackupId::new("app", time(*ago)), *state)).collect()
    }

    /// The good ones of the past, newest first.
    fn good(&self) -> Vec<BackupId> {
        let now = now();
        let good = |(id, state): &(BackupId, State)| *state == State::Good && !id.is_from_the_future(now);
        self.ids().into_iter().filter(good).map(|(id, _)| id).collect()
    }

    fn stored(&self) -> (Memory, Repository) {
        let store = Memory::default();
        for (id, state) in self.ids() {
            put(&store, &id, state);
        }
        for (objects, _) in OF_OTHERS.iter().zip(self.others).filter(|(_, there)| *there) {
            for (key, bytes) in objects {
                write_small(&store, key, bytes).expect("put");
            }
        }
        for (name, _) in FOREIGN.iter().zip(self.foreign).filter(|(_, there)| *there) {
            write_small(&store, name, b"foreign").expect("put");
        }
        (store.clone(), repository(store))
    }

    /// What the rules ask for, counted in another way than the job's.
    fn must_stay(&self, good: &[BackupId]) -> BTreeSet<BackupId> {
        let Some(newest) = good.first() else { return BTreeSet::new() };
        let take = |count: u32| usize::try_from(count).expect("a count");
        let mut stay: BTreeSet<BackupId> = good.iter().take(take(self.rules.last).max(1)).cloned().collect();
        let rules = &self.rules;
        let date = |id: &BackupId| TimeZone::UTC.to_datetime(id.taken_at()).date();
        let week = |date: Date| (date.iso_week_date().year() as i64, date.iso_week_date().week() as i64);
        stay.extend(of_periods(good, rules.hourly, |id| (id.taken_at().as_second().div_euclid(3600), 0)));
        stay.extend(of_periods(good, rules.daily, |id| (id.taken_at().as_second().div_euclid(86_400), 0)));
        stay.extend(of_periods(good, rules.weekly, |id| week(date(id))));
        stay.extend(of_periods(good, rules.monthly, |id| (date(id).year().into(), date(id).month().into())));
        stay.extend(of_periods(good, rules.yearly, |id| (date(id).year().into(), 0)));
        if let Some(span) = rules.within {
            let hours = i64::from(span.get_hours()) + 24 * i64::from(span.get_days());
            let since = newest.taken_at() - SignedDuration::from_hours(hours);
            stay.extend(good.iter().filter(|id| id.taken_at() >= since).cloned());
        }
        let missing = take(rules.minimum).saturating_sub(stay.len());
        let more: Vec<BackupId> = good.iter().filter(|id| !stay.contains(id)).take(missing).cloned().collect();
        stay.extend(more);
        stay
    }
}

/// The newest of each of the newest so many periods.
fn of_periods(good: &[BackupId], count: u32, period: impl Fn(&BackupId) -> (i64, i64)) -> Vec<BackupId> {
    let mut newest: BTreeMap<(i64, i64), &BackupId> = BTreeMap::new();
    for id in good.iter().rev() {
        newest.insert(period(id), id);
    }
    newest.into_values().rev().take(usize::try_from(count).expect("a count")).cloned().collect()
}

fn keys(objects: &[ObjectInfo]) -> BTreeSet<String> {
    objects.iter().map(|object| object.key.clone()).collect()
}

fn keys_of<'a>(ids: impl Iterator<Item = &'a BackupId>) -> BTreeSet<String> {
    ids.flat_map(|id| [id.meta_key(), id.object_key("sql")]).collect()
}

fn holds(history: &History) {
    let (store, repository) = history.stored();
    let policy = Policy::new(history.rules.clone(), TimeZone::UTC).expect("a policy");
    let before = store.list("").expect("list");
    let good = history.good();
    let stay = history.must_stay(&good);
    let due: Vec<&BackupId> = good.iter().filter(|id| !stay.contains(id)).collect();
    let stops = history.mode == PruneMode::Careful && due.len() * 2 > history.backups.len();

    let scope = PruneScope::Of(ServerIdentity::Unasked);
    let order =
        PruneOrder { policy: &policy, mode: history.mode, scope, made: None, proven: &BTreeSet::new(), now: now() };
    let app = Subject::from("app");
    let outcome = prune(&repository, &repository.catalog(Some(&app)).unwrap(), &app, &order, &|_| (), &NullMonitor);
    let after = store.list("").expect("list");
    let gone: BTreeSet<String> = keys(&before).difference(&keys(&after)).cloned().collect();
    // Nothing that is left was written anew, and nothing came.
    assert!(after.iter().all(|object| before.contains(object)), "{history:?}");
    // Nobody may remove anything but good backups of this database that are not the newest, whatever the rules ask for.
    assert!(gone.is_subset(&keys_of(good.iter().skip(1))), "{gone:?} of {history:?}");
    let expected = match stops || history.mode == PruneMode::DryRun {
        true => BTreeSet::new(),
        false => keys_of(due.iter().copied()),
    };
    assert_eq!(gone, expected, "{history:?}");
    assert_eq!(outcome.is_err(), stops, "{history:?}");
    let Ok(pruned) = outcome else { return };
    assert_eq!(pruned.backups.len(), history.backups.len(), "{history:?}");
    for backup in &pruned.backups {
        let told = match &backup.fate {
            PruneOutcome::Kept(reasons) => !due.contains(&&backup.id) && !reasons.is_empty(),
            PruneOutcome::Due => due.contains(&&backup.id) && history.mode == PruneMode::DryRun,
            PruneOutcome::Removed => expected.contains(&backup.id.meta_key()),
            PruneOutcome::Left(_) => false,
        };
        assert!(told, "{backup:?} of {history:?}");
    }
}

#[test]
fn the_newest_good_backup_another_databases_and_a_foreign_key_never_go() {
    let mut random = Random::new("histories");
    for _ in 0..proof::size(2_500, 10_000) {
        holds(&history(&mut random));
    }
}
