//! `verify --changes`: what is stored of the changes is checked as deep as it is asked for, up to a base that is made of the one before it.

use super::*;
use crate::alert::receiver::Receiver;
use pgbk::base::secret::Secret;
use pgbk::format::changes::segment::Segment;
use pgbk::format::keys::Key;
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use support::forger::reseal_segment;

/// Verifies the changes, and returns the document with what was said.
#[track_caller]
fn verify(world: &World, level: &str, code: i32) -> (Value, String) {
    let state = world.folder.path().join("state");
    let arguments = ["verify", "--changes", "--level", level, "--database", &world.database];
    let run = world.run.args(arguments.into_iter().chain(["--json"])).set("STATE_DIR", state.display());
    let outcome = run.expect(code);
    (outcome.json(), format!("{}{}", outcome.text(), outcome.err))
}

/// The verdict on each table, and the tables that were not compared with the reasons.
fn verdicts(document: &Value) -> [Vec<(String, String)>; 2] {
    let proof = document["generations"].as_array().unwrap().iter().find(|one| one["proof"].is_object()).unwrap();
    let list = |of: &str, what: &str| -> Vec<(String, String)> {
        let all = proof["proof"][of].as_array().unwrap().iter();
        all.map(|one| (one["name"].as_str().unwrap().into(), one[what].as_str().unwrap().into())).collect()
    };
    [list("tables", "verdict"), list("uncompared", "reason")]
}

/// Ends the load, however a test ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_base_with_its_changes_is_the_next_base_though_the_application_works_all_the_time() {
    let world = World::with("proven_load", SHOP);
    let mut capture = world.capture();
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let load = |number: u64| {
        let mut round = 0;
        while !stop.load(Ordering::Relaxed) {
            round += 1;
            let id = number * 100_000 + round;
            let statement = match round % 5 {
                0 => {
                    format!("DELETE FROM orders WHERE id = {}; UPDATE counted SET v = v + 1 WHERE b = {number}", id - 4)
                }
                1 => format!(
                    "INSERT INTO whole VALUES ({number}, 'twin'); UPDATE orders SET total = total + 1 WHERE id <= 20 AND id % 3 = {number} - 1"
                ),
                2 => format!(
                    "BEGIN; UPDATE customers SET mail = mail || '-' || {round} WHERE id = {number}; SELECT pg_sleep(0.02); COMMIT"
                ),
                _ => format!("INSERT INTO orders (id, customer, total) VALUES ({id}, 1 + {id} % 20, {id})"),
            };
            cluster().psql(&world.database, &statement);
            done.fetch_add(1, Ordering::Relaxed);
        }
    };
    let load = &load;
    let more = |count: u64| {
        let before = done.load(Ordering::Relaxed);
        assert!(support::process::until(support::cluster::PATIENCE, || done.load(Ordering::Relaxed) > before + count));
    };
    let bases = std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        (1..=3).for_each(|number| drop(scope.spawn(move || load(number))));
        more(10);
        let first = capture.base(&world.run);
        more(20);
        capture.store();
        more(20);
        let second = capture.base(&world.run);
        more(10);
        capture.store();
        [first, second]
    });
    let (document, _) = verify(&world, "restore", 0);
    let generation = &document["generations"][0];
    let proof = &generation["proof"];
    assert_eq!([&proof["base"], &proof["reached"]], [&Value::from(&*bases[0]), &Value::from(&*bases[1])]);
    assert!(proof["transactions"].as_u64() >= Some(40), "{document:#}");
    let [tables, uncompared] = verdicts(&document);
    assert!(tables.len() >= 6 && tables.iter().all(|(_, verdict)| verdict == "same"), "{document:#}");
    assert_eq!(uncompared, []);
    let state = world.folder.path().join("state");
    let record = &world.run.args(["history"]).set("STATE_DIR", state.display()).json()[0];
    assert_eq!((&record["task"], &record["state"]), (&"verify-changes".into(), &"done".into()));
    assert_eq!(record["proof"]["id"], bases[1].as_str());
    support::proof::counted("proofs", "tables of a base with changes compared with the next base", tables.len(), 0);
}

