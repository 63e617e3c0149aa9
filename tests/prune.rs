//! Retention: what the rules do not keep goes, and nothing else does.

mod histories;
mod hosts;
mod password;
pub mod past;
mod tags;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use past::{daily, files, folder, made, repository, without};
use pgbk::base::progress::NullMonitor;
use pgbk::base::secret::Secret;
use pgbk::format::keys::Key;
use pgbk::repository::Repository;
use pgbk::repository::retention::{Policy, RetentionRules};
use pgbk::runs::after_backup::AfterBackup;
use pgbk::store::memory::Memory;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};
use support::database::small;
use support::pgbk::{KEY, OTHER_KEY, Pgbk, connected, pgbk};
use tempfile::TempDir;

fn place() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn prune(folder: &Path, arguments: &[&str]) -> Pgbk {
    pgbk(["prune"].iter().chain(arguments).copied()).directory(folder)
}

/// The ids that are listed, the oldest first.
fn listed(folder: &Path) -> Vec<String> {
    let document = pgbk(["list"]).directory(folder).json();
    document.as_array().expect("a list").iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn decision_and_reason_of_each_backup_are_told_and_a_dry_run_removes_nothing() {
    let place = place();
    let repository = folder(place.path());
    for time in ["2024-02-28T03", "2024-03-01T03", "2024-03-06T03", "2024-03-11T03", "2024-03-12T03", "2024-03-12T15"] {
        made(&repository, "shop", &format!("{time}:00:00Z"));
    }
    let before = files(place.path());
    let rules = ["shop", "--keep-last", "1", "--keep-daily", "2", "--keep-weekly", "2", "--keep-monthly", "2"];
    let run = prune(place.path(), &[&rules[..], &["--dry-run"]].concat()).expect(0);
    let expected = "\
BACKUP                 WHAT     WHY
shop-20240312T150000Z  keep     newest good one, last 1, daily 2024-03-12, weekly 2024-W11, monthly 2024-03
shop-20240312T030000Z  remove   no rule keeps it
shop-20240311T030000Z  keep     daily 2024-03-11
shop-20240306T030000Z  keep     weekly 2024-W10
shop-20240301T030000Z  remove   no rule keeps it
shop-20240228T030000Z  keep     monthly 2024-02
2 of 6 backups of \"shop\" would be removed (62 B)
";
    assert_eq!(run.text(), expected);
    assert_eq!(files(place.path()), before);

    let run = prune(place.path(), &rules).expect(0);
    let done = expected.replace("remove   no", "removed  no").replace("would be removed", "removed");
    assert_eq!(run.text(), done);
    let gone = ["shop-20240301T030000Z", "shop-20240312T030000Z"].map(|id| id.parse().expect("an id"));
    assert_eq!(files(place.path()), without(before, place.path(), &gone));
    // The same rules find nothing more to do.
    let again = prune(place.path(), &rules).expect(0).text();
    assert!(again.ends_with("0 of 4 backups of \"shop\" removed (0 B)\n"), "{again}");
}

#[test]
fn machines_read_the_same_decisions_and_reasons() {
    let place = place();
    daily(&folder(place.path()), "shop", "2024-03", 3);
    let dry = prune(place.path(), &["shop", "--keep-last", "2", "--dry-run"]).json();
    let row = |id: &str, what: &str, why: &[&str]| serde_json::json!({"id": id, "what": what, "why": why, "good": true, "stored_bytes": 31});
    let expected = |what: &str, removed: u32| {
        serde_json::json!([{
            "database": "shop", "dry_run": removed == 0, "more_than_half": false, "removed": removed, "left": 0,
            "backups": [
                row("shop-20240303T030000Z", "keep", &["newest good one", "last 1"]),
                row("shop-20240302T030000Z", "keep", &["last 2"]),
                row("shop-20240301T030000Z", what, &["no rule keeps it"]),
            ],
            "changes": [], "leftovers": [], "leftovers_removed": 0,
        }])
    };
    assert_eq!(dry, expected("remove", 0));
    assert_eq!(prune(place.path(), &["shop", "--keep-last", "2"]).json(), expected("removed", 1));
}

#[test]
fn rules_come_by_variable_and_days_begin_in_the_time_zone() {
    let place = place();
    let repository = folder(place.path());
    for time in ["2024-06-30T21:30:00Z", "2024-06-30T22:30:00Z", "2024-07-01T21:30:00Z"] {
        made(&repository, "shop", time);
    }
    let run = |zone: &str| {
        let run = prune(place.path(), &["--dry-run"]).set("DB_NAME", "shop").set("KEEP_DAILY", 1).set("TZ", zone);
        let text = run.set("KEEP_MONTHLY", 9).set("KEEP_HOURLY", "").expect(0).text();
        text.lines().filter(|line| line.contains(" keep ")).map(|line| line[32..].to_owned()).collect::<Vec<_>>()
    };
    let newest = "newest good one, daily 2024-07-01, monthly 2024-07";
    assert_eq!(run("UTC"), [newest, "monthly 2024-06"]);
    assert_eq!(run("Europe/Berlin"), [newest, "monthly 2024-06"]);
    let text =
        prune(place.path(), &["shop", "--keep-daily", "9", "--dry-run"]).set("TZ", "Europe/Berlin").expect(0).text();
    let days: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once("daily ")?.1)).collect();
    assert_eq!(days, ["2024-07-01", "2024-06-30"]);
    assert!(text.contains("shop-20240630T223000Z  remove"), "{text}");
}

