//! What an operator has of captures: those beside a schedule, what the status says, and who hears of trouble.

use super::*;
use crate::alert::receiver::{Heard, Receiver};
use jiff::Timestamp;
use support::scheduler::{Place as ScheduledPlace, Scheduler};

/// A scheduler that captures these databases, and backs none of them up for a year.
fn scheduler(place: &ScheduledPlace, run: Pgbk, databases: &str) -> Scheduler {
    place.start(&scheduled(run, databases).set("CAPTURE_BASES", "0"))
}

fn scheduled(run: Pgbk, databases: &str) -> Pgbk {
    let run = run.set("CRON_SCHEDULE", "@yearly").set("DB_NAME", databases).set("CAPTURE", "1");
    run.set("CAPTURE_INTERVAL", "1s")
}

fn run(place: &ScheduledPlace, cluster: &'static Cluster, arguments: &[&str]) -> Pgbk {
    place.run(arguments).server(cluster)
}

fn captures(place: &ScheduledPlace, cluster: &'static Cluster) -> Vec<Value> {
    let status: Value = serde_json::from_str(&run(place, cluster, &["status", "--json"]).end().text()).unwrap();
    status["captures"].as_array().unwrap().clone()
}

fn of(captures: &[Value], database: &str) -> Value {
    captures.iter().find(|one| one["database"] == database).cloned().unwrap_or(Value::Null)
}

fn await_capture(place: &ScheduledPlace, cluster: &'static Cluster, database: &str, is: impl Fn(&Value) -> bool) {
    let reached = until(PATIENCE, || is(&of(&captures(place, cluster), database)));
    assert!(reached, "{:#?}", captures(place, cluster));
}

#[track_caller]
fn says(text: &str, words: &str) {
    assert!(text.contains(words), "no {words:?} in: {text}");
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn a_scheduler_captures_what_it_backs_up_and_both_go_on_where_they_were() {
    let (place, cluster) = (ScheduledPlace::new(), logical());
    let [shop, crm] = ["beside_shop", "beside_crm"].map(|hint| {
        let name = cluster.database(hint);
        cluster.psql(&name, TABLES);
        name
    });
    let begin = || scheduler(&place, run(&place, cluster, &["schedule"]), &format!("{shop},{crm}"));
    let first = begin();
    // Without a base nothing can be restored.
    let begins = |one: &Value| one["segments"].as_u64() >= Some(1) && one["no_base_since"].is_string();
    [&shop, &crm].iter().for_each(|name| await_capture(&place, cluster, name, begins));
    assert_eq!(of(&captures(&place, cluster), &crm)["recoverable"], Value::Null);
    run(&place, cluster, &["backup", &shop]).expect(0);
    run(&place, cluster, &["backup", &crm]).expect(0);
    first.stop();
    let first = begin();
    let streams = |one: &Value| one["streaming"] == true && one["recoverable"]["time"].is_string();
    [&shop, &crm].iter().for_each(|name| await_capture(&place, cluster, name, streams));
    cluster.psql(&shop, "INSERT INTO t VALUES (1, 'one')");
    await_capture(&place, cluster, &shop, |one| one["transactions"] == 1);
    // Nothing is written to it, and what can be restored goes on with the time.
    let idle = of(&captures(&place, cluster), &crm);
    await_capture(&place, cluster, &crm, |one| {
        time(&one["recoverable"]["time"]) > time(&idle["recoverable"]["time"])
            && one["recoverable"]["position"] == idle["recoverable"]["position"]
    });
    says(&run(&place, cluster, &["status"]).expect(0).text(), "RESTORABLE UP TO");
    first.stop();
    says(&run(&place, cluster, &["status"]).expect(1).text(), &format!("{shop}: no capture is running"));

    cluster.psql(&shop, "INSERT INTO t VALUES (2, 'while nothing captures')");
    let second = begin();
    await_capture(&place, cluster, &shop, |one| one["transactions"] == 2 && one["streaming"] == true);
    second.stop();
    let copy = format!("{shop}_copy");
    run(&place, cluster, &["restore", "--at", "latest", "--database", &shop, "--to", &copy, "--yes"]).expect(0);
    assert_eq!(cluster.psql(&copy, "SELECT count(*) FROM t"), "3");
}

#[test]
fn a_capture_that_cannot_go_on_is_told_once_and_the_others_go_on() {
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start_set(&["wal_level=logical"])));
    let (place, hook) = (ScheduledPlace::new(), Receiver::start());
    let lost = cluster.database("lost");
    cluster.psql(&lost, TABLES);
    let alerted = run(&place, cluster, &["schedule"]).set("WEBHOOK_URL", hook.url("/hook"));
    let begin = || scheduler(&place, alerted.clone(), "*");
    let first = begin();
    let streams = |one: &Value| one["streaming"] == true;
    ["postgres", &lost].iter().for_each(|name| await_capture(&place, cluster, name, streams));
    first.stop();
    let slot = format!("pgbk_{lost}");
    let idle = format!("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{slot}' AND active");
    assert!(until(PATIENCE, || cluster.psql("postgres", &idle) == "0"));
    cluster.psql("postgres", &format!("SELECT pg_drop_replication_slot('{slot}')"));

    let mut heard: Vec<Value> = Vec::new();
    let mut states = || {
        heard.extend(hook.heard().iter().map(Heard::json));
        heard.clone()
    };
    for _ in 0..2 {
        let scheduler = begin();
        await_capture(&place, cluster, "postgres", streams);
        await_capture(&place, cluster, &lost, |one| one["problem"]["kind"] == "slot");
        assert!(until(PATIENCE, || !states().is_empty()), "nobody is told");
        let status = run(&place, cluster, &["status"]).expect(1).text();
        ["there is no replication slot", "DOES NOT STREAM"].iter().for_each(|words| says(&status, words));
        scheduler.stop();
    }
    let all = states();
    let message = &all[0];
    assert_eq!(all.len(), 1, "{all:#?}");
    assert_eq!((&message["database"], &message["state"]), (&lost.as_str().into(), &"failed".into()), "{message:#}");
    assert!(message["hint"].as_str().unwrap().contains("--new-generation"), "{message:#}");
    run(&place, cluster, &["capture", &lost, "--setup", "--new-generation"]).expect(0);
    let scheduler = begin();
    await_capture(&place, cluster, &lost, streams);
    let recovered = |all: Vec<Value>| all.len() == 2 && all[1]["state"] == "recovered";
    assert!(until(PATIENCE, || recovered(states())), "{:#?}", states());
    scheduler.stop();
}

