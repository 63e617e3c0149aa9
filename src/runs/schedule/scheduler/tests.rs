use super::*;
use crate::base::progress::NullMonitor;
use crate::base::subject::Subject;
use crate::format::run_record::{Record, RunState, Task, Trigger};
use crate::runs::schedule::cron::Schedule;
use crate::runs::schedule::planner::*;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

fn at(text: &str) -> Timestamp {
    format!("2026-11-21T{text}Z").parse().unwrap()
}

fn named(names: &[&str]) -> Databases {
    Databases::Named(names.iter().map(|name| Subject::from(*name)).collect())
}

fn job(schedule: &str, databases: Databases) -> ScheduledJob {
    ScheduledJob { task: Task::Backup, schedule: Schedule::parse(schedule, &TimeZone::UTC).unwrap(), databases }
}

const OPTIONS: PlannerOptions =
    PlannerOptions { catch_up: true, jitter: Duration::ZERO, retry: Duration::from_secs(60) };

fn planner(jobs: Vec<ScheduledJob>, records: &[Record], now: &str) -> Planner {
    Planner::new(jobs, OPTIONS, records, at(now))
}

fn record(database: &str, state: RunState, started: &str) -> Record {
    Record { state, ..Record::begun(Trigger::Schedule, &database.into(), at(started)).unwrap() }
}

