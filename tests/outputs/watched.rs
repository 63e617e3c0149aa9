//! Each output is watched as a series of its own: its age, its failures, and what goes missing of it.

use crate::outputs::{OTHER_KEY, Place, RULES, ids, source};
use crate::status::site::get;
use jiff::Timestamp;
use pgbk::format::backup_id::BackupId;
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use support::cluster::PATIENCE;
use support::database::sql;
use support::pgbk::{Outcome, Pgbk};
use support::process::until;
use support::scheduler;

/// A database whose copies have a key and a folder of their own.
struct Watched {
    place: Place,
    name: &'static str,
}

impl Watched {
    fn new(name: &'static str) -> Watched {
        source(name);
        Watched { place: Place::new(RULES), name }
    }

    fn pgbk(&self) -> Pgbk {
        let pgbk = self.place.pgbk("plain,anonymised").unset("NO_ENCRYPT").key();
        pgbk.set("ANON_STORE_DIR", self.copies().display()).set("ANON_ENCRYPT_KEY", OTHER_KEY).set("DB_NAME", self.name)
    }

    fn copies(&self) -> PathBuf {
        self.place.path().join("copies")
    }

    /// Makes a backup and a copy, and gives the copy's id.
    fn backup(&self) -> String {
        ids(&self.pgbk().args(["backup"]).json()).1.remove(0)
    }

    fn copy(&self) -> String {
        format!("{}@anonymised", self.name)
    }

    /// What status says of one series.
    fn status(&self, name: &str) -> Value {
        let [status] = self.statuses([name]);
        status
    }

    /// Returns what one look says of each of these.
    fn statuses<const COUNT: usize>(&self, names: [&str; COUNT]) -> [Value; COUNT] {
        let status = self.pgbk().args(["status", "--json"]).end().json();
        let all = status["databases"].as_array().unwrap();
        names.map(|name| {
            let found = all.iter().find(|one| one["name"] == name).cloned();
            found.unwrap_or_else(|| panic!("{name} is not in {status:#}"))
        })
    }

    fn judged(&self, code: i32) -> Outcome {
        self.pgbk().args(["status", "--max-age", "26h"]).unset("DB_NAME").expect(code)
    }

    fn finding(&self, what: &str, more: &[&str]) -> Option<Value> {
        let document = self.pgbk().args(["doctor", "--json"].iter().chain(more).copied()).end().json();
        document["findings"].as_array().unwrap().iter().find(|one| one["what"] == what).cloned()
    }
}

/// Moves a backup away, or back.
fn moved(from: &Path, to: &Path, id: &str) {
    fs::create_dir_all(to).unwrap();
    let entries = fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path());
    let own: Vec<PathBuf> =
        entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{id}."))).collect();
    assert_eq!(own.len(), 2, "{own:?}");
    own.iter().for_each(|path| fs::rename(path, to.join(path.file_name().unwrap())).unwrap());
}

/// Waits until no snapshot gives this name again.
fn past(id: &str) {
    let id: BackupId = id.parse().unwrap();
    assert!(until(PATIENCE, || Timestamp::now().as_second() > id.taken_at().as_second() + 1));
}

#[track_caller]
fn await_metric(address: SocketAddr, line: &str) {
    let there = || get(address, "/metrics").body.lines().any(|found| found == line);
    assert!(until(PATIENCE, there), "{line} is not in {}", get(address, "/metrics").body);
}

