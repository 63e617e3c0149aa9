//! When bases are due.

use super::*;
use crate::format::changes::table_break::BreakEnd;
use crate::format::lsn::Lsn;
use crate::format::sql::object_name::TableName;
use crate::format::transaction_snapshot::TransactionSnapshot;

const RULES: BaseRules = BaseRules { every: Some(Duration::from_secs(86_400)), bytes: Some(1000), changes: Some(20) };

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

fn generation() -> GenerationId {
    "20260822T031500Z-5f0c21ab".parse().unwrap()
}

/// A base that sees all transactions before a place; their numbers are where they commit.
fn base(place: u64, taken: i64) -> KnownBase {
    let snapshot = TransactionSnapshot::of_text(&format!("{place}:{place}:")).unwrap();
    KnownBase {
        id: "shop-20260822T031500Z".parse().unwrap(),
        taken_at: time(taken),
        alignment: BaseAlignment::new(generation(), snapshot, (Lsn(place), Lsn(place))).unwrap(),
        took: Duration::from_secs(3),
    }
}

fn segment(end: u64, written: i64, breaks: &[(u32, BreakReason)]) -> SegmentWeight {
    let one = |(oid, reason): &(u32, BreakReason)| TableBreak {
        table: TableName::of_text(&format!("\"public\".\"t{oid}\"")).unwrap(),
        oid: *oid,
        from: Lsn(end - 2),
        reason: *reason,
        seen_at: None,
        until: Some(BreakEnd { commit: Lsn(end - 1), xid: end as u32 - 1 }),
    };
    let breaks = breaks.iter().map(one).collect();
    SegmentWeight { end: Lsn(end), written_at: time(written), stored_bytes: 300, transactions: 1, changes: 4, breaks }
}

fn needs(weights: Vec<SegmentWeight>, base: Option<KnownBase>) -> BaseNeeds {
    let mut needs = BaseNeeds { generation: Some(generation()), base: None, weights, large_objects: None };
    base.into_iter().for_each(|base| needs.set_base(base));
    needs
}

fn due(needs: &BaseNeeds) -> Option<(Timestamp, BaseReason)> {
    needs.due(&RULES).map(|due| (due.at, due.reason))
}

#[test]
fn the_first_base_is_due_as_soon_as_it_would_be_one() {
    assert_eq!(due(&needs(vec![], None)), None);
    let begun = needs(vec![segment(0x100, 0, &[])], None);
    assert_eq!(due(&begun), Some((Timestamp::UNIX_EPOCH, BaseReason::First)));
}

#[test]
fn a_base_is_due_when_the_newest_one_is_old_unless_nothing_has_changed_since() {
    let quiet = needs(vec![segment(0x100, 0, &[])], Some(base(0x200, 10)));
    assert_eq!(due(&quiet), None);
    let changed = needs(vec![segment(0x100, 0, &[]), segment(0x300, 20, &[])], Some(base(0x200, 10)));
    assert_eq!(due(&changed), Some((time(86_410), BaseReason::Age)));
}

#[test]
fn a_base_is_due_behind_so_many_bytes() {
    let weights = (3..7).map(|number| segment(number << 8, 20, &[])).collect();
    assert_eq!(due(&needs(weights, Some(base(0x200, 10)))), Some((time(10), BaseReason::Bytes(1200))));
}

#[test]
fn a_base_is_due_behind_so_many_changes() {
    let mut weights: Vec<SegmentWeight> = (3..8).map(|number| segment(number << 8, 20, &[])).collect();
    weights.iter_mut().for_each(|weight| weight.stored_bytes = 1);
    assert_eq!(due(&needs(weights.clone(), Some(base(0x200, 10)))), Some((time(10), BaseReason::Changes(20))));
    // The newest base holds the first of them.
    assert_eq!(due(&needs(weights, Some(base(0x350, 10)))).unwrap().1, BaseReason::Age);
}

#[test]
fn a_base_is_due_when_tables_have_changed_and_are_quiet_and_the_last_one_is_long_enough_ago() {
    let columns = |oid| [(oid, BreakReason::Columns)];
    let weights = vec![segment(0x300, 12, &columns(5)), segment(0x400, 13, &columns(6)), segment(0x500, 80, &[])];
    let both = needs(weights.clone(), Some(base(0x200, 10)));
    assert_eq!(due(&both), Some((time(40), BaseReason::Tables(2))));
    let late = vec![segment(0x300, 60, &columns(5)), segment(0x400, 70, &columns(6))];
    assert_eq!(due(&needs(late, Some(base(0x200, 10)))), Some((time(75), BaseReason::Tables(2))));
    // A base that holds the first change only.
    let second = needs(weights.clone(), Some(base(0x350, 10)));
    assert_eq!(second.waiting().len(), 1);
    let mut behind = both;
    behind.set_base(base(0x450, 50));
    assert!(behind.waiting().is_empty() && due(&behind).unwrap().1 == BaseReason::Age);
    // Of one change the stream tells the columns, and the look that follows that the definition is another one.
    let told = |first, later| {
        let weights = vec![segment(0x300, 12, &[(5, first)]), segment(0x400, 13, &[(5, later)])];
        needs(weights, Some(base(0x200, 10))).waiting().into_iter().map(|one| one.reason).collect::<Vec<_>>()
    };
    assert_eq!(told(BreakReason::Columns, BreakReason::Definition), [BreakReason::Columns]);
    assert_eq!(told(BreakReason::Definition, BreakReason::Columns), [BreakReason::Columns]);
    assert_eq!(told(BreakReason::Columns, BreakReason::Renamed), [BreakReason::Renamed]);
    // What came and went since the base.
    let passing =
        vec![segment(0x300, 12, &[(5, BreakReason::Unknown)]), segment(0x400, 13, &[(5, BreakReason::Dropped)])];
    assert!(needs(passing, Some(base(0x200, 10))).waiting().is_empty());
}

#[test]
fn a_base_of_another_generation_is_none() {
    let mut needs = needs(vec![segment(0x100, 0, &[])], None);
    needs.generation = Some("20260823T031500Z-00000001".parse().unwrap());
    needs.set_base(base(0x200, 10));
    assert!(needs.base().is_none());
}

#[test]
fn a_base_is_due_when_large_objects_have_changed_since_and_are_left_alone_for_a_while() {
    let known = base(0x100, 0);
    let alignment = known.alignment.clone().with_large_objects(Some(7));
    let mut needs = needs(vec![], Some(KnownBase { alignment, ..known.clone() }));
    assert_eq!(due(&needs), None);
    needs.count_large_objects(7, time(60));
    assert_eq!(due(&needs), None);
    // A crash of the server begins the count anew.
    for (count, at) in [(9, 70), (2, 80)] {
        needs.count_large_objects(count, time(at));
        needs.count_large_objects(count, time(at + 5));
        assert_eq!(due(&needs), Some((time(at + 5), BaseReason::LargeObjects)));
    }
    // Of a base of an earlier version it is not known.
    needs.set_base(known);
    assert_eq!(due(&needs), None);
}
