use super::*;
use crate::base::databases::Databases;
use crate::format::backup_id::BackupId;
use crate::format::capture_record::CaptureRecord;
use crate::format::run_record::{ErrorInfo, RestoreTest, StoredBackup, Trigger};
use crate::monitoring::{metrics, page};
use crate::runs::captures::record_file::SavedCapture;
use crate::runs::history::totals::RunTotals;
use crate::runs::schedule::cron::Schedule;
use crate::runs::schedule::heartbeat::HeartbeatEntry;
use jiff::SignedDuration;

/// A moment of one day.
fn at(time: &str) -> Timestamp {
    format!("2026-11-21T{time}:00Z").parse().unwrap()
}

fn record(database: &str, state: RunState, began: &str, ended: Option<&str>) -> Record {
    let mut record = Record::begun(Trigger::Schedule, &database.into(), at(began)).unwrap();
    (record.state, record.ended) = (state, ended.map(at));
    if state == RunState::Done {
        record.backup = Some(StoredBackup {
            plain_bytes: 1000,
            stored_bytes: 100,
            tables: 2,
            rows: Some(30),
            ..StoredBackup::example(BackupId::new(database, at(began)))
        });
    }
    if state == RunState::Failed {
        record.problem = Some(ErrorInfo { message: "it broke".to_owned(), hints: Vec::new(), exit_code: 1 });
    }
    record
}

fn done(database: &str, began: &str, ended: &str) -> Record {
    record(database, RunState::Done, began, Some(ended))
}

fn failed(database: &str, began: &str) -> Record {
    record(database, RunState::Failed, began, Some(began))
}

fn skipped(database: &str, began: &str) -> Record {
    record(database, RunState::Skipped, began, Some(began))
}

fn entry(schedule: &str, databases: &str) -> HeartbeatEntry {
    HeartbeatEntry::new(Schedule::parse(schedule, &TimeZone::UTC).unwrap(), databases.parse().unwrap())
}

/// A scheduler that was started at 01:30 and lives, with a grace of an hour.
fn seen(entries: Vec<HeartbeatEntry>, now: Timestamp) -> LastHeartbeat {
    let grace = SignedDuration::from_hours(1);
    let scheduler_state = SchedulerState { version: "1".to_owned(), process: 1, started: at("01:30"), grace, entries };
    LastHeartbeat { scheduler_state, life: WriterLife::Held, pulse: now }
}

fn status(now: &str, entry: HeartbeatEntry, mut records: Vec<Record>) -> Status {
    records.reverse();
    let now = at(now);
    Status::of(Facts { seen: Some(seen(vec![entry], now)), ..Facts::of(now, records) })
}

/// Expects this reason from an hourly schedule of the database `shop`.
#[track_caller]
fn expect(now: &str, records: Vec<Record>, reason: &str) {
    let status = status(now, entry("@hourly", "shop"), records);
    assert_eq!((status.line(), status.healthy), (reason.to_owned(), reason == "healthy"));
}

#[test]
fn a_fresh_start_is_healthy_until_the_first_run_should_be_done() {
    expect("01:59", vec![], "healthy");
    expect("02:59", vec![], "healthy");
    expect(
        "03:01",
        vec![],
        "shop: the backup that was due at 2026-11-21T02:00:00Z is overdue, and there is none before it",
    );
}

#[test]
fn the_newest_success_must_not_be_older_than_its_schedule_allows() {
    let one = || vec![done("shop", "02:00", "02:10")];
    expect("03:59", one(), "healthy");
    let late =
        "shop: the backup that was due at 2026-11-21T03:00:00Z is overdue, the last one ended at 2026-11-21T02:10:00Z";
    expect("04:01", one(), late);
    // One by hand will do, one of another database will not, and what was skipped is no backup.
    expect("04:01", vec![done("shop", "02:00", "02:10"), done("shop", "03:30", "03:31")], "healthy");
    expect("04:01", vec![done("shop", "02:00", "02:10"), done("crm", "03:30", "03:31")], late);
    expect("04:01", vec![done("shop", "02:00", "02:10"), skipped("shop", "03:00")], late);
}

#[test]
fn a_failure_counts_until_something_succeeds() {
    let broke = "shop: the backup that began at 2026-11-21T03:00:00Z failed: it broke";
    let first = || done("shop", "02:00", "02:10");
    expect("03:01", vec![first(), failed("shop", "03:00")], broke);
    expect("03:01", vec![failed("shop", "03:00")], broke);
    expect("03:01", vec![first(), failed("shop", "03:00"), skipped("shop", "03:00")], broke);
    expect("03:01", vec![first(), failed("shop", "03:00"), record("shop", RunState::Running, "03:01", None)], broke);
    expect("03:03", vec![first(), failed("shop", "03:00"), done("shop", "03:01", "03:02")], "healthy");
    // Nothing was due when it failed: what the schedule asks for is there.
    expect("02:40", vec![first(), failed("shop", "02:30")], "healthy");
}

