//! Every option that some `pg_dump` has, given by the user: through backup, reading to the end, restore, proof; or refused before anything
//! is stored. What comes back is what psql makes of pg_dump's own script with the same option.

use super::servers::{Server, complete};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use support::cluster::{PASSWORD, USER};
use support::database::{assert_same, stdout_of};
use support::pgbk::{Outcome, Pgbk};
use support::proof;

/// What the options choose from.
const SOURCE: &str = "
CREATE SCHEMA other;
CREATE TABLE public.a (id int PRIMARY KEY, v text DEFAULT 'x', g int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO public.a SELECT n, 'row ' || n FROM generate_series(1, 20) n;
CREATE TABLE public.b (id int REFERENCES public.a, r real, \"Mixed Case\" text);
INSERT INTO public.b SELECT n, 1.0 / n, 'it''s \\ ' || n FROM generate_series(1, 20) n;
CREATE TABLE other.c (v text);
INSERT INTO other.c VALUES ('one'), (NULL);
CREATE TABLE public.parent (k int, v text) PARTITION BY RANGE (k);
CREATE TABLE public.child1 PARTITION OF public.parent FOR VALUES FROM (0) TO (10);
CREATE TABLE public.child2 PARTITION OF public.parent FOR VALUES FROM (10) TO (20);
INSERT INTO public.parent SELECT n, 'v' || n FROM generate_series(1, 19) n;
CREATE UNLOGGED TABLE public.quick (n int);
INSERT INTO public.quick VALUES (7);
CREATE SEQUENCE public.counter START 42;
CREATE VIEW public.seen AS SELECT * FROM public.a WHERE id < 5;
CREATE MATERIALIZED VIEW other.kept AS SELECT count(*) FROM other.c;
CREATE FUNCTION public.twice(n int) RETURNS int LANGUAGE sql AS $$ SELECT n * 2 $$;
COMMENT ON TABLE public.a IS 'a comment';
CREATE ROLE reader;
GRANT SELECT ON public.a TO reader;
ALTER TABLE public.b ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON public.b USING (id > 3);
CREATE PUBLICATION pub FOR TABLE public.a;
SELECT lo_from_bytea(0, 'large object');
CREATE FOREIGN DATA WRAPPER none;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER none;
";

/// What stands behind an option that takes a value, or beside one that does not stand alone. `FILTER` is a file.
fn written(option: &str) -> Vec<Vec<String>> {
    let values: &[&str] = match option {
        "encoding" => &["UTF8", "LATIN1", "SJIS", "no_such"],
        "schema" => &["public", "other", "oth*"],
        "exclude-schema" => &["other", "oth*"],
        "table" => &["public.*", "a"],
        "table-and-children" => &["public.parent"],
        "exclude-table" => &["public.b", "*.quick"],
        "exclude-table-and-children" => &["public.parent"],
        "exclude-table-data" => &["public.quick", "*"],
        "exclude-table-data-and-children" => &["public.parent"],
        "extension" | "exclude-extension" => &["plpgsql"],
        "extra-float-digits" => &["0", "3"],
        "filter" => &["FILTER"],
        "include-foreign-data" => &["elsewhere"],
        "lock-wait-timeout" => &["10000"],
        "restrict-key" => &["abc"],
        "role" | "superuser" => &["postgres"],
        "rows-per-insert" => &["3"],
        "section" => &["pre-data", "data", "post-data"],
        "sync-method" => &["fsync"],
        "compress" | "jobs" | "port" => &["1"],
        "format" => &["plain"],
        "dbname" | "file" | "host" | "snapshot" | "username" => &["x"],
        "on-conflict-do-nothing" => return vec![vec!["--inserts".into(), "--on-conflict-do-nothing".into()]],
        "if-exists" => return vec![vec!["--clean".into(), "--if-exists".into()]],
        _ => return vec![vec![format!("--{option}")]],
    };
    let mut ways: Vec<Vec<String>> = values.iter().map(|value| vec![format!("--{option}={value}")]).collect();
    if option == "section" {
        ways.push(["pre-data", "data"].iter().map(|value| format!("--section={value}")).collect());
    }
    ways
}

/// Options without a meaning for a dump in one stream from a snapshot of pgbk's, and those of which nothing could be restored.
const REFUSED: &[&str] = &[
    "binary-upgrade",
    "clean",
    "compress",
    "create",
    "data-only",
    "dbname",
    "file",
    "format",
    "help",
    "host",
    "if-exists",
    "jobs",
    "no-schema",
    "no-synchronized-snapshots",
    "password",
    "port",
    "serializable-deferrable",
    "snapshot",
    "statistics-only",
    "username",
    "version",
];
const REFUSED_SO: &[&str] = &["--encoding=SJIS", "--encoding=no_such", "--section=data", "--section=post-data"];

/// The long options that `pg_dump --help` shows, and `binary-upgrade`, which it does not.
fn options(clients: &Path) -> Vec<String> {
    let help = stdout_of(Command::new(clients.join("pg_dump")).arg("--help"));
    let help = String::from_utf8(help).unwrap();
    let shown = help.lines().filter_map(|line| {
        let line = line.trim_start().strip_prefix('-')?;
        let long = line.strip_prefix('-').or_else(|| line.split_once(", --").map(|(_, long)| long))?;
        Some(long.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap().to_owned())
    });
    shown.chain(["binary-upgrade".to_owned()]).collect()
}

/// Each option with the servers whose `pg_dump` has it, the newest first: in a proof all of them, else that one.
fn servers_with() -> BTreeMap<String, Vec<&'static Server>> {
    let mut all: BTreeMap<String, Vec<&Server>> = BTreeMap::new();
    for server in complete().iter().rev() {
        for option in options(server.clients()) {
            let servers = all.entry(option).or_default();
            servers.extend((servers.len() < proof::size(1, 9)).then_some(server));
        }
    }
    all
}

/// A database that is what psql made of a script; statements that fail are passed over, as psql does.
fn by_psql(server: &Server, name: &str, script: &[u8]) {
    server.cluster.psql("postgres", &format!("CREATE DATABASE {name}"));
    let mut psql = Command::new("psql");
    psql.args(["-X", "-q", "-h", "127.0.0.1", "-p", &server.cluster.port.to_string(), "-U", USER, "-d", name]);
    let child = psql.env("PGPASSWORD", PASSWORD).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(script).unwrap();
    child.wait().unwrap();
}

fn raw_dump(server: &Server, database: &str, arguments: &[String]) -> Vec<u8> {
    let mut pg_dump = Command::new(server.clients().join("pg_dump"));
    pg_dump.args(["-h", "127.0.0.1", "-p", &server.cluster.port.to_string(), "-U", USER, "-d", database]);
    stdout_of(pg_dump.args(arguments).env("PGPASSWORD", PASSWORD))
}

struct Walk<'a> {
    server: &'a Server,
    run: Pgbk,
    store: tempfile::TempDir,
    arguments: Vec<String>,
    name: String,
    is_proven: bool,
}

