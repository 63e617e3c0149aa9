//! Bases that a capture takes by itself.

use super::*;

#[test]
fn the_first_base_is_taken_by_itself_and_reaches_what_is_changed_behind_it() {
    let scene = Scene::new("by_itself", &format!("{TABLES}; SELECT lo_from_bytea(0, 'large')"));
    let run = scene.pgbk(&[]).key().set("CAPTURE_BASES", "1");
    let status = || run.args(["capture", &scene.name, "--status"]).json();
    let mut running = run.args(["capture", &scene.name]).start();
    assert!(until(PATIENCE, || !running.runs() || status()["base"]["id"].is_string()), "no base is taken");
    assert!(running.runs());
    let first = status()["base"]["id"].as_str().unwrap().to_owned();
    scene.sql(WORK);
    scene.sql("SELECT lo_from_bytea(0, 'another')");
    let position = scene.position();
    scene.sql("INSERT INTO t VALUES (5000, 'last')");
    let is_stored = || status()["chain"]["end"].as_str().is_some_and(|end| end.parse::<Lsn>().unwrap() > position);
    assert!(until(PATIENCE, is_stored));
    let large = || status()["next_base"]["why"] == "large objects have changed since the newest one";
    assert!(until(PATIENCE, large), "{:#}", status());
    // The next base has them.
    let bases = || {
        scene.store().list(&format!("{}/", scene.name)).unwrap().iter().filter(|one| one.key.ends_with(".meta")).count()
    };
    let history = || run.args(["history"]).json();
    assert!(until(PATIENCE, || bases() == 2) && until(PATIENCE, || history().as_array().map(Vec::len) == Some(2)));
    let told = status();
    assert_eq!((&told["waiting"], &told["next_base"]), (&serde_json::json!([]), &Value::Null));
    stop(running);
    let history = history();
    assert_eq!((history.as_array().map(Vec::len), &history[0]["cause"]), (Some(2), &"schedule".into()), "{history:#}");
    let into = format!("{}_latest", scene.name);
    let restored = run.args(["restore", &first, "--at", "latest", "--to", &into, "--yes"]).expect(0);
    assert!(restored.err.contains("large objects are those of the base"), "{}", restored.err);
    assert_eq!(scene.cluster.psql(&into, "SELECT count(*) FROM pg_largeobject_metadata"), "1");
    for table in ["t", "u"] {
        assert_eq!(scene.rows(&into, table), scene.rows(&scene.name, table), "{table}");
    }
}

#[test]
fn a_base_that_fails_is_told_and_the_capture_goes_on() {
    let scene = Scene::new("base_fails", TABLES);
    let empty = scene.place.path.join("no_programs");
    fs::create_dir(&empty).unwrap();
    let run = scene.pgbk(&[]).set("CAPTURE_BASES", "1").set("PG_BIN_DIR", empty.display());
    let mut running = run.start();
    let has_failed = || !run.args(["history"]).json().as_array().unwrap().is_empty();
    assert!(until(PATIENCE, || !running.runs() || has_failed()));
    scene.sql(WORK);
    scene.await_transactions(2);
    assert!(running.runs());
    let told = run.args(["capture", &scene.name, "--status"]).expect(0).text();
    assert!(told.contains("none yet; the next one is due: the generation has none yet"), "{told}");
    // A capture that streams and never gets a base is not healthy.
    let judged = run.args(["status"]).expect(1).text();
    assert!(judged.contains(&format!("{}: the backup that began at ", scene.name)), "{judged}");
    running.signal(Signal::TERM);
    let outcome = running.end();
    assert!(outcome.err.contains("no base of") && outcome.err.contains("tried again in 30 seconds"), "{}", outcome.err);
}

#[test]
fn two_names_of_one_setting_must_not_contradict_each_other() {
    let scene = Scene::new("two_names", TABLES);
    let run = scene.pgbk(&[]).set("CAPTURE_BASES", "1").set("CAPTURE_BASE_EVERY", "06:00");
    // Whatever is asked for, nothing is done before all settings are read.
    for mode in ["", "--setup", "--new-generation", "--status", "--print-sql", "--teardown"] {
        let words = ["capture", &scene.name, mode];
        let run = run.args(words.into_iter().filter(|word| !word.is_empty()));
        for (name, value) in [
            ("MAX_DURATION_SINCE_LAST_FULL_BACKUP", "7h"),
            ("PG_DUMP_USER_ARGS", "'"),
            ("JOURNAL_MAIL", "1"),
            ("DUMP_JOBS", "many"),
            ("TZ", "Nowhere/Here"),
        ] {
            run.set(name, value).expect(2).says(name);
        }
    }
    assert_eq!(scene.sql("SELECT count(*) FROM pg_publication"), "0");
    assert!(scene.keys().is_empty());
}