#[test]
fn a_table_that_is_not_covered_any_more_is_shown_with_its_last_moment_and_told_once() {
    let scene = Scene::new("told", TABLES);
    let hook = Receiver::start();
    scene.set_up();
    let mut running = scene.pgbk(&[]).set("WEBHOOK_URL", hook.url("/hook")).start();
    scene.sql("INSERT INTO t VALUES (1, 'one')");
    scene.await_transactions(1);
    scene.sql("ALTER TABLE u DROP CONSTRAINT u_pkey; INSERT INTO u VALUES (5, 5)");
    let state = scene.place.path.join("state");
    let status = || -> Value {
        let said = pgbk(["status", "--json"]).set("STATE_DIR", state.display()).end().text();
        serde_json::from_str::<Value>(&said).unwrap()["captures"][0].clone()
    };
    assert!(until(PATIENCE, || status()["uncovered"][0]["until"]["time"].is_string()), "{:#}", status());
    let uncovered = status()["uncovered"].clone();
    assert_eq!((&uncovered[0]["table"], &uncovered[0]["reason"]), (&"\"public\".\"u\"".into(), &"unstreamed".into()));
    let mut heard = Vec::new();
    let mut is_told = || {
        heard.extend(hook.heard().iter().map(Heard::json));
        !heard.is_empty()
    };
    assert!(until(PATIENCE, &mut is_told), "nobody is told");
    assert!(heard[0]["error"].as_str().unwrap().contains("\"public\".\"u\" are not captured from"), "{heard:#?}");
    assert!(running.runs());
    stop(running);
    let after = status();
    assert_eq!((&after["streaming"], &after["troubles"][0]["kind"]), (&false.into(), &"not-running".into()));
    let slot = format!("SELECT count(*) FROM pg_replication_slots WHERE database = '{}' AND active", scene.name);
    assert!(until(PATIENCE, || scene.sql(&slot) == "0"));
    scene.pgbk(&["--teardown"]).expect(0);
    assert_eq!(status(), Value::Null);
    assert_eq!((heard.len(), hook.states()), (1, vec![]));
}