#[test]
fn what_is_younger_than_a_span_stays_and_a_minimum_fills_up() {
    let place = place();
    daily(&folder(place.path()), "shop", "2024-03", 9);
    let kept = |arguments: &[&str]| {
        let text = prune(place.path(), &[&["shop", "--dry-run"], arguments].concat()).expect(0).text();
        text.lines().filter(|line| line.contains(" keep ")).count()
    };
    // Counted from the newest backup, however long ago that was.
    assert_eq!(kept(&["--keep-within", "3d"]), 4);
    assert_eq!(kept(&["--keep-within", "36h"]), 2);
    assert_eq!(kept(&["--keep-within", "1mo"]), 9);
    assert_eq!(kept(&["--keep-last", "1", "--keep-minimum", "6"]), 6);
    assert_eq!(kept(&["--keep-last", "7", "--keep-minimum", "6"]), 7);
}

#[test]
fn rules_that_keep_nothing_are_refused_and_so_is_a_backup_with_them() {
    let place = place();
    daily(&folder(place.path()), "shop", "2024-03", 3);
    let before = files(place.path());
    for rules in [&[][..], &["--keep-last", "0"], &["--keep-daily", "0", "--keep-minimum", "3"]] {
        prune(place.path(), &[&["shop", "--force"], rules].concat())
            .expect(2)
            .says("no rule says which backups to keep");
    }
    // Told before the server is asked, which is not there.
    let backup = pgbk(["backup", "shop"]).directory(place.path()).set("DB_HOST", "127.0.0.1").set("DB_PORT", 1);
    backup.set("KEEP_LAST", 0).expect(2).says("no rule says which backups to keep");
    assert_eq!(files(place.path()), before);
}

#[test]
fn more_than_half_goes_by_force_only() {
    let place = place();
    let made = daily(&folder(place.path()), "shop", "2024-03", 5);
    let before = files(place.path());
    let run = prune(place.path(), &["shop", "--keep-last", "2"]).expect(1);
    let run = run.says("3 of 5 backups of \"shop\" would be removed, which is more than half: none is");
    assert!(run.err.contains("hint: ") && run.text().is_empty(), "{run:?}");
    let dry = prune(place.path(), &["shop", "--keep-last", "2", "--dry-run"]).expect(0).text();
    assert!(dry.contains("3 of 5") && dry.contains("that is more than half, which needs --force"), "{dry}");
    assert_eq!(files(place.path()), before);
    prune(place.path(), &["shop", "--keep-last", "2", "--force"]).expect(0);
    assert_eq!(files(place.path()), without(before, place.path(), &made[..3]));
    // Half is not more than half.
    prune(place.path(), &["shop", "--keep-last", "1"]).expect(0);
    assert_eq!(listed(place.path()), ["shop-20240305T030000Z"]);
}

