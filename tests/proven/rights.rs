//! Nobody gains a right by a proof: functions of a role that owns a schema run wherever a restore runs any, and try.

use crate::proven::places::{as_nobody, folders, temporary};
use crate::proven::{SCRATCH, of, tables};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use support::cluster::{Cluster, PASSWORD, is_root};
use support::pgbk::{Outcome, Pgbk};
use support::proof;
use support::scheduler::Place;

/// What the servers of these tests know of everybody's rights.
const RIGHTS: &str = "SELECT (SELECT json_agg(a ORDER BY oid) FROM pg_authid a), (SELECT json_agg(m ORDER BY roleid, member) FROM pg_auth_members m),
    (SELECT json_agg(s ORDER BY setdatabase, setrole) FROM pg_db_role_setting s), (SELECT json_agg(d.datacl ORDER BY oid) FROM pg_database d)";

/// Where a restore runs functions of the dump, whichever way it goes.
const SPRUNG: &[&str] = &[
    "check",
    "domain",
    "generated",
    "index",
    "partial index",
    "exclusion",
    "partition key",
    "materialized view",
    "view",
    "aggregate",
    "cast",
    "operator",
];

struct Hostile {
    place: Place,
    /// Where files of a gain would lie; every account may write here.
    folder: tempfile::TempDir,
    run: Pgbk,
}

/// A backup of a database in which `mallory` has a schema, and has set her traps.
fn hostile(server: &Cluster) -> Hostile {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::write(folder.path().join("key"), "secret").unwrap();
    server.psql("postgres", &format!("CREATE ROLE mallory LOGIN PASSWORD '{PASSWORD}'"));
    server.psql("postgres", "CREATE DATABASE shop");
    server.psql("shop", "CREATE TABLE orders AS SELECT 'secret' AS v; CREATE SCHEMA m AUTHORIZATION mallory");
    let traps = include_str!("traps.sql").replace("MALLORY", "mallory");
    let traps = traps.replace("FOLDER", folder.path().to_str().unwrap());
    // By herself: what a superuser has become by SET SESSION AUTHORIZATION, her traps take back.
    as_role(server, "shop", "mallory", PASSWORD).connect(postgres::NoTls).unwrap().batch_execute(&traps).unwrap();
    let event = "CREATE FUNCTION m.event() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN PERFORM m.spring('event'); END$$;
        ALTER FUNCTION m.event() OWNER TO mallory;
        CREATE EVENT TRIGGER loud ON ddl_command_end WHEN TAG IN ('CREATE CAST') EXECUTE FUNCTION m.event();
        CREATE FUNCTION m.order(integer, integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $$SELECT m.trap('operator class', $1) - $2$$;
        CREATE OPERATOR CLASS m.ordered FOR TYPE integer USING btree AS OPERATOR 1 <, OPERATOR 3 =, OPERATOR 5 >, FUNCTION 1 m.order(integer, integer);
        SET SESSION AUTHORIZATION mallory; CREATE INDEX ON m.refers (i m.ordered)";
    server.psql("shop", event);
    let run = of(&place, "shop").server(server).set("STATE_DIR", place.folder.path().join("s").display());
    run.args(["backup"]).expect(0);
    fs::write(server.directory.join("log"), "").unwrap();
    Hostile { place, folder, run }
}

impl Hostile {
    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name != "key");
        names
    }
}

fn as_role(server: &Cluster, database: &str, user: &str, password: &str) -> postgres::Config {
    let mut config = postgres::Config::new();
    config.host("127.0.0.1").port(server.port).dbname(database).user(user).password(password);
    config
}

fn log(server: &Cluster) -> String {
    String::from_utf8_lossy(&fs::read(server.directory.join("log")).unwrap()).into_owned()
}

fn finding(outcome: &Outcome) -> Value {
    outcome.json()["backups"][0].clone()
}

#[test]
fn no_function_of_an_owners_gains_a_right_wherever_a_proof_runs_it() {
    let server = Cluster::start();
    let hostile = hostile(&server);
    let before = server.psql("postgres", RIGHTS);
    let outcome = hostile.run.args(["verify", "--level", "restore", "--json"]).expect(0);
    let log = log(&server);
    let gained: Vec<&str> = log.lines().filter(|line| line.contains("GAINED")).collect();
    assert_eq!(gained, Vec::<&str>::new());
    assert_eq!(hostile.files(), Vec::<String>::new());
    assert_eq!(server.psql("postgres", RIGHTS), before);
    let sprung = SPRUNG.iter().filter(|place| log.contains(&format!("SPRUNG {place}")));
    assert_eq!(sprung.count(), SPRUNG.len(), "{log}");
    // What only a superuser may make is named, and the rows of every table are compared all the same.
    let finding = finding(&outcome);
    let named = finding["proof"]["not_tried"].to_string();
    for what in ["CREATE EVENT TRIGGER loud", "CREATE OPERATOR CLASS m.ordered", "FORCE ROW LEVEL SECURITY"] {
        assert!(named.contains(what), "{named}");
    }
    assert!(tables(&finding).iter().all(|table| table["verdict"] == "same"), "{finding:#}");
    assert!(tables(&finding).len() > 8 && finding["ok"] == true, "{finding:#}");
    let text = hostile.run.args(["verify", "--level", "restore"]).expect(0).text();
    assert!(
        text.contains("proven without owners and privileges") && text.contains("not tried: CREATE EVENT"),
        "{text}"
    );
    assert_eq!(server.psql("postgres", SCRATCH), "");
    let calls = log.matches("SPRUNG").count();
    proof::counted("owners", "times that an owner's function ran in a proof and gained nothing", calls, 0);
}

