//! A capture is killed, and so are its server, its connection and its store, while a database is worked on. At random moments a witness
//! notes what every table holds; a restore to each of these moments gives the same, or names the table.

mod load;
mod moment;

use load::{DEFINITIONS, TABLES, alter, work};
use moment::{Moment, witness};
use pgbk::format::lsn::Lsn;
use pgbk::store::Store;
use pgbk::store::directory::Directory;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::cluster::{Cluster, PATIENCE};
use support::pgbk::{Pgbk, Running, pgbk};
use support::process::{Place, until};
use support::proof;
use support::random::Random;

/// The calls at which a capture is killed: those that put a segment into a folder.
const CALLS: [&str; 6] = ["openat", "write", "fsync", "renameat2", "linkat", "close"];

struct Scene {
    cluster: Cluster,
    name: String,
    place: Place,
}

impl Scene {
    fn new() -> Scene {
        let settings = ["wal_level=logical", "max_connections=60", "deadlock_timeout=100ms"];
        let cluster = Cluster::start_set(&settings);
        let name = cluster.database("witnessed");
        cluster.psql(&name, TABLES);
        let place = Place::new("witness");
        fs::create_dir(place.path.join("store")).unwrap();
        Scene { cluster, name, place }
    }

    fn pgbk(&self, arguments: &[&str]) -> Pgbk {
        pgbk(arguments.iter().copied())
            .server(&self.cluster)
            .directory(&self.place.path.join("store"))
            .key()
            .set("STATE_DIR", self.place.path.join("state").display())
            .set("CAPTURE_INTERVAL", "1s")
            .set("CAPTURE_BYTES", "64k")
            .set("DB_BACKUP_COMPRESS", "zstd")
    }

    fn capture(&self) -> Pgbk {
        self.pgbk(&["capture", &self.name])
    }

    /// Makes a base. A table that is emptied meanwhile makes a backup begin again, and fail in the end.
    fn base(&self, definitions: &Mutex<()>) {
        let _held = definitions.lock().unwrap();
        let made = (0..10).any(|_| self.pgbk(&["backup", &self.name]).end().code == Some(0));
        assert!(made, "no base was made");
    }

    /// The names of all objects of chains.
    fn objects(&self) -> Vec<String> {
        let store = Directory::open(self.place.path.join("store")).unwrap();
        store.list("@changes/").unwrap().into_iter().map(|listed| listed.key).collect()
    }

    /// Ends a capture, or what it depends on, in one of many ways, at a moment that chance chooses.
    fn strike(&self, capture: &mut Option<Running>, random: &mut Random) -> &'static str {
        let pause = Duration::from_millis(20 + random.below(400) as u64);
        match random.below(20) {
            0 => {
                self.cluster.stop_immediately();
                self.cluster.run();
                "the server crashes"
            }
            1 | 2 => {
                let ended = "SELECT count(pg_terminate_backend(active_pid)) FROM pg_replication_slots WHERE active";
                std::thread::sleep(pause);
                self.cluster.try_psql("postgres", ended);
                "the connection is lost"
            }
            3 | 4 => {
                let (store, away) = (self.place.path.join("store"), self.place.path.join("away"));
                fs::rename(&store, &away).unwrap();
                // As where a share is mounted, and is not now.
                fs::create_dir(&store).unwrap();
                std::thread::sleep(pause);
                // What a capture has written there meanwhile is in no chain. It may still be writing.
                assert!(until(PATIENCE, || fs::remove_dir_all(&store).is_ok()));
                fs::rename(&away, &store).unwrap();
                "the store is away"
            }
            5..=11 => {
                end(capture.take());
                let (call, nth) = (CALLS[random.below(CALLS.len())], 1 + random.below(40));
                self.kill_at(call, nth);
                "a kill at a named moment"
            }
            _ => {
                std::thread::sleep(pause);
                end(capture.take());
                "a kill at a random moment"
            }
        }
    }

    /// Runs a capture until its `nth` call of this kind in a thread, which kills it; or for some seconds, where there is no such call.
    fn kill_at(&self, call: &str, nth: usize) {
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={nth}"));
        let wrapper = ["strace", "-f", "-b", "execve", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let mut child = self.capture().command_by(&wrapper).spawn().unwrap();
        let ended = until(Duration::from_secs(3), || child.try_wait().unwrap().is_some());
        if !ended {
            // pgbk, too, which strace would leave behind.
            let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap_or_default();
            for traced in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
                kill_process(Pid::from_raw(traced).unwrap(), Signal::KILL).ok();
            }
            kill_process(Pid::from_child(&child), Signal::KILL).ok();
            child.wait().unwrap();
        }
    }

    /// Waits until everything up to the server's present position is stored.
    fn await_stored(&self, capture: &mut Option<Running>) {
        let target: Lsn = self.cluster.psql(&self.name, "SELECT pg_current_wal_insert_lsn()").parse().unwrap();
        // Something behind it that is stored.
        self.cluster.psql(&self.name, "INSERT INTO items (body) VALUES ('last')");
        let stored = until(PATIENCE, || {
            self.keep_running(capture);
            let status = self.pgbk(&["capture", &self.name, "--status"]).json();
            let end = status["chain"]["end"].as_str().and_then(|end| end.parse::<Lsn>().ok());
            end.is_some_and(|end| end > target)
        });
        assert!(stored, "not everything was stored");
    }

    fn keep_running(&self, capture: &mut Option<Running>) {
        if !capture.as_mut().is_some_and(Running::runs) {
            end(capture.take());
            *capture = Some(self.capture().start());
        }
    }

    /// Restores to a moment and compares. Returns how many tables were equal, and how many were named as not covered.
    fn judge(&self, number: usize, moment: &Moment) -> (usize, usize) {
        let into = format!("{}_{number}", self.name);
        let position = moment.position.to_string();
        let arguments = ["restore", "--at", &position, "--to", &into, "--database", &self.name, "--yes"];
        let outcome = self.pgbk(&[&arguments[..], &["--json"]].concat()).end();
        assert_eq!(outcome.code, Some(0), "{}: {:#?}", outcome.err, self.objects());
        let report = outcome.json();
        let named: BTreeSet<&str> = report["changes"]["uncovered"]
            .as_array()
            .unwrap()
            .iter()
            .map(|table| table["table"].as_str().unwrap())
            .collect();
        let found = moment::tables(&self.cluster, &into);
        let (mut equal, mut uncovered) = (0, 0);
        for (table, rows) in &moment.tables {
            if found.get(table) == Some(rows) {
                equal += 1;
            } else {
                let quoted = format!("\"public\".\"{}\"", table.trim_matches('"'));
                // One that was made meanwhile is found by a look, once a minute.
                let is_new = !found.contains_key(table);
                assert!(
                    is_new || named.contains(quoted.as_str()),
                    "{table} at {position}: {:?}, not {rows:?}, and only {named:?} are named",
                    found.get(table)
                );
                assert!(!load::COVERED.contains(&table.as_str()), "{table} is not covered at {position}: {report:#}");
                uncovered += 1;
            }
        }
        self.cluster.psql("postgres", &format!("DROP DATABASE \"{into}\""));
        (equal, uncovered)
    }
}

