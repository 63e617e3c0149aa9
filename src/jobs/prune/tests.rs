//! Chains and bases at random, pruned by the real job: whatever a base that stays could reach before, it reaches afterwards.

use super::*;
use crate::base::progress::NullMonitor;
use crate::format::changes::relations::RelationState;
use crate::format::changes::segment_name::{GenerationFolder, GenerationObject};
use crate::format::changes::table_break::TableBreak;
use crate::format::lsn::Lsn;
use crate::format::manifest::base_alignment::BaseAlignment;
use crate::format::transaction_snapshot::TransactionSnapshot;
use crate::repository::chain::coverage::Coverage;
use crate::repository::chain::forged_chain::{DATABASE, ForgedChain};
use crate::repository::chain_tail::ChainTail;
use crate::repository::made_backups::{at, put_base, repository};
use crate::repository::newest::ServerIdentity;
use crate::repository::retention::RetentionRules;
use crate::store::memory::Memory;
use crate::store::refusing_store::RefusingStore;
use crate::store::{Store, read_small, write_small};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use std::sync::Arc;

const SERVER: &str = "7301234567890123456";
/// A segment's part of the log. Two of them are as much as a base needs from before it.
const STEP: u64 = 32 << 20;
const DAY: i64 = 86_400;

fn id(number: usize) -> GenerationId {
    format!("2026082{number}T031500Z-0000000{number}").parse().unwrap()
}

/// Returns where the segment with this number ends.
fn end(number: usize) -> u64 {
    0x100 + number as u64 * STEP
}

fn relation(oid: usize, from: u64) -> RelationState {
    let relation = format!("{oid} d \"public\".\"t{oid}\" (\"id\" 23 -1 key)");
    serde_json::from_value(serde_json::json!({"relation": relation, "from": Lsn(from)})).unwrap()
}

fn broken(oid: usize, from: u64) -> TableBreak {
    let table = serde_json::to_value(relation(oid, from).relation.table).unwrap();
    serde_json::from_value(serde_json::json!({"table": table, "oid": oid, "from": Lsn(from), "reason": "columns"}))
        .unwrap()
}

/// Stores a chain of so many segments. The first states ten tables, and each further one that one of them breaks.
fn chain(repository: &Repository, number: usize, segments: usize) {
    let mut chain = ForgedChain::begin(repository, &id(number).to_string());
    for at in 1..=segments {
        let start = end(at - 1);
        let relations = if at == 1 { (1..=10).map(|oid| relation(oid, start)).collect() } else { Vec::new() };
        let breaks = if at > 1 { vec![broken(1 + at % 10, start + 5)] } else { Vec::new() };
        chain.state(end(at), relations, breaks);
    }
}

/// Stores a base that is this many segments behind the beginning of a generation.
fn base(repository: &Repository, second: i64, number: usize, place: usize) -> BackupId {
    let snapshot = TransactionSnapshot::of_text("7:9:7").unwrap();
    let position = Lsn(end(place) + 0x10);
    let changes = BaseAlignment::new(id(number), snapshot, (position, position));
    put_base(repository, (DATABASE, second), Some(SERVER), &[], changes).id
}

#[derive(Debug, Clone)]
struct History {
    /// How many segments each generation has, and where its bases are: by the number of a segment.
    generations: Vec<(usize, BTreeSet<usize>)>,
    last: u32,
    capture_days: Option<i64>,
    pinned: Option<usize>,
    /// The object whose removal fails, by its number, and how.
    refused: Option<(usize, bool)>,
}

fn history() -> impl Strategy<Value = History> {
    let generation =
        (1usize..12).prop_flat_map(|segments| (Just(segments), prop::collection::btree_set(0..=segments, 0..4)));
    let refused = prop::option::of((0usize..60, any::<bool>()));
    let pinned = prop::option::of(0usize..9);
    (prop::collection::vec(generation, 1..4), 1u32..4, prop::option::of(0i64..6), pinned, refused).prop_map(
        |(generations, last, capture_days, pinned, refused)| History {
            generations,
            last,
            capture_days,
            pinned,
            refused,
        },
    )
}

/// Says what can be reached from each base: the segments that it needs, in order, and the tables that they do not cover.
type Reach = BTreeMap<BackupId, (Vec<Lsn>, BTreeSet<String>)>;

