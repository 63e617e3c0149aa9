//! What goes missing is missed aloud, and by server: the real binary, real servers, a store that somebody else can reach.

mod beside;
mod histories;

use crate::alert::receiver;
use crate::prune::past as made;
use crate::status::site;
use jiff::Timestamp;
use pgbk::format::backup_id::BackupId;
use postgres::NoTls;
use receiver::Receiver;
use serde_json::Value;
use site::get;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use support::cluster::{PASSWORD, PATIENCE, USER, cluster};
use support::pgbk::{Outcome, Pgbk};
use support::process::until;
use support::s3::seaweedfs;
use support::scheduler::{Place, Scheduler};

fn database(hint: &str) -> String {
    let name = cluster().database(hint);
    cluster().psql(&name, "CREATE TABLE client AS SELECT 1 AS id");
    name
}

/// One database in a folder in which others' backups are too, so that it is no share that is not mounted; and who hears of it.
struct Scene {
    place: Place,
    name: String,
    hook: Receiver,
    settings: Vec<(&'static str, String)>,
}

impl Scene {
    fn new(hint: &str) -> Scene {
        let scene = Scene { place: Place::new(), name: database(hint), hook: Receiver::start(), settings: Vec::new() };
        let other = database("other");
        scene.run(&["backup", &other]).expect(0);
        scene
    }

    fn set(mut self, name: &'static str, value: &str) -> Scene {
        self.settings.push((name, value.to_owned()));
        self
    }

    fn run(&self, arguments: &[&str]) -> Pgbk {
        let run = self.place.run(arguments).set("NO_ENCRYPT", "1").set("WEBHOOK_URL", self.hook.url("/hook"));
        self.settings.iter().fold(run, |run, (name, value)| run.set(name, value))
    }

    /// So many more backups, of which nobody has anything to say.
    fn backups(&self, count: usize) -> Vec<String> {
        let one = || self.run(&["backup", &self.name, "--json"]).expect(0);
        (0..count).map(|_| id(&quiet(one()))).collect()
    }

    fn folder(&self) -> PathBuf {
        self.place.store().join(&self.name)
    }

    /// Takes its `.meta` and payload away; they can be put back.
    fn take(&self, id: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().path());
        let own: Vec<PathBuf> =
            entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{id}."))).collect();
        assert_eq!(own.len(), 2, "{own:?}");
        let taken = own.into_iter().map(|path| (path.clone(), fs::read(&path).unwrap())).collect();
        for (path, _) in &taken as &Vec<(PathBuf, Vec<u8>)> {
            fs::remove_file(path).unwrap();
        }
        past(id);
        taken
    }

    /// What people heard since the last call: the state of each message, and its text.
    fn heard(&self) -> Vec<(String, String)> {
        // The doctor only looks whether somebody answers.
        let documents = self.hook.heard().into_iter().filter(|heard| !heard.body.is_empty()).map(|heard| heard.json());
        let word = |document: &Value, name: &str| document[name].as_str().unwrap().to_owned();
        documents.map(|document| (word(&document, "state"), word(&document, "text"))).collect()
    }

