//! What a server refuses of a dump, and the way to all else.

use super::role;
use support::cluster::{Cluster, PASSWORD, PATIENCE, USER, cluster};
use support::database::{create, exists, script, sql};
use support::pgbk::{Outcome, Pgbk, connected, pgbk};
use support::process::until;
use support::proof;

/// What is refused, as whom, the flag that the hint names, and what else gets it through.
const REFUSED: &[(&str, &str, &str, &str, &[&str])] = &[
    (
        "rows that break a check",
        "postgres",
        "CREATE TABLE public.c (i int CHECK (i > 1));\nCOPY public.c (i) FROM stdin;\n2\n1\n3\n\\.\n",
        "--skip-failed",
        &[],
    ),
    (
        "rows that are too long for a type",
        "postgres",
        "CREATE TABLE public.c (v varchar(2));\nCOPY public.c (v) FROM stdin;\nlong\n\\.\n",
        "--skip-failed",
        &[],
    ),
    (
        "an event trigger",
        "guest",
        "CREATE FUNCTION public.e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
      CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.e()",
        "--skip-failed",
        &[],
    ),
    ("a publication of all tables", "guest", "CREATE PUBLICATION p FOR ALL TABLES", "--skip-failed", &[]),
    (
        "an extension",
        "guest",
        "CREATE EXTENSION file_fdw",
        "--exclude-extension file_fdw",
        &["--exclude-extension", "file_fdw"],
    ),
    (
        "a check of another table's rows",
        "postgres",
        "CREATE TABLE public.z AS SELECT 1 AS i; CREATE FUNCTION public.has(i int) RETURNS bool LANGUAGE sql
      AS 'SELECT EXISTS (SELECT FROM z)'; CREATE TABLE public.c (i int CHECK (public.has(i)));\nCOPY public.c (i) FROM stdin;\n1\n\\.\n",
        "--search-path",
        &[],
    ),
    ("a name that is nowhere", "postgres", "CREATE VIEW public.v AS SELECT public.nowhere()", "--search-path", &[]),
    ("a comment", "guest", "COMMENT ON LANGUAGE internal IS 'ours'", "--skip-failed", &["--no-comments"]),
];