#[test]
fn what_a_proof_restores_is_read_by_nobody_else_while_it_lasts() {
    let server = Cluster::start();
    let hostile = hostile(&server);
    let over = AtomicBool::new(false);
    let (entered, tried) = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let (mut entered, mut tried) = (0, 0);
            while !over.load(Ordering::Relaxed) {
                for name in server.psql("postgres", SCRATCH).lines() {
                    for (user, password) in
                        [("mallory", PASSWORD), (name, "known"), (&format!("{name}_reader"), "known")]
                    {
                        tried += 1;
                        entered += usize::from(as_role(&server, name, user, password).connect(postgres::NoTls).is_ok());
                    }
                }
            }
            (entered, tried)
        });
        for _ in 0..3 {
            hostile.run.args(["verify", "--level", "restore"]).expect(0);
        }
        over.store(true, Ordering::Relaxed);
        looking.join().unwrap()
    });
    assert_eq!(entered, 0);
    assert!(tried > 10, "{tried}");
    proof::counted("owners", "connections of others to what a proof had restored", entered, tried);
}

#[test]
fn a_role_that_is_no_superuser_proves_with_roles_that_it_makes() {
    let server = Cluster::start();
    let hostile = hostile(&server);
    server.psql("postgres", &format!("CREATE ROLE prover LOGIN CREATEDB CREATEROLE PASSWORD '{PASSWORD}'"));
    let before = server.psql("postgres", RIGHTS);
    let outcome = hostile.run.set("DB_USER", "prover").args(["verify", "--level", "restore", "--json"]).expect(0);
    assert!(!outcome.err.contains("left"), "{}", outcome.err);
    assert!(!log(&server).contains("GAINED") && log(&server).contains("SPRUNG check"));
    assert_eq!((server.psql("postgres", RIGHTS), server.psql("postgres", SCRATCH)), (before, String::new()));
}

#[test]
fn a_server_that_does_not_let_the_role_of_a_proof_in_is_told_of_and_no_other_role_takes_its_place() {
    let server = Cluster::start();
    let hostile = hostile(&server);
    let hba = server.directory.join("pg_hba.conf");
    fs::write(&hba, "local all all scram-sha-256\nhost all postgres all scram-sha-256\n").unwrap();
    server.psql("postgres", "SELECT pg_reload_conf()");
    let outcome = hostile.run.args(["verify", "--level", "restore"]).expect(1).says("does not let in \"pgbk_scratch_");
    assert!(outcome.err.contains("pg_hba.conf") && outcome.err.contains("VERIFY_SCRATCH=cluster"), "{}", outcome.err);
    assert!(!log(&server).contains("SPRUNG"));
    assert_eq!(server.psql("postgres", SCRATCH), "");
    assert_eq!(server.psql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pgbk%'"), "0");
    drop(hostile.place);
}

#[test]
fn nor_does_one_gain_a_right_on_a_server_that_pgbk_starts_itself_whoever_pgbk_is() {
    let server = Cluster::start();
    let hostile = hostile(&server);
    let temporary = temporary();
    let run = hostile.run.set("VERIFY_SCRATCH", "cluster").set("TMPDIR", temporary.path().display());
    let outcome = run.args(["verify", "--level", "restore", "--json"]).expect(0);
    assert!(tables(&finding(&outcome)).iter().all(|table| table["verdict"] == "same"), "{outcome:#?}");
    assert_eq!((hostile.files(), folders(temporary.path())), (vec![], vec![]));
    if is_root() {
        let output = as_nobody(&hostile.place, "shop", &run, temporary.path());
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("proven"),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!((hostile.files(), folders(temporary.path())), (vec![], vec![]));
    }
}

/// A kernel without Landlock, and one on which it is switched off, as `strace` answers in their place.
#[test]
fn where_the_kernel_keeps_no_server_in_a_proof_starts_none_and_says_what_to_do() {
    let server = Cluster::start();
    let (hostile, temporary) = (hostile(&server), temporary());
    let run = hostile.run.set("VERIFY_SCRATCH", "cluster").set("TMPDIR", temporary.path().display());
    let run = run.args(["verify", "--level", "restore"]);
    for answer in ["ENOSYS", "EOPNOTSUPP"] {
        let inject = format!("inject=landlock_create_ruleset:error={answer}");
        let tracer = [
            "strace",
            "-f",
            "-b",
            "execve",
            "-qq",
            "-e",
            "trace=landlock_create_ruleset",
            "-e",
            &inject,
            "-o",
            "/dev/null",
        ];
        let output = run.command_by(&tracer).output().expect("strace, which scripts/test.sh installs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{answer}: {said}");
        assert!(said.contains("the kernel cannot keep a server of pgbk's own away from keys"), "{answer}: {said}");
        assert!(said.contains("hint: that takes Linux 5.13"), "{answer}: {said}");
        assert!(!log(&server).contains("SPRUNG"));
        assert_eq!((hostile.files(), folders(temporary.path())), (vec![], vec![]), "{answer}");
    }
}
