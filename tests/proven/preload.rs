//! Extensions whose libraries a server must have loaded when it starts.

use crate::proven::{of, prove, tables};
use std::fs;
use support::cluster::{Cluster, Offer};
use support::database::script;
use support::pgbk::Pgbk;
use support::proof;
use support::scheduler::Place;

/// Fails unless no worker of a library can run.
const WITHOUT_WORKERS: &str = "SELECT 1 / (pg_catalog.current_setting('max_worker_processes') = '0')::integer;\n";

/// An upload of this script, proven on a server of the proof's own.
fn alone(place: &Place, name: &str, text: &str) -> Pgbk {
    let run = of(place, name).key().set("VERIFY_SCRATCH", "cluster");
    let file = place.folder.path().join("script.sql");
    fs::write(&file, script(text)).unwrap();
    run.args(["upload", file.to_str().unwrap()]).expect(0);
    run
}

#[test]
fn pg_cron_is_made_in_a_scratch_on_a_server_of_its_own_and_runs_nothing_there() {
    let settings = ["shared_preload_libraries=pg_cron", "cron.database_name=clock"];
    let (server, place) = (Cluster::start_set(&settings), Place::new());
    server.psql("postgres", "CREATE DATABASE clock");
    server.psql(
        "clock",
        "CREATE EXTENSION pg_cron; CREATE TABLE t AS SELECT 1 AS i; SELECT cron.schedule('* * * * *', 'SELECT 1')",
    );
    let run = of(&place, "clock").server(&server).key().set("STATE_DIR", place.folder.path().join("s").display());
    for format in ["plain", "custom"] {
        run.set("DUMP_FORMAT", format).args(["backup"]).expect(0);
        let named = |run: &Pgbk| prove(run, 0).1["proof"]["not_tried"].to_string();
        assert!(named(&run).contains("CREATE EXTENSION IF NOT EXISTS pg_cron"));
        let alone = named(&run.set("VERIFY_SCRATCH", "cluster"));
        assert!(!alone.contains("EXTENSION") && alone.contains("rows of cron.job"), "{format}: {alone}");
        // Elsewhere the server does not allow it: the jobs would run twice.
        let copy = |more: &[&str]| run.args(["restore", "latest", "--yes", "--to", "copy"].iter().chain(more).copied());
        copy(&[]).expect(0).says("\"pg_cron\" in database \"clock\" alone").says("skipped: rows of cron.job");
        assert_eq!(
            server.psql("copy", "SELECT i, (SELECT count(*) FROM pg_extension WHERE extname = 'pg_cron') FROM t"),
            "1|0"
        );
        server.psql("postgres", "DROP DATABASE copy");
        let again = ["restore", "latest", "--yes", "--clean", "--over-source"];
        run.args(again).expect(0);
        assert_eq!(server.psql("clock", "SELECT i, (SELECT count(*) FROM cron.job) FROM t"), "1|1");
        if format == "custom" {
            copy(&["--jobs", "2"]).expect(2).says("hint: leave out --jobs");
        }
    }
    proof::counted("proofs", "extensions that a server must load when it starts, made for a proof", 2, 0);
}

#[test]
fn a_library_that_wants_to_be_loaded_at_the_start_is_and_its_workers_are_not() {
    let offer = Offer::of(&[
        ("sepgsql.control", "default_version = '1'"),
        (
            "sepgsql--1.sql",
            "CREATE FUNCTION sepgsql_getcon() RETURNS text AS '$libdir/sepgsql', 'sepgsql_getcon' LANGUAGE C;",
        ),
    ]);
    let place = Place::new();
    let text =
        format!("CREATE EXTENSION sepgsql WITH SCHEMA public;\n{WITHOUT_WORKERS}CREATE TABLE public.t (i int);\n");
    let run = alone(&place, "proven_early", &text)
        .set("PG_BIN_DIR", offer.bin.display())
        .set("LD_LIBRARY_PATH", offer.root().display());
    let (outcome, finding) = prove(&run, 0);
    assert_eq!(finding["proof"]["not_tried"], serde_json::json!([]), "{}", outcome.err);
    // One that wants nothing of that kind leaves the server as it is.
    let text = format!("CREATE EXTENSION hstore;\n{WITHOUT_WORKERS}");
    let other = alone(&place, "proven_late", &text);
    assert!(prove(&other, 3).1["error"].as_str().unwrap().contains("division by zero"));
}

#[test]
fn a_server_that_does_not_start_with_its_libraries_proves_without_them() {
    let files = [("twin.control", "default_version = '1'"), ("twin--1.sql", "SELECT 1;")];
    let offer = Offer::of(&files);
    offer.library("twin", "pg_cron");
    let place = Place::new();
    let text = "CREATE EXTENSION pg_cron;\nCREATE EXTENSION twin;\nCREATE TABLE public.t (i int);\n";
    let run = alone(&place, "proven_twins", text)
        .set("PG_BIN_DIR", offer.bin.display())
        .set("LD_LIBRARY_PATH", offer.root().display());
    let (outcome, finding) = prove(&run, 0);
    assert!(outcome.err.contains("does not start with pg_cron, twin, and goes on without"), "{}", outcome.err);
    assert!(finding["proof"]["not_tried"].to_string().contains("CREATE EXTENSION pg_cron"), "{finding:#}");
    assert_eq!(tables(&finding).len(), 1);
}
