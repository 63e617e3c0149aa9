//! A hostile database runs nothing as pgbk: every name that pgbk or its programs could look up in it is a trap.

use crate::majors::servers;
use servers::{Server, servers};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use support::cluster::Cluster;
use support::pgbk::{Outcome, Pgbk, pgbk};
use support::proof;

/// The types of which every pair is tried as operands and arguments: those that pgbk's queries compare, and what literals may become.
const WIDE: &str =
    "{name,text,varchar,bpchar,\"char\",oid,int2,int4,int8,numeric,float8,bool,regclass,timestamptz,interval}";

/// The kinds of traps, and how many there are at least on each server.
const LEAST: [(&str, usize); 7] = [
    ("functions before pg_catalog", 2300),
    ("aggregates", 50),
    ("operators before pg_catalog", 700),
    ("operators behind pg_catalog", 5000),
    ("functions behind pg_catalog", 2000),
    ("relations", 100),
    ("types", 50),
];

/// The functions that stand in pgbk's own queries.
fn called() -> BTreeSet<String> {
    fn sources(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else {
                for part in fs::read_to_string(&path).unwrap().split("pg_catalog.").skip(1) {
                    let (name, rest) = part.split_at(part.find(|c: char| c != '_' && !c.is_ascii_lowercase()).unwrap());
                    if rest.starts_with('(') {
                        found.insert(name.to_owned());
                    }
                }
            }
        }
    }
    let mut found = BTreeSet::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/postgres"), &mut found);
    found
}

/// A server on which every database that pgbk may enter is full of traps, and every session looks there first.
struct Hostile<'a> {
    cluster: &'a Cluster,
    /// How often a trap went off before.
    seen: usize,
}

impl Hostile<'_> {
    fn of(cluster: &Cluster) -> Hostile<'_> {
        let names = called().into_iter().collect::<Vec<_>>().join(",");
        let traps = include_str!("traps/set.sql").replace("$WIDE", WIDE).replace("$NAMES", &format!("{{{names}}}"));
        for database in ["template1", "postgres"] {
            cluster.psql(database, &traps);
            cluster
                .psql(database, "CREATE TABLE public.mine AS SELECT g AS id FROM pg_catalog.generate_series(1, 100) g");
        }
        for statement in ["CREATE DATABASE hostile", "CREATE DATABASE target", "CREATE DATABASE emptied"] {
            cluster.psql("postgres", statement);
        }
        // Whose objects a dump brings along, so that they are where a backup is restored to as well.
        cluster.psql("postgres", "CREATE DATABASE carried TEMPLATE template0");
        cluster.psql("carried", CARRIED);
        let path = "SET search_path = evil, public, pg_catalog";
        for database in ["hostile", "target", "emptied", "postgres", "template1", "carried"] {
            cluster.psql(
                "postgres",
                &format!("ALTER DATABASE {database} {path}; ALTER ROLE postgres IN DATABASE {database} {path}"),
            );
        }
        cluster.psql("postgres", &format!("ALTER ROLE postgres {path}"));
        Hostile { cluster, seen: 0 }
    }

    /// What went off since the last look.
    fn sprung(&mut self) -> Vec<String> {
        let log = fs::read(self.cluster.directory.join("log")).unwrap();
        let log = String::from_utf8_lossy(&log);
        let all: Vec<_> =
            log.lines().filter_map(|line| line.split_once("LOG:  TRAP ")).map(|(_, what)| what.to_owned()).collect();
        all[std::mem::replace(&mut self.seen, all.len())..].to_vec()
    }

    /// How many traps of a kind are set.
    fn count(&self, kind: &str) -> usize {
        let query = format!("SELECT pg_catalog.count(*) FROM evil.made WHERE kind OPERATOR(pg_catalog.=) '{kind}'");
        self.cluster.psql("hostile", &query).parse().unwrap()
    }

    /// They do go off, each kind of them, where somebody looks names up by the path.
    fn goes_off(&mut self) {
        self.sprung();
        for (kind, query) in [
            ("function", "SELECT current_database()"),
            ("aggregate", "SELECT count(*) FROM public.mine"),
            ("operator", "SELECT pg_catalog.now() = pg_catalog.now()"),
            ("operator", "SELECT 1::pg_catalog.oid >= 1::pg_catalog.int8"),
            (
                "function",
                "SELECT pg_catalog.pg_backend_pid(), has_table_privilege(1::pg_catalog.int8, 'a'::pg_catalog.name)",
            ),
            ("relation", "SELECT 1 FROM pg_database"),
            ("type", "SELECT 'a'::text"),
        ] {
            // What comes of it does not matter.
            self.cluster.try_psql("hostile", query);
            let sprung = self.sprung();
            assert!(sprung.iter().any(|what| what.starts_with(kind)), "{query}: {sprung:?}");
        }
    }

    #[track_caller]
    fn expect(&mut self, run: &Pgbk, code: i32) -> Outcome {
        let outcome = run.expect(code);
        assert_eq!(self.sprung(), [""; 0], "{outcome:#?}");
        outcome
    }
}

