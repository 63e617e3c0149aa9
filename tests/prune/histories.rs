//! Ten thousand histories at random, each pruned by the real job: what must never go never goes.

use crate::past::{made, vault};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use pgbk::jobs::prune::{Fate, Mode, prune};
use pgbk::manifest::{BackupId, Manifest};
use pgbk::monitor::Silent;
use pgbk::retention::{Policy, Rules};
use pgbk::store::memory::Memory;
use pgbk::store::{Listed, Store, write_small};
use pgbk::vault::Vault;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

const NOW: &str = "2026-11-21T12:00:00Z";
/// Beside the one that is pruned, with backups of the same times.
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
    /// Which of the others have the same backups, all good.
    others: [bool; OTHERS.len()],
    foreign: [bool; FOREIGN.len()],
    rules: Rules,
    mode: Mode,
}

fn ages() -> impl Strategy<Value = i64> {
    prop_oneof![
        2 => 0i64..10_800,
        4 => 0i64..(9 * 86_400),
        3 => 0i64..(800 * 86_400),
        1 => -400 * 86_400i64..0,
    ]
}

fn states() -> impl Strategy<Value = State> {
    prop_oneof![
        12 => Just(State::Good),
        1 => Just(State::PayloadMissing),
        1 => Just(State::PayloadShort),
        1 => Just(State::MetaCut),
        1 => Just(State::MetaChanged),
        1 => Just(State::MetaOfAnother),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    let count = || prop_oneof![3 => Just(0u32), 4 => 1u32..6, 1 => Just(u32::MAX)];
    let within = proptest::option::weighted(
        0.3,
        prop_oneof![
            (1i64..100).prop_map(|hours| Span::new().hours(hours)),
            (1i64..400).prop_map(|days| Span::new().days(days)),
        ],
    );
    ((count(), count(), count()), (count(), count(), count()), within, 0u32..5).prop_map(
        |((last, hourly, daily), (weekly, monthly, yearly), within, minimum)| {
            let nothing = within.is_none() && [last, hourly, daily, weekly, monthly, yearly] == [0; 6];
            let last = if nothing { 1 } else { last };
            Rules { last, hourly, daily, weekly, monthly, yearly, within, minimum }
        },
    )
}

fn histories() -> impl Strategy<Value = History> {
    let modes = proptest::sample::select(vec![Mode::Force, Mode::Force, Mode::Careful, Mode::DryRun]);
    (proptest::collection::btree_map(ages(), states(), 0..12), any::<[bool; 4]>(), any::<[bool; 8]>(), rules(), modes)
        .prop_map(|(backups, others, foreign, rules, mode)| History { backups, others, foreign, rules, mode })
}

/// A backup that the vault made, of which all others are copies.
static TEMPLATE: LazyLock<(Manifest, Vec<u8>)> = LazyLock::new(|| {
    let vault = vault(Memory::default());
    let id = made(&vault, "app", NOW);
    let manifest = vault.sealed(&id).and_then(|sealed| sealed.unauthenticated()).expect("a manifest");
    let object = vault.store.open(&manifest.object, None).expect("the payload");
    (manifest, object.read(0..object.info().bytes).expect("its bytes"))
});

fn put(store: &Memory, id: &BackupId, state: State) {
    let (template, payload) = &*TEMPLATE;
    let mut manifest =
        Manifest { database: id.database().to_owned(), taken_at: id.taken_at(), id: id.clone(), ..template.clone() };
    manifest.object = id.object_key("sql");
    if state == State::MetaOfAnother {
        manifest.id = BackupId::new("app", id.taken_at() - SignedDuration::from_secs(1));
    }
    let mut meta = manifest.seal(None).expect("sealed");
    match state {
        State::MetaCut => meta.truncate(meta.len() / 2),
        State::MetaChanged => {
            let at = meta.len() / 2;
            meta[at] ^= 1;
        }
        _ => {}
    }
    write_small(store, &id.meta_key(), &meta).expect("put");
    match state {
        State::PayloadMissing => {}
        State::PayloadShort => drop(write_small(store, &manifest.object, &payload[1..]).expect("put")),
        _ => drop(write_small(store, &id.object_key("sql"), payload).expect("put")),
    }
}

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

impl History {
    fn ids(&self, database: &str) -> Vec<(BackupId, State)> {
        let time = |ago: i64| now() - SignedDuration::from_secs(ago);
        self.backups.iter().map(|(ago, state)| (BackupId::new(database, time(*ago)), *state)).collect()
    }

    /// The good ones of the past, newest first.
    fn good(&self) -> Vec<BackupId> {
        let all = self.ids("app").into_iter();
        all.filter(|(id, state)| *state == State::Good && id.taken_at() <= now()).map(|(id, _)| id).collect()
    }

    fn stored(&self) -> (Memory, Vault) {
        let store = Memory::default();
        for (id, state) in self.ids("app") {
            put(&store, &id, state);
        }
        for (other, _) in OTHERS.iter().zip(self.others).filter(|(_, there)| *there) {
            for (id, _) in self.ids(other) {
                put(&store, &id, State::Good);
            }
        }
        for (name, _) in FOREIGN.iter().zip(self.foreign).filter(|(_, there)| *there) {
            write_small(&store, name, b"foreign").expect("put");
        }
        (store.clone(), vault(store))
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

fn keys(objects: &[Listed]) -> BTreeSet<String> {
    objects.iter().map(|object| object.key.clone()).collect()
}

fn keys_of<'a>(ids: impl Iterator<Item = &'a BackupId>) -> BTreeSet<String> {
    ids.flat_map(|id| [id.meta_key(), id.object_key("sql")]).collect()
}

fn holds(history: &History) -> Result<(), TestCaseError> {
    let (store, vault) = history.stored();
    let policy = Policy::new(history.rules.clone(), TimeZone::UTC).expect("a policy");
    let run = |mode| prune(&vault, "app", &policy, mode, now(), &Silent);
    let before = store.list("").expect("list");
    let good = history.good();
    let due: Vec<&BackupId> = {
        let stay = history.must_stay(&good);
        good.iter().filter(|id| !stay.contains(id)).collect()
    };
    let most = due.len() * 2 > history.backups.len();
    let outcome = run(history.mode);
    let after = store.list("").expect("list");
    let gone: BTreeSet<String> = keys(&before).difference(&keys(&after)).cloned().collect();

    // Nothing that is left was written anew, and nothing came.
    prop_assert!(after.iter().all(|object| before.contains(object)));
    // What nobody may remove, whatever the rules ask for: all but good backups of this database that are not the newest.
    let removable = keys_of(good.iter().skip(1));
    prop_assert!(gone.is_subset(&removable), "{gone:?}");
    if history.mode == Mode::DryRun || (history.mode == Mode::Careful && most) {
        prop_assert!(gone.is_empty(), "{gone:?}");
    } else {
        prop_assert_eq!(&gone, &keys_of(due.iter().copied()));
    }
    prop_assert_eq!(outcome.is_err(), history.mode == Mode::Careful && most);
    let Ok(pruned) = outcome else { return Ok(()) };
    prop_assert_eq!(pruned.backups.len(), history.backups.len());
    for backup in &pruned.backups {
        let is_due = due.contains(&&backup.id);
        let told = match &backup.fate {
            Fate::Kept(reasons) => !is_due && !reasons.is_empty(),
            Fate::Due => is_due && history.mode == Mode::DryRun,
            Fate::Removed => is_due && history.mode != Mode::DryRun,
            Fate::Left(_) => false,
        };
        prop_assert!(told, "{backup:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn the_newest_good_backup_another_databases_and_a_foreign_key_never_go(history in histories()) {
        holds(&history)?;
    }
}
