//! The scheduler and what it writes down: the real binary, a real server, and a real process namespace.

mod container;
mod once;
mod unread;

use jiff::{Timestamp, ToSpan};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::cluster::{Cluster, PATIENCE, cluster};
use support::fake::Fake;
use support::pgbk::{Pgbk, pgbk};
use support::process::until;
use support::scheduler::{Place, Scheduler};

fn database(hint: &str) -> String {
    let name = cluster().database(hint);
    cluster().psql(&name, "CREATE TABLE client AS SELECT n AS id, md5(n::text) AS name FROM generate_series(1, 300) n");
    name
}

fn with(run: Pgbk, fake: &Fake) -> Pgbk {
    run.set("PG_BIN_DIR", fake.bin().display())
}

/// A scheduler whose dump waits for its gate.
fn in_mid_dump(place: &Place, name: &str) -> (Scheduler, Fake) {
    let fake = Fake::gated(cluster());
    let scheduler = place.start(&with(place.schedule("* * * * * *", name), &fake));
    fake.await_half();
    (scheduler, fake)
}

#[test]
fn a_schedule_backs_up_again_and_again_until_it_is_told_to_stop() {
    let place = Place::new();
    let name = database("again");
    // As an env file hands it on.
    let scheduler = place.start(&place.schedule("\"* * * * * *\"", &name));
    place.await_count("done", 3);
    let said = scheduler.stop();
    assert!(said.contains("the next run begins at") && said.contains("stopped by signal 15"), "{said}");
    let done: Vec<Value> = place.history(&[]).into_iter().filter(|record| record["state"] == "done").collect();
    assert!(done.iter().all(|record| record["cause"] == "schedule" && record["database"] == name.as_str()));
    assert_eq!(place.backups(), done.len());
    place.run(&["verify", "--all"]).expect(0);
}

#[test]
fn a_run_beside_a_backup_of_the_same_database_is_skipped_and_counted() {
    let place = Place::new();
    let name = database("beside");
    let fake = Fake::gated(cluster());
    let by_hand = with(place.run(&["backup", &name]), &fake).start();
    fake.await_half();
    assert_eq!(place.history(&["--running"]).len(), 1);
    let scheduler = place.start(&place.schedule("* * * * * *", &name));
    place.await_count("skipped", 2);
    assert_eq!((place.count("done"), place.count("failed")), (0, 0));
    fake.open_gate();
    assert_eq!(by_hand.end().code, Some(0));
    place.await_count("done", 2);
    let said = scheduler.stop();
    let skipped: Vec<Value> = place.history(&[]).into_iter().filter(|record| record["state"] == "skipped").collect();
    // Runs that came due during a slow one are one record.
    let sum: u64 = skipped.iter().map(|record| record["times"].as_u64().unwrap_or(1)).sum();
    let counted = format!("{sum} {} skipped since the start", if sum == 1 { "run" } else { "runs" });
    assert!(said.contains("is being backed up by") && said.contains(&counted), "{counted}: {said}");
    assert!(skipped.iter().all(|record| record["problem"]["exit_code"] == 5), "{skipped:#?}");
    assert_eq!(place.backups(), place.count("done"));
}

#[test]
fn runs_that_came_due_during_a_long_one_are_written_down_together_as_skipped() {
    let place = Place::new();
    let name = database("long");
    let (scheduler, fake) = in_mid_dump(&place, &name);
    let begun: Timestamp = place.history(&["--running"])[0]["started"].as_str().unwrap().parse().unwrap();
    // One comes due in each of them.
    assert!(until(PATIENCE, || Timestamp::now() >= begun + 3.seconds()));
    fake.open_gate();
    place.await_count("skipped", 1);
    let said = scheduler.stop();
    let records = place.history(&[]);
    // The later runs may take longer than a second too.
    let skipped = records.iter().rfind(|record| record["state"] == "skipped").unwrap();
    let times = skipped["times"].as_u64().unwrap();
    assert!(times >= 3, "{skipped:#}");
    assert_eq!((&skipped["database"], &skipped["cause"]), (&json!(name), &json!("schedule")));
    let message = format!("{times} runs came due while the one before was going");
    assert_eq!(skipped["problem"], json!({ "message": message, "exit_code": 5 }));
    assert!(said.contains(&format!("{name}: {message}")) && said.contains(&format!("{times} runs skipped")), "{said}");
    assert_eq!(records.last().unwrap()["state"], "done", "{records:#?}");
}

