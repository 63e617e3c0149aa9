//! What a capture does where another server takes over: a standby that was promoted and has no slot, and the old primary that is back.

use super::*;
use std::path::Path;

/// A primary, and a standby that follows it.
struct Pair {
    primary: &'static Cluster,
    standby: Cluster,
}

impl Pair {
    fn start() -> Pair {
        let settings = ["wal_level=logical"];
        let like = logical();
        // One that lets copies be made of it.
        let primary = Box::leak(Box::new(Cluster::start_from_set(&like.bin, &like.clients, &settings)));
        let standby = primary.standby_set(&settings);
        Pair { primary, standby }
    }

    /// Waits until the standby has what the primary has, and lets it hear of nothing more.
    fn part(&self) {
        let place = self.primary.psql("postgres", "SELECT pg_current_wal_insert_lsn()");
        let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{place}'");
        assert!(until(PATIENCE, || self.standby.psql("postgres", &replayed) == "t"));
        self.standby.psql("postgres", "ALTER SYSTEM SET primary_conninfo = ''");
        self.standby.psql("postgres", "SELECT pg_reload_conf()");
        let receives = "SELECT count(*) FROM pg_stat_wal_receiver";
        assert!(until(PATIENCE, || self.standby.psql("postgres", receives) == "0"));
    }
}

