//! `restore --dry-run`: says what a restore would do, and does nothing.

use super::{place, shop};
use support::database::{create, exists, sql};

/// What the server counts and holds that a restore would change.
fn state() -> String {
    let written = "SELECT string_agg(datname || ' ' || tup_inserted || ' ' || tup_updated || ' ' || tup_deleted, ';' ORDER BY datname)
        FROM pg_stat_database WHERE datname LIKE 'jobs_plan%'";
    let held = "SELECT string_agg(oid || datname || datdba || datconnlimit, ';' ORDER BY oid) FROM pg_database
        WHERE datname LIKE 'jobs_plan%'";
    [sql("postgres", written), sql("postgres", held)].join("\n")
}

#[test]
fn a_plan_names_all_that_would_be_done_and_nothing_is() {
    shop("jobs_plan");
    create("jobs_plan_empty", "");
    create("jobs_plan_full", "");
    sql("jobs_plan_full", "CREATE TABLE old (i int)");
    let (_folder, pgbk) = place();
    let pgbk = pgbk.key().set("DB_BACKUP_COMPRESS", "zstd");
    let id = pgbk.backup("jobs_plan", &[]);
    // Counters reach the view when the sessions have ended.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let before = state();
    let plan = |arguments: &[&str]| {
        pgbk.args(["restore", &id, "--dry-run"].into_iter().chain(arguments.iter().copied())).json()
    };
    let new = plan(&["--to", "jobs_plan_new", "--jobs", "3"]);
    let due: [(&str, serde_json::Value); 10] = [
        ("dry_run", true.into()),
        ("id", id.as_str().into()),
        ("database", "jobs_plan_new".into()),
        ("state", "missing".into()),
        ("created", true.into()),
        ("emptied", false.into()),
        ("jobs", 3.into()),
        ("single_transaction", false.into()),
        ("tables", 6.into()),
        ("rows", 130_000.into()),
    ];
    for (member, value) in due {
        assert_eq!(new[member], value, "{member} in {new:#}");
    }
    assert!(new["bytes"].as_u64() > new["read_bytes"].as_u64() && new["read_bytes"].as_u64() > Some(0), "{new:#}");
    let full =
        plan(&["--to", "jobs_plan_full", "--clean", "--jobs", "2", "--no-owner", "--exclude-extension", "hstore"]);
    assert_eq!((&full["state"], &full["objects"], &full["emptied"]), (&"holds".into(), &1.into(), &true.into()));
    assert_eq!((&full["single_transaction"], &full["jobs"]), (&true.into(), &1.into()), "{full:#}");
    assert_eq!(full["without"], serde_json::json!(["owners", "extension \"hstore\""]), "{full:#}");
    let tables = plan(&["--to", "jobs_plan_empty", "--table", "lines"]);
    assert_eq!((&tables["state"], &tables["rows"]), (&"empty".into(), &30_000.into()), "{tables:#}");
    assert_eq!(tables["tables"][0]["name"], "table public.lines", "{tables:#}");
    assert!(tables["without"].as_array().unwrap().len() == 2, "{tables:#}");
    assert!(tables["read_bytes"].as_u64() < new["read_bytes"].as_u64(), "{tables:#}");
    let text = pgbk.args(["restore", &id, "--dry-run", "--to", "jobs_plan_new", "--jobs", "2"]).expect(0).text();
    for said in ["does not exist and will be created", "2 connections, which commit on the way", "nothing was done"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let all =
        pgbk.args(["restore", "--all", "--dry-run", "--database", "jobs_plan", "--clean", "--over-source"]).json();
    assert_eq!(
        (&all["databases"][0]["database"], &all["databases"][0]["state"]),
        (&"jobs_plan".into(), &"holds".into())
    );
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(state(), before);
    assert!(!exists("jobs_plan_new"));
}

#[test]
fn a_plan_of_what_would_be_refused_is_that_refusal() {
    create("jobs_refused", "");
    sql("jobs_refused", "CREATE TABLE t (i int)");
    let (_folder, pgbk) = place();
    let pgbk = pgbk.set("NO_ENCRYPT", 1);
    let id = pgbk.backup("jobs_refused", &[]);
    pgbk.args(["restore", &id, "--dry-run"]).expect(1).says("is not empty: it holds 1 object");
    pgbk.args(["restore", &id, "--dry-run", "--clean", "--yes"]).expect(1).says("--over-source");
    pgbk.args(["restore", &id, "--dry-run", "--table", "t"]).expect(1).says("is in database");
}