#[test]
fn a_signal_in_mid_dump_ends_the_scheduler_in_time_and_leaves_nothing() {
    let place = Place::new();
    let name = database("term");
    let (scheduler, fake) = in_mid_dump(&place, &name);
    assert!(!place.files().is_empty(), "the upload was not begun");
    let begun = Instant::now();
    scheduler.stop();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(place.files(), Vec::<PathBuf>::new());
    assert!(!fake.runs(), "pg_dump lives on");
    let failed = place.history(&["--failed"]);
    assert_eq!(failed[0]["problem"]["exit_code"], 143, "{failed:#?}");
}

/// The server's process of the control connection, once there is one.
fn backend(database: &str) -> Pid {
    let query = format!("SELECT pid FROM pg_stat_activity WHERE datname = '{database}' AND application_name = 'pgbk'");
    let mut found = String::new();
    assert!(until(PATIENCE, || {
        found = cluster().psql("postgres", &query);
        !found.is_empty()
    }));
    Pid::from_raw(found.parse().unwrap()).unwrap()
}

/// A run whose control connection does not answer any more.
fn stuck(place: &Place, name: &str) -> (Scheduler, Pid) {
    let (scheduler, fake) = in_mid_dump(place, name);
    let backend = backend(name);
    kill_process(backend, Signal::STOP).unwrap();
    fake.open_gate();
    // The dump has ended. Something is asked of a server that says nothing.
    assert!(until(PATIENCE, || !fake.runs()));
    (scheduler, backend)
}

#[test]
fn a_signal_ends_a_run_whose_server_does_not_answer() {
    let place = Place::new();
    let name = database("stuck");
    let (scheduler, backend) = stuck(&place, &name);
    let begun = Instant::now();
    scheduler.signal(Signal::TERM);
    let (code, said) = scheduler.end();
    let took = begun.elapsed();
    kill_process(backend, Signal::CONT).unwrap();
    assert!(took < Duration::from_secs(8), "{took:?}: {said}");
    assert!(code == Some(143) && said.contains("interrupted by signal 15"), "{code:?} {said}");
    assert_eq!((place.count("failed"), place.backups()), (1, 0));
}

#[test]
fn a_second_signal_ends_the_scheduler_at_once() {
    let place = Place::new();
    let name = database("twice");
    let (scheduler, backend) = stuck(&place, &name);
    scheduler.signal(Signal::TERM);
    assert!(until(PATIENCE, || !pending(scheduler.child.id())), "the first was not taken");
    let begun = Instant::now();
    scheduler.signal(Signal::TERM);
    let (code, said) = scheduler.end();
    kill_process(backend, Signal::CONT).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(code == Some(143) && !said.contains("does not stop"), "{code:?} {said}");
}

/// Whether a SIGTERM was sent to the process that it has not taken yet.
fn pending(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let set = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap().trim();
    u64::from_str_radix(set, 16).unwrap() & 1 << (Signal::TERM.as_raw() - 1) != 0
}

#[test]
fn what_was_missed_while_the_scheduler_was_down_is_caught_up_once() {
    let place = Place::new();
    let name = database("missed");
    place.run(&["backup", &name]).expect(0);
    place.put_back(2);
    let scheduler = place.start(&place.schedule("@daily", &name));
    place.await_count("done", 2);
    scheduler.await_words("the next run begins at");
    scheduler.stop();
    assert_eq!(place.history(&[])[0]["cause"], "catch-up");

    let scheduler = place.start(&place.schedule("@daily", &name));
    scheduler.await_words("the next run begins at");
    scheduler.stop();
    assert_eq!(place.history(&[]).len(), 2);

    // Nothing was missed where nothing ever ran, and nothing is made up for where that is not wanted.
    for run in
        [place.schedule("@daily", &database("never")), place.schedule("@daily", &name).set("SCHEDULE_CATCH_UP", 0)]
    {
        let scheduler = place.start(&run);
        scheduler.await_words("the next run begins at");
        scheduler.stop();
        assert_eq!(place.history(&[]).len(), 2);
    }
}

#[test]
fn a_database_that_comes_back_is_backed_up_before_the_next_run_is_due() {
    let place = Place::new();
    let (name, other) = (database("back"), database("other"));
    place.run(&["backup", &name, &other]).expect(0);
    // A run that is due at once, and the next one not for long.
    place.put_back(400);
    cluster().psql("postgres", &format!("ALTER DATABASE {name} RENAME TO {name}_away"));
    let run = place.schedule("@yearly", &format!("{other}, {name}")).set("SCHEDULE_RETRY", "1s");
    let scheduler = place.start(&run);
    place.await_count("failed", 2);
    cluster().psql("postgres", &format!("ALTER DATABASE {name}_away RENAME TO {name}"));
    place.await_count("done", 4);
    let said = scheduler.stop();
    assert!(said.contains(&format!("{name}: the next try begins at")), "{said}");
    // The one that did not fail was not dumped again.
    let made = |name: &str| {
        let mut records = place.history(&[]);
        records.retain(|record| record["state"] == "done" && record["database"] == name);
        records.len()
    };
    assert_eq!((made(&name), made(&other)), (2, 2));
}

