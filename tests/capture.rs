//! `pgbk capture`: the changes of a real server become a chain of segments in a store, whatever ends a capture on its way.

mod bases;
mod ddl;
mod encodings;
mod failover;
mod faults;
mod journal;
mod kept;
mod moment;
mod operated;
mod sequences;
mod without_pgbk;

use pgbk::base::subject::Subject;
use pgbk::base::variant::Variant;
use pgbk::format::lsn::Lsn;
use pgbk::repository::Repository;
use pgbk::repository::chain_tail::ChainTail;
use pgbk::store::Store;
use pgbk::store::directory::Directory;
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use support::cluster::{Cluster, PASSWORD, PATIENCE, USER};
use support::pgbk::{Outcome, Pgbk, Running, pgbk};
use support::process::{Place, until};
use support::proof;
use support::random::Random;

/// The server of this test process whose log holds changes.
fn logical() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let settings = ["wal_level=logical", "max_replication_slots=40", "max_wal_senders=40", "max_connections=120"];
        Cluster::start_set(&settings)
    })
}

const TABLES: &str =
    "CREATE TABLE t (id int PRIMARY KEY, v text, big text); CREATE TABLE u (id int PRIMARY KEY, n int);
    INSERT INTO t VALUES (0, 'before', NULL)";
const WORK: &str = "INSERT INTO t SELECT i, 'v' || i, repeat('x', 10) FROM generate_series(1, 30) i;
    BEGIN; UPDATE t SET v = 'changed' WHERE id % 3 = 0; DELETE FROM t WHERE id % 5 = 1; COMMIT;
    INSERT INTO u SELECT i, i FROM generate_series(1, 90) i; TRUNCATE u; INSERT INTO u VALUES (1, 1); UPDATE u SET id = 2";

/// A database, a store for its changes, and a copy of it from before them.
struct Scene {
    cluster: &'static Cluster,
    name: String,
    place: Place,
}

impl Scene {
    fn new(hint: &str, tables: &str) -> Scene {
        Scene::on(logical(), hint, tables)
    }

    fn on(cluster: &'static Cluster, hint: &str, tables: &str) -> Scene {
        let name = cluster.database(hint);
        cluster.psql(&name, tables);
        let place = Place::new(hint);
        fs::create_dir(place.path.join("store")).unwrap();
        Scene { cluster, name, place }
    }

    fn sql(&self, sql: &str) -> String {
        self.cluster.psql(&self.name, sql)
    }

    fn copy(&self) -> String {
        format!("{}_copy", self.name)
    }

    fn pgbk(&self, more: &[&str]) -> Pgbk {
        let run = pgbk(["capture", self.name.as_str()].into_iter().chain(more.iter().copied()));
        let state = self.place.path.join("state");
        run.server(self.cluster)
            .directory(&self.place.path.join("store"))
            .set("STATE_DIR", state.display())
            .set("CAPTURE_INTERVAL", "1s")
            .set("CAPTURE_BASES", "0")
    }

    /// Begins a generation, and copies the database as it is then.
    fn set_up(&self) {
        self.pgbk(&["--setup"]).expect(0);
        let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{}'", self.name);
        assert!(until(PATIENCE, || self.cluster.psql("postgres", &sessions) == "0"), "a session lives on");
        self.cluster.psql("postgres", &format!("CREATE DATABASE \"{}\" TEMPLATE \"{}\"", self.copy(), self.name));
    }

    fn store(&self) -> Directory {
        Directory::open(self.place.path.join("store")).unwrap()
    }

    fn keys(&self) -> Vec<String> {
        self.store().list("@changes/").unwrap().into_iter().map(|listed| listed.key).collect()
    }

    /// The chain, of which each segment must follow the one before.
    fn tail(&self) -> ChainTail {
        let store: Arc<dyn Store> = Arc::new(self.store());
        let repository = Repository {
            store,
            variant: Variant::Plain,
            key: None,
            encrypt: false,
            verify: true,
            allow_unauthenticated: false,
        };
        repository.chain_tail(&Subject::from(self.name.as_str())).unwrap().expect("a generation")
    }

    fn status(&self) -> Value {
        self.pgbk(&["--status"]).json()
    }

    fn position(&self) -> Lsn {
        self.sql("SELECT pg_current_wal_insert_lsn()").parse().unwrap()
    }

    /// Starts a capture, and waits until it streams.
    fn start(&self) -> Running {
        let mut running = self.pgbk(&[]).start();
        let slot = format!("SELECT count(*) FROM pg_replication_slots WHERE database = '{}' AND active", self.name);
        let streams = until(PATIENCE, || !running.runs() || self.sql(&slot) == "1");
        if !(streams && running.runs()) {
            panic!("the capture does not stream: {}", running.end().err);
        }
        running
    }

    /// Waits until the chain that this run writes ends behind a place of the log. The capture must go on meanwhile.
    fn await_beyond(&self, run: &Pgbk, running: &mut Running, place: Lsn) {
        let is_stored = || {
            let status = run.args(["capture", &self.name, "--status"]).json();
            status["chain"]["end"].as_str().is_some_and(|end| end.parse::<Lsn>().unwrap() > place)
        };
        assert!(until(PATIENCE, || !running.runs() || is_stored()) && running.runs(), "the changes are not stored");
    }

