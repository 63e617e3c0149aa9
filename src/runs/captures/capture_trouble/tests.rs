use super::*;
use crate::format::changes::table_break::BreakReason;
use crate::format::changes::uncovered_tables::{CoverEnd, UncoveredRelation};
use crate::format::lsn::Lsn;
use crate::format::sql::object_name::TableName;
use crate::jobs::capture::capture_progress::CaptureProgress;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A capture that streams, whose newest moment is at 0.
fn streaming() -> CaptureRecord {
    CaptureRecord::example(at(0))
}

fn kinds(record: &CaptureRecord, now: Timestamp) -> Vec<TroubleKind> {
    of_record(record, now).into_iter().map(|one| one.kind).collect()
}

fn failing(kind: ProblemKind) -> CaptureRecord {
    let problem = CaptureProblem { kind, message: "refused".to_owned(), hints: Vec::new(), since: at(0) };
    CaptureRecord { streaming: false, problem: Some(problem), ..streaming() }
}

#[test]
fn the_lag_is_counted_by_the_clock_of_this_host() {
    assert_eq!(kinds(&streaming(), at(300)), []);
    assert_eq!(kinds(&streaming(), at(301)), [TroubleKind::Lag]);
    let unknown = CaptureRecord { recoverable: None, ..streaming() };
    assert_eq!((kinds(&unknown, at(200)), kinds(&unknown, at(201))), (vec![], vec![TroubleKind::Lag]));
}

#[test]
fn without_a_base_nothing_can_be_restored_which_is_trouble_once_it_lasts_as_long_as_any_moment_may() {
    let record = CaptureRecord { recoverable: None, no_base_since: Some(at(0)), ..streaming() };
    assert_eq!((kinds(&record, at(300)), kinds(&record, at(301))), (vec![], vec![TroubleKind::NoBase]));
    assert!(of_record(&record, at(301))[0].is_unhealthy());
}

#[test]
fn a_gap_is_over_with_the_first_base_behind_it() {
    let progress = CaptureProgress::new(streaming());
    progress.failed(&anyhow::anyhow!("promoted"), ProblemKind::Gap, at(1));
    progress.base(true, at(2));
    assert_eq!(kinds(&progress.record(), at(2)), [TroubleKind::Gap]);
    progress.streams();
    progress.base(false, at(3));
    assert_eq!(kinds(&progress.record(), at(3)), [TroubleKind::Gap]);
    progress.base(true, at(4));
    assert_eq!(kinds(&progress.record(), at(4)), []);
}

#[test]
fn a_short_interruption_is_no_trouble_and_what_no_waiting_mends_is_trouble_at_once() {
    assert_eq!(kinds(&failing(ProblemKind::Passing), at(60)), []);
    assert_eq!(kinds(&failing(ProblemKind::Passing), at(900)), [TroubleKind::NotRunning]);
    for (kind, trouble) in [
        (ProblemKind::Settings, TroubleKind::NotRunning),
        (ProblemKind::Slot, TroubleKind::Slot),
        (ProblemKind::Gap, TroubleKind::Gap),
        (ProblemKind::Chain, TroubleKind::Chain),
    ] {
        let found = of_record(&failing(kind), at(1));
        assert_eq!((found.len(), &found[0].kind, found[0].is_unhealthy()), (1, &trouble, true));
    }
}

#[test]
fn kept_log_and_uncovered_tables_are_told_and_not_unhealthy() {
    let table = TableName::of_text("\"public\".\"t\"").unwrap();
    let until = Some(CoverEnd { position: Lsn(5), time: at(0) });
    let uncovered = vec![UncoveredRelation { table, reason: BreakReason::Columns, until, waits_for_base: false }];
    let record = CaptureRecord { retained_bytes: Some(51), uncovered, ..streaming() };
    let found = of_record(&record, at(1));
    assert_eq!(found.iter().map(|one| one.cause().key).collect::<Vec<_>>(), ["log", "uncovered \"public\".\"t\""]);
    assert!(!found.iter().any(CaptureTrouble::is_unhealthy));
    assert!(found[1].text.contains("from 0/5 on, after 2027-01-15T08:00:00Z: its columns were changed"), "{found:?}");
}

#[test]
fn a_table_that_waits_for_a_base_is_told_once_its_newest_moment_is_as_old_as_any_may_be() {
    let table = TableName::of_text("\"public\".\"t\"").unwrap();
    let until = Some(CoverEnd { position: Lsn(5), time: at(0) });
    let uncovered = vec![UncoveredRelation { table, reason: BreakReason::Columns, until, waits_for_base: true }];
    let record = CaptureRecord { uncovered, ..streaming() };
    assert_eq!(kinds(&record, at(300)), []);
    let found = of_record(&record, at(301)).pop().unwrap();
    assert!(matches!(found.kind, TroubleKind::Uncovered(_)) && !found.is_unhealthy(), "{found:?}");
    assert!(found.text.contains("waits for a base since 0/5, after 2027-01-15T08:00:00Z"), "{found:?}");
}

#[test]
fn a_record_whose_process_is_gone_or_hangs_says_so_and_why() {
    let of = |record: CaptureRecord, life, pulse| of_saved(&SavedCapture { record, life, pulse }, at(61));
    assert_eq!(of(streaming(), WriterLife::Held, at(1)), []);
    for (life, pulse, words) in [(WriterLife::Gone, 60, "no capture is running"), (WriterLife::Held, 0, "hangs")] {
        let found = of(streaming(), life, at(pulse));
        assert!(found.len() == 1 && found[0].text.contains(words), "{found:?}");
    }
    let found = of(failing(ProblemKind::Passing), WriterLife::Gone, at(60));
    assert!(found[0].text.contains("it ended with: refused"), "{found:?}");
    let found = of(failing(ProblemKind::Slot), WriterLife::Gone, at(60));
    assert_eq!(found.iter().map(|one| one.kind.clone()).collect::<Vec<_>>(), [TroubleKind::Slot]);
}