    /// What `status` says is missing, newest first.
    fn missing(&self) -> Vec<String> {
        let status: Value = serde_json::from_slice(&self.run(&["status", "--json"]).end().out).unwrap();
        let databases = status["databases"].as_array().unwrap();
        let own = databases.iter().find(|one| one["name"] == self.name.as_str()).unwrap();
        own["missing"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    }

    fn finding(&self, what: &str, more: &[&str]) -> Option<Value> {
        let document = self.run(&[&["doctor", &self.name, "--json"], more].concat()).end().json();
        document["findings"].as_array().unwrap().iter().find(|one| one["what"] == what).cloned()
    }
}

/// Waits until the clock shows a later second than this backup's name: else the next one would have its name.
fn past(id: &str) {
    let id: BackupId = id.parse().unwrap();
    assert!(until(PATIENCE, || Timestamp::now().as_second() > id.taken_at().as_second()));
}

fn id(outcome: &Outcome) -> String {
    outcome.json()["id"].as_str().unwrap().to_owned()
}

#[track_caller]
fn quiet(outcome: Outcome) -> Outcome {
    assert!(!outcome.err.contains("gone from") && !outcome.err.contains("missed"), "{outcome:#?}");
    outcome
}

fn reversed(mut ids: Vec<String>) -> Vec<String> {
    ids.reverse();
    ids
}

/// Serves, and has looked into the store.
fn serving(scene: &Scene) -> (Scheduler, SocketAddr) {
    let run = scene.run(&["schedule"]).set("CRON_SCHEDULE", "@yearly").set("DB_NAME", &scene.name);
    let scheduler = scene.place.start(&run.set("LISTEN", "127.0.0.1:0"));
    scheduler.await_words("are at http://");
    let said = scheduler.said();
    let address: SocketAddr = said.split("are at http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
    assert!(until(PATIENCE, || get(address, "/metrics").body.contains("pgbk_store_backups{")), "{}", scheduler.said());
    (scheduler, address)
}

#[track_caller]
fn await_metric(address: SocketAddr, line: &str) {
    let reached = until(PATIENCE, || get(address, "/metrics").body.lines().any(|one| one == line));
    assert!(reached, "no {line} in {}", get(address, "/metrics").body);
}

#[test]
fn a_run_misses_what_somebody_else_removed_and_people_hear_of_it_once() {
    let scene = Scene::new("emptied");
    let made = scene.backups(3);
    assert_eq!(scene.missing(), [""; 0]);
    fs::remove_dir_all(scene.folder()).unwrap();
    past(&made[2]);
    let outcome = scene.run(&["backup", &scene.name, "--json"]).expect(0);
    let next = id(&outcome);
    let outcome = outcome.says(&format!("3 backups of \"{}\" are gone from ", scene.name));
    outcome.says("--forget-missing");
    let heard = scene.heard();
    assert_eq!((heard.len(), heard[0].0.as_str()), (1, "notice"), "{heard:?}");
    assert!(made.iter().all(|id| heard[0].1.contains(id)), "{heard:?}");
    assert_eq!(scene.missing(), reversed(made.clone()));
    let text = scene.run(&["status"]).end().text();
    assert!(text.contains("MISSING: 3 backups of "), "{text}");
    let record = scene.place.history(&[]).remove(0);
    assert!(record["warnings"][0].as_str().unwrap().contains("are gone from"), "{record:#}");

    // Later runs say it too, and people know it.
    scene.run(&["backup", &scene.name]).expect(0).says("still: 3 backups");
    assert_eq!(scene.heard(), []);
    let finding = scene.finding("missing backups", &[]).unwrap();
    assert!(finding["status"] == "note" && finding["detail"].as_str().unwrap().contains(&made[2]), "{finding:#}");

    // One more goes, and that is another thing to hear of.
    let newest = id(&scene.run(&["backup", &scene.name, "--json"]).expect(0));
    assert!(newest > next);
    scene.take(&newest);
    scene.run(&["backup", &scene.name]).expect(0).says(&format!("backup {newest} of "));
    let heard = scene.heard();
    assert!(heard.len() == 1 && heard[0].1.contains(&newest) && !heard[0].1.contains(&made[0]), "{heard:?}");

    // Who knows why says so.
    let finding = scene.finding("missing backups", &["--forget-missing"]).unwrap();
    assert_eq!(finding["status"], "ok", "{finding:#}");
    assert_eq!(scene.missing(), [""; 0]);
    scene.backups(1);
    assert_eq!((scene.finding("missing backups", &[]), scene.heard()), (None, vec![]));
}

#[test]
fn what_is_there_again_is_told_and_missed_anew_when_it_goes_again() {
    let scene = Scene::new("back");
    let made = scene.backups(2);
    for _ in 0..2 {
        let taken = scene.take(&made[1]);
        let newest = scene.run(&["backup", &scene.name, "--json"]).expect(0);
        let newest = id(&newest.says(&format!("backup {} of ", made[1])));
        assert_eq!(scene.heard().len(), 1);
        taken.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
        let outcome = scene.run(&["backup", &scene.name]).expect(0);
        let outcome = outcome.says(&format!("that were missed are in {} again", scene.place.store().display()));
        assert!(!outcome.err.contains("gone from"), "{outcome:#?}");
        let heard = scene.heard();
        assert!(heard.len() == 1 && heard[0].0 == "notice" && heard[0].1.contains(&made[1]), "{heard:?}");
        assert_eq!(scene.missing(), [""; 0]);
        // So that the one that goes next is the newest once more.
        let rest: Vec<String> = scene
            .run(&["list", "--database", &scene.name, "--json"])
            .expect(0)
            .json()
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .filter(|id| *id > made[1])
            .collect();
        assert!(rest.contains(&newest));
        rest.iter().for_each(|id| drop(scene.take(id)));
        scene.finding("missing backups", &["--forget-missing"]);
    }
}

#[test]
fn what_rules_remove_here_or_elsewhere_is_not_missed() {
    let elsewhere = |scene: &Scene, arguments: &[&str]| {
        let state = scene.place.folder.path().join("elsewhere");
        scene
            .run(&[&["prune", &scene.name, "--force"], arguments].concat())
            .set("STATE_DIR", state.display())
            .expect(0);
    };
    // By rules that follow each run, and by hand with stricter ones.
    let scene = Scene::new("rules").set("KEEP_LAST", "3");
    scene.backups(5);
    scene.run(&["prune", &scene.name, "--force", "--keep-last", "1"]).expect(0);
    assert_eq!(scene.run(&["list", "--database", &scene.name, "--json"]).expect(0).json().as_array().unwrap().len(), 1);
    scene.backups(2);
    assert_eq!((scene.missing(), scene.heard()), (vec![], vec![]));
    // A host with the same rules prunes before this one does.
    scene.backups(3);
    elsewhere(&scene, &["--keep-last", "3"]);
    scene.backups(1);
    assert_eq!((scene.missing(), scene.heard()), (vec![], vec![]));

    // A writer without rules, and a pruner elsewhere: whatever its rules are.
    let scene = Scene::new("writer");
    scene.backups(4);
    elsewhere(&scene, &["--keep-last", "2"]);
    scene.backups(1);
    elsewhere(&scene, &["--keep-last", "1"]);
    scene.backups(2);
    assert_eq!((scene.missing(), scene.heard()), (vec![], vec![]));
    // The pruner's rules remove the old; whoever removes the newest goes by none.
    let last = scene.backups(1).remove(0);
    scene.take(&last);
    scene.run(&["backup", &scene.name]).expect(0).says(&format!("backup {last} of "));
    assert_eq!(scene.missing(), [last]);
}

#[test]
fn what_the_rules_of_this_host_keep_is_missed_wherever_in_the_series_it_was() {
    let scene = Scene::new("kept").set("KEEP_LAST", "4");
    let made = scene.backups(5);
    scene.take(&made[2]);
    scene.run(&["backup", &scene.name]).expect(0).says(&format!("backup {} of ", made[2]));
    assert_eq!((scene.missing(), scene.heard().len()), (vec![made[2].clone()], 1));
    // By now the rules would have removed it.
    scene.backups(2);
    assert_eq!((scene.missing(), scene.heard()), (vec![], vec![]));

    // Where the store removes by tags, only the newest is looked for.
    let scene = Scene::new("tagged").set("KEEP_LAST", "4").set("AUTO_LIFECYCLE_POLICY_TAGS", "1");
    let one = || id(&scene.run(&["backup", &scene.name, "--json"]).expect(0));
    let made: Vec<String> = (0..4).map(|_| one()).collect();
    scene.take(&made[1]);
    one();
    assert_eq!(scene.missing(), [""; 0]);
}

#[test]
fn a_payload_that_is_gone_is_missed_and_its_document_can_be_removed_by_the_doctor() {
    let scene = Scene::new("payload");
    let made = scene.backups(2);
    let payload = scene.folder().join(format!("{}.sql", made[1]));
    fs::remove_file(payload).unwrap();
    past(&made[1]);
    scene.run(&["backup", &scene.name]).expect(0).says(&format!("backup {} of ", made[1]));
    assert_eq!(scene.missing(), [made[1].clone()]);
    scene.run(&["doctor", &scene.name, "--remove-meta", &format!("{0}/{1}.meta", scene.name, made[1])]).expect(0);
    scene.backups(1);
    assert_eq!(scene.missing(), [""; 0]);
}

#[test]
fn an_emptied_bucket_is_told_by_the_next_run() {
    let scene = Scene::new("bucket");
    let bucket = seaweedfs().bucket("missed");
    let run = |arguments: &[&str]| scene.run(arguments).unset("STORE_DIR").s3(seaweedfs(), &bucket);
    run(&["backup", &scene.name]).expect(0);
    let last = id(&run(&["backup", &scene.name, "--json"]).expect(0));
    let store = pgbk::store::s3::S3::open(seaweedfs().settings(&bucket)).unwrap();
    use pgbk::store::Store;
    for object in store.list("").unwrap() {
        store.remove(&object.key, None).unwrap();
    }
    past(&last);
    run(&["backup", &scene.name]).expect(0).says(&format!("2 backups of \"{}\" are gone from ", scene.name));
    let heard = scene.heard();
    assert!(heard.len() == 1 && heard[0].0 == "notice", "{heard:?}");
}

#[test]
fn a_look_of_the_scheduler_tells_people_and_makes_health_red_until_there_is_a_newer_one() {
    let scene = Scene::new("looks");
    let made = scene.backups(3);
    made[1..].iter().for_each(|id| drop(scene.take(id)));
    let (scheduler, address) = serving(&scene);
    let name = &scene.name;
    await_metric(address, &format!("pgbk_store_backups_missing{{database=\"{name}\"}} 2"));
    await_metric(address, &format!("pgbk_store_backups{{database=\"{name}\"}} 1"));
    await_metric(address, "pgbk_healthy 0");
    let health = get(address, "/healthz");
    assert!(
        health.code == 503 && health.body.contains(&format!("2 backups of \"{name}\" are gone from")),
        "{health:?}"
    );
    assert!(get(address, "/").body.contains(&made[2]));
    scheduler.await_words("are gone from");
    let mut heard = Vec::new();
    assert!(until(PATIENCE, || {
        heard.extend(scene.heard());
        !heard.is_empty()
    }));
    assert!(heard[0].0 == "notice" && heard[0].1.contains(&made[1]) && heard[0].1.contains(&made[2]), "{heard:?}");

    scene.run(&["backup", name]).expect(0).says("still: 2 backups");
    assert!(until(PATIENCE, || get(address, "/healthz").code == 200), "{}", get(address, "/healthz").body);
    await_metric(address, &format!("pgbk_store_backups_missing{{database=\"{name}\"}} 2"));
    assert_eq!(scene.heard(), []);
    scheduler.stop();
}

#[test]
fn backups_that_another_run_always_keeps_from_being_made_are_an_outage_once_they_are_overdue() {
    let scene = Scene::new("overdue");
    let mut config = postgres::Config::new();
    config
        .host("127.0.0.1")
        .port(cluster().port)
        .user(USER)
        .password(PASSWORD)
        .dbname(&scene.name)
        .application_name("pgbk");
    let mut other = config.connect(NoTls).unwrap();
    other.batch_execute("SELECT pg_advisory_lock(1885823595, 1)").unwrap();
    let run = scene.run(&["schedule"]).set("CRON_SCHEDULE", "* * * * * *").set("DB_NAME", &scene.name);
    let scheduler = scene.place.start(&run.set("HEALTH_GRACE", "2s"));
    let mut heard = Vec::new();
    let told = |heard: &mut Vec<(String, String)>, count: usize| {
        until(PATIENCE, || {
            heard.extend(scene.heard());
            heard.len() >= count
        })
    };
    assert!(told(&mut heard, 1), "{}", scheduler.said());
    assert_eq!(heard[0].0, "failed");
    assert!(heard[0].1.starts_with(&format!("The backup of database \"{}\" is overdue.", scene.name)), "{heard:?}");
    assert!(heard[0].1.contains("is being backed up by server process"), "{heard:?}");
    let skipped = scene.place.count("skipped");
    scene.place.await_count("skipped", skipped + 2);
    assert_eq!((scene.heard(), scene.place.count("failed")), (vec![], 0));
    drop(other);
    assert!(told(&mut heard, 2), "{}", scheduler.said());
    assert!(heard[1].0 == "recovered" && heard[1].1.contains("It was overdue since "), "{heard:?}");
    scheduler.stop();
}