/// Statements with names that the dump does not qualify, each with the extensions that it needs.
const UNQUALIFIED: &[(&str, &[&str], &str)] = &[
    ("an operator in a trigger", &["ltree"], "CREATE TABLE public.loc (p public.ltree);
      CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER t AFTER UPDATE ON public.loc FOR EACH ROW WHEN (OLD.p IS DISTINCT FROM NEW.p) EXECUTE FUNCTION public.f()"),
    ("an index over a function of an extension's", &["unaccent"], "CREATE FUNCTION public.plain(v text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT unaccent(v)'; CREATE INDEX ON public.t (public.plain(v))"),
    ("a generated column", &["unaccent"], "CREATE FUNCTION public.plain(v text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT unaccent(v)';
      CREATE TABLE public.n (v text, p text GENERATED ALWAYS AS (public.plain(v)) STORED)"),
    ("a type behind a function", &["cube", "earthdistance"], "CREATE TABLE public.g (lat float8, lon float8, e public.earth GENERATED ALWAYS AS (public.ll_to_earth(lat, lon)) STORED)"),
    ("a view over a function", &[], "CREATE FUNCTION public.n() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM t); END';
      CREATE MATERIALIZED VIEW public.mv AS SELECT public.n()"),
];

fn restore(run: &Pgbk, id: &str, to: &str, more: &[&str]) -> Pgbk {
    run.args(["restore", id, "--yes", "--json", "--to", to].iter().chain(more).copied())
}

#[test]
fn what_a_server_refuses_does_not_cost_the_rest() {
    role("guest", "CREATEDB");
    let folder = tempfile::tempdir().unwrap();
    let mut refusals = 0;
    for (at, (what, user, refused, hint, through)) in REFUSED.iter().enumerate() {
        eprintln!("--- {what}");
        let run = connected().key().directory(folder.path()).set("DB_USER", user);
        let text = around(&[], refused);
        let upload = run.args(["upload", "-", "--database", "refused"]).input(text.as_bytes()).json();
        let (id, to) = (upload["id"].as_str().unwrap(), format!("refused_{at}"));

        restore(&run, id, &to, &[]).expect(1).says(hint);
        assert!(!exists(&to), "{what}");
        if !through.is_empty() {
            restore(&run, id, &to, through).expect(0);
            sql("postgres", format!("DROP DATABASE {to}"));
        }
        let report: Outcome = restore(&run, id, &to, &["--skip-failed"]).expect(1).says("left out: ");
        let report = report.json();
        assert_eq!(
            (&report["left_out"].as_array().unwrap().len(), &report["rows"]),
            (&1, &2.into()),
            "{what}: {report}"
        );
        assert_eq!(sql(&to, "SELECT count(*) FROM t"), "2", "{what}");
        assert_eq!(sql(&to, "SELECT count(*) FROM last"), "0", "{what}");
        refusals += 1;
    }
    proof::counted("rights", "statements and rows that a server refuses, and the rest restored", 0, refusals);
}

/// Returns a script of these statements as pg_dump begins it, between a table with two rows and an empty one.
fn around(extensions: &[&str], statements: &str) -> String {
    let head = "SET check_function_bodies = false;\nSELECT pg_catalog.set_config('search_path', '', false);";
    let made: String = extensions.iter().map(|name| format!("CREATE EXTENSION {name} WITH SCHEMA public;\n")).collect();
    let end = if statements.ends_with('\n') { "" } else { ";" };
    script(&format!(
        "{head}\n{made}CREATE TABLE public.t (v text);\nCOPY public.t (v) FROM stdin;\n1\n2\n\\.\n{statements}{end}\nCREATE TABLE public.last ();\n"
    ))
}

#[test]
fn a_name_that_a_dump_does_not_qualify_is_found_as_at_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let run = connected().key().directory(folder.path());
    for (at, (what, extensions, statements)) in UNQUALIFIED.iter().enumerate() {
        let (own, to) = (format!("unqualified_{at}"), format!("unqualified_{at}_copy"));
        let upload =
            run.args(["upload", "-", "--database", &own]).input(around(extensions, statements).as_bytes()).json();
        let id = upload["id"].as_str().unwrap();
        let said = restore(&run, id, &to, &[]).expect(0).says("the source's search path: CREATE");
        assert_eq!(said.json()["unqualified"].as_array().unwrap().len(), 1, "{what}");
        assert_eq!(sql(&to, "SELECT count(*) FROM t"), "2", "{what}: {}", said.err);
        run.args(["verify", id, "--level", "restore"]).expect(0);
        // Who says how names are found, or what is left out, is taken at his word.
        restore(&run, id, &format!("{to}_2"), &["--search-path", "pg_catalog"]).expect(1).says("SQLSTATE 42");
        assert!(!exists(&format!("{to}_2")), "{what}");
    }
    proof::counted("rights", "statements with unqualified names, restored and proven", UNQUALIFIED.len(), 0);
}

#[test]
fn names_are_looked_up_where_the_sources_database_looks() {
    let folder = tempfile::tempdir().unwrap();
    let run = connected().key().directory(folder.path());
    sql("postgres", "CREATE DATABASE unqualified_own");
    sql("unqualified_own", "ALTER DATABASE unqualified_own SET search_path = app, \"Ext of ours\"");
    sql("unqualified_own", "CREATE SCHEMA app; CREATE SCHEMA \"Ext of ours\"; CREATE EXTENSION unaccent SCHEMA \"Ext of ours\";
        SET search_path = app, \"Ext of ours\"; CREATE TABLE words AS SELECT 'é' AS w;
        CREATE FUNCTION app.plain(v text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT unaccent(v)'; CREATE INDEX ON words (app.plain(w))");
    run.args(["backup", "unqualified_own"]).expect(0);
    let arguments = ["restore", "latest", "--database", "unqualified_own", "--yes", "--to", "unqualified_there"];
    run.args(arguments).expect(0).says("the source's search path: CREATE INDEX");
    assert_eq!(sql("unqualified_there", "SELECT app.plain(w) FROM app.words"), "e");
    run.args(["verify", "latest", "--database", "unqualified_own", "--level", "restore"]).expect(0);
}

/// Whoever may make things in `public` could have his own statement run again; those of others keep their meaning.
#[test]
fn only_the_statement_whose_name_is_not_found_is_run_with_the_sources_search_path() {
    let folder = tempfile::tempdir().unwrap();
    let run = connected().key().directory(folder.path());
    sql("postgres", "CREATE DATABASE unqualified_trap");
    sql("postgres", "ALTER DATABASE unqualified_trap SET search_path = public, pg_catalog");
    sql("unqualified_trap", "SET search_path = '';
        CREATE TABLE public.t (i int, a int[] CHECK (a = a), l text DEFAULT lower('Plain'), g bool GENERATED ALWAYS AS (a = '{1}'::int[]) STORED);
        INSERT INTO public.t (i, a) VALUES (1, '{1}'); CREATE VIEW public.v AS SELECT lower(l) AS l FROM public.t;
        CREATE TABLE public.sprung (); CREATE FUNCTION public.evil(int[], int[]) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false';
        CREATE OPERATOR public.= (LEFTARG = int[], RIGHTARG = int[], FUNCTION = public.evil);
        CREATE FUNCTION public.lower(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT 'sprung'::text$$;
        CREATE FUNCTION public.f() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM sprung); END';
        SET search_path = public; CREATE MATERIALIZED VIEW public.mv AS SELECT public.f()");
    run.args(["backup", "unqualified_trap"]).expect(0);
    let arguments = ["restore", "latest", "--database", "unqualified_trap", "--yes", "--to", "unqualified_safe"];
    run.args(arguments).expect(0).says("the source's search path: REFRESH MATERIALIZED VIEW public.mv");
    let found = "SELECT (SELECT g FROM t), (SELECT l FROM v), pg_get_viewdef('v'::regclass) LIKE '%public.lower%', (SELECT f FROM mv)";
    assert_eq!(sql("unqualified_safe", found), "t|plain|f|0");
    run.args(["verify", "latest", "--database", "unqualified_trap", "--level", "restore"]).expect(0);
}

#[test]
fn what_lies_in_a_missing_tablespace_goes_to_the_databases_own() {
    let folder = tempfile::tempdir().unwrap();
    let run = connected().key().directory(folder.path());
    let statements = "SET default_tablespace = fast;\nCREATE TABLE public.x ();\nSET default_tablespace = '';\nCREATE TABLE public.y ()";
    let upload = run.args(["upload", "-", "--database", "spaceless"]).input(around(&[], statements).as_bytes()).json();
    let id = upload["id"].as_str().unwrap();
    let report = restore(&run, id, "spaceless", &[]).expect(0).says("no tablespace fast").says("--database @globals");
    assert_eq!(report.json()["skipped"], serde_json::json!(["tablespace \"fast\""]));
    assert_eq!(report.err.matches("fast").count(), 1, "said once: {}", report.err);
    let report = restore(&run, id, "spaceless_said", &["--no-tablespaces"]).expect(0);
    assert!(!report.err.contains("fast"), "{}", report.err);
    for database in ["spaceless", "spaceless_said"] {
        assert_eq!(
            sql(database, "SELECT count(*) FROM pg_class WHERE relname IN ('x', 'y') AND reltablespace = 0"),
            "2"
        );
    }
}

#[test]
fn without_an_extension_its_rows_and_privileges_are_left_out_and_nothing_of_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let run = connected().key().directory(folder.path());
    let text = script(
        "CREATE EXTENSION IF NOT EXISTS absent WITH SCHEMA pg_catalog;\nCOMMENT ON EXTENSION absent IS 'jobs';\nCREATE TABLE public.t (i int);\n\
         COPY cron.job (jobid, command) FROM stdin;\n1\tSELECT 1\n\\.\nCOPY public.t (i) FROM stdin;\n1\n2\n\\.\n\
         SELECT pg_catalog.setval('cron.jobid_seq', 1, true);\nGRANT USAGE ON SCHEMA cron TO postgres;\nGRANT ALL ON TABLE cron.job TO postgres;",
    );
    let upload = run.args(["upload", "-", "--database", "refused"]).input(text.as_bytes()).json();
    let id = upload["id"].as_str().unwrap();
    let named = restore(&run, id, "refused_cron", &[])
        .expect(1)
        .says("the server lacks what the dump needs: extensions absent");
    named.says("--exclude-extension absent");
    let report = restore(&run, id, "refused_cron", &["--exclude-extension", "absent"])
        .expect(0)
        .says("skipped: rows of cron.job");
    let report = report.json();
    assert_eq!((report["skipped"].as_array().unwrap().len(), &report["rows"]), (4, &2.into()), "{report}");
    assert_eq!(sql("refused_cron", "SELECT count(*) FROM t"), "2");

    // What stands on it and is the database's own is not left out without a word.
    let text = script("CREATE EXTENSION hstore WITH SCHEMA public;\nCREATE TABLE public.t (h public.hstore);");
    let upload = run.args(["upload", "-", "--database", "refused"]).input(text.as_bytes()).json();
    let without = ["--exclude-extension", "hstore"];
    restore(&run, upload["id"].as_str().unwrap(), "refused_hstore", &without).expect(1).says("--skip-failed");
    assert!(!exists("refused_hstore"));
}

#[test]
fn a_restore_that_leaves_out_what_is_refused_still_ends_at_a_damaged_script() {
    let folder = tempfile::tempdir().unwrap();
    let run = connected().key().directory(folder.path());
    let text = script(
        "CREATE TABLE public.c (i int CHECK (i > 1));\nCOPY public.c (i) FROM stdin;\n1\n\\.\nCREATE TABLE public.d ();\nCOMMIT;",
    );
    let upload = run.args(["upload", "-", "--database", "refused"]).input(text.as_bytes()).json();
    restore(&run, upload["id"].as_str().unwrap(), "refused_end", &["--skip-failed"])
        .expect(1)
        .says("transaction of its own");
    assert!(!exists("refused_end"));
}

/// Rows may be added by one who may not remove any: then they are loaded as any others are, and not frozen.
#[test]
fn a_role_that_may_not_empty_a_table_loads_its_rows_all_the_same() {
    cluster().psql("postgres", "CREATE ROLE holder; CREATE ROLE between NOINHERIT IN ROLE holder");
    role("filler", "IN ROLE between, pg_write_all_data");
    create("filled", "");
    let rows = "CREATE TABLE t AS SELECT g AS id, md5(g::text) AS noise FROM generate_series(1, 20000) g";
    sql(
        "filled",
        format!("{rows}; CREATE TABLE u AS TABLE t; ALTER TABLE t OWNER TO holder; ALTER TABLE u OWNER TO filler"),
    );
    let folder = tempfile::tempdir().unwrap();
    let run = connected().directory(folder.path()).key();
    let id = run.backup("filled", &[]);
    create("filled_anew", "OWNER filler");
    sql("filled_anew", "GRANT CREATE ON SCHEMA public TO PUBLIC");
    let restore = ["restore", &id, "--to", "filled_anew", "--yes", "--jobs", "2", "--no-properties"];
    run.set("DB_USER", "filler").args(restore).expect(0);
    assert_eq!(sql("filled_anew", "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 't'"), "holder");
    let all = "SELECT string_agg(id || noise, ',' ORDER BY id) FROM t";
    assert!(sql("filled_anew", all) == sql("filled", all));
    // What is frozen was written as if it had been there for long.
    let frozen = |table: &str| {
        let text = format!("SELECT (t_infomask & 768) = 768 FROM heap_page_items(get_raw_page('{table}', 0)) LIMIT 1");
        sql("filled_anew", text)
    };
    sql("filled_anew", "CREATE EXTENSION pageinspect");
    assert_eq!([frozen("u"), frozen("t")], ["t", "f"]);
}

/// A server makes a database of template0, and of none that somebody is connected to.
#[test]
fn a_database_that_the_server_does_not_make_is_told_with_the_way_around_it() {
    let server = Cluster::start();
    server.psql("postgres", "CREATE DATABASE unmade");
    server.psql("postgres", "ALTER DATABASE template0 ALLOW_CONNECTIONS true");
    let folder = tempfile::tempdir().unwrap();
    let run = pgbk([]).server(&server).directory(folder.path()).key();
    let id = run.backup("unmade", &[]);
    let restore = ["restore", &id, "--to", "unmade_copy", "--yes"];
    let mut of_template = postgres::Config::new();
    of_template.host("127.0.0.1").port(server.port).user(USER).password(PASSWORD).dbname("template0");
    let mut somebody = of_template.connect(postgres::NoTls).unwrap();
    let refused = run.args(restore).expect(1).says("cannot create database \"unmade_copy\": ");
    refused.says("is being accessed by other users").says("hint: create it yourself, empty, and restore into that");
    let there = "SELECT count(*) FROM pg_database WHERE datname = 'unmade_copy'";
    assert_eq!(server.psql("postgres", there), "0");
    somebody.batch_execute("SELECT 1").unwrap();
    // It waits a while for whoever is connected. One that stops meanwhile says neither that it made it nor that it did not.
    let running = run.args(restore).start();
    let making = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE DATABASE%' AND state = 'active'";
    assert!(until(PATIENCE, || server.psql("postgres", making) == "1"), "it makes no database");
    server.stop_immediately();
    let said = running.end().says("database \"unmade_copy\" may be left behind, empty: ");
    assert_eq!(said.code, Some(1), "{said:#?}");
    assert!(!said.err.contains("create it yourself"), "{said:#?}");
}