impl Walk<'_> {
    fn files(&self) -> usize {
        fs::read_dir(self.store.path().join(&self.name)).map_or(0, Iterator::count)
    }

    fn backup(&self, format: &str) -> Outcome {
        let joined = shlex::try_join(self.arguments.iter().map(String::as_str)).unwrap();
        // By several connections wherever that can be: what comes back is compared with what comes by pg_dump alone.
        let run = self.run.set("PG_DUMP_USER_ARGS", joined).set("DUMP_FORMAT", format).set("DUMP_JOBS", 3);
        run.args(["backup", &self.name]).end()
    }

    fn refused(&self) {
        let outcome = self.backup("plain");
        assert_eq!(outcome.code, Some(2), "{:?}: {outcome:#?}", self.arguments);
        assert!(outcome.err.contains("PG_DUMP_USER_ARGS must not hold"), "{:?}: {}", self.arguments, outcome.err);
        assert!(outcome.err.contains("hint: "), "{:?}: {}", self.arguments, outcome.err);
        assert_eq!(self.files(), 0, "{:?}", self.arguments);
    }

    fn comes_back(&self) {
        let what = &self.arguments;
        let expected = format!("{}_psql", self.name);
        by_psql(self.server, &expected, &raw_dump(self.server, &self.name, what));
        let expected = self.server.dump(&expected, self.server.clients(), &[]);
        let archives = match what[0].as_str() {
            // pg_dump takes it for a script alone.
            "--restrict-key=abc" => 0,
            "--schema=public" | "--no-owner" => 2,
            _ => proof::size(0, 2),
        };
        for (format, jobs) in [("plain", "1"), ("custom", "2"), ("custom", "1")].into_iter().take(1 + archives) {
            let outcome = self.backup(format);
            assert_eq!(outcome.code, Some(0), "{what:?}, {format}: {outcome:#?}");
            let to = format!("{}_{format}{jobs}", self.name);
            let restore = ["restore", "latest", "--database", &self.name, "--to", &to, "--yes", "--jobs", jobs];
            let outcome = self.run.args(restore).end();
            assert_eq!(outcome.code, Some(0), "{what:?}, {format}, --jobs {jobs}: {outcome:#?}");
            eprintln!("{what:?}, {format}, --jobs {jobs}");
            assert_same(&expected, &self.server.dump(&to, self.server.clients(), &[]));
            self.server.cluster.psql("postgres", &format!("DROP DATABASE {to}"));
            if format == "plain" && self.is_proven {
                self.proven();
            }
        }
    }

    fn proven(&self) {
        let outcome = self.run.args(["verify", "latest", "--database", &self.name, "--level", "restore"]).end();
        let untellable =
            ["--filter", "--include-foreign-data"].iter().any(|option| self.arguments[0].starts_with(option));
        assert_eq!(outcome.code, Some(if untellable { 2 } else { 0 }), "{:?}: {outcome:#?}", self.arguments);
    }
}

