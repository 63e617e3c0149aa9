//! Backups are proven by restoring them: the real binary, real servers, and nothing left behind.

mod ended;
mod forged;
mod many;
mod owners;
mod places;
mod preload;
mod rights;
mod scheduled;
mod timescale;

use crate::alert::receiver;
use crate::status::site;
use serde_json::Value;
use support::cluster::{Cluster, cluster};
use support::database::{features, script, small, sql};
use support::pgbk::{Outcome, Pgbk};
use support::proof;
use support::scheduler::Place;

const SCRATCH: &str = "SELECT datname FROM pg_database WHERE datname LIKE 'pgbk\\_scratch\\_%'";

/// Scratch databases on a server that belong to nobody who is at work: those of the tests beside this one do, which may end
/// between two looks.
fn left_on(server: &Cluster) -> Vec<String> {
    let found = server.psql("postgres", SCRATCH);
    let stays = |name: &&str| server.psql("postgres", SCRATCH).lines().any(|line| line == *name);
    let free = |name: &&str| {
        let number = u32::from_str_radix(name.strip_prefix("pgbk_scratch_").unwrap(), 16).unwrap() as i32;
        server.psql("postgres", &format!("SELECT pg_try_advisory_lock(1885823595, {number})")) == "t"
    };
    found.lines().filter(|line| !line.is_empty()).filter(free).filter(stays).map(str::to_owned).collect()
}

/// A proof by restore, and the document of the one backup that it was about.
#[track_caller]
fn prove(run: &Pgbk, code: i32) -> (Outcome, Value) {
    let outcome = run.args(["verify", "--level", "restore", "--json"]).expect(code);
    let document = outcome.json();
    (outcome, document["backups"][0].clone())
}

fn tables(finding: &Value) -> &Vec<Value> {
    finding["proof"]["tables"].as_array().unwrap()
}

#[track_caller]
fn wrong(finding: &Value) -> Vec<(&str, &str)> {
    let wrong = tables(finding).iter().filter(|table| table["verdict"] != "same");
    wrong.map(|table| (table["name"].as_str().unwrap(), table["verdict"].as_str().unwrap())).collect()
}

fn of(place: &Place, database: &str) -> Pgbk {
    place.run(&[]).set("DB_NAME", database)
}

#[test]
fn a_good_backup_is_proven_table_by_table() {
    let place = Place::new();
    features("proven_features");
    let run = of(&place, "proven_features").key().set("DB_BACKUP_COMPRESS", "zstd");
    let made = run.args(["backup"]).json();
    let (_, finding) = prove(&run, 0);
    assert_eq!((finding["ok"].as_bool(), wrong(&finding)), (Some(true), Vec::new()));
    let stated = made["tables"].as_array().unwrap();
    assert!(stated.len() > 5 && stated.len() == tables(&finding).len(), "{finding:#}");
    for (stated, proven) in stated.iter().zip(tables(&finding)) {
        for member in ["rows", "bytes", "blake2b"] {
            assert_eq!(stated[member], proven["found"][member], "{proven:#}");
        }
    }
    let record = &place.history(&[])[0];
    assert_eq!(
        (&record["task"], &record["state"], &record["cause"]),
        (&"verify".into(), &"done".into(), &"manual".into())
    );
    assert_eq!((&record["proof"]["id"], record["proof"]["tables"].as_u64()), (&made["id"], Some(stated.len() as u64)));
    let text = run.args(["verify", "--level", "restore"]).expect(0).text();
    assert!(text.contains(&format!("{0} of {0} tables are the same", stated.len())), "{text}");
    assert_eq!(left_on(cluster()), Vec::<String>::new());
    proof::counted("proofs", "tables of a backup compared with what was restored", stated.len(), 0);
}

#[test]
fn what_the_text_of_a_value_depends_on_is_the_same_in_the_scratch() {
    let place = Place::new();
    small("proven_session", &["x"]);
    sql("proven_session", "CREATE TABLE at AS SELECT timestamptz '2026-07-01 12:00Z' AS t, '\\x00ff'::bytea AS b");
    sql("proven_session", "ALTER DATABASE proven_session SET timezone = 'Europe/Prague'");
    sql("proven_session", "ALTER DATABASE proven_session SET bytea_output = 'escape'");
    let run = of(&place, "proven_session");
    run.args(["backup"]).expect(0);
    let text = run.args(["download", "-o", "-"]).expect(0).text();
    // Whatever the database has set, a dump is written by the same settings.
    assert!(text.contains("2026-07-01 12:00:00+00\t\\\\x00ff"), "{text}");
    prove(&run, 0);
}

