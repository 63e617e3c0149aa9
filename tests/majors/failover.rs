//! A standby that synchronises slots, from 17 on, is promoted: the capture goes on there in the same chain.

use super::*;
use rustix::process::Signal;
use support::capture::{capture_work, rows};
use support::cluster::{Cluster, PASSWORD, PATIENCE, USER};
use support::process::until;

const TABLES: &str = "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY); INSERT INTO t VALUES (0, 'first')";

/// Makes a standby that takes over the slots of this server.
fn synchronising(primary: &Cluster) -> Cluster {
    primary.psql("postgres", "SELECT pg_create_physical_replication_slot('standby')");
    let port = primary.port;
    let password = PASSWORD.replace('\\', "\\\\").replace('\'', "\\'");
    let server = format!("host=127.0.0.1 port={port} user={USER} password='{password}' dbname=postgres");
    let source = format!("primary_conninfo={server}");
    let follows = ["primary_slot_name=standby", "hot_standby_feedback=on", "sync_replication_slots=on", &source];
    primary.standby_set(&[["wal_level=logical"].as_slice(), &follows].concat())
}

/// Waits until the standby could go on with the slot. For that the capture has to move it on once more: the standby has none of the log from
/// before it was made.
fn synchronised((primary, capture): (&Cluster, &Pgbk), standby: &Cluster, slot: &str) {
    let state = |of: &Cluster, what: &str| {
        of.psql("postgres", &format!("SELECT {what} FROM pg_replication_slots WHERE slot_name = '{slot}'"))
    };
    let running = capture.start();
    let moves_on = || {
        primary.psql("shop", "SELECT pg_log_standby_snapshot(); UPDATE t SET v = v WHERE id = 0");
        state(standby, "synced AND NOT temporary") == "t"
    };
    let told = || fs::read_to_string(standby.directory.join("log")).unwrap_or_default();
    assert!(until(PATIENCE, moves_on), "{}", told());
    running.signal(Signal::TERM);
    running.end();
    let place = state(primary, "confirmed_flush_lsn");
    assert!(until(PATIENCE, || state(standby, "confirmed_flush_lsn") == place), "{}", told());
}

#[test]
fn a_capture_goes_on_in_its_chain_on_a_promoted_standby_that_synchronised_its_slot() {
    let like = servers().iter().find(|server| server.major == 17).unwrap();
    let primary = Cluster::start_from_set(&like.cluster.bin, &like.cluster.clients, &["wal_level=logical"]);
    primary.psql("postgres", "CREATE DATABASE shop");
    primary.psql("shop", TABLES);
    let folder = tempfile::tempdir().unwrap();
    let pgbk = |cluster: &Cluster| {
        let run = like.pgbk().server(cluster).directory(folder.path()).key();
        run.set("CAPTURE_INTERVAL", "1s").set("CAPTURE_BASES", "0")
    };
    let status = |cluster: &Cluster| pgbk(cluster).args(["capture", "shop", "--status"]).json();
    pgbk(&primary).args(["capture", "shop", "--setup"]).expect(0);
    let standby = synchronising(&primary);
    pgbk(&primary).backup("shop", &[]);
    let last = |id: u32| format!("INSERT INTO u VALUES ({id})");
    let work = |id: u32| format!("INSERT INTO t VALUES ({id}, 'work'); UPDATE t SET v = v || '!'");
    capture_work(&pgbk(&primary), (&primary, "shop"), &work(1), &last(1));
    synchronised((&primary, &pgbk(&primary).args(["capture", "shop"])), &standby, "pgbk_shop");
    // This is on the standby and not stored.
    primary.psql("shop", &work(2));
    let place = primary.psql("shop", "SELECT pg_current_wal_insert_lsn()");
    let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{place}'");
    assert!(until(PATIENCE, || standby.psql("postgres", &replayed) == "t"));
    standby.psql("postgres", "SELECT pg_promote()");
    let generation = status(&primary)["chain"]["generation"].clone();

    // Before the chain has gone on here, no backup of this server is a base of it.
    let early = pgbk(&standby).args(["backup", "shop"]).expect(0);
    assert!(early.err.contains("is no base for captured changes"), "{}", early.err);
    // More than once: the chain lies behind the place of the promotion by then.
    for id in [3, 4] {
        capture_work(&pgbk(&standby), (&standby, "shop"), &work(id), &last(id));
        assert_eq!(status(&standby)["chain"]["generation"], generation);
    }
    let comes_back = |into: &str| {
        pgbk(&standby).args(["restore", "--at", "latest", "--database", "shop", "--to", into, "--yes"]).expect(0);
        assert_eq!(rows(&standby, into), rows(&standby, "shop"));
    };
    comes_back("from_the_old_base");
    let base = pgbk(&standby).backup("shop", &[]);
    assert_eq!(meta(&folder, &base)["changes"]["generation"], generation);
    capture_work(&pgbk(&standby), (&standby, "shop"), &work(5), &last(5));
    comes_back("from_a_new_base");

    // The old primary is back. Its slot would lead on, to changes that the chain must never have.
    primary.psql("shop", &work(99));
    let end = status(&standby)["chain"]["end"].clone();
    pgbk(&primary).args(["capture", "shop"]).expect(1).says("it is an old primary that is back");
    let backup = pgbk(&primary).args(["backup", "shop"]).expect(0);
    assert!(backup.err.contains("is no base for captured changes"), "{}", backup.err);
    assert_eq!(status(&standby)["chain"]["end"], end);
    proof::counted("capture", "promotions behind which a capture went on in its chain", 1, 0);
}