    /// Waits until everything that was done before is stored.
    fn await_all(&self, run: &Pgbk, running: &mut Running) {
        let place = self.position();
        // Other tests write into the server's log as well: something of this database has to lie behind that place.
        self.sql("UPDATE t SET v = v WHERE id = 0");
        self.await_beyond(run, running, place);
    }

    /// Waits until so many transactions are stored.
    fn await_transactions(&self, count: u64) {
        let stored = until(PATIENCE, || self.tail().transactions >= count);
        assert!(stored, "{} transactions are stored", self.tail().transactions);
    }

    /// Replays all segments into the copy by psql, in their order.
    fn replay(&self) {
        let tail = self.tail();
        for key in self.keys().iter().filter(|key| key.ends_with(".sql")) {
            let document = self.place.path.join("store").join(format!("{}.meta", key.rsplit_once('-').unwrap().0));
            // What a killed capture left has no document, or is not what that names.
            if !fs::read_to_string(document).is_ok_and(|text| text.contains(key)) {
                continue;
            }
            let mut psql = Command::new(self.cluster.clients.join("psql"));
            psql.args([
                "-X",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                &self.cluster.socket(),
                "-p",
                &self.cluster.port.to_string(),
            ]);
            psql.args(["-U", USER, "-d", &self.copy(), "-f"]).arg(self.place.path.join("store").join(key));
            let output = psql.env("PGPASSWORD", PASSWORD).output().unwrap();
            assert!(output.status.success(), "{key}: {}", String::from_utf8_lossy(&output.stderr));
        }
        assert!(tail.segments > 0);
    }

    fn rows(&self, database: &str, table: &str) -> String {
        let query =
            format!("SELECT count(*), md5(string_agg(r::text, E'\\n' ORDER BY r::text COLLATE \"C\")) FROM {table} r");
        self.cluster.psql(database, &query)
    }

    fn assert_same(&self, tables: &[&str]) {
        for table in tables {
            assert_eq!(self.rows(&self.name, table), self.rows(&self.copy(), table), "{table}");
        }
    }
}

/// Ends a capture by a signal, as a container's engine does.
fn stop(running: Running) -> Outcome {
    running.signal(Signal::TERM);
    let outcome = running.end();
    assert_eq!(outcome.code, Some(143), "{}", outcome.err);
    outcome
}

#[test]
fn changes_are_stored_and_psql_replays_them_into_a_copy() {
    let scene = Scene::new("captured", TABLES);
    scene.set_up();
    scene.sql(WORK);
    let running = scene.start();
    scene.await_transactions(2);
    scene.sql("INSERT INTO t VALUES (1000, 'while it streams')");
    scene.await_transactions(3);
    let status = scene.status();
    assert_eq!((&status["running"], &status["chain"]["transactions"]), (&true.into(), &3.into()), "{status:#}");
    assert_eq!(status["uncovered"], serde_json::json!([]));
    // No scheduler is missed where a capture runs without one.
    let judged = || scene.pgbk(&[]).args(["status"]).end();
    assert!(until(PATIENCE, || judged().code == Some(0)), "{:#?}", judged());
    assert!(judged().text().starts_with("healthy\n") && !judged().text().contains("--max-age"), "{:#?}", judged());
    // What is stored is confirmed soon, and nothing beyond.
    let confirmed = || scene.status()["slot"]["confirmed"].as_str().unwrap().parse::<Lsn>().unwrap();
    assert!(until(PATIENCE, || confirmed() == scene.tail().end), "{} {}", confirmed(), scene.tail().end);
    stop(running);
    assert_eq!(judged().code, Some(1));
    assert!(
        judged().text().contains("no capture is running") && !judged().text().contains("scheduler"),
        "{:#?}",
        judged()
    );
    assert!(confirmed() <= scene.tail().end);
    scene.replay();
    scene.assert_same(&["t", "u"]);
}

#[test]
fn no_other_command_takes_segments_for_backups_or_for_what_a_killed_run_left() {
    let scene = Scene::new("beside", TABLES);
    let run = scene.pgbk(&[]).key();
    run.args(["capture", &scene.name, "--setup"]).expect(0);
    let id = run.backup(&scene.name, &[]);
    let segments = scene.keys();
    assert!(segments.len() >= 3, "{segments:?}");
    assert_eq!(run.args(["list"]).json().as_array().map(Vec::len), Some(1));
    run.args(["verify", "--all", "--level", "content"]).expect(0).says(&id);
    run.args(["prune", "--keep-last", "1"]).set("DB_NAME", &scene.name).expect(0);
    let cleaned = run.args(["doctor", "--clean", "--older-than", "0s"]).set("DB_NAME", &scene.name).end();
    assert!(!cleaned.text().contains("@changes") && !cleaned.err.contains("@changes"), "{cleaned:#?}");
    assert_eq!(scene.keys(), segments);
}