fn reach(repository: &Repository) -> Reach {
    let subject = Subject::from(DATABASE);
    let listings = repository.generations(&subject).unwrap();
    let mut found = BTreeMap::new();
    for id in repository.catalog(Some(&subject)).unwrap().ids() {
        let manifest = repository.manifest(&id).unwrap().0;
        let Some(need) = BaseNeed::of(&manifest) else { continue };
        let after = manifest.changes.as_ref().unwrap().after_lsn();
        let listing = listings.iter().find(|one| one.folder.generation == need.generation).expect("its generation");
        let chain = repository.chain(listing).unwrap();
        if chain.ends_before(after) {
            found.insert(id, (Vec::new(), BTreeSet::new()));
            continue;
        }
        let mut span = chain.around(after).unwrap();
        span.must_be_whole().unwrap();
        let end = span.end();
        let links = span.between(need.from, end).unwrap();
        let alignment = manifest.changes.as_ref().unwrap();
        let gaps = Coverage::of(&span, alignment, end, None).gaps;
        let uncovered = gaps.keys().map(|table| table.text()).collect();
        found.insert(id, (links.iter().map(|link| link.segment.start).collect(), uncovered));
    }
    found
}

fn pruned(repository: &Repository, history: &History, mode: PruneMode) -> Result<PruneResult> {
    let capture = history.capture_days.map(|days| jiff::Span::new().days(days));
    let rules = RetentionRules { last: history.last, capture, ..RetentionRules::default() };
    let policy = Policy::new(rules, TimeZone::UTC).unwrap();
    let scope = PruneScope::Of(ServerIdentity::Named(SERVER.to_owned()));
    let order = PruneOrder { policy: &policy, mode, scope, made: None, proven: &BTreeSet::new(), now: at(400 * DAY) };
    let subject = Subject::from(DATABASE);
    prune(repository, &repository.catalog(Some(&subject))?, &subject, &order, &|_| (), &NullMonitor)
}

fn keys(store: &Memory) -> BTreeSet<String> {
    store.list("").unwrap().into_iter().map(|listed| listed.key).collect()
}

fn holds(history: &History) {
    let store = Memory::default();
    let plain = repository(&store);
    let mut bases = Vec::new();
    for (number, (segments, places)) in history.generations.iter().enumerate() {
        chain(&plain, number + 1, *segments);
        let first = bases.len() as i64;
        bases.extend(places.iter().zip(first..).map(|(place, day)| base(&plain, day * DAY, number + 1, *place)));
    }
    if let Some(id) = history.pinned.and_then(|at| bases.get(at)) {
        plain.pin(id).unwrap();
    }
    let before = reach(&plain);
    let tail = plain.chain_tail(&Subject::from(DATABASE)).unwrap().unwrap();
    let all = keys(&store);
    pruned(&plain, history, PruneMode::DryRun).unwrap();
    assert_eq!(keys(&store), all, "a dry run removes nothing");
    let refusing = history.refused.map(|(number, is_denied)| RefusingStore {
        memory: store.clone(),
        end: all.iter().nth(number % all.len()).unwrap().clone(),
        open: None,
        remove: Some(if is_denied { Kind::Denied } else { Kind::Failed }),
    });
    if let Some(refusing) = refusing {
        let refused = Repository { store: Arc::new(refusing), ..plain.clone() };
        let _ = pruned(&refused, history, PruneMode::Force);
        reached(&plain, &before, &tail, history);
    }
    pruned(&plain, history, PruneMode::Force).unwrap();
    reached(&plain, &before, &tail, history);
    complete(&plain, &keys(&store), history);
}

/// Checks that whatever is left reaches what it did, and that the capture goes on where it would have.
fn reached(plain: &Repository, before: &Reach, tail: &ChainTail, history: &History) {
    let after = reach(plain);
    for (id, reached) in &after {
        assert_eq!(Some(reached), before.get(id), "{id} of {history:?}");
    }
    assert!(before.is_empty() || !after.is_empty(), "{history:?}");
    assert_eq!(before.keys().next_back(), after.keys().next_back(), "the newest base stays");
    let now = plain.chain_tail(&Subject::from(DATABASE)).unwrap().unwrap();
    assert_eq!((now.end, now.previous, now.generation.id), (tail.end, tail.previous, tail.generation.id));
    let told = |tail: &ChainTail| -> Vec<String> {
        tail.known.broken().map(|(relation, reason)| format!("{} {reason:?}", relation.oid)).collect()
    };
    assert_eq!(told(&now), told(tail), "{history:?}");
}