#[test]
fn every_option_of_pg_dump_comes_back_or_is_refused_before_anything_is_stored() {
    let filter = tempfile::NamedTempFile::new().unwrap();
    fs::write(filter.path(), "exclude table public.b\n").unwrap();
    for server in complete() {
        server.cluster.psql("postgres", "CREATE DATABASE args");
        server.cluster.psql("args", SOURCE);
    }
    let mut ways: Vec<(Vec<String>, &Server, bool)> = Vec::new();
    let mut known = 0;
    for (option, servers) in servers_with() {
        for arguments in written(&option) {
            let refused = REFUSED.contains(&option.as_str())
                || (arguments.len() == 1 && REFUSED_SO.contains(&arguments[0].as_str()));
            let arguments: Vec<String> =
                arguments.iter().map(|one| one.replace("FILTER", filter.path().to_str().unwrap())).collect();
            known += 1;
            // What is refused costs little.
            if refused || known % proof::size(17, 1) == 0 {
                ways.extend(servers.iter().map(|server| (arguments.clone(), *server, refused)));
            }
        }
    }
    assert!(known > 70, "{known}");
    let (passed, refused) = (Mutex::new(0), Mutex::new(0));
    let next = Mutex::new(ways.into_iter().enumerate());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some((at, (arguments, server, is_refused))) = next.lock().unwrap().next() else { return };
                    let store = tempfile::tempdir().unwrap();
                    let run = server.pgbk().directory(store.path()).key();
                    let run = run.set("STATE_DIR", store.path().join("state").display());
                    let name = format!("args{at}");
                    server.cluster.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE args"));
                    let is_proven = at % proof::size(4, 1) == 0;
                    let walk = Walk { server, run, store, arguments, name, is_proven };
                    if is_refused {
                        walk.refused();
                        *refused.lock().unwrap() += 1;
                    } else {
                        walk.comes_back();
                        *passed.lock().unwrap() += 1;
                    }
                }
            });
        }
    });
    proof::counted("arguments", "options", passed.into_inner().unwrap(), refused.into_inner().unwrap());
}