#[test]
fn columns_that_a_restore_puts_into_another_order_are_no_difference() {
    let place = Place::new();
    small("proven_order", &["x"]);
    sql(
        "proven_order",
        "CREATE TABLE parent (a int); CREATE TABLE child (b text) INHERITS (parent); ALTER TABLE parent ADD c int;
         CREATE TABLE other (\"D, d\" int); CREATE TABLE both_ (e int) INHERITS (parent, other); ALTER TABLE other ADD f text;
         CREATE TABLE grandchild (g int) INHERITS (child); ALTER TABLE parent ADD h int[]; ALTER TABLE child DROP b, ADD i text;
         INSERT INTO child (a, c, h, i) VALUES (1, 2, '{3,4}', E'a\\tb\\nc\\\\.'), (NULL, NULL, NULL, '');
         INSERT INTO grandchild (a, c, g, h, i) SELECT n, n, n, ARRAY[n], 'n' FROM generate_series(1, 1000) n;
         INSERT INTO both_ (a, \"D, d\", e, c, f, h) VALUES (1, 2, 3, 4, 'f', '{}')",
    );
    let run = of(&place, "proven_order").key();
    run.args(["backup"]).expect(0);
    let (_, finding) = prove(&run, 0);
    assert_eq!((wrong(&finding), tables(&finding).len()), (Vec::new(), 6), "{finding:#}");
}

#[test]
fn a_copy_whose_operators_are_others_is_not_proven_and_one_that_is_worded_in_another_way_is() {
    let place = Place::new();
    small("proven_meaning", &["x"]);
    sql(
        "proven_meaning",
        "CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext; CREATE TABLE u (id int, email ext.citext);
         CREATE TABLE c (v varchar(2) CHECK (v IN ('a', 'b'))); INSERT INTO c VALUES ('a')",
    );
    let run = of(&place, "proven_meaning").key();
    run.args(["backup"]).expect(0);
    let (outcome, finding) = prove(&run, 0);
    assert_eq!(finding["proof"]["schema"]["meaning"], serde_json::json!([]), "{}", outcome.err);
    let mut found = 0;
    for made in [
        "CREATE VIEW looks_view AS SELECT nullif(email, 'A'::citext) IS NULL AS same FROM u",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER looks BEFORE UPDATE ON u FOR EACH ROW WHEN (OLD.email IS DISTINCT FROM NEW.email) EXECUTE FUNCTION f()",
        "CREATE INDEX looks_index ON u (id) WHERE email IS DISTINCT FROM 'A'",
    ] {
        sql("proven_meaning", format!("SET search_path = public, ext; BEGIN; {made}; COMMIT"));
        run.args(["backup"]).expect(0);
        let (_, finding) = prove(&run, 3);
        assert_eq!((wrong(&finding).len(), finding["proof"]["schema"]["meaning"].as_array().unwrap().len()), (0, 1), "{made}");
        let text = run.args(["verify", "--level", "restore"]).expect(3).text();
        for word in ["UNPROVEN", "ANOTHER MEANING: line ", "--search-path"] {
            assert!(text.contains(word), "{text}");
        }
        sql("proven_meaning", "DROP VIEW IF EXISTS looks_view; DROP TRIGGER IF EXISTS looks ON u; DROP FUNCTION IF EXISTS f; DROP INDEX IF EXISTS looks_index");
        found += 1;
    }
    proof::counted("proofs", "statements that compare by another operator in the copy", 0, found);
}

#[test]
fn rows_that_a_partitioned_table_takes_by_its_root_count_together() {
    let place = Place::new();
    features("proven_parted");
    let run = of(&place, "proven_parted").set("PG_DUMP_USER_ARGS", "--load-via-partition-root -t parted*");
    run.args(["backup"]).expect(0);
    let (_, finding) = prove(&run, 0);
    assert_eq!(tables(&finding).len(), 1);
    let table = &tables(&finding)[0];
    assert_eq!((&table["found"], &table["found"]["rows"]), (&table["stated"], &20.into()));
}

#[test]
fn an_archive_is_restored_and_says_that_nothing_was_compared() {
    let place = Place::new();
    features("proven_archive");
    let run = of(&place, "proven_archive").set("DUMP_FORMAT", "custom");
    run.args(["backup"]).expect(0);
    let text = run.args(["verify", "--level", "restore"]).expect(0).text();
    assert!(text.contains("proven ") && text.contains("of which an archive's .meta states nothing"), "{text}");
    assert!(text.contains("nothing to compare with"), "{text}");
}

#[test]
fn a_subscription_in_the_dump_does_not_keep_the_scratch_alive() {
    let place = Place::new();
    small("proven_subscription", &["x"]);
    let nowhere = "CREATE SUBSCRIPTION proven_sub CONNECTION 'host=192.0.2.1 dbname=none' PUBLICATION p
                   WITH (connect = false, slot_name = 'somebodys')";
    sql("proven_subscription", nowhere);
    let run = of(&place, "proven_subscription");
    run.args(["backup"]).expect(0);
    sql("proven_subscription", "ALTER SUBSCRIPTION proven_sub SET (slot_name = NONE)");
    sql("proven_subscription", "DROP SUBSCRIPTION proven_sub");
    let (outcome, _) = prove(&run, 0);
    assert!(!outcome.err.contains("left behind"), "{}", outcome.err);
    assert_eq!(left_on(cluster()), Vec::<String>::new());
}

#[test]
fn rows_of_foreign_tables_are_not_written_to_their_server() {
    let place = Place::new();
    small("proven_foreign", &["x"]);
    let run = of(&place, "proven_foreign").set("PG_DUMP_USER_ARGS", "--include-foreign-data=elsewhere");
    sql("proven_foreign", "CREATE FOREIGN DATA WRAPPER none; CREATE SERVER elsewhere FOREIGN DATA WRAPPER none");
    run.args(["backup"]).expect(0);
    run.args(["verify", "--level", "restore"]).expect(2).says("cannot be proven by a restore");
}

#[test]
fn a_dump_that_no_server_takes_is_a_finding() {
    let place = Place::new();
    let run = of(&place, "proven_edited");
    let edited = place.folder.path().join("edited.sql");
    std::fs::write(&edited, script("CREATE TABLE t (v integer);\nINSERT INTO t VALUES ('no number');\n")).unwrap();
    run.args(["upload", edited.to_str().unwrap()]).expect(0);
    let (_, finding) = prove(&run, 3);
    let error = finding["error"].as_str().unwrap();
    assert!(error.contains("cannot be restored") && error.contains("no number"), "{error}");
    let record = &place.history(&[])[0];
    assert_eq!((&record["state"], record["problem"]["exit_code"].as_u64()), (&"failed".into(), Some(3)));
    assert_eq!(left_on(cluster()), Vec::<String>::new());
}

#[test]
fn an_uploaded_dump_is_proven_as_far_as_it_states_its_rows() {
    let place = Place::new();
    small("proven_uploaded", &["a", "b"]);
    sql("proven_uploaded", "CREATE TABLE logs AS SELECT 1 AS i");
    for arguments in
        [&["--inserts"][..], &["--exclude-table-data=logs"], &["--exclude-table-data=t", "--column-inserts"]]
    {
        let file = place.folder.path().join("uploaded.sql");
        let mut tool = support::database::tool("pg_dump", "proven_uploaded");
        std::fs::write(&file, support::database::stdout_of(tool.args(arguments))).unwrap();
        let run = of(&place, "proven_uploaded");
        run.args(["upload", file.to_str().unwrap()]).expect(0);
        let (_, finding) = prove(&run, 0);
        let unknown = tables(&finding).iter().filter(|table| table["verdict"] == "unknown").count();
        assert_eq!(unknown, if arguments.len() == 1 && arguments[0].starts_with("--exclude") { 1 } else { 2 });
        std::fs::remove_dir_all(place.store()).unwrap();
        std::fs::create_dir(place.store()).unwrap();
    }
}

#[test]
fn a_backup_of_a_standby_has_no_rows_of_unlogged_tables_says_so_and_is_proven() {
    let (server, place) = (Cluster::start_from(&cluster().bin, &cluster().bin), Place::new());
    server.psql("postgres", "CREATE DATABASE followed");
    server.psql("followed", "CREATE TABLE t AS SELECT 1 AS i; CREATE UNLOGGED TABLE u AS SELECT 2 AS i");
    let standby = server.standby();
    let run = of(&place, "followed").key().set("STATE_DIR", place.folder.path().join("s").display());
    run.server(&standby)
        .args(["backup"])
        .expect(0)
        .says("a standby has no rows of unlogged tables, which are left out: public.u");
    // No standby takes a scratch.
    let run = run.set("STATE_DIR", place.folder.path().join("s").display());
    for proof in [run.server(&server), run.server(&standby).set("VERIFY_SCRATCH", "cluster")] {
        let (_, finding) = prove(&proof, 0);
        assert_eq!((wrong(&finding), tables(&finding).len()), (Vec::new(), 1), "{finding:#}");
    }
    proof::counted("proofs", "proofs of a standby's backup without the rows of its unlogged tables", 2, 0);
}

#[test]
fn rows_that_are_statements_are_compared_as_rows_are() {
    let place = Place::new();
    small("proven_inserts", &["a", "b"]);
    sql(
        "proven_inserts",
        "CREATE TABLE wide AS SELECT n, md5(n::text) AS m, NULL::text AS e FROM generate_series(1, 1000) n; CREATE TABLE empty (i int);
         CREATE TABLE \"Own (x)\" (i int GENERATED ALWAYS AS IDENTITY, b bytea, g int GENERATED ALWAYS AS (1) STORED);
         INSERT INTO \"Own (x)\" (b) VALUES (decode(repeat('00ff', 300000), 'hex')), ('); VALUES (');
         CREATE TABLE parent (a int); CREATE TABLE child (b int) INHERITS (parent); ALTER TABLE parent ADD COLUMN c int; INSERT INTO child (a, b, c) VALUES (1, 2, 3)",
    );
    let mut compared = 0;
    for arguments in [
        "--inserts --exclude-table=child",
        "--column-inserts",
        "--rows-per-insert=7 --column-inserts",
        "--attribute-inserts --on-conflict-do-nothing --quote-all-identifiers",
    ] {
        let run = of(&place, "proven_inserts").key().set("PG_DUMP_USER_ARGS", arguments);
        run.args(["backup"]).expect(0);
        let (_, finding) = prove(&run, 0);
        let all = if arguments.contains("child") { 3 } else { 4 };
        assert_eq!((wrong(&finding), tables(&finding).len()), (Vec::new(), all), "{arguments}: {finding:#}");
        // Of wide, t and Own (x), and of the child.
        let rows = 1000 + 2 + 2 + u64::from(all == 4);
        assert_eq!(
            (finding["tables"].as_u64(), finding["rows"].as_u64()),
            (Some(all as u64), Some(rows)),
            "{finding:#}"
        );
        let text = run.args(["verify", "--level", "restore"]).expect(0).text();
        assert!(text.contains(&format!("{all} of {all} tables are the same")), "{text}");
        compared += all;
    }
    proof::counted("proofs", "tables whose rows are INSERT statements, compared with what was restored", compared, 0);
    // Of an archive nothing is stated, whatever its rows are.
    let run =
        of(&place, "proven_inserts").key().set("DUMP_FORMAT", "custom").set("PG_DUMP_USER_ARGS", "--inserts --table=t");
    run.args(["backup"]).expect(0);
    let text = run.args(["verify", "--level", "restore"]).expect(0).text();
    assert!(text.contains("1 table counted") && text.contains("2 rows, nothing to compare with"), "{text}");
}

#[test]
fn a_restore_that_may_not_give_something_to_its_owner_says_how_to_do_without() {
    let place = Place::new();
    let file = place.folder.path().join("owned.sql");
    std::fs::write(&file, script("CREATE TABLE public.t (v text);\nALTER TABLE public.t OWNER TO proven_demoted;\n"))
        .unwrap();
    let run = of(&place, "proven_owned");
    run.args(["upload", file.to_str().unwrap()]).expect(0);
    sql("postgres", "CREATE ROLE proven_demoted");
    sql("postgres", format!("CREATE ROLE proven_maker LOGIN CREATEDB PASSWORD '{}'", support::cluster::PASSWORD));
    let restore = run.set("DB_USER", "proven_maker");
    let restore = |more: &[&str]| restore.args([&["restore", "latest", "--yes"], more].concat());
    restore(&[]).expect(1).says("hint: restore with --no-owner");
    restore(&["--no-owner"]).expect(0);
}