fn listening(scheduler: &scheduler::Scheduler) -> SocketAddr {
    scheduler.await_words("status, metrics and health are at http://");
    scheduler.said().split("are at http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap()
}

#[test]
fn a_copy_that_fails_makes_health_red_for_itself_alone_and_green_once_there_is_one_again() {
    let watched = Watched::new("outputs_health");
    let (name, copy) = (watched.name, watched.copy());
    let logs = scheduler::Place::new();
    let run = watched.pgbk().args(["schedule"]).set("CRON_SCHEDULE", "* * * * * *").set("LISTEN", "127.0.0.1:0");
    let scheduler = logs.start(&run);
    let address = listening(&scheduler);
    let labels = format!("{{database=\"{name}\",variant=\"anonymised\"}}");
    await_metric(address, &format!("pgbk_last_run_succeeded{labels} 1"));
    await_metric(address, &format!("pgbk_database_healthy{labels} 1"));
    await_metric(address, "pgbk_store_up{variant=\"anonymised\"} 1");
    assert_eq!(get(address, "/healthz").body, "healthy\n");

    // The rules name it.
    sql(name, "ALTER TABLE people RENAME passport TO passport_away");
    // A run that it meets sees a change.
    let is_told = || get(address, "/healthz").body.contains("there is no column");
    assert!(until(PATIENCE, is_told), "{}", scheduler.said());
    let red = get(address, "/healthz");
    let why = red.body;
    assert_eq!(red.code, 503);
    assert!(why.starts_with(&format!("{copy}: the backup that began at ")) && why.lines().count() == 1, "{why}");
    assert!(why.contains("the anonymised backup is not") && why.contains("passport"), "{why}");
    await_metric(address, &format!("pgbk_database_healthy{labels} 0"));
    await_metric(address, &format!("pgbk_last_run_succeeded{labels} 0"));
    for line in ["pgbk_database_healthy", "pgbk_last_run_succeeded"] {
        await_metric(address, &format!("{line}{{database=\"{name}\"}} 1"));
    }
    await_metric(address, "pgbk_healthy 0");
    let page = get(address, "/").body;
    assert!(page.contains("Backups are NOT healthy") && page.contains(&copy), "{page}");
    assert!(page.contains("the anonymised backup is not"), "{page}");
    let text = watched.pgbk().args(["status"]).expect(1).text();
    assert!(text.contains(&format!("  {copy}: the backup that began at ")), "{text}");

    sql(name, "ALTER TABLE people RENAME passport_away TO passport");
    assert!(until(PATIENCE, || get(address, "/healthz").code == 200), "{}", scheduler.said());
    // Before the end of the scheduler, which may be that of a run.
    let [plain, copied] = watched.statuses([name, &copy]);
    scheduler.stop();
    assert_eq!((plain.get("variant"), copied["variant"].as_str()), (None, Some("anonymised")));
    assert_eq!(plain["runs"]["failed"], 0);
    assert!(copied["runs"]["failed"].as_u64().unwrap() > 0, "{copied:#}");
    // All of them stored the plain one.
    let runs = copied["runs"]["done"].as_u64().unwrap() + copied["runs"]["failed"].as_u64().unwrap();
    assert_eq!(plain["runs"]["done"].as_u64(), Some(runs), "{plain:#} {copied:#}");
}

#[test]
fn by_age_a_copy_that_was_never_made_is_too_old_and_one_that_is_asked_for_no_more_is_not_waited_for() {
    let watched = Watched::new("outputs_age");
    sql(watched.name, "ALTER TABLE people RENAME passport TO passport_away");
    watched.pgbk().args(["backup"]).expect(2);
    let never = format!("{}: no backup was made by this host", watched.copy());
    let named = watched.pgbk().args(["status", "--max-age", "26h", watched.name]).expect(1);
    for text in [watched.judged(1).text(), named.text()] {
        assert!(text.contains(&never), "{text}");
    }
    let newest = watched.pgbk().args(["history"]).json()[0].clone();
    assert_eq!(newest["outputs_missing"], serde_json::json!(["anonymised"]));
    sql(watched.name, "ALTER TABLE people RENAME passport_away TO passport");
    let id = watched.backup();
    watched.judged(0);
    let run = watched.pgbk().args(["history"]).json()[0]["run"].as_str().unwrap().to_owned();
    let text = watched.pgbk().args(["history", &run]).expect(0).text();
    assert!(text.contains(&id), "{text}");
    sql(watched.name, "ALTER TABLE people RENAME passport TO passport_away");
    watched.pgbk().args(["backup"]).expect(2);
    watched.judged(0);
    watched.pgbk().set("OUTPUTS", "plain").args(["backup"]).expect(0);
    watched.judged(0);
}

#[test]
fn copies_that_are_gone_are_missed_aloud_and_those_of_the_plain_series_are_not() {
    let watched = Watched::new("outputs_missed");
    let (own, away) = (watched.copies().join(watched.copy()), watched.place.path().join("away"));
    let made: Vec<String> = (0..2).map(|_| watched.backup()).collect();
    moved(&own, &away, &made[1]);
    past(&made[1]);
    let outcome = watched.pgbk().args(["backup"]).expect(0);
    let outcome = outcome.says(&format!("backup {} of \"{}\"", made[1], watched.copy()));
    assert!(outcome.err.contains(&watched.copies().display().to_string()), "{outcome:#?}");
    assert_eq!(watched.status(&watched.copy())["missing"][0]["id"], made[1].as_str());
    assert_eq!(watched.status(watched.name)["missing"], serde_json::json!([]));
    let found = watched.finding("anonymised: missing backups", &[]).expect("a finding");
    assert!(found["detail"].as_str().unwrap().contains(&made[1]), "{found}");
    assert_eq!(watched.finding("missing backups", &[]), None);
    moved(&away, &own, &made[1]);
    watched.pgbk().args(["backup"]).expect(0).says("again");
    assert_eq!(watched.status(&watched.copy())["missing"], serde_json::json!([]));
    moved(&own, &away, &made[1]);
    watched.finding("anonymised: missing backups", &["--forget-missing"]).expect("a finding");
    let outcome = watched.pgbk().args(["backup"]).expect(0);
    assert!(!outcome.err.contains("gone from"), "{outcome:#?}");
}

#[test]
fn a_folder_of_copies_that_is_not_mounted_fails_the_copy_and_nothing_is_written_there() {
    let watched = Watched::new("outputs_mount");
    watched.backup();
    let elsewhere = watched.place.path().join("elsewhere");
    fs::rename(watched.copies(), &elsewhere).unwrap();
    fs::create_dir(watched.copies()).unwrap();
    let outcome = watched.pgbk().args(["backup"]).expect(1);
    outcome.says("the anonymised backup is not").says("does not hold the backup that was stored there before");
    assert_eq!(fs::read_dir(watched.copies()).unwrap().count(), 0);
    let found = watched.finding("anonymised: store", &[]).expect("a finding");
    assert_eq!(found["status"], "fail", "{found}");
    fs::remove_dir(watched.copies()).unwrap();
    fs::rename(&elsewhere, watched.copies()).unwrap();
    watched.backup();
}

#[test]
fn by_schedule_copies_are_proven_with_their_key_and_pruned_by_their_rules_in_their_folder() {
    let watched = Watched::new("outputs_proven");
    let copy = watched.backup();
    let run = watched.pgbk().set("KEEP_LAST", 3).set("ANON_KEEP_LAST", 1).args(["schedule", "--once"]);
    run.set("CRON_SCHEDULE", "* * * * * *").expect(0).says(&format!("retention: removed {copy}"));
    let outcome = run.set("CRON_SCHEDULE", "@yearly").set("VERIFY_SCHEDULE", "* * * * * *").expect(0);
    let is_proven = |line: &&str| line.contains("is proven by a restore");
    let proven: Vec<&str> = outcome.err.lines().filter(is_proven).collect();
    assert!(proven.len() == 2 && proven[1].contains(&watched.copy()), "{outcome:#?}");
    let listed = |more: &[&str]| watched.pgbk().args(["list"].iter().chain(more).copied()).json();
    assert_eq!(listed(&[]).as_array().unwrap().len(), 2);
    let copies = listed(&["--variant", "anonymised"]);
    assert!(copies.as_array().unwrap().len() == 1 && copies[0]["proven_at"].is_string(), "{copies:#}");
    let status = watched.status(&watched.copy());
    assert_eq!((&status["proven"]["backup"], &status["proof_succeeded"]), (&copies[0]["id"], &true.into()));

    // Nobody but who knows the copies' key proves them.
    let outcome = watched.pgbk().args(["verify", "--all"]).expect(0).text();
    assert!(outcome.contains("3 backups (2 plain, 1 anonymised)"), "{outcome}");
    let all = watched.pgbk().args(["verify", "--all"]).json();
    assert_eq!(all["backups"][2]["variant"], "anonymised");
    assert_eq!(all["backups"][0].get("variant"), None);
    let proven = watched.pgbk().args(["verify", "--all", "--level", "restore"]).json();
    assert_eq!((proven["checked"].as_u64(), &proven["level"]), (Some(3), &"restore".into()));
    let wrong = watched.pgbk().unset("ANON_ENCRYPT_KEY").args(["verify", "--all", "--json"]).expect(3).json();
    assert_eq!((wrong["other_key"].as_u64(), wrong["damaged"].as_u64()), (Some(1), Some(0)));
}