/// Checks that everything is gone that nobody needs.
fn complete(plain: &Repository, keys: &BTreeSet<String>, history: &History) {
    let subject = Subject::from(DATABASE);
    let ids = plain.catalog(Some(&subject)).unwrap().ids();
    let needs: Vec<BaseNeed> = ids.iter().filter_map(|id| BaseNeed::of(&plain.manifest(id).unwrap().0)).collect();
    let newest = id(history.generations.len());
    for listing in plain.generations(&subject).unwrap() {
        let generation = listing.folder.generation;
        let from = needs.iter().filter(|need| need.generation == generation).map(|need| need.from).min();
        assert!(from.is_some() || generation == newest, "{history:?}");
        let last = listing.last();
        for start in listing.segments.keys() {
            let is_needed = Lsn(start.0 + STEP) > from.unwrap_or_default() || Some(*start) == last;
            assert!(is_needed, "{start} of {history:?}");
        }
        assert!(listing.cuts.len() <= 1);
        for start in listing.payloads.keys().filter_map(|key| GenerationFolder::of_key(key)) {
            let GenerationObject::Payload { start, .. } = start.1 else { continue };
            let left_behind = history.refused.is_some();
            assert!(left_behind || listing.segments.contains_key(&start), "{history:?}");
        }
    }
    assert!(keys.iter().any(|key| key.ends_with("gen.meta")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_a_base_that_stays_could_reach_it_reaches_after_any_pruning(history in history()) {
        holds(&history);
    }
}

/// A generation of twelve segments with bases behind the second and the eighth of them, of which the rules keep the second.
fn scene(store: &Memory) -> Repository {
    let plain = repository(store);
    chain(&plain, 1, 12);
    base(&plain, 0, 1, 2);
    base(&plain, DAY, 1, 8);
    plain
}

fn one() -> History {
    History { generations: Vec::new(), last: 1, capture_days: None, pinned: None, refused: None }
}

#[test]
fn segments_go_with_the_base_that_needed_them_and_a_capture_goes_on_behind_the_cut() {
    let store = Memory::default();
    let plain = scene(&store);
    let result = pruned(&plain, &one(), PruneMode::Careful).unwrap();
    let chain = &result.chains[0];
    assert_eq!((chain.segments, chain.gone, chain.left, chain.whole), (12, 6, 0, false));
    assert_eq!(chain.why, format!("base {} needs them", result.backups[0].id));
    let left: Vec<String> = keys(&store).into_iter().filter(|key| key.starts_with("@changes")).collect();
    assert_eq!(left.len(), 2 * 6 + 2, "six segments, a cut and the document of the generation: {left:?}");
    let again = pruned(&plain, &one(), PruneMode::Careful).unwrap();
    assert_eq!(again.chains[0].gone, 0);
    let listing = plain.generations(&Subject::from(DATABASE)).unwrap().remove(0);
    let error = plain.chain(&listing).unwrap().around(Lsn(end(3))).err().unwrap();
    assert!(format!("{error:#}").contains("were removed with the bases that needed them"), "{error:#}");
}

#[test]
fn a_rule_for_captured_time_keeps_the_base_before_it() {
    let store = Memory::default();
    let plain = scene(&store);
    let days = |days| History { capture_days: Some(days), ..one() };
    let result = pruned(&plain, &days(1), PruneMode::Careful).unwrap();
    let kept: Vec<_> = result.backups.iter().map(|backup| format!("{:?}", backup.fate)).collect();
    assert!(kept[0].contains("newest base") && kept[1].contains("capture 1d"), "{kept:?}");
    assert_eq!(result.chains[0].gone, 0);
    let result = pruned(&plain, &days(0), PruneMode::Careful).unwrap();
    assert_eq!((result.backups.iter().filter(|backup| backup.fate.is_gone()).count(), result.chains[0].gone), (1, 6));
}

#[test]
fn nothing_goes_behind_what_cannot_be_read_and_nothing_of_another_server() {
    for (what, gone, why) in [
        ("segment", 2, "is not a whole"),
        ("base", 0, "may need them, whose .meta cannot be read"),
        ("generation", 0, "no good, left for you to see"),
        ("server", 0, "of another server"),
    ] {
        let store = Memory::default();
        let plain = scene(&store);
        let subject = Subject::from(DATABASE);
        let spoil = |key: &str| {
            store.remove(key, None).unwrap();
            write_small(&store, key, b"{}").unwrap();
        };
        let folder = plain.generations(&subject).unwrap()[0].folder.clone();
        let mut owner = SERVER;
        match what {
            "segment" => spoil(&folder.key(&GenerationObject::Segment(Lsn(end(2))))),
            "base" => spoil(&plain.catalog(Some(&subject)).unwrap().ids()[0].meta_key()),
            "generation" => spoil(&folder.key(&GenerationObject::Generation)),
            _ => owner = "42",
        }
        let policy = Policy::new(RetentionRules { last: 1, ..RetentionRules::default() }, TimeZone::UTC).unwrap();
        let scope = PruneScope::Of(ServerIdentity::Named(owner.to_owned()));
        let mode = PruneMode::Force;
        let order =
            PruneOrder { policy: &policy, mode, scope, made: None, proven: &BTreeSet::new(), now: at(400 * DAY) };
        let catalog = plain.catalog(Some(&subject)).unwrap();
        let result = prune(&plain, &catalog, &subject, &order, &|_| (), &NullMonitor).unwrap();
        let chain = &result.chains[0];
        assert_eq!(chain.gone, gone, "{what}: {chain:?}");
        assert!(chain.why.contains(why), "{what}: {chain:?}");
    }
}

#[test]
fn what_is_locked_is_left_and_counted_and_a_store_that_fails_leaves_a_chain_that_ends_later() {
    let store = Memory::default();
    let plain = scene(&store);
    let folder = plain.generations(&Subject::from(DATABASE)).unwrap()[0].folder.clone();
    let third = folder.key(&GenerationObject::Segment(Lsn(end(2))));
    let refusing = |kind| {
        let store = RefusingStore { memory: store.clone(), end: third.clone(), open: None, remove: Some(kind) };
        Repository { store: Arc::new(store), ..plain.clone() }
    };
    let failed = pruned(&refusing(Kind::Failed), &one(), PruneMode::Careful);
    assert_eq!(kind(&failed.unwrap_err()), Kind::Failed);
    let locked = pruned(&refusing(Kind::Denied), &one(), PruneMode::Careful).unwrap();
    let chain = &locked.chains[0];
    assert_eq!((chain.gone, chain.left), (0, 4), "{chain:?}");
    // The chain has begun at the cut since the first try.
    assert_eq!(plain.chain_tail(&Subject::from(DATABASE)).unwrap().unwrap().start, Lsn(end(6)));
    assert_eq!(pruned(&plain, &one(), PruneMode::Careful).unwrap().chains[0].gone, 4);
}

#[test]
fn more_than_half_of_the_generations_go_by_force_only_and_their_documents_last() {
    let store = Memory::default();
    let plain = repository(&store);
    (1..=3).for_each(|number| chain(&plain, number, 2));
    base(&plain, 0, 3, 1);
    let error = pruned(&plain, &one(), PruneMode::Careful).unwrap_err();
    assert!(format!("{error:#}").contains("2 of 3 generations of"), "{error:#}");
    assert!(pruned(&plain, &one(), PruneMode::DryRun).unwrap().most);
    let result = pruned(&plain, &one(), PruneMode::Force).unwrap();
    assert_eq!(result.chains.iter().map(|chain| chain.whole).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(keys(&store).iter().filter(|key| key.ends_with("gen.meta")).count(), 1);
    assert_eq!(plain.generations(&Subject::from(DATABASE)).unwrap().len(), 1);
}

#[test]
fn payloads_of_killed_captures_are_leftovers_and_one_that_may_still_be_named_is_none() {
    let store = Memory::default();
    let plain = scene(&store);
    let subject = Subject::from(DATABASE);
    let folder = plain.generations(&subject).unwrap()[0].folder.clone();
    let payload = |number: usize, nonce: u8| {
        let object = GenerationObject::Payload { start: Lsn(end(number)), nonce: [nonce; 4], extension: "sql".into() };
        folder.key(&object)
    };
    // Beside a segment's own, within the chain, and where the next segment will start.
    let killed = [payload(3, 1), payload(11, 1)];
    for key in killed.iter().chain([&payload(12, 1), &payload(12, 2)]) {
        write_small(&store, key, b"x").unwrap();
    }
    let found = orphans(&plain, &plain.catalog(Some(&subject)).unwrap(), &subject).unwrap();
    assert_eq!(found.keys(), killed.iter().collect::<Vec<_>>());
}

#[test]
fn a_cut_that_was_changed_is_damage_and_not_another_beginning() {
    let store = Memory::default();
    let plain = scene(&store);
    pruned(&plain, &one(), PruneMode::Careful).unwrap();
    let key = keys(&store).into_iter().find(|key| key.ends_with(".cut.meta")).unwrap();
    let text = String::from_utf8(read_small(&store, &key, 1 << 20).unwrap()).unwrap();
    store.remove(&key, None).unwrap();
    write_small(&store, &key, text.replacen("columns", "renamed", 1).as_bytes()).unwrap();
    let tail = plain.chain_tail(&Subject::from(DATABASE));
    assert_eq!(kind(&tail.unwrap_err()), Kind::Damaged);
}