#[test]
fn a_row_that_somebody_with_the_key_has_changed_is_found_by_the_replay_alone_and_its_table_is_named() {
    let world = World::with(
        "proven_forged",
        "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY)",
    );
    let mut capture = world.capture();
    capture.base(&world.run);
    world.work(&["INSERT INTO t VALUES (1, 'good')", "INSERT INTO u VALUES (1)"]);
    let forge = |script: String| {
        assert!(script.contains("'good'"), "{script}");
        script.replace("'good'", "'evil'")
    };
    capture.store_as(forge);
    capture.base(&world.run);
    world.work(&["INSERT INTO u VALUES (2)"]);
    capture.store();
    for level in ["meta", "stored", "content"] {
        verify(&world, level, 0);
    }
    let (document, said) = verify(&world, "restore", 3);
    let [tables, _] = verdicts(&document);
    let expected = [("public.t", "differs"), ("public.u", "same")];
    assert_eq!(tables, expected.map(|(name, verdict)| (name.to_owned(), verdict.to_owned())));
    assert!(said.contains("1 of 2 tables of") && said.contains("states: public.t"), "{said}");
}

#[test]
fn a_change_that_the_base_does_not_take_is_damage_and_its_place_is_named() {
    let world = World::with("proven_misfit", "CREATE TABLE t (id int PRIMARY KEY, v text)");
    let mut capture = world.capture();
    world.work(&["INSERT INTO t VALUES (1, 'a')"]);
    capture.base(&world.run);
    world.work(&["UPDATE t SET v = 'b' WHERE id = 1"]);
    capture.store_as(|script| script.replace("\"id\" = '1'", "\"id\" = '7'"));
    capture.base(&world.run);
    world.work(&["INSERT INTO t VALUES (2, 'c')"]);
    capture.store();
    verify(&world, "content", 0);
    let (_, said) = verify(&world, "restore", 3);
    assert!(said.contains("it changes 0 and must change 1 row") && said.contains("that commits at"), "{said}");
}