#[test]
fn other_databases_and_foreign_files_in_the_folder_stay() {
    let place = place();
    let repository = folder(place.path());
    for database in ["app", "app_staging", "app-20240101T000000Z", "ap", "App"] {
        daily(&repository, database, "2024-03", 3);
    }
    let stamp = "20240101T030000Z";
    let foreign = [
        "app/notes.txt".to_owned(),
        "app/backup.meta".to_owned(),
        "app/backup.sql".to_owned(),
        format!("app/app-{stamp}.sql.bak"),
        format!("app/app-{stamp}.meta.old"),
        format!("app/app_staging-{stamp}.meta"),
        format!("app/app_staging-{stamp}.sql"),
        "app/app-20241301T030000Z.meta".to_owned(),
        format!("app/copy/app-{stamp}.meta"),
        format!("app-{stamp}.meta"),
        "app/app-20240301T030000Z.sql.sha256".to_owned(),
    ];
    for name in &foreign {
        let path = place.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
        fs::write(path, "foreign").expect("write");
    }
    let before = files(place.path());
    prune(place.path(), &["app", "--keep-last", "1", "--force", "--orphans"]).expect(0);
    let gone = ["app-20240301T030000Z", "app-20240302T030000Z"].map(|id| id.parse().expect("an id"));
    assert_eq!(files(place.path()), without(before, place.path(), &gone));
}

/// What can be wrong with the newest backup, done to it.
fn spoiled(repository: &Repository, place: &Path, how: &str) -> String {
    let id = made(repository, "shop", "2024-03-09T03:00:00Z");
    let (payload, meta) = (place.join(id.object_key("sql.enc")), place.join(id.meta_key()));
    match how {
        "missing" => fs::remove_file(&payload).expect("remove"),
        "short" => fs::write(&payload, b"short").expect("write"),
        "garbage" => fs::write(&meta, b"{}").expect("write"),
        "empty" => fs::write(&meta, b"").expect("write"),
        "changed" => {
            let text =
                fs::read_to_string(&meta).expect("read").replace("\"verified\": \"synced\"", "\"verified\": \"no\"");
            fs::write(&meta, text).expect("write");
        }
        other => panic!("{other}"),
    }
    id.to_string()
}

#[test]
fn a_damaged_newest_backup_neither_counts_nor_goes_and_the_newest_good_one_stays() {
    for (how, why) in [
        ("missing", "its payload is missing"),
        ("short", "its payload has 5 bytes, not 32"),
        ("garbage", "is not a whole .meta document"),
        ("empty", "is not a whole .meta document"),
        ("changed", "its seal does not hold"),
    ] {
        let place = place();
        let repository = Repository { key: Some(key()), ..folder(place.path()) };
        daily(&repository, "shop", "2024-03", 3);
        let broken = spoiled(&repository, place.path(), how);
        let run = prune(place.path(), &["shop", "--keep-last", "1", "--json"]).key().expect(0).json();
        let rows = run[0]["backups"].as_array().expect("rows").clone();
        let told: Vec<(&str, &str)> =
            rows.iter().map(|row| (row["id"].as_str().unwrap(), row["what"].as_str().unwrap())).collect();
        let expected = [
            (broken.as_str(), "keep"),
            ("shop-20240303T030000Z", "keep"),
            ("shop-20240302T030000Z", "removed"),
            ("shop-20240301T030000Z", "removed"),
        ];
        assert_eq!(told, expected, "{how}");
        assert_eq!(rows[0]["good"], false);
        let reason = rows[0]["why"][0].as_str().expect("a reason");
        assert!(reason.contains("no good, left for you to see") && reason.contains(why), "{how}: {reason}");
        assert_eq!(listed(place.path()), ["shop-20240303T030000Z", &broken]);
    }
}

fn key() -> Key {
    Key::raw(&Secret::new(KEY), None).expect("a key")
}