#[test]
fn a_long_run_has_time_until_it_is_due_again() {
    let long = || vec![done("shop", "02:00", "02:10"), record("shop", RunState::Running, "03:00", None)];
    expect("04:59", long(), "healthy");
    expect(
        "05:01",
        long(),
        "shop: the backup that was due at 2026-11-21T04:00:00Z is overdue, the last one ended at 2026-11-21T02:10:00Z",
    );
    // What came due meanwhile is done by it.
    expect("05:59", vec![done("shop", "02:00", "05:30")], "healthy");
    // Whose turn comes later waits with it.
    let waiting = HeartbeatEntry { running_since: Some(at("03:00")), ..entry("@hourly", "crm, shop") };
    let both = vec![done("shop", "02:00", "02:10"), done("crm", "02:00", "02:10")];
    assert!(status("04:59", waiting, both).healthy);
}

#[test]
fn of_all_databases_each_one_counts_that_the_last_run_found() {
    let every = || HeartbeatEntry { found: vec!["shop".into(), "crm".into()], ..entry("@hourly", "*") };
    let both =
        |ended| vec![done("gone", "01:00", "01:01"), done("shop", "02:00", "02:10"), done("crm", "02:10", ended)];
    assert_eq!(status("03:50", every(), both("02:20")).line(), "healthy");
    let mut records = both("02:20");
    records.push(failed("crm", "03:00"));
    records.push(done("shop", "03:00", "03:01"));
    assert_eq!(
        status("03:50", every(), records).line(),
        "crm: the backup that began at 2026-11-21T03:00:00Z failed: it broke"
    );
    // Where they cannot even be listed.
    let mut records = both("02:20");
    records.push(failed("*", "03:00"));
    assert_eq!(
        status("03:01", every(), records).line(),
        "the backup that began at 2026-11-21T03:00:00Z failed: it broke"
    );
}

#[test]
fn a_scheduler_that_ended_or_hangs_is_unhealthy_whatever_it_made() {
    let now = at("02:20");
    let line = |change: fn(&mut LastHeartbeat)| {
        let mut seen = seen(vec![entry("@hourly", "shop")], now);
        change(&mut seen);
        let records = vec![done("shop", "02:00", "02:10")];
        Status::of(Facts { seen: Some(seen), ..Facts::of(now, records) }).line()
    };
    assert_eq!(line(|_| {}), "healthy");
    assert_eq!(line(|seen| seen.life = WriterLife::Gone), "the scheduler is not running");
    assert_eq!(line(|seen| seen.life = WriterLife::Unknown), "healthy");
    let quiet = |seen: &mut LastHeartbeat| seen.pulse = at("02:10");
    assert_eq!(line(quiet), "the scheduler hangs: it has not looked at the clock for 600 s");
    // It does not look at the clock while it works.
    assert_eq!(
        line(|seen| {
            seen.pulse = at("02:10");
            seen.scheduler_state.entries[0].running_since = Some(at("02:10"));
        }),
        "healthy"
    );
    assert_eq!(Status::unknown(now).line(), "no scheduler has been started with this STATE_DIR");
}

#[test]
fn a_capture_without_a_scheduler_is_judged_by_itself_and_by_the_last_backup() {
    let now = at("02:20");
    let saved = |life| SavedCapture { record: CaptureRecord::example(now), life, pulse: now };
    let captured = |life, records: Vec<Record>| {
        let records = records.into_iter().rev().collect();
        Status::of(Facts { captures: vec![saved(life)], ..Facts::of(now, records) })
    };
    let line = |life, records| captured(life, records).line();
    assert_eq!(line(WriterLife::Held, vec![]), "healthy");
    assert_eq!(line(WriterLife::Held, vec![failed("shop", "02:00"), done("shop", "02:05", "02:10")]), "healthy");
    let failed_last = vec![done("shop", "02:00", "02:10"), failed("shop", "02:11"), skipped("shop", "02:12")];
    let reason = "shop: the backup that began at 2026-11-21T02:11:00Z failed: it broke";
    assert_eq!(line(WriterLife::Held, failed_last.clone()), reason);
    assert_eq!(captured(WriterLife::Held, failed_last.clone()).databases[0].trouble.as_deref(), Some(reason));
    assert!(line(WriterLife::Gone, vec![]).starts_with("shop: no capture is running"));
    // Where a scheduler was started, it is to run.
    let gone = LastHeartbeat { life: WriterLife::Gone, ..seen(vec![], now) };
    let beside = Facts { captures: vec![saved(WriterLife::Held)], seen: Some(gone), ..Facts::of(now, vec![]) };
    assert_eq!(Status::of(beside).line(), "the scheduler is not running");
    // Without a capture nothing is judged by a run that failed.
    assert_eq!(Status::of(Facts::of(now, failed_last)).line(), "no scheduler has been started with this STATE_DIR");
}