#[test]
fn schedules_have_databases_of_their_own() {
    let place = Place::new();
    let (one, other) = (database("own_a"), database("own_b"));
    let scheduler = place.start(&place.schedule(&format!("* * * * * * = {one}; * * * * * *"), &other));
    let of = |name: &str| place.history(&[]).iter().filter(|record| record["database"] == name).count();
    assert!(until(PATIENCE, || of(&one) >= 2 && of(&other) >= 2), "{:#?}", place.history(&[]));
    scheduler.stop();
}

#[test]
fn a_star_is_every_database_that_can_be_connected_to() {
    let server = Cluster::start();
    for (name, how) in [("a", ""), ("b,c", ""), ("closed", "ALLOW_CONNECTIONS false"), ("pattern", "IS_TEMPLATE true")]
    {
        server.psql("postgres", &format!("CREATE DATABASE \"{name}\" {how}"));
    }
    let place = Place::new();
    let run = pgbk(["backup", "--json"]).server(&server).directory(&place.store()).set("DB_NAME", "*");
    let documents = run.expect(0).json();
    let names: Vec<&str> = documents.as_array().unwrap().iter().map(|one| one["database"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b,c", "postgres"]);
    assert!(documents.as_array().unwrap().iter().all(|one| one["state"] == "done"));
    assert_eq!(place.backups(), 3);

    server.stop_immediately();
    let run = place.run(&["backup", "*", "--json"]).set("DB_PORT", server.port);
    let documents = run.expect(1).says("cannot connect").json();
    assert_eq!((documents[0]["database"].as_str(), documents[0]["state"].as_str()), (Some("*"), Some("failed")));
    assert_eq!(place.history(&["--failed"])[0]["database"], "*");
}

#[test]
fn one_database_that_fails_does_not_stop_the_others() {
    let place = Place::new();
    let (first, last) = (database("first"), database("last"));
    let run = place.run(&["backup", "--json"]).set("DB_NAME", format!("{first},no_such_database,{last}"));
    let outcome = run.expect(1).says("error: database \"no_such_database\" does not exist");
    let documents = outcome.json();
    let states: Vec<_> = (0..3).map(|at| documents[at]["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["done", "failed", "done"]);
    assert_eq!(documents[1]["error"]["exit_code"], 4);
    assert_eq!(documents[1]["error"]["hints"][0], "DB_NAME names the database; psql -l lists them");
    assert_eq!((place.backups(), place.count("done"), place.count("failed")), (2, 2, 1));
    // People are told of each as it ends.
    let outcome = place.run(&["backup", &first, "no_such_database", &last]).expect(1);
    assert_eq!(outcome.text().matches("  stored  ").count(), 2, "{}", outcome.text());
}

#[test]
fn a_killed_run_is_running_until_it_is_killed_and_failed_from_then_on() {
    let place = Place::new();
    let name = database("killed");
    let fake = Fake::gated(cluster());
    let run = with(place.run(&["backup", &name]), &fake).start();
    fake.await_half();
    let running = place.history(&["--running"]);
    assert_eq!((running.len(), running[0]["state"].as_str()), (1, Some("running")));
    assert_eq!(running[0]["process"], run.id());
    run.signal(Signal::KILL);
    run.end();
    let failed = place.history(&["--failed"]);
    assert_eq!(failed[0]["problem"]["message"], "the process ended without a word");
    assert_eq!(failed[0]["run"], running[0]["run"]);
    assert!(place.history(&["--running"]).is_empty());
    let shown = place.run(&["history"]).expect(0).text();
    assert!(shown.contains("FAILED") && shown.contains("the process ended without a word"), "{shown}");
}

#[test]
fn history_tells_of_every_run_what_became_of_it() {
    let place = Place::new();
    assert_eq!(place.run(&["history"]).expect(0).text(), "no runs\n");
    let name = database("told");
    let made = place.run(&["backup", &name, "--json"]).expect(0).json();
    place.run(&["backup", "no_such_database"]).expect(4);

    let table = place.run(&["history"]).expect(0).text();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[1].contains("no_such_database") && lines[1].contains("FAILED") && lines[1].contains("manual"));
    assert!(lines[2].contains(made["id"].as_str().unwrap()) && lines[2].contains("done"), "{table}");
    assert_eq!(place.run(&["history", "--limit", "1"]).expect(0).text().lines().count(), 2);
    assert_eq!(place.history(&["--failed"]).len(), 1);

    let run = place.history(&[])[1]["run"].as_str().unwrap().to_owned();
    let whole = place.run(&["history", &run, "--json"]).expect(0).json();
    let backup = &whole["backup"];
    let object = made["object"].as_str().unwrap();
    assert_eq!(backup["object"], object);
    assert_eq!(backup["file"], object.rsplit('/').next().unwrap());
    assert_eq!(backup["location"], place.store().display().to_string());
    assert_eq!((&backup["plain_bytes"], &backup["stored_bytes"]), (&made["plain"]["bytes"], &made["stored"]["bytes"]));
    assert_eq!(backup["rows"], 300);
    assert!(backup["seconds"]["dump"].is_f64() && backup["seconds"]["commit"].is_f64() && whole["seconds"].is_f64());
    let text = place.run(&["history", &run]).expect(0).text();
    for part in ["state     done", "dump      ", "stages    ", object] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let failed = place.history(&["--failed"])[0]["run"].as_str().unwrap().to_owned();
    let text = place.run(&["history", &failed]).expect(0).text();
    assert!(text.contains("(exit code 4)") && text.contains("hint      DB_NAME names the database"), "{text}");
    place.run(&["history", "20200101T000000Z-00000000"]).expect(4).says("there is no run 20200101T000000Z-00000000");
}

#[test]
fn a_run_that_cannot_be_written_down_still_backs_up_and_warns() {
    let place = Place::new();
    let name = database("unwritten");
    fs::write(place.folder.path().join("file"), "").unwrap();
    let run = place.run(&["backup", &name]).set("STATE_DIR", place.folder.path().join("file/state").display());
    run.expect(0).says("warning: cannot write a record in");
    let homeless = place.run(&["backup", &name]).unset("STATE_DIR");
    if !Path::new("/var/lib/pgbk").exists() {
        homeless.expect(0).says("warning: there is no folder to write runs down in");
    }
    let home = place.folder.path().join("home");
    fs::create_dir(&home).unwrap();
    let state = place.folder.path().join("state");
    place.run(&["backup", &name]).unset("STATE_DIR").set("XDG_STATE_HOME", home.display()).expect(0);
    if !Path::new("/var/lib/pgbk").exists() {
        assert_eq!(fs::read_dir(home.join("pgbk/runs")).unwrap().count(), 1);
    }
    assert!(!state.exists());
    assert_eq!(place.backups(), 3);
}

#[test]
fn a_run_is_stopped_at_its_time_limit() {
    let place = Place::new();
    let name = database("limit");
    let fake = Fake::gated(cluster());
    let run = with(place.run(&["backup", &name]), &fake).set("RUN_TIMEOUT", "1s");
    let outcome = run.expect(1).says("the run was stopped after its limit of 1 s");
    assert!(outcome.err.contains("hint: RUN_TIMEOUT sets the limit"), "{}", outcome.err);
    assert_eq!(place.files(), Vec::<PathBuf>::new());
    // Each run has the time for itself.
    let scheduler = place.start(&place.schedule("* * * * * *", &name).set("RUN_TIMEOUT", "1h"));
    place.await_count("done", 2);
    scheduler.stop();
}

#[test]
fn the_coming_runs_are_shown_in_their_zone_without_a_server_or_a_store() {
    let next = |zone: &str, schedule: &str, more: &[&str]| {
        let run = pgbk([&["schedule", "--next", "3"], more].concat()).set("CRON_SCHEDULE", schedule);
        run.set("TZ", zone).set("DB_NAME", "shop").expect(0)
    };
    let documents = next("Asia/Kathmandu", "'30 3 * * * = crm; @hourly'", &["--json"]).json();
    let documents = documents.as_array().unwrap();
    assert_eq!(documents.len(), 3);
    let hourly = documents.iter().find(|one| one["schedule"] == "@hourly").unwrap();
    assert_eq!((hourly["databases"].as_str(), hourly["zone"].as_str()), (Some("shop"), Some("Asia/Kathmandu")));
    let local = hourly["local"].as_str().unwrap();
    assert!(local.ends_with(":00:00+05:45") && hourly["at"].as_str().unwrap().ends_with(":15:00Z"), "{hourly}");
    let table = next("Europe/Berlin", "0 12 * * *", &[]).text();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    assert!(
        lines[1..]
            .iter()
            .all(|line| (line.contains(" 12:00:00 CET ") || line.contains(" 12:00:00 CEST ")) && line.contains("shop")),
        "{table}"
    );
}