/// Kills a capture. One that ended by itself must have had a reason that waiting mends.
fn end(capture: Option<Running>) {
    let Some(mut capture) = capture else { return };
    let ran = capture.runs();
    if ran {
        capture.signal(Signal::KILL);
    }
    let outcome = capture.end();
    let passing = [
        "is active for PID",
        "could not connect",
        "Connection refused",
        "starting up",
        "shutting down",
        "mounted",
        "closed",
    ];
    let said = &outcome.err;
    assert!(ran || outcome.code.is_none() || passing.iter().any(|reason| said.contains(reason)), "{said}");
}

/// Ends the work when the test is over, however it ends.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn whatever_was_killed_each_moment_that_was_witnessed_comes_back() {
    let scene = Scene::new();
    scene.pgbk(&["capture", &scene.name, "--setup"]).expect(0);
    let mut random = Random::new("witness");
    let (kills, most_moments) = (proof::size(8, 320), proof::size(4, 210));
    let over = AtomicBool::new(false);
    let definitions = Mutex::new(());
    let mut struck = Vec::new();
    let moments = std::thread::scope(|scope| {
        let _ends = Ends(&over);
        for worker in 0..3 {
            let mut random = random.fork();
            let (scene, over) = (&scene, &over);
            scope.spawn(move || work(&scene.cluster, &scene.name, worker, &mut random, over));
        }
        scope.spawn(|| alter(&scene.cluster, &scene.name, DEFINITIONS, &definitions, &over));
        let (mut capture, mut moments) = (None, Vec::new());
        scene.keep_running(&mut capture);
        scene.base(&definitions);
        for number in 0..kills {
            scene.keep_running(&mut capture);
            struck.push(scene.strike(&mut capture, &mut random));
            scene.keep_running(&mut capture);
            if moments.len() * kills < (number + 1) * most_moments {
                moments.push(witness(&scene.cluster, &scene.name, &definitions));
            }
            // A second base, from which the later moments are reached.
            if number == kills / 2 {
                scene.base(&definitions);
            }
        }
        over.store(true, Ordering::Relaxed);
        scene.await_stored(&mut capture);
        end(capture);
        moments
    });
    let (mut equal, mut uncovered) = (0, 0);
    for (number, moment) in moments.iter().enumerate() {
        let (same, named) = scene.judge(number, moment);
        equal += same;
        uncovered += named;
    }
    for what in [
        "the server crashes",
        "the connection is lost",
        "the store is away",
        "a kill at a named moment",
        "a kill at a random moment",
    ] {
        let times = struck.iter().filter(|one| **one == what).count();
        proof::counted("capture-kills", what, times, 0);
    }
    proof::counted("capture-moments", "moments, restored and compared", moments.len(), 0);
    proof::counted("capture-tables", "tables at these moments: equal, or named as not covered", equal, uncovered);
    eprintln!("{} objects of the chain", scene.objects().len());
}
