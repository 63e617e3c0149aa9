//! Tables that a chain carries from a base, and those that it does not.

use super::*;
use crate::base::subject::Subject;
use crate::format::changes::table_break::BreakEnd;
use crate::format::pgoutput::relation::Relation;
use crate::format::transaction_snapshot::TransactionSnapshot;
use crate::repository::chain::chain_link::ChainLink;
use crate::repository::chain::forged_chain::{DATABASE, ForgedChain};
use crate::repository::made_backups;
use crate::store::memory::Memory;
use std::sync::Arc;

/// A segment from each of these places to the next one.
const PLACES: &[u64] = &[0x200, 0x300, 0x400];

/// A state: in which segment, of which table, under which name, and from where.
type ToldState = (usize, u32, &'static str, u64);
/// A break, which ends with the transaction that commits there.
type ToldBreak = (usize, u32, &'static str, u64, BreakReason, Option<u64>);

struct Told {
    relations: Vec<ToldState>,
    breaks: Vec<ToldBreak>,
}

fn name(name: &str) -> TableName {
    TableName::of_text(&format!("\"public\".\"{name}\"")).unwrap()
}

fn span(told: &Told) -> ChainSpan {
    let store = Memory::default();
    let repository = made_backups::repository(&store);
    ForgedChain::begin(&repository, "20260822T031500Z-5f0c21ab").up_to(PLACES);
    let listings = repository.generations(&Subject::from(DATABASE)).unwrap();
    let whole = repository.chain(&listings[0]).unwrap().around(Lsn(0x100)).unwrap();
    let links = whole.links().iter().enumerate().map(|(at, link)| {
        let mut segment = link.segment.clone();
        let states = told.relations.iter().filter(|told| told.0 == at).map(|(_, oid, name, from)| RelationState {
            relation: Relation::of_text(&format!("{oid} d \"public\".\"{name}\" (\"id\" 23 -1 key)")).unwrap(),
            from: Lsn(*from),
            definition: None,
        });
        segment.relations = states.collect();
        let breaks = told.breaks.iter().filter(|told| told.0 == at);
        let breaks = breaks.map(|(_, oid, table, from, reason, until)| {
            let until = until.map(|commit| BreakEnd { commit: Lsn(commit), xid: commit as u32 });
            TableBreak { table: name(table), oid: *oid, from: Lsn(*from), reason: *reason, seen_at: None, until }
        });
        segment.breaks = breaks.collect();
        Arc::new(ChainLink { segment, seal: link.seal, derived_keys: None })
    });
    ChainSpan::new(links.collect(), None, None)
}

/// A base whose snapshot sees all transactions before this place; their numbers are where they commit.
fn base(place: u64) -> BaseAlignment {
    let snapshot = TransactionSnapshot::of_text(&format!("{place}:{place}:")).unwrap();
    BaseAlignment::new("20260822T031500Z-5f0c21ab".parse().unwrap(), snapshot, (Lsn(place), Lsn(place))).unwrap()
}

fn gaps(told: &Told, from: u64, to: u64) -> Vec<(String, u64)> {
    let coverage = Coverage::of(&span(told), &base(from), Lsn(to), None);
    coverage.gaps.iter().map(|(name, gap)| (name.text(), gap.from.0)).collect()
}

fn named(name: &str, from: u64) -> (String, u64) {
    (format!("\"public\".\"{name}\""), from)
}

#[test]
fn a_base_that_holds_the_end_of_a_break_is_behind_it_and_no_other_one_is() {
    let told = Told {
        relations: vec![(0, 5, "t", 0x101), (1, 5, "t", 0x240)],
        breaks: vec![(1, 5, "t", 0x210, BreakReason::Columns, Some(0x240))],
    };
    assert_eq!(gaps(&told, 0x180, 0x400), [named("t", 0x210)]);
    // Its own transaction is not in it.
    assert_eq!(gaps(&told, 0x240, 0x400), [named("t", 0x210)]);
    assert_eq!(gaps(&told, 0x241, 0x400), []);
    // Up to where the table was as before it is carried; behind that it is not, whether the end has come or not.
    assert_eq!(gaps(&told, 0x180, 0x210), []);
    assert_eq!(gaps(&told, 0x180, 0x211), [named("t", 0x210)]);
}

#[test]
fn a_break_without_an_end_counts_for_every_base_until_another_one_has_one() {
    let told = Told {
        relations: vec![(0, 5, "t", 0x101)],
        breaks: vec![
            (0, 5, "t", 0x101, BreakReason::Unidentified, None),
            (2, 5, "t", 0x320, BreakReason::Unidentified, Some(0x340)),
        ],
    };
    assert_eq!(gaps(&told, 0x180, 0x300), [named("t", 0x101)]);
    assert_eq!(gaps(&told, 0x280, 0x400), [named("t", 0x101)]);
    assert_eq!(gaps(&told, 0x350, 0x400), []);
}

#[test]
fn tables_are_named_as_the_base_has_them_and_as_they_are_called_since() {
    // Two tables take each other's name; then one of them is changed.
    let told = Told {
        relations: vec![
            (0, 5, "a", 0x101),
            (0, 6, "b", 0x101),
            (1, 5, "b", 0x240),
            (1, 6, "a", 0x240),
            (2, 5, "b", 0x340),
        ],
        breaks: vec![
            (1, 5, "a", 0x210, BreakReason::Renamed, Some(0x240)),
            (1, 6, "b", 0x220, BreakReason::Renamed, Some(0x240)),
            (2, 5, "b", 0x330, BreakReason::Columns, Some(0x340)),
        ],
    };
    assert_eq!(gaps(&told, 0x180, 0x400), [named("a", 0x210), named("b", 0x210)]);
    assert_eq!(gaps(&told, 0x280, 0x400), [named("b", 0x330)]);
}

#[test]
fn what_was_dropped_before_the_base_is_no_gap_of_a_new_table_with_its_name() {
    let told = Told {
        relations: vec![(0, 5, "t", 0x101), (0, 7, "u", 0x101), (1, 6, "t", 0x240)],
        breaks: vec![
            (1, 5, "t", 0x210, BreakReason::Dropped, Some(0x240)),
            (1, 6, "t", 0x210, BreakReason::Unknown, Some(0x240)),
            (1, 7, "u", 0x210, BreakReason::Dropped, Some(0x240)),
        ],
    };
    assert_eq!(gaps(&told, 0x280, 0x400), []);
    let coverage = Coverage::of(&span(&told), &base(0x280), Lsn(0x400), None);
    assert!(coverage.is_gone(&name("u")) && !coverage.is_gone(&name("t")));
    assert!(coverage.states(6, &name("t")) && !coverage.states(6, &name("u")) && !coverage.states(8, &name("v")));
    let coverage = Coverage::of(&span(&told), &base(0x180), Lsn(0x400), None);
    assert!(coverage.is_dropped(&name("u")) && !coverage.is_dropped(&name("t")));
    assert_eq!(coverage.gaps.keys().map(TableName::text).collect::<Vec<_>>(), [r#""public"."t""#, r#""public"."u""#]);
}

#[test]
fn a_table_that_was_seen_unchanged_later_than_the_moment_has_no_gap_and_one_that_may_have_changed_later_is_not_sure() {
    let told = Told {
        relations: vec![(0, 5, "t", 0x101), (1, 5, "t", 0x240)],
        breaks: vec![(1, 5, "t", 0x210, BreakReason::Columns, Some(0x240))],
    };
    let time = |second| Timestamp::from_second(second).unwrap();
    let mut seen = span(&told);
    seen = ChainSpan::new(
        seen.links()
            .iter()
            .map(|link| {
                let mut segment = link.segment.clone();
                segment.breaks.iter_mut().for_each(|one| one.seen_at = Some(time(100)));
                Arc::new(ChainLink { segment, seal: link.seal, derived_keys: None })
            })
            .collect(),
        None,
        None,
    );
    let sure = |span: &ChainSpan, to, moment| {
        let coverage = Coverage::of(span, &base(0x180), Lsn(to), moment);
        coverage.gaps.values().map(|gap| gap.is_sure).collect::<Vec<bool>>()
    };
    assert_eq!(sure(&seen, 0x240, Some(time(99))), [false; 0]);
    assert_eq!(sure(&seen, 0x240, Some(time(100))), [false; 0]);
    assert_eq!(sure(&seen, 0x240, Some(time(101))), [false]);
    assert_eq!((sure(&seen, 0x240, None), sure(&span(&told), 0x240, Some(time(99)))), (vec![false], vec![false]));
    assert_eq!((sure(&seen, 0x241, Some(time(200))), sure(&seen, 0x210, None)), (vec![true], vec![]));
}