#[test]
fn a_wrong_key_or_none_removes_nothing_unless_whatever_is_there_shall_count() {
    let place = place();
    daily(&Repository { key: Some(key()), ..folder(place.path()) }, "shop", "2024-03", 2);
    let run = prune(place.path(), &["shop", "--keep-last", "1"]).set("DB_BACKUP_ENCRYPT_KEY", OTHER_KEY).expect(0);
    assert_eq!(run.text().matches("wrong key or password").count(), 2, "{run:?}");
    assert_eq!(listed(place.path()).len(), 2);
    prune(place.path(), &["shop", "--keep-last", "1"]).expect(2).says("which backups are real cannot be told");
    assert_eq!(listed(place.path()).len(), 2);
    prune(place.path(), &["shop", "--keep-last", "1", "--allow-unauthenticated"]).expect(0);
    assert_eq!(listed(place.path()), ["shop-20240302T030000Z"]);
}

#[test]
fn several_databases_are_pruned_each_by_itself_and_one_that_stops_does_not_stop_the_others() {
    let place = place();
    let repository = folder(place.path());
    for (database, days) in [("crm", 4), ("shop", 2), ("wiki", 2)] {
        daily(&repository, database, "2024-03", days);
    }
    let run = prune(place.path(), &["--keep-last", "1", "--json"]).set("DB_NAME", "crm,shop").expect(1);
    let run = run.says("3 of 4 backups of \"crm\" would be removed");
    let found = run.json();
    assert_eq!((&found[0]["database"], &found[0]["error"]["exit_code"]), (&"crm".into(), &1.into()));
    assert_eq!((&found[1]["database"], &found[1]["removed"]), (&"shop".into(), &1.into()));
    assert_eq!(listed(place.path()).len(), 7);
    // Whichever there are, and without a name only where there is one.
    prune(place.path(), &["*", "--keep-last", "1", "--force"]).expect(0);
    assert_eq!(listed(place.path()).len(), 3);
    prune(place.path(), &["--keep-last", "1"]).expect(2).says("there are backups of 3 databases");
}

/// Sets back the time at which a file was written.
fn age(path: &Path, hours: u64) {
    let time = SystemTime::now() - Duration::from_secs(hours * 3600);
    fs::File::options().write(true).open(path).and_then(|file| file.set_modified(time)).expect("set the time");
}

#[test]
fn what_killed_runs_left_is_offered_and_removed_when_it_is_older_than_a_day() {
    let place = place();
    daily(&folder(place.path()), "shop", "2024-03", 2);
    let file = |name: &str, hours| {
        let path = place.path().join("shop").join(name);
        fs::write(&path, "left behind").expect("write");
        age(&path, hours);
    };
    file("shop-20240201T030000Z.sql.xz", 25);
    file("shop-20240202T030000Z.sql", 23);
    file(".shop-20240203T030000Z.sql.0123456789ab.partial", 25);
    file(".shop-20240204T030000Z.sql.0123456789ab.partial", 23);
    file(".notes.txt.0123456789ab.partial", 99);
    file("shop-20240205T030000Z.sql.bak", 99);
    let before = files(place.path());

    let names = "shop/shop-20240203T030000Z.sql, shop/shop-20240201T030000Z.sql.xz";
    let rules = ["shop", "--keep-last", "9"];
    let told = |more: &[&str]| prune(place.path(), &[&rules[..], more].concat()).expect(0).text();
    let offer = format!("2 leftovers of killed runs, which --orphans removes: {names}\n");
    assert!(told(&[]).ends_with(&offer), "{}", told(&[]));
    let would = format!("2 leftovers of killed runs would be removed: {names}\n");
    assert!(told(&["--orphans", "--dry-run"]).ends_with(&would));
    assert_eq!(files(place.path()), before);
    assert!(told(&["--orphans"]).ends_with(&format!("2 leftovers of killed runs removed: {names}\n")));
    let mut expected = before;
    for gone in ["shop-20240201T030000Z.sql.xz", ".shop-20240203T030000Z.sql.0123456789ab.partial"] {
        expected.remove(&place.path().join("shop").join(gone)).expect("it was there");
    }
    assert_eq!(files(place.path()), expected);
}

