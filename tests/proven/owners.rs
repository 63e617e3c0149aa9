//! Owners and privileges: proven where the server goes with the proof, and named as left out where it does not.

use crate::proven::{of, prove, tables, wrong};
use std::fs;
use support::cluster::Cluster;
use support::database::script;
use support::pgbk::Pgbk;
use support::proof;
use support::scheduler::Place;

/// Every kind of thing that has an owner without a superuser to make it, of two owners and of the superuser's, with privileges of every kind.
const OWNED: &str = r#"
CREATE ROLE "own er"; CREATE ROLE other; CREATE ROLE clerk; GRANT "own er" TO other;
CREATE SCHEMA s AUTHORIZATION "own er"; CREATE SCHEMA mine;
CREATE TABLE s.t (id serial PRIMARY KEY, v text); INSERT INTO s.t (v) VALUES ('x'), ('y');
CREATE TABLE s.audit (v text); INSERT INTO s.audit VALUES ('z');
CREATE TABLE public.p (i int, k int GENERATED ALWAYS AS IDENTITY) PARTITION BY RANGE (i); CREATE TABLE public.p_1 PARTITION OF public.p FOR VALUES FROM (0) TO (9);
INSERT INTO public.p VALUES (1); CREATE TABLE mine.refers (t int REFERENCES s.t); INSERT INTO mine.refers VALUES (1);
CREATE VIEW s.v AS SELECT * FROM s.t; CREATE MATERIALIZED VIEW s.m AS SELECT count(*) FROM s.t; CREATE SEQUENCE s.free;
CREATE TYPE s.mood AS ENUM ('a'); CREATE DOMAIN s.dom AS int CHECK (VALUE > 0); CREATE TYPE s.pair AS (a int); CREATE TYPE s.span AS RANGE (subtype = int);
CREATE FUNCTION s.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1'; CREATE PROCEDURE s.pr() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE s.agg (int) (sfunc = int4pl, stype = int); CREATE OPERATOR s.=== (leftarg = int, rightarg = int, function = int4pl);
CREATE COLLATION s.coll (locale = 'C'); CREATE TEXT SEARCH CONFIGURATION s.conf (COPY = simple); CREATE STATISTICS s.st ON i, k FROM public.p;
CREATE INDEX ON s.t (s.f(id)); CREATE PUBLICATION pub FOR TABLE s.t; SELECT lo_create(4711); ALTER LARGE OBJECT 4711 OWNER TO other;
ALTER TABLE s.t OWNER TO "own er"; ALTER TABLE s.audit OWNER TO other; ALTER TABLE public.p OWNER TO other; ALTER TABLE public.p_1 OWNER TO other;
ALTER VIEW s.v OWNER TO "own er"; ALTER MATERIALIZED VIEW s.m OWNER TO "own er"; ALTER SEQUENCE s.free OWNER TO other; ALTER TYPE s.mood OWNER TO "own er";
ALTER DOMAIN s.dom OWNER TO other; ALTER TYPE s.pair OWNER TO "own er"; ALTER TYPE s.span OWNER TO other; ALTER FUNCTION s.f(int) OWNER TO "own er";
ALTER PROCEDURE s.pr() OWNER TO other; ALTER AGGREGATE s.agg(int) OWNER TO "own er"; ALTER OPERATOR s.=== (int, int) OWNER TO other;
ALTER COLLATION s.coll OWNER TO "own er"; ALTER TEXT SEARCH CONFIGURATION s.conf OWNER TO other; ALTER STATISTICS s.st OWNER TO "own er";
GRANT SELECT (v), UPDATE ON s.t TO clerk; GRANT SELECT ON s.t TO PUBLIC; GRANT USAGE ON SCHEMA s TO clerk WITH GRANT OPTION; GRANT pg_monitor TO clerk;
REVOKE ALL ON s.audit FROM other; GRANT INSERT ON s.audit TO clerk; REVOKE EXECUTE ON FUNCTION s.f(int) FROM PUBLIC; GRANT EXECUTE ON FUNCTION s.f(int) TO clerk;
GRANT SELECT ON LARGE OBJECT 4711 TO clerk; REVOKE USAGE ON TYPE s.mood FROM PUBLIC; GRANT USAGE ON SEQUENCE s.free TO clerk;
REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT CREATE ON SCHEMA public TO clerk; ALTER SCHEMA public OWNER TO other;
ALTER DEFAULT PRIVILEGES FOR ROLE "own er" IN SCHEMA s GRANT SELECT ON TABLES TO clerk; ALTER DEFAULT PRIVILEGES FOR ROLE other REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER TABLE s.t ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON s.t TO clerk USING (v = 'x'); ALTER DATABASE owned OWNER TO "own er"; GRANT CONNECT ON DATABASE owned TO clerk"#;

