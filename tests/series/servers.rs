//! Two real servers with one database's name in one folder.

use jiff::Timestamp;
use pgbk::format::backup_id::BackupId;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use support::cluster::{Cluster, cluster};
use support::pgbk::{Outcome, Pgbk, connected, pgbk};
use support::proof;
use tempfile::TempDir;

/// What both servers call their database.
struct Pair {
    place: TempDir,
    name: &'static str,
}

fn other() -> &'static Cluster {
    static OTHER: OnceLock<Cluster> = OnceLock::new();
    OTHER.get_or_init(Cluster::start)
}

impl Pair {
    fn new(name: &'static str) -> Pair {
        for (server, what) in [(cluster(), "production"), (other(), "staging")] {
            server.psql("postgres", &format!("CREATE DATABASE {name}"));
            server.psql(name, &format!("CREATE TABLE t AS SELECT '{what}' AS what"));
        }
        Pair { place: tempfile::tempdir().expect("a folder"), name }
    }

    fn settled(&self, run: Pgbk, folder: &str, state: &str) -> Pgbk {
        let path = |name: &str| self.place.path().join(name);
        fs::create_dir_all(path(folder)).expect("a folder");
        run.directory(&path(folder)).set("STATE_DIR", path(state).display()).set("DB_NAME", self.name)
    }

    fn production(&self) -> Pgbk {
        self.settled(connected(), "store", "state-of-production")
    }

    fn staging(&self) -> Pgbk {
        self.settled(pgbk([]).server(other()), "store", "state-of-staging")
    }

    fn holds(&self, server: &Cluster, database: &str) -> String {
        server.psql(database, "SELECT what FROM t")
    }

    fn listed(&self, run: &Pgbk) -> Vec<(String, String)> {
        let rows = run.args(["list"]).json();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
        rows.as_array().expect("rows").iter().map(|row| (text(&row["id"]), text(&row["server"]))).collect()
    }

