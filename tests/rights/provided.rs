//! A target in which a provider has put extensions, for a role that is no superuser and may not drop them.

use super::role;
use support::cluster::cluster;
use support::database::{assert_same, create, dump, script, sql};
use support::pgbk::{Pgbk, connected};
use support::proof;

const MAKE_ALL: &str = "DO $x$
DECLARE name text;
BEGIN
    FOR name IN SELECT e.name FROM pg_available_extensions e WHERE e.name <> 'plpgsql' LOOP
        BEGIN
            EXECUTE format('CREATE EXTENSION IF NOT EXISTS %I SCHEMA provided CASCADE', name);
        EXCEPTION WHEN OTHERS THEN
            RAISE NOTICE '% is not made: %', name, SQLERRM;
        END;
    END LOOP;
END $x$";

/// One of everything that can be in a schema, as statements of its owner.
const CLUTTER: &str = "
CREATE TABLE t (id serial PRIMARY KEY, v text); CREATE INDEX ON t (v); CREATE TABLE parts (i int) PARTITION BY LIST (i);
CREATE TABLE part PARTITION OF parts DEFAULT; CREATE VIEW seen AS SELECT * FROM t; CREATE MATERIALIZED VIEW kept AS SELECT * FROM t;
CREATE SEQUENCE alone; CREATE TYPE pair AS (a int, b int); CREATE TYPE mood AS ENUM ('good'); CREATE TYPE spans AS RANGE (subtype = time);
CREATE DOMAIN small AS int; CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1 + $2';
CREATE PROCEDURE nothing() LANGUAGE sql AS 'SELECT 1'; CREATE AGGREGATE total(int) (SFUNC = plus, STYPE = int);
CREATE OPERATOR <+> (LEFTARG = int, RIGHTARG = int, FUNCTION = plus); CREATE COLLATION binary_order (LOCALE = 'C');
CREATE TEXT SEARCH CONFIGURATION searched (COPY = simple); CREATE TEXT SEARCH DICTIONARY words (TEMPLATE = simple);
CREATE STATISTICS both_of_t ON id, v FROM t; CREATE TABLE held (m mood, p pair, s small)";

/// Makes a database of the role's, with extensions that are not.
fn provided(name: &str, owner: &str) {
    create(name, &format!("OWNER {owner}"));
    sql(name, "CREATE SCHEMA provided; GRANT USAGE ON SCHEMA provided TO tenant");
    sql(name, MAKE_ALL);
}

fn extensions(database: &str) -> Vec<String> {
    sql(database, "SELECT extname || ' ' || extnamespace::regnamespace FROM pg_extension ORDER BY 1")
        .lines()
        .map(str::to_owned)
        .collect()
}

fn restore(run: &Pgbk, id: &str, to: &str, more: &[&str]) -> Pgbk {
    let takes = ["restore", id, "--yes", "--no-owner", "--no-privileges", "--to", to];
    run.set("DB_USER", "tenant").args(takes.iter().chain(more).copied())
}

#[test]
fn extensions_that_a_provider_has_made_are_used_as_they_are_and_stay() {
    role("tenant", "");
    provided("provided_source", "postgres");
    sql(
        "provided_source",
        "CREATE TABLE public.t AS SELECT 'a=>1'::provided.hstore AS h; COMMENT ON EXTENSION hstore IS 'ours'",
    );
    provided("provided_target", "tenant");
    let before = extensions("provided_target");
    assert!(before.len() > 20, "{before:?}");

    let folder = tempfile::tempdir().unwrap();
    let run = connected().key().directory(folder.path());
    let id = run.backup("provided_source", &[]);
    let said = restore(&run, &id, "provided_target", &[]).expect(0);
    let said = said.says("skipped: the comment on extension \"hstore\", which is another role's");
    assert_eq!(said.err.matches("skipped: ").count(), 1, "{}", said.err);
    assert_eq!(
        (extensions("provided_target"), sql("provided_target", "SELECT h OPERATOR(provided.->) 'a' FROM t")),
        (before.clone(), "1".into())
    );

    // Whatever is made beside them is replaced.
    cluster().psql("provided_target", "GRANT CREATE ON SCHEMA provided TO tenant");
    for schema in ["public", "provided"] {
        sql(
            "provided_target",
            format!("SET ROLE tenant; SET search_path = {schema}; DROP TABLE IF EXISTS t; {CLUTTER}"),
        );
    }
    restore(&run, &id, "provided_target", &[]).expect(1).says("is not empty");
    restore(&run, &id, "provided_target", &["--clean"]).expect(0);
    assert_eq!(extensions("provided_target"), before);
    sql(
        "provided_target",
        "REVOKE CREATE ON SCHEMA provided FROM tenant; COMMENT ON EXTENSION hstore IS 'ours'; ALTER TABLE t OWNER TO postgres",
    );
    assert_same(&dump("provided_source"), &dump("provided_target"));
    proof::counted(
        "rights",
        "extensions of a provider's that a restore as another role uses and leaves",
        0,
        before.len() - 1,
    );
}

#[test]
fn an_extension_and_its_comment_that_are_there_are_no_errors_in_a_dump_of_any_age() {
    role("lodger", "");
    create("present", "OWNER lodger");
    sql("present", "CREATE SCHEMA elsewhere; CREATE EXTENSION hstore SCHEMA elsewhere; CREATE EXTENSION citext");
    let folder = tempfile::tempdir().unwrap();
    let run = connected().key().directory(folder.path());
    let old = script(
        "CREATE EXTENSION IF NOT EXISTS plpgsql WITH SCHEMA pg_catalog;\nCOMMENT ON EXTENSION plpgsql IS 'PL/pgSQL procedural language';\n\
         COMMENT ON SCHEMA public IS 'standard public schema';\nCREATE EXTENSION citext;\nCREATE EXTENSION hstore WITH SCHEMA public;\n\
         CREATE TABLE public.t (v public.citext);\n",
    );
    let upload = run.args(["upload", "-", "--database", "older"]).input(old.as_bytes()).json();
    let takes = ["restore", upload["id"].as_str().unwrap(), "--yes", "--to", "present"];
    run.set("DB_USER", "lodger")
        .args(takes)
        .expect(0)
        .says("extension \"hstore\" is in schema \"elsewhere\" of the target already");
    assert_eq!(sql("present", "SELECT count(*) FROM t"), "0");
}