/// The time of the server, behind all commits before.
fn moment(scene: &Scene) -> String {
    scene.sql("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
}

/// pgbk, connected to the standby, with the scene's store.
fn on_standby(scene: &Scene, pair: &Pair) -> Pgbk {
    let state = scene.place.path.join("state");
    scene.pgbk(&[]).server(&pair.standby).set("STATE_DIR", state.display())
}

/// Lets a capture of the standby run until a row of it is stored, and a base before and behind it. Returns what it said.
fn goes_on(scene: &Scene, pair: &Pair) -> String {
    let run = on_standby(scene, pair);
    let status = || run.args(["capture", &scene.name, "--status"]).json();
    let before = scene.tail().generation.id.to_string();
    let mut running = run.set("CAPTURE_BASES", "1").start();
    let has_base = || {
        let status = status();
        status["chain"]["generation"] != *before && status["base"]["id"].is_string()
    };
    assert!(until(PATIENCE, || !running.runs() || has_base()) && running.runs(), "{}", running.end().err);
    pair.standby.psql(&scene.name, "INSERT INTO t VALUES (100, 'on the standby')");
    let place = pair.standby.psql(&scene.name, "SELECT pg_current_wal_insert_lsn()").parse().unwrap();
    pair.standby.psql(&scene.name, "INSERT INTO u VALUES (100, 100)");
    scene.await_beyond(&run, &mut running, place);
    run.args(["backup", &scene.name]).expect(0);
    let place = pair.standby.psql(&scene.name, "SELECT pg_current_wal_insert_lsn()").parse().unwrap();
    pair.standby.psql(&scene.name, "INSERT INTO u VALUES (101, 101)");
    scene.await_beyond(&run, &mut running, place);
    running.signal(Signal::TERM);
    let outcome = running.end();
    assert_eq!(outcome.code, Some(143), "{}", outcome.err);
    outcome.err
}

#[test]
fn a_promoted_standby_without_a_slot_or_behind_the_chain_begins_a_generation_and_each_side_of_the_gap_can_be_restored()
{
    let pair = Pair::start();
    let [short, ahead] = ["short", "ahead"].map(|hint| Scene::on(pair.primary, hint, TABLES));
    let both = [&short, &ahead];
    let mut moments = Vec::new();
    let mut running = Vec::new();
    for scene in both {
        scene.pgbk(&["--setup"]).expect(0);
        scene.pgbk(&[]).args(["backup", &scene.name]).expect(0);
        running.push(scene.start());
        scene.sql("INSERT INTO t VALUES (1, 'on both')");
    }
    moments.push(moment(&short));
    short.sql("INSERT INTO t VALUES (2, 'stored last')");
    short.await_transactions(2);
    stop(running.remove(0));
    short.sql("INSERT INTO t VALUES (3, 'in the gap')");
    let in_the_gap = moment(&short);
    pair.part();
    ahead.sql("INSERT INTO t VALUES (4, 'never on the standby')");
    moments.push(moment(&ahead));
    ahead.sql("INSERT INTO t VALUES (5, 'stored last')");
    ahead.await_transactions(3);
    stop(running.remove(0));
    // Before it is promoted nothing is lost, and nothing begins.
    on_standby(&ahead, &pair).expect(1).says("the server is a standby");
    let before = both.map(Scene::tail);
    pair.standby.psql("postgres", "SELECT pg_promote()");

    let restored = |scene: &Scene, at: &str, into: &str| {
        let run = scene.pgbk(&[]).args(["restore", "--at", at, "--database", &scene.name, "--to", into, "--yes"]);
        run.expect(0);
        scene.cluster.psql(into, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM t")
    };
    for (at, (scene, why)) in
        both.into_iter().zip(["there is no replication slot", "it never had what is stored"]).enumerate()
    {
        let said = goes_on(scene, &pair);
        assert!(said.contains(why) && said.contains("A new generation has begun"), "{said}");
        let proven =
            on_standby(scene, &pair).args(["verify", "--changes", "--level", "restore", "--database", &scene.name]);
        let proof = proven.json()["generations"].as_array().unwrap().last().unwrap()["proof"].clone();
        assert!(proof["tables"].as_array().is_some_and(|tables| tables.len() == 2), "{proof:#}");
        let (old, new) = (&before[at], scene.tail());
        assert!(new.generation.id > old.generation.id && new.generation.timeline == 2);
        let into = |hint: &str| format!("{}_{hint}", scene.name);
        assert_eq!(restored(scene, &moments[at], &into("before")), ["0 1", "0 1 4"][at]);
        assert_eq!(restored(scene, "latest", &into("latest")), ["0 1 2 3 100", "0 1 100"][at]);
    }
    let refused = ["restore", "--at", &in_the_gap, "--database", &short.name, "--to", "gap", "--yes"];
    short.pgbk(&[]).args(refused).expect(4).says("they do not reach");

    // The old primary is back, and has a slot that leads on from the end of the first chain.
    let tail = ahead.tail();
    ahead.sql("INSERT INTO t VALUES (6, 'on the old primary')");
    ahead.pgbk(&[]).expect(1).says("it is an old primary that is back").says("--new-generation");
    let backup = ahead.pgbk(&[]).args(["backup", &ahead.name]).expect(0);
    assert!(backup.err.contains("is no base for captured changes"), "{}", backup.err);
    assert_eq!((ahead.tail().generation.id, ahead.tail().end), (tail.generation.id, tail.end));
    assert_eq!(restored(&ahead, "latest", "ahead_again"), "0 1 100");
    // Before a generation has a base, the latest is that of the one before, and what is lacking is named.
    on_standby(&ahead, &pair).args(["capture", &ahead.name, "--setup", "--new-generation"]).expect(0);
    let plan = ["restore", "--at", "latest", "--database", &ahead.name, "--to", "planned", "--dry-run"];
    let planned = ahead.pgbk(&[]).args(plan).expect(0).text();
    assert!(planned.contains("is not restored: it has no base yet"), "{planned}");
}

/// Lets a capture run until it has begun another generation and stored the first segment of it. Returns what it said.
fn begins_anew(scene: &Scene) -> String {
    let old = scene.tail().generation.id;
    let mut running = scene.start();
    let is_anew = || Some(scene.tail()).is_some_and(|tail| tail.generation.id > old && tail.previous.is_some());
    assert!(until(PATIENCE, || !running.runs() || is_anew()) && running.runs(), "{}", running.end().err);
    running.signal(Signal::TERM);
    running.end().err
}

#[test]
fn a_server_that_was_set_back_to_a_copy_of_itself_begins_a_generation_however_far_it_has_written_since() {
    let like = logical();
    let server: &Cluster =
        Box::leak(Box::new(Cluster::start_from_set(&like.bin, &like.clients, &["wal_level=logical"])));
    let [behind, beyond, killed] = ["behind", "beyond", "killed"].map(|hint| Scene::on(server, hint, TABLES));
    let all = [&behind, &beyond, &killed];
    for scene in all {
        scene.pgbk(&["--setup"]).expect(0);
        scene.pgbk(&[]).args(["backup", &scene.name]).expect(0);
    }
    let [data, copy] = ["data", "copy"].map(|name| server.directory.join(name));
    server.stop_immediately();
    assert!(Command::new("cp").args([Path::new("-a"), &data, &copy]).status().unwrap().success());
    server.run();
    for scene in all {
        let running = scene.start();
        scene.sql("INSERT INTO t VALUES (1, 'gone')");
        scene.await_transactions(1);
        stop(running);
    }
    // A server that crashes may forget what it has heard last, and all of its log is there.
    server.stop_immediately();
    server.run();
    let running = killed.start();
    killed.sql("INSERT INTO t VALUES (2, 'there')");
    killed.await_transactions(2);
    stop(running);

    server.stop_immediately();
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&copy, &data).unwrap();
    server.run();
    let said = begins_anew(&behind);
    assert!(said.contains("before the stored changes end at") && said.contains("it was set back"), "{said}");
    let end = beyond.tail().end;
    let is_beyond = format!("SELECT pg_current_wal_insert_lsn() > '{end}'");
    while beyond.sql(&is_beyond) != "t" {
        beyond.sql("INSERT INTO u SELECT g, g FROM generate_series((SELECT count(*) FROM u) + 10, (SELECT count(*) FROM u) + 1000) g");
    }
    let said = begins_anew(&beyond);
    assert!(said.contains("has no commit of") && said.contains("A new generation has begun"), "{said}");
}

#[test]
fn after_pg_upgrade_the_stored_changes_end_and_a_new_generation_is_begun_when_told() {
    let like = logical();
    let server: &Cluster =
        Box::leak(Box::new(Cluster::start_from_set(&like.bin, &like.clients, &["wal_level=logical"])));
    let scene = Scene::on(server, "upgraded", TABLES);
    scene.pgbk(&["--setup"]).expect(0);
    scene.pgbk(&[]).args(["backup", &scene.name]).expect(0);
    let running = scene.start();
    scene.sql("INSERT INTO t VALUES (1, 'before')");
    scene.await_transactions(1);
    stop(running);
    server.upgrade();
    scene.pgbk(&[]).expect(1).says("this is another server").says("pgbk capture --new-generation");
    let restore = |base: &[&str], into: &str| -> Result<String, String> {
        let at = ["--at", "latest", "--database", &scene.name, "--to", into, "--yes"];
        let run = scene.pgbk(&[]);
        let outcome = run.args([&["restore"], base, &at].concat()).start().end();
        outcome.code.filter(|code| *code == 0).ok_or(outcome.err)?;
        Ok(server.psql(into, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM t"))
    };
    assert_eq!(restore(&[], "upgraded_old"), Ok("0 1".to_owned()));
    scene.pgbk(&["--setup", "--new-generation"]).expect(0);
    let base = scene.pgbk(&[]).backup(&scene.name, &[]);
    let running = scene.start();
    scene.sql("INSERT INTO t VALUES (2, 'after')");
    scene.await_transactions(1);
    stop(running);
    // Nobody but its owner knows that the two are one.
    let refused = restore(&[], "upgraded_new").unwrap_err();
    assert!(refused.contains("several servers have bases") && refused.contains(&base), "{refused}");
    assert_eq!(restore(&[&base], "upgraded_new"), Ok("0 1 2".to_owned()));
}