#[test]
fn what_is_hostile_stays_a_text() {
    let name = "\"><script>alert(1)</script>\\\n";
    let shown = status(
        "02:20",
        HeartbeatEntry::new(entry("@hourly", "a").schedule, Databases::Named(vec![name.into()])),
        vec![done(name, "02:00", "02:10"), failed(name, "02:11")],
    );
    let page = page::html(&shown);
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
    let metrics = metrics::text(&shown);
    assert!(metrics.contains(r#"pgbk_running{database="\"><script>alert(1)</script>\\\n"} 0"#), "{metrics}");
    assert_eq!(shown.line().lines().count(), 1);
}

#[test]
fn a_proof_of_an_upload_is_none_of_the_backups_beside_it() {
    let proof = |began: &str, upload| {
        let proven = RestoreTest {
            id: BackupId::new("shop", at(began)),
            upload,
            scratch: "x".to_owned(),
            with_owners: false,
            tables: 1,
            rows: 1,
        };
        Record { task: Task::Verify, backup: None, proof: Some(proven), ..done("shop", began, began) }
    };
    let proven = |records| {
        let status = status("10:00", entry("@hourly", "shop"), records);
        status.databases[0].proven.as_ref().map(|proof| proof.ended)
    };
    assert_eq!(proven(vec![proof("08:00", false), proof("09:00", true)]), Some(at("08:00")));
    assert_eq!(proven(vec![proof("09:00", true)]), None);
}

/// A schedule whose runs make a copy beside the plain backup.
fn with_copies(schedule: &str) -> HeartbeatEntry {
    HeartbeatEntry { outputs: vec![Variant::Anonymised], ..entry(schedule, "shop") }
}

fn copied(began: &str, ended: &str, copy: bool) -> Record {
    let plain = done("shop", began, ended);
    let backup = plain.backup.clone().unwrap();
    let subject = backup.id.subject().clone().in_variant(Variant::Anonymised);
    let made = StoredBackup { id: BackupId::new(subject, at(began)), ..backup };
    match copy {
        true => Record { outputs: vec![made], ..plain },
        false => Record {
            state: RunState::Failed,
            outputs_missing: vec![Variant::Anonymised],
            problem: failed("shop", began).problem,
            ..plain
        },
    }
}

#[test]
fn each_output_is_judged_as_a_series_of_its_own() {
    let reasons = |now: &str, records: Vec<Record>| status(now, with_copies("@hourly"), records).reasons;
    let good = || copied("02:00", "02:10", true);
    assert_eq!(reasons("02:30", vec![good()]), [""; 0]);
    assert_eq!(
        reasons("03:30", vec![good(), copied("03:00", "03:10", false)]),
        ["shop@anonymised: the backup that began at 2026-11-21T03:00:00Z failed: it broke"]
    );
    assert_eq!(
        reasons("04:30", vec![good(), copied("03:00", "03:10", false), copied("04:00", "04:10", true)]),
        [""; 0]
    );
    let late = reasons("06:30", vec![good()]);
    assert_eq!(late.len(), 2, "{late:?}");
    assert!(late[0].starts_with("shop: ") && late[1].starts_with("shop@anonymised: "), "{late:?}");
    assert!(late.iter().all(|one| one.contains("is overdue, the last one ended at 2026-11-21T02:10:00Z")), "{late:?}");
    // A copy that was never made is due like a database that never was.
    let never = reasons("06:30", vec![done("shop", "06:00", "06:10")]);
    assert_eq!(never.len(), 1, "{never:?}");
    assert!(
        never[0].starts_with("shop@anonymised: ") && never[0].ends_with("and there is none before it"),
        "{never:?}"
    );
    let status = status("03:30", with_copies("@hourly"), vec![good(), copied("03:00", "03:10", false)]);
    let series: Vec<(String, u64, u64)> =
        status.databases.iter().map(|one| (one.name.to_string(), one.runs.done, one.runs.failed)).collect();
    assert_eq!(series, [("shop".to_owned(), 2, 0), ("shop@anonymised".to_owned(), 1, 1)]);
    let metrics = metrics::text(&status);
    for line in [
        "pgbk_last_success_timestamp_seconds{database=\"shop\"} 1795230600\n",
        "pgbk_last_success_timestamp_seconds{database=\"shop\",variant=\"anonymised\"} 1795227000\n",
        "pgbk_runs_total{database=\"shop\",variant=\"anonymised\",state=\"failed\"} 1\n",
        "pgbk_next_run_timestamp_seconds{database=\"shop\",variant=\"anonymised\"} 1795233600\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[test]
fn what_is_left_of_removed_records_is_known_of_each_output() {
    let mut past = RunTotals::default();
    past.take(copied("02:00", "02:10", true));
    past.take(copied("03:00", "03:10", false));
    let copy = Selection::One(BackupId::new("shop", at("02:00")).subject().clone().in_variant(Variant::Anonymised));
    let counts = |name: &Selection| past.counts(name, &[]);
    assert_eq!((counts(&"shop".into()).done, counts(&"shop".into()).failed), (2, 0));
    assert_eq!((counts(&copy).done, counts(&copy).failed), (1, 1));
    assert_eq!(past.success(&copy).unwrap().started, at("02:00"));
    assert_eq!(past.success(&"shop".into()).unwrap().started, at("03:00"));
    let read: RunTotals = serde_json::from_str(&serde_json::to_string(&past).unwrap()).unwrap();
    assert_eq!(read, past);
}