struct World {
    server: Cluster,
    place: Place,
    run: Pgbk,
}

impl World {
    /// A server whose roles nobody else has, and backups of this database of it.
    fn new(database: &str) -> World {
        let (server, place) = (Cluster::start(), Place::new());
        server.psql("postgres", &format!("CREATE DATABASE {database}"));
        let run = of(&place, database).server(&server).key().set("STATE_DIR", place.folder.path().join("s").display());
        World { server, place, run }
    }

    fn alone(&self) -> Pgbk {
        self.run.set("VERIFY_SCRATCH", "cluster")
    }
}

#[test]
fn owners_and_privileges_are_proven_on_a_server_of_its_own_and_the_word_says_which() {
    let world = World::new("owned");
    world.server.psql("owned", OWNED);
    let mut proven = 0;
    for format in ["plain", "custom"] {
        world.run.set("DUMP_FORMAT", format).args(["backup"]).expect(0);
        for (run, with_owners) in [(world.run.clone(), false), (world.alone(), true)] {
            let (outcome, finding) = prove(&run, 0);
            assert_eq!(finding["proof"]["with_owners"], with_owners, "{}", outcome.err);
            assert_eq!(finding["proof"]["properties"], serde_json::json!([]), "{}", outcome.err);
            assert_eq!(finding["proof"]["not_tried"], serde_json::json!([]), "{}", outcome.err);
            assert_eq!(tables(&finding).len(), 4, "{finding:#}");
            assert!(format == "custom" || wrong(&finding).is_empty(), "{finding:#}");
            let text = run.args(["verify", "--level", "restore"]).expect(0).text();
            let word = if with_owners { "proven  " } else { "proven without owners and privileges  " };
            assert!(text.contains(&format!("  {word}")), "{text}");
            proven += 1;
        }
    }
    let run = world.run.args(["history", "--json"]).expect(0).json()[0]["run"].as_str().unwrap().to_owned();
    let shown = world.run.args(["history", &run]).expect(0).text();
    assert!(!shown.contains("without owners"), "{shown}");
    proof::counted("proofs", "proofs with and without owners and privileges, which say so", proven, 0);
    // Where a restore by hand gives it all back, the proof was right.
    world.run.args(["restore", "latest", "--yes", "--to", "owned_copy"]).expect(0);
    let owners = "SELECT string_agg(c.oid::regclass || ' ' || relowner::regrole || ' ' || coalesce(relacl::text, ''), ', ' ORDER BY c.oid::regclass::text) FROM pg_class c
        JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname IN ('s', 'public', 'mine')";
    assert_eq!(world.server.psql("owned_copy", owners), world.server.psql("owned", owners));
}

#[test]
fn what_no_restore_can_give_to_its_owner_is_proven_without_and_unproven_with_owners() {
    let world = World::new("given");
    world.server.psql("postgres", "CREATE ROLE clerk");
    let mut refused = 0;
    for (statement, option) in [
        ("GRANT EXECUTE ON TABLE public.t TO clerk;", "--no-privileges"),
        ("REVOKE USAGE ON TABLE public.t FROM clerk;", "--no-privileges"),
        ("ALTER FUNCTION public.gone() OWNER TO clerk;", "--no-owner"),
        ("ALTER DEFAULT PRIVILEGES FOR ROLE clerk IN SCHEMA gone GRANT SELECT ON TABLES TO clerk;", "--no-privileges"),
    ] {
        let file = world.place.folder.path().join("given.sql");
        fs::write(&file, script(&format!("CREATE TABLE public.t (v text);\n{statement}\n"))).unwrap();
        world.run.args(["upload", file.to_str().unwrap()]).expect(0);
        prove(&world.run, 0);
        let (_, finding) = prove(&world.alone(), 3);
        let error = finding["error"].as_str().unwrap();
        assert!(error.contains("cannot be restored") && error.contains(&statement[..20]), "{error}");
        let restore = |more: &[&str]| {
            let to = ["restore", "latest", "--origin", "upload", "--yes", "--to", "given_copy", "--clean"];
            world.run.args(to.iter().chain(more).copied())
        };
        restore(&[]).expect(1).says(&format!("restore with {option}"));
        restore(&[option]).expect(0);
        refused += 1;
    }
    proof::counted("proofs", "backups that no restore takes with their owners and privileges", 0, refused);
}
