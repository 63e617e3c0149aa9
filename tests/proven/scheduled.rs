//! Proofs by schedule: when, of what, and what is known of them afterwards.

use crate::proven::site::get;
use serde_json::Value;
use support::cluster::{PATIENCE, cluster};
use support::database::{small, sql};
use support::process::until;
use support::scheduler::Place;

/// The records of proofs, newest first.
fn proofs(place: &Place) -> Vec<Value> {
    place.history(&[]).into_iter().filter(|record| record["task"] == "verify").collect()
}

#[track_caller]
fn await_proofs(place: &Place, state: &str, count: usize) {
    let there = || proofs(place).iter().filter(|record| record["state"] == state).count() >= count;
    assert!(until(PATIENCE, there), "{:#?}", place.history(&[]));
}

#[test]
fn a_scheduled_proof_leaves_a_record_and_its_age_wherever_people_look() {
    let place = Place::new();
    small("proven_schedule", &["a", "b"]);
    let id = place.run(&["backup"]).set("DB_NAME", "proven_schedule").json()["id"].as_str().unwrap().to_owned();
    let run = place.schedule("@yearly", "proven_schedule").set("VERIFY_SCHEDULE", "\"* * * * * *\"");
    let scheduler = place.start(&run.set("LISTEN", "127.0.0.1:0"));
    await_proofs(&place, "done", 2);
    scheduler.await_words("is proven by a restore: 1 table, 2 rows");
    scheduler.await_words("status, metrics and health are at http://");
    let said = scheduler.said();
    let address = said.split("are at http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
    let status = place.run(&["status", "--json"]).expect(0).json();
    let database = &status["databases"][0];
    assert_eq!((&database["proven"]["backup"], &database["proof_succeeded"]), (&id.as_str().into(), &true.into()));
    // What proves is no backup.
    assert_eq!((database["runs"]["done"].as_u64(), &database["success"]["backup"]), (Some(1), &id.as_str().into()));
    // The page is up before the scheduler has told it what there is.
    let metrics = || get(address, "/metrics").body;
    assert!(until(PATIENCE, || metrics().contains("\npgbk_last_proven_timestamp_seconds{")), "{}", metrics());
    let metrics = metrics();
    let proven =
        metrics.lines().find(|line| line.starts_with("pgbk_last_proven_timestamp_seconds{")).unwrap().to_owned();
    let at: f64 = proven.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(
        at >= proofs(&place).last().unwrap()["ended"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second()
            as f64
    );
    assert!(metrics.contains("pgbk_last_proof_succeeded{database=\"proven_schedule\"} 1\n"), "{metrics}");
    assert!(get(address, "/").body.contains("data-name=\"Proven\""));
    scheduler.stop();

    let record = proofs(&place).pop().unwrap();
    assert_eq!((&record["cause"], &record["proof"]["id"]), (&"schedule".into(), &id.as_str().into()));
    assert_eq!((record["proof"]["tables"].as_u64(), record["proof"]["rows"].as_u64()), (Some(1), Some(2)));
    let listed = place.run(&["list", "--json"]).expect(0).json();
    assert!(listed[0]["proven_at"].is_string(), "{listed:#}");
    assert!(place.run(&["list"]).expect(0).text().contains(" s  -  "), "{}", place.run(&["list"]).expect(0).text());
    assert!(place.run(&["status"]).end().text().contains("PROVEN"));
    assert!(place.run(&["history"]).expect(0).text().contains("verify"));
}

#[test]
fn every_database_that_has_backups_is_proven_and_a_failure_makes_it_unhealthy() {
    let place = Place::new();
    small("proven_one", &["a"]);
    small("proven_two", &["b"]);
    place.run(&["backup", "proven_one", "proven_two"]).expect(0);
    let meta = place
        .files()
        .into_iter()
        .find(|path| path.ends_with(format!("{}.meta", newest(&place, "proven_two"))))
        .unwrap();
    let good = std::fs::read(&meta).unwrap();
    std::fs::write(&meta, "{").unwrap();
    let run = place.schedule("@yearly", "proven_one").set("VERIFY_SCHEDULE", "* * * * * * = *");
    let scheduler = place.start(&run);
    await_proofs(&place, "done", 1);
    await_proofs(&place, "failed", 1);
    let status = place.run(&["status"]);
    assert!(until(PATIENCE, || status.end().text().contains("proven_two: the verification that began")));
    assert_eq!(proofs(&place).iter().find(|one| one["state"] == "failed").unwrap()["problem"]["exit_code"], 3);
    std::fs::write(&meta, good).unwrap();
    assert!(until(PATIENCE, || status.end().code == Some(0)), "{}", status.end().text());
    scheduler.stop();
}

fn newest(place: &Place, database: &str) -> String {
    let listed = place.run(&["list", "--json", "--database", database]).expect(0).json();
    listed[0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn backups_that_are_due_with_a_proof_come_first_and_none_is_lost() {
    let place = Place::new();
    small("proven_both", &["a"]);
    let run = place.schedule("* * * * * *", "proven_both").set("VERIFY_SCHEDULE", "* * * * * *");
    let scheduler = place.start(&run);
    await_proofs(&place, "done", 3);
    scheduler.stop();
    let records = place.history(&[]);
    assert_eq!(records.last().unwrap()["task"], "backup", "the first of all is a backup, or there is nothing to prove");
    assert!(
        records.iter().all(|record| record["state"] != "failed" || record["problem"]["exit_code"] == 143),
        "{records:#?}"
    );
    let span = |record: &Value| ["started", "ended"].map(|end| record[end].as_str().unwrap().to_owned());
    let mut spans: Vec<[String; 2]> = records.iter().filter(|one| one["state"] == "done").map(span).collect();
    spans.sort();
    assert!(spans.windows(2).all(|two| two[0][1] <= two[1][0]), "two at a time: {spans:#?}");
    assert_eq!(sql("proven_both", "SELECT count(*) FROM t"), "1");
    assert_eq!(crate::proven::left_on(cluster()), Vec::<String>::new());
}

#[test]
fn the_coming_runs_tell_backups_from_proofs() {
    let place = Place::new();
    let run = place.schedule("0 3 * * *", "a").set("VERIFY_SCHEDULE", "0 4 * * * = b");
    let next = run.args(["schedule", "--next", "2", "--json"]).expect(0).json();
    let mut seen: Vec<(&str, &str)> = next
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["task"].as_str().unwrap(), one["databases"].as_str().unwrap()))
        .collect();
    seen.sort();
    assert_eq!(seen, [("backup", "a"), ("verify", "b")]);
    run.set("VERIFY_SCHEDULE", "soon").args(["schedule", "--next", "1"]).expect(2).says("VERIFY_SCHEDULE");
}