/// A few of each kind, under the names that pgbk and its programs are the likeliest to call.
const CARRIED: &str = r#"
CREATE SCHEMA evil;
CREATE FUNCTION evil.sprung(what text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE LOG 'TRAP % in %', what, pg_catalog.current_database(); RETURN true; END $$;
CREATE FUNCTION evil.pg_try_advisory_lock(int, int) RETURNS bool LANGUAGE sql AS $$ SELECT evil.sprung('lock') $$;
CREATE FUNCTION evil.set_config(text, text, bool) RETURNS text LANGUAGE sql AS $$ SELECT evil.sprung('set_config')::text $$;
CREATE FUNCTION evil.current_database() RETURNS name LANGUAGE sql AS $$ SELECT evil.sprung('current_database')::text::name $$;
CREATE FUNCTION evil.pg_backend_pid() RETURNS int LANGUAGE sql AS $$ SELECT evil.sprung('pg_backend_pid')::int $$;
CREATE FUNCTION evil.equal(name, name) RETURNS bool LANGUAGE sql AS $$ SELECT evil.sprung('name = name') $$;
CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = name, FUNCTION = evil.equal);
CREATE FUNCTION public.times(numeric, int) RETURNS numeric LANGUAGE sql AS $$ SELECT evil.sprung('numeric * int')::int::numeric $$;
CREATE OPERATOR public.* (LEFTARG = numeric, RIGHTARG = int, FUNCTION = public.times);
CREATE FUNCTION public.least(oid, int) RETURNS bool LANGUAGE sql AS $$ SELECT evil.sprung('oid >= int') $$;
CREATE OPERATOR public.>= (LEFTARG = oid, RIGHTARG = int, FUNCTION = public.least);
CREATE VIEW evil.pg_class AS SELECT * FROM pg_catalog.pg_class WHERE evil.sprung('pg_class');
CREATE VIEW evil.pg_database AS SELECT * FROM pg_catalog.pg_database WHERE evil.sprung('pg_database');
CREATE VIEW evil.pg_settings AS SELECT * FROM pg_catalog.pg_settings WHERE evil.sprung('pg_settings');
CREATE DOMAIN evil.regclass AS pg_catalog.regclass CHECK (evil.sprung('regclass'));
CREATE TABLE public.mine AS SELECT g AS id FROM generate_series(1, 100) g;
CREATE INDEX ON public.mine (id);
"#;

