//! What a server refuses of a dump, and the way to all else.

use super::role;
use crate::support::database::{exists, script, sql};
use crate::support::pgbk::{Outcome, Pgbk, connected};
use crate::support::proof;

/// What is refused, as whom, the flag that the hint names, and what else gets it through.
const REFUSED: &[(&str, &str, &str, &str, &[&str])] = &[
    ("an operator in a trigger", "postgres", "CREATE EXTENSION ltree SCHEMA public; CREATE TABLE public.loc (p public.ltree);
      CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER t AFTER UPDATE ON public.loc FOR EACH ROW WHEN (OLD.p IS DISTINCT FROM NEW.p) EXECUTE FUNCTION public.f()",
     "--search-path", &["--search-path", "public"]),
    ("an index over a function of an extension's", "postgres", "CREATE EXTENSION unaccent SCHEMA public;
      CREATE FUNCTION public.plain(v text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT unaccent(v)'; CREATE INDEX ON public.t (public.plain(v))",
     "--search-path", &["--search-path", "public"]),
    ("a generated column", "postgres", "CREATE EXTENSION unaccent SCHEMA public;
      CREATE FUNCTION public.plain(v text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT unaccent(v)';
      CREATE TABLE public.n (v text, p text GENERATED ALWAYS AS (public.plain(v)) STORED)", "--search-path", &["--search-path", "public"]),
    ("a type behind a function", "postgres", "CREATE EXTENSION cube SCHEMA public; CREATE EXTENSION earthdistance SCHEMA public;
      CREATE TABLE public.g (lat float8, lon float8, e public.earth GENERATED ALWAYS AS (public.ll_to_earth(lat, lon)) STORED)",
     "--search-path", &["--search-path", "public"]),
    ("a view over a function", "postgres", "CREATE FUNCTION public.n() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM t); END';
      CREATE MATERIALIZED VIEW public.mv AS SELECT public.n()", "--search-path", &["--search-path", "public"]),
    ("rows that break a check", "postgres", "CREATE TABLE public.c (i int CHECK (i > 1));\nCOPY public.c (i) FROM stdin;\n2\n1\n3\n\\.\n", "--skip-failed", &[]),
    ("rows that are too long for a type", "postgres", "CREATE TABLE public.c (v varchar(2));\nCOPY public.c (v) FROM stdin;\nlong\n\\.\n", "--skip-failed", &[]),
    ("an event trigger", "guest", "CREATE FUNCTION public.e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
      CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.e()", "--skip-failed", &[]),
    ("a publication of all tables", "guest", "CREATE PUBLICATION p FOR ALL TABLES", "--skip-failed", &[]),
    ("a tablespace", "postgres", "SET default_tablespace = fast;\nCREATE TABLE public.x ();\nSET default_tablespace = ''", "--no-tablespaces", &["--no-tablespaces"]),
    ("an extension", "guest", "CREATE EXTENSION file_fdw", "--exclude-extension file_fdw", &["--exclude-extension", "file_fdw"]),
    ("a comment", "guest", "COMMENT ON LANGUAGE internal IS 'ours'", "--skip-failed", &["--no-comments"]),
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
        let head = "SET check_function_bodies = false;\nSELECT pg_catalog.set_config('search_path', '', false);\nCREATE TABLE public.t (v text);";
        let end = if refused.ends_with('\n') { "" } else { ";" };
        let text = script(&format!(
            "{head}\nCOPY public.t (v) FROM stdin;\n1\n2\n\\.\n{refused}{end}\nCREATE TABLE public.last ();\n"
        ));
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