    fn ids(&self, run: &Pgbk) -> Vec<String> {
        self.listed(run).into_iter().map(|(id, _)| id).collect()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for server in [cluster(), other()] {
            for name in [self.name.to_owned(), format!("{}_copy", self.name)] {
                server.psql("postgres", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
            }
        }
    }
}

fn identifier(server: &Cluster) -> String {
    server.psql("postgres", "SELECT system_identifier FROM pg_control_system()")
}

fn backup(run: &Pgbk) -> String {
    run.args(["backup"]).json()["id"].as_str().expect("an id").to_owned()
}

fn moved(from: &Path, to: &Path, id: &str) {
    for entry in fs::read_dir(from).expect("read the folder").flatten() {
        let name = entry.file_name().into_string().expect("a name");
        if name.starts_with(id) {
            fs::copy(entry.path(), to.join(name)).expect("copy");
        }
    }
}

#[test]
fn two_servers_in_one_folder_keep_restore_prove_and_remove_their_own() {
    let pair = Pair::new("series_pair");
    let (production, staging) = (pair.production(), pair.staging());
    let ours = [backup(&production), backup(&production)];
    let begun = staging.args(["backup"]).expect(0).says("this server begins a series of its own beside them");
    let theirs = [begun.text().split_whitespace().next().expect("an id").to_owned(), backup(&staging)];
    assert!(!staging.args(["backup"]).expect(0).err.contains("begins a series"), "it is said once");

    let (own, foreign) = (identifier(cluster()), identifier(other()));
    let rows = pair.listed(&production);
    let of = |id: &String| rows.iter().find(|(row, _)| row == id).expect("a row").1.clone();
    assert!(ours.iter().all(|id| of(id) == own) && theirs.iter().all(|id| of(id) == foreign), "{rows:?}");
    let table = production.args(["list"]).expect(0).text();
    assert!(table.contains(&own[own.len() - 6..]) && table.contains(&foreign[foreign.len() - 6..]), "{table}");

    // Each restores, and proves, what it made last; staging's are newer.
    let copy = format!("{}_copy", pair.name);
    for (run, server, what) in [(&production, cluster(), "production"), (&staging, other(), "staging")] {
        run.args(["restore", "latest", "--to", &copy, "--yes"]).expect(0);
        assert_eq!(pair.holds(server, &copy), what);
        let proven = run.args(["verify", "--level", "restore", "latest"]).json();
        let id = proven["backups"][0]["id"].as_str().expect("an id");
        assert_eq!(of_server(&pair.listed(run), id), identifier(server), "{proven}");
    }

    // Neither rules by hand nor those after a run cross.
    let before = pair.ids(&production);
    production.args(["prune", "--keep-last", "1", "--force"]).expect(0);
    let left = pair.ids(&production);
    let gone: Vec<&String> = before.iter().filter(|id| !left.contains(id)).collect();
    assert_eq!(gone, [&ours[0]]);
    let kept =
        staging.set("KEEP_LAST", 2).args(["backup"]).expect(0).says(&format!("retention: removed {}", theirs[0]));
    let theirs = kept.text().split_whitespace().next().expect("an id").to_owned();
    assert!(pair.ids(&production).contains(&ours[1]));

    // Another's by id: the name is enough to ask.
    let over = production.args(["restore", &theirs, "--clean", "--yes"]).expect(1);
    over.says(&format!("on another server than server {foreign}"));
    assert_eq!(pair.holds(cluster(), pair.name), "production");
    production.args(["restore", &theirs, "--clean", "--over-source", "--yes"]).expect(0);
    assert_eq!(pair.holds(cluster(), pair.name), "staging");

    // No server can be asked: neither one's rules are applied to the other's.
    let nobody = production.set("DB_PORT", 1).set("DB_HOST", "127.0.0.1");
    let asked = nobody.args(["prune", "--keep-last", "1", "--force"]).expect(2);
    asked.says("several servers' backups are here").says(&foreign);
    let dry = nobody.args(["prune", "--keep-last", "1", "--dry-run", "--server", "all"]).expect(0).text();
    assert_eq!(dry.matches("newest good one").count(), 2, "{dry}");
    proof::counted("servers", "real servers: newest, restored, proven, pruned and asked for by name", 2, 1);
}

fn of_server(rows: &[(String, String)], id: &str) -> String {
    rows.iter().find(|(row, _)| row == id).map(|(_, server)| server.clone()).unwrap_or_default()
}

#[test]
fn one_that_was_adopted_and_backs_up_still_loses_its_newest_to_nobody() {
    let pair = Pair::new("series_adopted");
    let (production, staging) = (pair.production(), pair.staging());
    let first = backup(&production);
    backup(&production);
    let adopting = staging.args(["backup", "--adopt"]).expect(0);
    adopting.says("the series goes on with that of server");
    let still = backup(&production);
    let told = staging.args(["backup"]).expect(0).says("still backs up");
    let newest = told.text().split_whitespace().next().expect("an id").to_owned();
    backup(&production);
    let last = backup(&production);
    // Neither by the rules of the one that adopted, nor of the adopted, nor of all.
    for (run, more) in [(&staging, &[][..]), (&production, &[]), (&staging, &["--server", "all"])] {
        run.args(["prune", "--keep-last", "1", "--force"].iter().chain(more).copied()).expect(0);
        let left = pair.ids(&staging);
        assert!(left.contains(&newest) && left.contains(&last), "{left:?}");
    }
    let left = pair.ids(&staging);
    assert!(!left.contains(&first) && !left.contains(&still), "{left:?}");
    proof::counted("servers", "a server that adopted another which backs up still: rules of either and of all", 3, 0);
}

#[test]
fn a_sealed_backup_of_another_environment_with_the_same_key_is_not_taken_for_ones_own() {
    let pair = Pair::new("series_copied");
    let production = pair.production().key();
    let staging = pair.settled(pgbk([]).server(other()), "elsewhere", "state-of-staging").key();
    let ours = [backup(&production), backup(&production)];
    let theirs = loop {
        // The copy shall take no other's name.
        let id = backup(&staging);
        if !ours.contains(&id) {
            break id;
        }
    };
    let folder = |name: &str| pair.place.path().join(name).join(pair.name);
    moved(&folder("elsewhere"), &folder("store"), &theirs);

    let foreign = identifier(other());
    assert_eq!(of_server(&pair.listed(&production), &theirs), foreign);
    let copy = format!("{}_copy", pair.name);
    production.args(["restore", "latest", "--to", &copy, "--yes"]).expect(0);
    assert_eq!(pair.holds(cluster(), &copy), "production");
    let pruned = production.args(["prune", "--keep-last", "1", "--force"]).expect(0).text();
    assert!(pruned.contains(&format!("of another server (…{})", &foreign[foreign.len() - 6..])), "{pruned}");
    let left = pair.ids(&production);
    assert!(left.contains(&theirs) && left.contains(&ours[1]) && left.len() == 2, "{left:?}");
    let next = production.args(["backup"]).json();
    assert_eq!(next["previous"].as_str().unwrap_or(&ours[1]), ours[1]);
    production.args(["restore", &theirs, "--clean", "--yes"]).expect(1).says("on another server than server");

    // Whose it is is under the seal.
    let meta = folder("store").join(format!("{theirs}.meta"));
    let text = fs::read_to_string(&meta).expect("read").replace(&foreign, &identifier(cluster()));
    fs::write(&meta, text).expect("write");
    production.args(["verify", &theirs, "--level", "meta"]).expect(3).says("");
    let pruned = production.args(["prune", "--keep-last", "1", "--force"]).expect(0).text();
    assert!(pruned.contains("no good, left for you to see"), "{pruned}");
    proof::counted(
        "servers",
        "a sealed backup of another environment in this one's folder, as it is and changed",
        1,
        1,
    );
}

/// Runs it under a clock that is off by this.
fn under(run: &Pgbk, off: &str, arguments: &[&str]) -> Outcome {
    let command = run.args(arguments.iter().copied()).command_by(&["faketime", "-f", off]);
    let mut command: Command = command;
    let output = command.env("DONT_FAKE_MONOTONIC", "1").output().expect("faketime, which scripts/test.sh installs");
    Outcome::of(output, std::time::Duration::ZERO)
}

#[test]
fn a_run_under_a_clock_that_lies_keeps_what_it_made_and_is_the_latest_or_named() {
    let pair = Pair::new("series_lying");
    let copy = format!("{}_copy", pair.name);
    let ahead = Cluster::start_under(&["env", "DONT_FAKE_MONOTONIC=1", "faketime", "-f", "+1300d"]);
    ahead.psql("postgres", &format!("CREATE DATABASE {}", pair.name));
    ahead.psql(pair.name, "CREATE TABLE t AS SELECT '' AS what");
    let runs =
        [(cluster(), pair.production()), (&ahead, pair.settled(pgbk([]).server(&ahead), "store", "state-ahead"))];
    let mut tried = 0;
    for (server, run) in runs {
        let run = run.set("KEEP_LAST", 2).set("KEEP_DAILY", 2);
        let latest = || run.args(["restore", "latest", "--to", &copy, "--clean", "--over-source", "--yes"]).expect(0);
        for off in ["-400d", "-5d", "+1300d", "-20y", "-30m", "+30m", "+20y", "-400d", "+0"] {
            server.psql(pair.name, &format!("UPDATE t SET what = '{off}'"));
            let made = under(&run, off, &["backup"]);
            assert_eq!(made.code, Some(0), "{off}: {made:?}");
            let id = made.text().split_whitespace().next().expect("an id").to_owned();
            assert!(pair.ids(&run).contains(&id), "{off}: {made:?}");
            assert!(!made.err.contains(&format!("removed {id}")), "{off}: {made:?}");
            let restored = latest();
            // Dated ahead is only what both clocks say: it is named, and not the latest.
            match id.parse::<BackupId>().expect("an id").is_from_the_future(Timestamp::now()) {
                true => {
                    restored.says(&format!("{id} is dated ahead of this host's clock"));
                    assert!(run.args(["list"]).expect(0).text().contains("in the future"));
                    assert_ne!(server.psql(&copy, "SELECT what FROM t"), off);
                }
                false => assert_eq!(server.psql(&copy, "SELECT what FROM t"), off, "{restored:?}"),
            }
            tried += 1;
        }
    }
    proof::counted("clocks", "the real binary under a clock that lies, with retention after each run", tried, 0);
}

/// What a series goes on with, or stands alone beside, decides as well as its own newest.
#[test]
fn no_plain_text_slips_in_beside_what_is_encrypted_by_adoption_or_upload() {
    let pair = Pair::new("series_plain");
    let (production, staging) = (pair.production(), pair.staging());
    let file = pair.place.path().join("dump.sql");
    fs::write(&file, "SELECT 1;\n-- PostgreSQL database dump complete\n").expect("write");
    let upload = ["upload", file.to_str().expect("text"), "--database", pair.name];
    let refused = |run: &Pgbk, arguments: &[&str]| {
        let before = pair.ids(run);
        run.args(arguments.iter().copied()).expect(2).says("no key is set: nothing is stored");
        assert_eq!(pair.ids(run), before, "{arguments:?}");
    };
    // Uploads alone, which are the only sign that the folder is meant to be unreadable.
    production.key().args(upload).expect(0);
    refused(&production, &["backup"]);
    // An adopted series, although one's own is plain.
    production.key().args(["backup"]).expect(0);
    staging.set("NO_ENCRYPT", 1).args(["backup"]).expect(0);
    staging.args(["backup"]).expect(0);
    refused(&staging, &["backup", "--adopt"]);
    // An upload beside backups, although the upload before is plain.
    production.set("NO_ENCRYPT", 1).args(upload).expect(0);
    refused(&production, &upload);
    refused(&production, &["backup"]);
}