#[test]
fn retention_follows_a_run_that_succeeded_and_not_one_that_failed() {
    small("prune_run", &["x"]);
    let place = place();
    daily(&folder(place.path()), "prune_run", "2024-03", 3);
    daily(&folder(place.path()), "prune_run_other", "2024-03", 4);
    let before = files(place.path());
    let run = connected().directory(place.path()).set("STATE_DIR", place.path().join("state").display());
    let run = run.set("KEEP_LAST", 2);
    let failed = run.args(["backup", "prune_run", "--pg-dump-args", "--table=missing"]).expect(1);
    assert!(!failed.err.contains("retention"), "{failed:?}");
    fs::remove_dir_all(place.path().join("state")).expect("remove the record");
    assert_eq!(files(place.path()), before);

    let done = run.args(["backup", "prune_run"]).expect(0).says("retention: removed prune_run-20240301T030000Z");
    let done = done.says("retention: removed prune_run-20240302T030000Z");
    let left = listed(place.path());
    assert_eq!(left.iter().filter(|id| id.starts_with("prune_run-")).count(), 2, "{left:?}");
    assert!(left.contains(&"prune_run-20240303T030000Z".to_owned()), "{done:?}");
    assert_eq!(left.iter().filter(|id| id.starts_with("prune_run_other-")).count(), 4, "{left:?}");
}

#[test]
fn a_backup_stands_whatever_retention_meets() {
    small("prune_stands", &["x"]);
    let place = place();
    let repository = Repository { key: Some(key()), ..folder(place.path()) };
    daily(&repository, "prune_stands", "2024-03", 4);
    let run = connected().key().directory(place.path()).set("STATE_DIR", place.path().join("state").display());
    let run = run.set("KEEP_LAST", 2);
    let most = run.args(["backup", "prune_stands"]).expect(0);
    most.says("warning: retention: 3 of 5 backups of \"prune_stands\" would be removed").says("pgbk prune --force");
    assert_eq!(repository.catalog(Some(&"prune_stands".into())).expect("ids").ids().len(), 5);

    fs::write(place.path().join("prune_stands/prune_stands-20240304T030000Z.meta"), "{}").expect("write");
    let run = run.set("KEEP_LAST", 3);
    let broken = run.args(["backup", "prune_stands"]).expect(0);
    let broken = broken.says("warning: retention: prune_stands-20240304T030000Z: no good, left for you to see");
    broken.says("retention: removed prune_stands-20240301T030000Z").says("removed prune_stands-20240302T030000Z");
    // The record has it too.
    let history = run.args(["history", "--limit", "1"]).json();
    assert!(history[0]["warnings"][0].as_str().expect("a warning").contains("no good"), "{history}");
}

#[test]
fn a_server_whose_clock_is_a_little_ahead_costs_no_backup_too_few_or_too_many() {
    let policy = Policy::new(RetentionRules { last: 2, ..RetentionRules::default() }, TimeZone::UTC).expect("a policy");
    let upkeep = AfterBackup { tags: false, retention: Some(policy), zone: TimeZone::UTC };
    let now: Timestamp = "2024-03-08T03:00:00Z".parse().expect("a time");
    for (taken_at, left) in [("2024-03-08T03:05:00Z", 2), ("2025-03-08T03:00:00Z", 3)] {
        let repository = repository(Memory::default());
        daily(&repository, "shop", "2024-03", 3);
        let newest = made(&repository, "shop", taken_at);
        let made = repository.manifest(&newest).expect("a manifest").0;
        upkeep.after(
            &repository,
            &repository.catalog(Some(&made.subject)),
            (&made, now),
            &BTreeSet::new(),
            &|_| (),
            &NullMonitor,
        );
        let ids = repository.catalog(None).expect("ids").ids();
        assert_eq!((ids.len(), ids.last()), (left, Some(&newest)), "{taken_at}");
    }
}