#[test]
fn a_chain_has_no_gap_and_nothing_twice_however_often_the_capture_is_killed() {
    let scene = Scene::new("killed", TABLES);
    scene.set_up();
    let mut random = Random::new("captures killed");
    let mut made = 0;
    for _ in 0..proof::size(5, 40) {
        let mut running = scene.pgbk(&[]).set("CAPTURE_INTERVAL", "1s").start();
        for _ in 0..5 {
            made += 1;
            scene.sql(&format!("INSERT INTO t SELECT {made} * 100 + i, 'killed' FROM generate_series(1, 7) i; UPDATE t SET v = 'x{made}' WHERE id % 7 = 1"));
            std::thread::sleep(std::time::Duration::from_millis(random.below(400) as u64));
        }
        assert!(running.runs(), "it ended by itself: {}", running.end().err);
        running.signal(Signal::KILL);
        running.end();
    }
    let running = scene.start();
    let last: Lsn = scene.position();
    scene.sql("INSERT INTO u VALUES (77, 77)");
    assert!(until(PATIENCE, || scene.tail().end > last));
    stop(running);
    scene.replay();
    scene.assert_same(&["t", "u"]);
    proof::counted("capture", "kills of a capture", proof::size(5, 40), 0);
}

#[test]
fn a_quiet_database_gets_no_more_objects() {
    let scene = Scene::new("idle", TABLES);
    scene.set_up();
    let running = scene.start();
    scene.sql("INSERT INTO t VALUES (1, 'one')");
    scene.await_transactions(1);
    let before = scene.keys();
    // Other databases write.
    scene.cluster.psql(
        "postgres",
        "CREATE TABLE IF NOT EXISTS noise (n int); INSERT INTO noise SELECT generate_series(1, 1000)",
    );
    scene.sql("INSERT INTO t VALUES (2, 'two')");
    scene.await_transactions(2);
    assert_eq!(scene.keys().len(), before.len() + 2, "a payload and its document");
    stop(running);
}

#[test]
fn what_is_not_captured_is_named() {
    let scene = Scene::new(
        "named",
        &format!("{TABLES}; CREATE TABLE keyless (n int); CREATE UNLOGGED TABLE fast (id int PRIMARY KEY)"),
    );
    scene.set_up();
    let running = scene.start();
    scene.sql("INSERT INTO t VALUES (1, 'one'); INSERT INTO keyless VALUES (1)");
    // The application goes on as before.
    scene.sql("UPDATE keyless SET n = 2; DELETE FROM keyless");
    scene.await_transactions(1);
    stop(running);
    let told = scene.status()["uncovered"].to_string();
    for (table, reason) in [("keyless", "unidentified"), ("fast", "unstreamed")] {
        assert!(told.contains(table) && told.contains(reason), "{table}: {told}");
    }
    scene.replay();
    scene.assert_same(&["t"]);
    // What is changed is captured on, behind a break.
    let running = scene.start();
    scene.sql("ALTER TABLE u ADD COLUMN more int; INSERT INTO u VALUES (5, 5, 5)");
    scene.sql("CREATE TABLE newer (id int PRIMARY KEY); INSERT INTO newer VALUES (1)");
    scene.sql("INSERT INTO t VALUES (2, 'two')");
    let breaks = || {
        let segments = scene.tail().weights;
        segments.iter().flat_map(|weight| weight.breaks.clone()).filter(|one| one.until.is_some()).collect::<Vec<_>>()
    };
    let is_noted = |table: &str| breaks().iter().any(|one| one.table.text() == format!("\"public\".\"{table}\""));
    assert!(until(PATIENCE, || is_noted("u") && is_noted("newer")), "{:?}", breaks());
    stop(running);
    assert_eq!(scene.status()["uncovered"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_transaction_of_any_size_is_one_segment() {
    let scene = Scene::new("huge", TABLES);
    scene.set_up();
    let running = scene.pgbk(&[]).set("CAPTURE_BYTES", "64K").start();
    scene.sql("INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 50000) i");
    scene.await_transactions(1);
    stop(running);
    assert!(scene.tail().stored_bytes > 800_000, "{}", scene.tail().stored_bytes);
    scene.replay();
    scene.assert_same(&["t"]);
}

#[test]
fn a_backup_says_how_it_is_aligned_to_the_changes() {
    let scene = Scene::new("base", TABLES);
    let backup = || {
        let run = scene.pgbk(&[]).args(["backup"]).set("DB_NAME", &scene.name);
        let id = run.json()["id"].as_str().unwrap().to_owned();
        let path = scene.place.path.join("store").join(&scene.name).join(format!("{id}.meta"));
        serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap()
    };
    assert_eq!(backup()["changes"], Value::Null);
    scene.set_up();
    let before = scene.position();
    let changes = backup()["changes"].clone();
    assert_eq!(changes["generation"], scene.status()["chain"]["generation"]);
    let position = |name: &str| changes[name].as_str().unwrap().parse::<Lsn>().unwrap();
    assert!(before <= position("after_lsn") && position("after_lsn") <= position("locked_lsn"));
    scene.pgbk(&["--teardown"]).expect(0);
    assert_eq!(backup()["changes"], Value::Null);
}