#[test]
fn nothing_that_stands_in_a_database_runs_while_pgbk_works_on_it() {
    // To drop a database's contents takes a lock for each.
    let cluster = Cluster::start_set(&["max_locks_per_transaction=4000"]);
    let mut hostile = Hostile::of(&cluster);
    let set: Vec<(&str, usize)> = LEAST.iter().map(|(kind, _)| (*kind, hostile.count(kind))).collect();
    for ((kind, least), (_, set)) in LEAST.iter().zip(&set) {
        assert!(set >= least, "{kind}: {set}");
    }
    hostile.goes_off();

    let folder = tempfile::tempdir().unwrap();
    let hostile_run = pgbk([]).server(&cluster).key().directory(folder.path());
    // pg_dump asks several times for each operator and function, and so these stay behind.
    let quick = hostile_run.set("PG_DUMP_USER_ARGS", "--exclude-schema=evil --table=public.mine");
    let mut commands = 0;
    let mut holds = |run: &Pgbk, arguments: &[&str], code: i32| {
        commands += 1;
        hostile.expect(&run.args(arguments.iter().copied()), code)
    };
    holds(&quick, &["doctor", "hostile"], 0);
    holds(&quick, &["backup", "hostile"], 0);
    holds(&quick.set("BACKUP_GLOBALS", 1), &["backup", "*"], 0);
    holds(&hostile_run, &["backup", "carried"], 0);
    holds(&hostile_run, &["backup", "carried", "--format", "custom"], 0);
    holds(
        &quick
            .set("DB_NAME", "hostile")
            .set("KEEP_LAST", 1)
            .set("BACKUP_GLOBALS", 1)
            .set("CRON_SCHEDULE", "* * * * * *"),
        &["schedule", "--once"],
        0,
    );
    holds(&quick, &["restore", "latest", "--database", "hostile", "--to", "hostile_copy", "--yes"], 0);
    holds(&quick, &["restore", "latest", "--database", "hostile", "--to", "target", "--yes"], 1);
    holds(&quick, &["restore", "latest", "--database", "hostile", "--to", "emptied", "--yes", "--clean"], 0);
    holds(&hostile_run, &["restore", "latest", "--database", "carried", "--to", "jobs", "--yes", "--jobs", "2"], 0);
    holds(&hostile_run, &["restore", "latest", "--database", "carried", "--to", "jobs", "--yes", "--clean"], 0);
    holds(&hostile_run, &["restore", "latest", "--database", "@globals", "--yes"], 0);
    holds(&hostile_run, &["verify", "latest", "--database", "carried", "--level", "restore"], 0);
    holds(&hostile_run, &["verify", "latest", "--database", "hostile", "--level", "restore"], 0);
    let own = hostile_run.set("VERIFY_SCRATCH", "cluster");
    holds(&own, &["verify", "latest", "--database", "carried", "--level", "restore"], 0);
    holds(
        &hostile_run.input(b"CREATE TABLE t (i int);\n").set("DB_NAME", "hostile"),
        &["upload", "-", "--allow-incomplete"],
        0,
    );
    holds(&hostile_run.set("DB_NAME", "hostile").set("KEEP_LAST", 1), &["prune", "--force"], 0);
    for (kind, set) in set {
        proof::counted("traps", kind, set, 0);
    }
    proof::counted("traps", "commands, none of which sprang one", commands, 0);
}

/// What pgbk asks differs from one major version to the next, and so does what there is to be a trap.
#[test]
fn nor_does_it_on_any_major_version() {
    let all = servers();
    let walked: Vec<&Server> = if proof::whole() { all.iter().collect() } else { all.last().into_iter().collect() };
    std::thread::scope(|scope| {
        for server in walked {
            scope.spawn(move || nothing_runs_on(server));
        }
    });
}

fn nothing_runs_on(server: &Server) {
    let mut hostile = Hostile::of(server.cluster);
    let set: usize = LEAST.iter().map(|(kind, _)| hostile.count(kind)).sum();
    assert!(set > 8_000, "{}: {set}", server.version);
    hostile.goes_off();
    let folder = tempfile::tempdir().unwrap();
    let run = server.pgbk().key().directory(folder.path());
    let quick = run.set("PG_DUMP_USER_ARGS", "--exclude-schema=evil --table=public.mine");
    let mut commands = 0;
    for (run, arguments) in [
        (&quick, "doctor hostile"),
        (&quick, "backup hostile"),
        (&run, "backup carried"),
        (&quick, "restore latest --database hostile --to hostile_copy --yes"),
        (&run, "restore latest --database carried --to carried_copy --yes"),
        (&run, "restore latest --database carried --to carried_copy --yes --clean"),
        (&run, "verify latest --database carried --level restore"),
        (&quick, "verify latest --database hostile --level restore"),
    ] {
        eprintln!("{}: {arguments}", server.version);
        hostile.expect(&run.args(arguments.split(' ')), 0);
        commands += 1;
    }
    proof::counted("traps", &format!("set on {}", server.version), set, 0);
    proof::counted("traps", &format!("commands on {}, none of which sprang one", server.version), commands, 0);
}