#[test]
fn without_a_second_base_that_the_changes_reach_it_is_said_what_the_proof_needs() {
    let world = World::with("proven_one", "CREATE TABLE t (id int PRIMARY KEY)");
    world.run.args(["verify", "--changes", "--database", &world.database]).expect(4).says("no changes of");
    let mut capture = world.capture();
    world.work(&["INSERT INTO t VALUES (1)"]);
    let first = capture.base(&world.run);
    capture.store();
    let (document, text) = verify(&world, "restore", 0);
    assert_eq!(document["generations"][0]["bases"], serde_json::json!([first]));
    assert!(text.contains("it needs a second one") && text.contains(&first), "{text}");
    let second = capture.base(&world.run);
    assert!(verify(&world, "restore", 0).1.contains(&format!("before {second} at")), "the changes do not reach it yet");
    world.work(&["INSERT INTO t VALUES (2)"]);
    capture.store();
    assert_eq!(verdicts(&verify(&world, "restore", 0).0)[0].len(), 1);
    let arguments = ["verify", "--changes", "--level", "restore", "--database", &world.database];
    let text = world.run.args(arguments).expect(0).text();
    for words in ["proven", "1 row, the same", "1 of 1 table is the same: rows, bytes and BLAKE2b", "level restore"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn tables_that_broke_or_are_not_in_both_bases_are_named_with_the_reason_and_not_counted() {
    let tables = "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY, v text);
        CREATE TABLE gone (id int PRIMARY KEY); CREATE TABLE altered (id int PRIMARY KEY)";
    let world = World::with("proven_broken", tables);
    let mut capture = world.capture();
    world.work(&["INSERT INTO t VALUES (1, 'a')"]);
    capture.store();
    capture.base(&world.run);
    world.work(&[
        "ALTER TABLE t RENAME v TO w; INSERT INTO t VALUES (2, 'b')",
        "INSERT INTO u VALUES (1, 'u')",
        "CREATE TABLE fresh (id int PRIMARY KEY); DROP TABLE gone; ALTER TABLE altered ADD more int",
    ]);
    capture.store();
    capture.base(&world.run);
    world.work(&["INSERT INTO u VALUES (2, 'u')"]);
    capture.store();
    let (document, _) = verify(&world, "restore", 0);
    let [tables, uncompared] = verdicts(&document);
    assert_eq!(tables, [("public.u".to_owned(), "same".to_owned())], "{document:#}");
    let reason = |table: &str| &uncompared.iter().find(|(name, _)| name == table).unwrap().1;
    assert_eq!(uncompared.len(), 4, "{uncompared:?}");
    assert!(reason("public.t").contains("columns were changed"));
    assert!(reason("public.fresh").contains("does not have it") && reason("public.gone").contains("does not have it"));
    assert!(reason("public.altered").contains("definition is another one"));
}

/// Changes something of a chain, of which these are the segments.
type Deed = fn(&Path, &[Segment]);

fn swap(folder: &Path, one: &str, other: &str) {
    let [first, second] = [one, other].map(|key| fs::read(folder.join(key)).unwrap());
    fs::write(folder.join(one), second).unwrap();
    fs::write(folder.join(other), first).unwrap();
}

#[test]
fn each_level_finds_what_it_looks_at_and_names_the_segment() {
    let world = World::with("proven_levels", "CREATE TABLE t (id int PRIMARY KEY, v text)");
    let mut capture = world.capture();
    capture.base(&world.run);
    let mut segments = Vec::new();
    for number in 0..4 {
        world.work(&[&format!("INSERT INTO t VALUES ({number}, 'v')")]);
        capture.store();
        segments.push(capture.last().clone());
    }
    // What is done to the second segment; the levels that find it, from the first on; what they say.
    let deeds: [(&str, Deed, &str, &str); 9] = [
        ("missing", |folder, of| fs::remove_file(folder.join(of[1].key_name())).unwrap(), "meta", "is missing"),
        (
            "swapped",
            |folder, of| swap(folder, &of[1].key_name(), &of[2].key_name()),
            "meta",
            "it belongs to another segment",
        ),
        (
            "of another generation",
            |folder, of| {
                reseal_segment(folder, &of[1], |segment, keys| {
                    let other = "20200822T031500Z-5f0c21ab";
                    segment.object = segment.object.replace(&segment.generation.to_string(), other);
                    segment.generation = other.parse().unwrap();
                    keys
                });
            },
            "meta",
            "it belongs to another segment",
        ),
        (
            "of another key",
            |folder, of| {
                reseal_segment(folder, &of[1], |segment, _| {
                    let keys = Key::raw(&Secret::new("11".repeat(32).as_str()), None).unwrap().begin().unwrap();
                    segment.key = Some(keys.note.clone());
                    keys
                });
            },
            "meta",
            "key",
        ),
        (
            "of another chain",
            |folder, of| {
                reseal_segment(folder, &of[1], |segment, keys| {
                    segment.previous.as_mut().unwrap().seal = [7; 32];
                    keys
                });
            },
            "meta",
            "does not continue the chain",
        ),
        ("without payload", |folder, of| fs::remove_file(folder.join(&of[1].object)).unwrap(), "meta", "is missing"),
        (
            "cut",
            |folder, of| {
                let whole = fs::read(folder.join(&of[1].object)).unwrap();
                fs::write(folder.join(&of[1].object), &whole[..whole.len() - 16]).unwrap();
            },
            "meta",
            "its .meta states",
        ),
        (
            "with a changed byte",
            |folder, of| {
                let mut whole = fs::read(folder.join(&of[1].object)).unwrap();
                whole[20] ^= 1;
                fs::write(folder.join(&of[1].object), whole).unwrap();
            },
            "stored",
            "does not match its tag",
        ),
        (
            "with other counts",
            |folder, of| {
                let next = |segment: &mut Segment| segment.tables[0].changes.inserts += 1;
                // The last one: no other names its seal.
                reseal_segment(folder, &of[3], |segment, keys| {
                    next(segment);
                    keys
                });
            },
            "content",
            "has other changes than its .meta states",
        ),
    ];
    let folder = world.folder.path();
    let kept: Vec<(String, Vec<u8>)> = segments
        .iter()
        .flat_map(|segment| [segment.key_name(), segment.object.clone()])
        .map(|key| (key.clone(), fs::read(folder.join(&key)).unwrap()))
        .collect();
    for level in ["meta", "stored", "content"] {
        let (document, _) = verify(&world, level, 0);
        assert_eq!((&document["damaged"], &document["generations"][0]["segments"]), (&0.into(), &4.into()));
    }
    for (what, deed, least, words) in deeds {
        deed(folder, &segments);
        for level in ["meta", "stored", "content"].into_iter().filter(|level| !finds(least, level)) {
            verify(&world, level, 0);
        }
        for level in ["meta", "stored", "content"].into_iter().filter(|level| finds(least, level)) {
            let (document, said) = verify(&world, level, 3);
            let named = if least == "content" { &segments[3] } else { &segments[1] };
            let start = named.start.sortable();
            assert!(said.contains(words) && said.contains(&start), "{what}, {level}: {said}");
            let count = if what == "of another key" { "other_key" } else { "damaged" };
            assert_eq!(document[count], 1, "{what}, {level}: {said}");
        }
        kept.iter().for_each(|(key, bytes)| fs::write(folder.join(key), bytes).unwrap());
    }
    verify(&world, "content", 0);
}

fn finds(least: &str, level: &str) -> bool {
    let depth = |level: &str| ["meta", "stored", "content"].iter().position(|one| *one == level);
    depth(level) >= depth(least)
}

#[test]
fn a_scheduled_proof_replays_the_changes_as_well_and_people_hear_once_that_they_are_damaged() {
    let world = World::with("proven_by_schedule", "CREATE TABLE t (id int PRIMARY KEY, v text)");
    let mut capture = world.capture();
    capture.base(&world.run);
    world.work(&["INSERT INTO t VALUES (1, 'good')"]);
    capture.store();
    capture.base(&world.run);
    world.work(&["INSERT INTO t VALUES (2, 'b')"]);
    capture.store();
    let place = support::scheduler::Place::new();
    let place_state = place.folder.path().join("state");
    let run = world.run.args(["schedule"]).set("CRON_SCHEDULE", "@yearly").set("DB_NAME", &world.database);
    let run = run.set("VERIFY_SCHEDULE", "\"* * * * * *\"").set("STATE_DIR", place_state.display());
    let receiver = Receiver::start();
    let run = run.set("WEBHOOK_URL", receiver.url("/hook"));
    let scheduler = place.start(&run);
    scheduler.await_words("with its changes is what");
    let records = |state: &str| {
        let all = world.run.args(["history", "--limit", "1000"]).set("STATE_DIR", place_state.display()).json();
        let of = all.as_array().unwrap().iter().filter(|one| one["task"] == "verify-changes" && one["state"] == state);
        of.cloned().collect::<Vec<_>>()
    };
    assert!(support::process::until(support::cluster::PATIENCE, || !records("done").is_empty()));
    // The last payload is gone, which no proof replays.
    let payload = world.folder.path().join(&capture.last().object);
    let away = world.folder.path().join("away");
    fs::rename(&payload, &away).unwrap();
    assert!(support::process::until(support::cluster::PATIENCE, || records("failed").len() >= 2));
    let problem = &records("failed")[0]["problem"];
    assert_eq!(problem["exit_code"], 3, "{problem:#}");
    assert!(problem["message"].as_str().unwrap().contains(&capture.last().object), "{problem:#}");
    fs::rename(&away, &payload).unwrap();
    let count = records("done").len();
    assert!(support::process::until(support::cluster::PATIENCE, || records("done").len() > count));
    let mut heard = Vec::new();
    let is_told = || {
        heard.extend(receiver.heard());
        heard.len() >= 2
    };
    assert!(support::process::until(support::cluster::PATIENCE, is_told));
    // The end of the scheduler interrupts a run, which is told as well.
    scheduler.stop();
    let told: Vec<String> = heard.iter().map(|heard| heard.json()["subject"].as_str().unwrap().to_owned()).collect();
    // Of the backup, which is proven all the time, there is nothing to tell.
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with(&format!("verification of the changes of {} failed", world.database)), "{told:?}");
    assert!(told[1].contains("works again"), "{told:?}");
}