#[track_caller]
fn started(step: PlannerStep) -> DueRun {
    match step {
        PlannerStep::Run(start) => start,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_job_begins_when_it_is_due_and_not_before() {
    let mut planner = planner(vec![job("0 * * * *", named(&["shop"]))], &[], "05:59:00");
    assert_eq!(planner.step(at("05:59:59")), PlannerStep::Wait(at("06:00:00")));
    let start = started(planner.step(at("06:00:00")));
    assert_eq!((start.databases.clone(), start.cause, start.tries), (named(&["shop"]), Trigger::Schedule, 0));
    let ended = planner.ended(&start, None, at("06:10:00"));
    assert_eq!((ended.skipped, ended.again), (0, None));
    assert_eq!(planner.step(at("06:10:00")), PlannerStep::Wait(at("07:00:00")));
}

#[test]
fn a_clock_that_leaps_forwards_makes_one_run_and_one_that_goes_back_a_little_none() {
    let mut planner = planner(vec![job("0 * * * *", named(&["shop"]))], &[], "05:59:00");
    let start = started(planner.step(at("09:30:00")));
    assert_eq!(planner.ended(&start, None, at("09:31:00")).skipped, 0);
    assert_eq!(planner.step(at("09:31:00")), PlannerStep::Wait(at("10:00:00")));
    // An hour back, and once more through what has been done.
    assert_eq!(planner.follow(at("09:31:00")), None);
    assert_eq!(planner.follow(at("08:31:00")), None);
    assert_eq!(planner.step(at("09:00:01")), PlannerStep::Wait(at("10:00:00")));
}

#[test]
fn a_clock_that_was_wrong_by_hours_does_not_stop_the_schedule_until_it_is_right() {
    let mut planner = planner(vec![job("0 * * * *", named(&["shop"]))], &[], "20:59:00");
    let start = started(planner.step(at("21:00:00")));
    planner.ended(&start, None, at("21:00:01"));
    planner.follow(at("21:00:02"));
    assert_eq!(planner.follow(at("05:30:00")).map(|back| back.as_hours()), Some(15));
    assert_eq!(planner.step(at("05:30:00")), PlannerStep::Wait(at("06:00:00")));
}

#[test]
fn what_comes_due_while_it_runs_is_skipped_and_what_another_job_is_due_for_comes_after_it() {
    let jobs = vec![job("*/10 * * * *", named(&["shop"])), job("5 * * * *", named(&["crm"]))];
    let mut planner = planner(jobs, &[], "05:59:00");
    let shop = started(planner.step(at("06:00:00")));
    assert_eq!(planner.ended(&shop, None, at("06:25:00")).skipped, 2);
    let crm = started(planner.step(at("06:25:00")));
    assert_eq!(crm.databases, named(&["crm"]));
    assert_eq!(planner.ended(&crm, None, at("06:26:00")).skipped, 0);
    assert_eq!(planner.step(at("06:26:00")), PlannerStep::Wait(at("06:30:00")));
}

#[test]
fn what_failed_is_tried_again_after_longer_and_longer_pauses_until_the_next_run_is_due() {
    let mut planner = planner(vec![job("0 * * * *", named(&["shop", "crm"]))], &[], "05:59:00");
    let mut start = started(planner.step(at("06:00:00")));
    for (tries, (end, next)) in
        [("06:00:10", "06:01:10"), ("06:01:20", "06:03:20"), ("06:03:30", "06:07:30"), ("06:07:30", "06:15:30")]
            .iter()
            .enumerate()
    {
        assert_eq!(start.tries as usize, tries);
        let ended = planner.ended(&start, Some(named(&["crm"])), at(end));
        assert_eq!(ended.again, Some((at(next), named(&["crm"]))));
        assert_eq!(planner.step(at(end)), PlannerStep::Wait(at(next)));
        start = started(planner.step(at(next)));
        assert_eq!((start.databases.clone(), start.cause), (named(&["crm"]), Trigger::Schedule));
    }
    // 16 minutes more would still be in time, 32 would not.
    planner.ended(&start, Some(named(&["crm"])), at("06:15:30"));
    let last = started(planner.step(at("06:31:30")));
    assert_eq!(planner.ended(&last, Some(named(&["crm"])), at("06:32:00")).again, None);
    assert_eq!(started(planner.step(at("07:00:00"))).databases, named(&["shop", "crm"]));
}

#[test]
fn a_try_of_some_databases_does_not_stand_for_the_run_of_all() {
    let mut planner = planner(vec![job("*/10 * * * *", named(&["shop", "crm"]))], &[], "05:59:00");
    let start = started(planner.step(at("06:00:00")));
    planner.ended(&start, Some(named(&["crm"])), at("06:00:10"));
    let again = started(planner.step(at("06:01:10")));
    assert_eq!(planner.ended(&again, None, at("06:12:00")).skipped, 0);
    assert_eq!(started(planner.step(at("06:12:00"))).databases, named(&["shop", "crm"]));
}

#[test]
fn jitter_puts_a_run_off_within_its_bounds_and_never_beyond_the_next_one() {
    let jitter = PlannerOptions { jitter: Duration::from_secs(7200), ..OPTIONS };
    let mut begins = Vec::new();
    for _ in 0..50 {
        let mut planner = Planner::new(vec![job("0 * * * *", named(&["shop"]))], jitter, &[], at("05:59:00"));
        let PlannerStep::Wait(moment) = planner.step(at("05:59:00")) else { panic!("it begins at once") };
        assert!(at("06:00:00") <= moment && moment < at("07:00:00"), "{moment}");
        // It stays where it is.
        assert_eq!(planner.step(at("05:59:30")), PlannerStep::Wait(moment));
        begins.push(moment);
    }
    begins.sort();
    begins.dedup();
    assert!(begins.len() > 25, "{begins:?}");
}

#[test]
fn what_was_missed_while_nothing_ran_is_caught_up_once() {
    let daily = || vec![job("0 3 * * *", named(&["shop"]))];
    let done = |started: &str| vec![record("shop", RunState::Done, started)];
    let start = |records: &[Record], now: &str| match planner(daily(), records, now).step(at(now)) {
        PlannerStep::Run(start) => Some((start.databases, start.cause)),
        _ => None,
    };
    let caught_up = Some((named(&["shop"]), Trigger::CatchUp));
    assert_eq!(start(&done("02:00:00"), "09:00:00"), caught_up);
    assert_eq!(start(&done("03:00:00"), "09:00:00"), None);
    assert_eq!(start(&[], "09:00:00"), None);
    // One by hand counts, one that was skipped does not, and another database's is of no interest.
    assert_eq!(
        start(&[record("shop", RunState::Skipped, "08:00:00"), done("02:00:00").remove(0)], "09:00:00"),
        caught_up
    );
    assert_eq!(start(&[record("crm", RunState::Done, "08:00:00"), done("02:00:00").remove(0)], "09:00:00"), caught_up);
    // The last one failed: its window is not over.
    assert_eq!(start(&[record("shop", RunState::Failed, "03:00:00")], "03:05:00"), caught_up);

    let mut once = planner(daily(), &done("02:00:00"), "09:00:00");
    let run = started(once.step(at("09:00:00")));
    once.ended(&run, None, at("09:01:00"));
    assert!(matches!(once.step(at("09:01:00")), PlannerStep::Wait(next) if next > at("23:59:59")));

    let off = PlannerOptions { catch_up: false, ..OPTIONS };
    let mut planner = Planner::new(daily(), off, &done("02:00:00"), at("09:00:00"));
    assert!(matches!(planner.step(at("09:00:00")), PlannerStep::Wait(_)));
}

#[test]
fn only_what_was_missed_of_several_databases_is_caught_up() {
    let records = [record("crm", RunState::Done, "04:00:00"), record("shop", RunState::Done, "02:00:00")];
    let jobs = vec![job("0 3 * * *", named(&["shop", "crm", "new"]))];
    assert_eq!(started(planner(jobs, &records, "09:00:00").step(at("09:00:00"))).databases, named(&["shop"]));
    let all = || vec![job("0 3 * * *", Databases::All)];
    assert!(matches!(planner(all(), &records, "09:00:00").step(at("09:00:00")), PlannerStep::Wait(_)));
    assert_eq!(started(planner(all(), &records[1..], "09:00:00").step(at("09:00:00"))).databases, Databases::All);
}

#[test]
fn a_run_that_always_ends_the_process_is_caught_up_ever_more_rarely() {
    let failed: Vec<Record> =
        ["08:10:00", "08:04:00", "08:00:00"].map(|started| record("shop", RunState::Failed, started)).into();
    let mut planner = planner(vec![job("0 3 * * *", named(&["shop"]))], &failed, "08:10:05");
    assert_eq!(planner.step(at("08:10:05")), PlannerStep::Wait(at("08:14:00")));
    assert_eq!(started(planner.step(at("08:14:00"))).tries, 3);
}

#[test]
fn a_schedule_that_does_not_come_again_leaves_nothing_to_wait_for() {
    let mut planner = planner(vec![job("0 0 6 21 11 * 2026", named(&["shop"]))], &[], "05:59:00");
    let start = started(planner.step(at("06:00:00")));
    planner.ended(&start, None, at("06:01:00"));
    assert_eq!(planner.step(at("06:01:00")), PlannerStep::Over);
}

/// Takes this long for each run, and fails this often.
struct Fake {
    clock: Rc<Cell<Timestamp>>,
    takes: Duration,
    failures: usize,
    log: Rc<RefCell<Vec<String>>>,
    /// When something else is due.
    besides: Vec<Timestamp>,
}

impl ScheduledWork for Fake {
    fn run(&mut self, start: &DueRun) -> Result<RunResult> {
        let now = self.clock.get();
        self.log.borrow_mut().push(format!("{} {}", now.strftime("%T"), start.databases));
        self.clock.set(now + self.takes);
        let failed = self.failures > 0;
        self.failures = self.failures.saturating_sub(1);
        Ok(RunResult { again: failed.then(|| start.databases.clone()), code: u8::from(failed) })
    }

    fn due_besides(&mut self, now: Timestamp) -> Option<DueRun> {
        self.besides.pop_if(|due| *due <= now)?;
        let databases = named(&["besides"]);
        Some(DueRun { slot: 0, task: Task::Backup, databases, cause: Trigger::Schedule, tries: 0 })
    }

    fn ahead(&mut self, _: &[Option<Timestamp>], _: Timestamp) {}

    fn skipped(&mut self, _: &DueRun, count: usize) -> Result<()> {
        self.log.borrow_mut().push(format!("{count} skipped"));
        Ok(())
    }
}

/// Runs the loop from 05:59:00 until no schedule comes again, with a clock that only waiting and working move.
fn log(schedule: &str, takes: u64, failures: usize, once: bool) -> (Vec<String>, Option<u8>) {
    log_with(schedule, takes, failures, once, vec![])
}

fn log_with(
    schedule: &str,
    takes: u64,
    failures: usize,
    once: bool,
    besides: Vec<Timestamp>,
) -> (Vec<String>, Option<u8>) {
    let clock = Rc::new(Cell::new(at("05:59:00")));
    let log = Rc::new(RefCell::new(Vec::new()));
    let mut work =
        Fake { clock: Rc::clone(&clock), takes: Duration::from_secs(takes), failures, log: Rc::clone(&log), besides };
    let mut scheduler = Scheduler {
        planner: Planner::new(vec![job(schedule, named(&["shop"]))], OPTIONS, &[], clock.get()),
        once,
        zone: TimeZone::UTC,
        clock: &|| clock.get(),
        wait: &|time| {
            assert!(time <= LOOK);
            clock.set(clock.get() + time);
        },
        monitor: &NullMonitor,
    };
    let code = match scheduler.run(&mut work).unwrap() {
        End::Once(code) => Some(code),
        End::Over => None,
        End::Signal(signal) => panic!("signal {signal}"),
    };
    (log.take(), code)
}

#[test]
fn the_loop_runs_what_is_due_skips_what_is_late_and_tries_again_what_failed() {
    let day = "0 0/10 6 21 11 * 2026".replace("0/10", "0-59/10");
    let every_ten = |minutes: [&str; 6]| minutes.map(|minute| format!("06:{minute}:00 shop")).to_vec();
    assert_eq!(log(&day, 60, 0, false), (every_ten(["00", "10", "20", "30", "40", "50"]), None));
    let slow = ["06:00:00 shop", "1 skipped", "06:20:00 shop", "1 skipped", "06:40:00 shop", "1 skipped"];
    assert_eq!(log(&day, 15 * 60, 0, false).0, slow);
    let failing = log(&day, 0, 2, false).0;
    assert_eq!(failing[..4], ["06:00:00 shop", "06:01:00 shop", "06:03:00 shop", "06:10:00 shop"]);
    assert_eq!(log(&day, 60, 1, true), (vec!["06:00:00 shop".to_owned()], Some(1)));
}

#[test]
fn what_is_due_besides_begins_between_the_runs_of_the_schedule_and_is_tried_again_by_who_asked_for_it() {
    let schedule = "0 0-59/20 6 21 11 * 2026";
    let besides = vec![at("06:20:00"), at("06:07:30")];
    let (log, _) = log_with(schedule, 60, 0, false, besides);
    assert_eq!(log, ["06:00:00 shop", "06:07:30 besides", "06:20:00 shop", "06:21:00 besides", "06:40:00 shop"]);
    // The try of a run that failed comes all the same.
    let (log, _) = log_with(schedule, 10, 1, false, vec![at("06:00:20")]);
    assert_eq!(log[..3], ["06:00:00 shop", "06:00:20 besides", "06:01:10 shop"]);
}