#[test]
fn settings_with_which_nothing_could_be_captured_are_refused_at_once() {
    let place = ScheduledPlace::new();
    let run = place.run(&["schedule"]).set("CRON_SCHEDULE", "@yearly").set("CAPTURE", "1").set("DB_NAME", "a,b");
    run.set("CAPTURE_SLOT", "one").expect(2).says("CAPTURE_SLOT");
    run.set("CAPTURE_INTERVAL", "10m").set("CAPTURE_LAG_LIMIT", "5m").expect(2).says("CAPTURE_LAG_LIMIT");
    run.set("CAPTURE_LAG_LIMIT", "5s").set("CAPTURE_INTERVAL", "1s").expect(2).says("30 s");
}

#[test]
fn the_doctor_says_what_a_capture_needs_and_of_a_slot_that_nobody_reads() {
    let scene = Scene::new("examined", &format!("{TABLES}; CREATE TABLE keyless (n int)"));
    let doctor = |cluster: &Cluster, name: &str| {
        let run = pgbk(["doctor", name]).server(cluster).directory(&scene.place.path.join("store"));
        run.set("STATE_DIR", scene.place.path.join("state").display())
    };
    let said = |run: Pgbk| run.end().text();
    let own = || doctor(scene.cluster, &scene.name);
    assert!(!said(own()).contains("capture of"), "{}", said(own()));
    let wanted = said(own().set("CAPTURE", "1"));
    ["the server streams changes to this role", "1 table without a key", "max_slot_wal_keep_size"]
        .iter()
        .for_each(|words| says(&wanted, words));
    scene.set_up();
    let slot = format!("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'pgbk_{}' AND active", scene.name);
    assert!(until(PATIENCE, || scene.sql(&slot) == "0"));
    says(&said(own()), &format!("nobody reads replication slot \"pgbk_{}\"", scene.name));
    let replica = support::cluster::cluster();
    let refused = said(doctor(replica, &replica.database("unlogical")).set("CAPTURE", "1"));
    ["FAIL", "the server's wal_level is replica", "set wal_level = logical and restart"]
        .iter()
        .for_each(|words| says(&refused, words));
}

#[test]
fn bases_that_changes_need_are_taken_between_the_runs_of_the_schedule() {
    // A transaction of another test would hold up the slot.
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start_set(&["wal_level=logical"])));
    let place = ScheduledPlace::new();
    let shop = cluster.database("beside_bases");
    cluster.psql(&shop, TABLES);
    let scheduler = place.start(&scheduled(run(&place, cluster, &["schedule"]).set("JOURNAL", "1"), &shop));
    let backups = || run(&place, cluster, &["history"]).json().as_array().unwrap().len();
    let status = || run(&place, cluster, &["capture", &shop, "--status"]).json();
    let base = || status()["base"]["id"].as_str().map(str::to_owned);
    assert!(until(PATIENCE, || base().is_some()), "the first base is missing: {:#}", status());
    let first = base();
    cluster.psql(&shop, "ALTER TABLE t ADD COLUMN later int DEFAULT 7; INSERT INTO t VALUES (1, 'one', 'big', 1)");
    // Until there is one, everybody who looks sees what waits for it.
    await_capture(&place, cluster, &shop, |one| {
        one["uncovered"][0]["waits_for_base"] == true && one["uncovered"][0]["until"]["time"].is_string()
    });
    assert!(until(PATIENCE, || base() != first), "the base of the changed table is missing: {:#}", status());
    let journal = || {
        let keys = Directory::open(place.store()).unwrap().list("@changes/").unwrap();
        let journal = keys.into_iter().find(|listed| listed.key.ends_with("journal.meta"));
        journal.and_then(|listed| fs::read_to_string(place.store().join(listed.key)).ok()).unwrap_or_default()
    };
    assert!(until(PATIENCE, || journal().contains(&base().unwrap())), "{}", journal());
    assert_eq!(status()["waiting"], serde_json::json!([]));
    await_capture(&place, cluster, &shop, |one| one["uncovered"] == serde_json::json!([]));
    assert_eq!(backups(), 2);
    // What somebody else backs up meanwhile is a base as well, and none is made twice.
    run(&place, cluster, &["backup", &shop]).expect(0);
    cluster.psql(&shop, "INSERT INTO t VALUES (2, 'two', 'big', 2)");
    await_capture(&place, cluster, &shop, |one| one["transactions"].as_u64() >= Some(2));
    scheduler.stop();
    assert_eq!(backups(), 3);
    let copy = format!("{shop}_copy");
    run(&place, cluster, &["restore", "--at", "latest", "--database", &shop, "--to", &copy, "--yes"]).expect(0);
    assert_eq!(cluster.psql(&copy, "SELECT sum(later) FROM t"), cluster.psql(&shop, "SELECT sum(later) FROM t"));
}
