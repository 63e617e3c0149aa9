//! What belongs to a database itself comes back with it: each property, from every major, by every way of restoring.

use super::keeping;
use super::servers::{Server, servers};
use std::sync::Mutex;
use support::cluster::PASSWORD;
use support::pgbk::Pgbk;
use support::proof;

/// Names that hurt: of 63 bytes, with everything that needs quoting, and one that reads like what it is not.
const ROLES: [&str; 4] =
    ["it's \"mine\" \\ \n rôle", "PUBLIC", "$user", "it_63_456789_123456789_123456789_123456789_123456789_1234567_é"];

/// Rows that can only be loaded while the database's own setting is in force, and one of each property, as hostile as it gets.
const SOURCE: &str = r#"
CREATE SCHEMA app;
ALTER DATABASE "%d" SET "app.tenant" = E'it''s \\ "quoted"\n\t=, ü';
SET "app.tenant" = 'before';
CREATE TABLE app.t (v text DEFAULT current_setting('app.tenant') CHECK (current_setting('app.tenant') <> ''));
INSERT INTO app.t DEFAULT VALUES;
ALTER DATABASE "%d" SET search_path = app, "a, b", "$user", "Q""q", 'it''s', '';
ALTER DATABASE "%d" SET TimeZone = 'Europe/Berlin';
ALTER DATABASE "%d" SET DateStyle = 'ISO, DMY';
ALTER DATABASE "%d" SET work_mem = '7MB';
ALTER DATABASE "%d" SET log_min_duration_statement = 5000;
ALTER DATABASE "%d" SET "app.Mixed_1" = '';
ALTER DATABASE "%d" SET a23456789_123456789_123456789.b23456789_123456789_123456789_1234567.c = 'long';
ALTER ROLE "PUBLIC" IN DATABASE "%d" SET session_preload_libraries = 'a b', '"c"', plain;
ALTER ROLE "$user" IN DATABASE "%d" SET search_path = '';
ALTER ROLE "$user" IN DATABASE "%d" SET statement_timeout = '7s';
SET search_path = '';
ALTER ROLE "PUBLIC" IN DATABASE "%d" SET search_path FROM CURRENT;
COMMENT ON DATABASE "%d" IS E'it''s "our" \\ shop\n\u00e9 -- ; $x$';
ALTER DATABASE "%d" CONNECTION LIMIT 17 IS_TEMPLATE true;
REVOKE ALL ON DATABASE "%d" FROM PUBLIC;
GRANT CONNECT, TEMP ON DATABASE "%d" TO "$user" WITH GRANT OPTION;
GRANT CREATE ON DATABASE "%d" TO "PUBLIC";
ALTER DATABASE "%d" OWNER TO %o;
REVOKE TEMP ON DATABASE "%d" FROM %o;
SET ROLE "$user";
GRANT CONNECT ON DATABASE "%d" TO "PUBLIC" WITH GRANT OPTION;
SET ROLE "PUBLIC";
GRANT CONNECT ON DATABASE "%d" TO %l;
"#;

/// Some are tried on every major. The rest is, beside the proof, for the oldest, the newest and those that brought something.
pub fn is_tried(server: &Server) -> bool {
    proof::whole() || [12, 15, 17, 18].contains(&server.major)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Makes the roles that are missing; several tests share the servers.
fn roles(server: &Server) {
    for role in ROLES {
        let literal = role.replace('\'', "''").replace('\\', "\\\\");
        let there = format!("SELECT count(*) FROM pg_roles WHERE rolname = E'{literal}'");
        if server.cluster.psql("postgres", &there) == "0" {
            server.cluster.try_psql("postgres", &format!("CREATE ROLE {}", quoted(role)));
        }
    }
}

fn source(server: &Server, name: &str) {
    roles(server);
    server.cluster.psql("postgres", &format!("CREATE DATABASE \"{name}\""));
    let sql = SOURCE.replace("%d", name).replace("%o", &quoted(ROLES[0])).replace("%l", &quoted(ROLES[3]));
    server.cluster.psql(name, &sql);
}

/// Everything that the catalogs say of a database but its name, numbers, and age; whoever reads it need not know what there is.
pub fn facts(server: &Server, database: &str) -> String {
    let query = format!(
        "SELECT jsonb_pretty(to_jsonb(d) - '{{oid,datname,datdba,dattablespace,datfrozenxid,datminmxid,datlastsysoid}}'::text[]
             || jsonb_build_object('owner', pg_get_userbyid(datdba), 'tablespace', spcname, 'comment', shobj_description(d.oid, 'pg_database'),
                 'labels', (SELECT jsonb_agg(provider || ' ' || label ORDER BY provider) FROM pg_shseclabel l WHERE l.objoid = d.oid),
                 'settings', (SELECT jsonb_object_agg(coalesce(rolname, '-'), (SELECT jsonb_agg(x ORDER BY x) FROM unnest(setconfig) x))
                              FROM pg_db_role_setting LEFT JOIN pg_roles r ON r.oid = setrole WHERE setdatabase = d.oid)))
         FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = '{database}'"
    );
    server.cluster.psql("postgres", &query)
}

pub fn gone(server: &Server, database: &str) {
    if server.has(database) {
        server.cluster.psql("postgres", &format!("ALTER DATABASE \"{database}\" IS_TEMPLATE false"));
        server.cluster.psql("postgres", &format!("DROP DATABASE \"{database}\""));
    }
}

pub fn restore(pgbk: &Pgbk, id: &str, to: &str, more: &[&str]) -> Pgbk {
    pgbk.args(["restore", id, "--yes", "--to", to].iter().chain(more).copied())
}

/// What is done before, and said, to restore. A target that is there has properties of its own, all of which have to go.
const WAYS: [(&str, &str, &[&str], Option<&str>); 8] = [
    ("new", "plain", &[], None),
    ("empty", "plain", &[], Some("")),
    ("several", "plain", &["--jobs", "2"], None),
    ("several_empty", "plain", &["--jobs", "2"], Some("")),
    ("full", "plain", &["--clean"], Some("CREATE TABLE x AS SELECT 1 AS y")),
    ("archive", "custom", &[], None),
    ("archive_full", "custom", &["--clean"], Some("CREATE TABLE x AS SELECT 1 AS y")),
    ("jobs", "custom", &["--jobs", "2"], None),
];

/// Outside of a proof, each way on some servers, and the first on all.
fn ways_of(server: &Server) -> Vec<(&'static str, &'static str, &'static [&'static str], Option<&'static str>)> {
    let is_sampled = |way: usize| proof::whole() || way == 0 || (way + server.major as usize).is_multiple_of(7);
    WAYS.into_iter().enumerate().filter(|(way, _)| is_sampled(*way)).map(|(_, way)| way).collect()
}

#[test]
fn a_restored_database_has_every_property_of_its_source_however_it_is_restored() {
    let restored = Mutex::new(0);
    std::thread::scope(|scope| {
        for server in servers() {
            let restored = &restored;
            scope.spawn(move || {
                let name = "it_self";
                source(server, name);
                let (_folder, pgbk) = keeping(server);
                let ids = ["plain", "custom"].map(|format| (format, pgbk.backup(name, &["--format", format])));
                let due = facts(server, name);
                for (copy, format, more, before) in ways_of(server) {
                    let copy = format!("itself_{copy}");
                    if let Some(sql) = before {
                        server.cluster.psql("postgres", &format!("CREATE DATABASE {copy}"));
                        let other = "ALTER DATABASE copy SET geqo = off; ALTER ROLE postgres IN DATABASE copy SET geqo = on;
                            COMMENT ON DATABASE copy IS 'old'; GRANT CREATE ON DATABASE copy TO PUBLIC; ALTER DATABASE copy SET search_path = old";
                        server.cluster.psql(&copy, &format!("{} ; {sql}", other.replace("copy", &copy)));
                    }
                    let (_, id) = ids.iter().find(|(of, _)| *of == format).unwrap();
                    let ran = restore(&pgbk, id, &copy, more).expect(0);
                    assert_eq!(facts(server, &copy), due, "{} {copy}: {ran:#?}", server.version);
                    assert_eq!(server.cluster.psql(&copy, "SELECT count(*) FROM app.t"), "1");
                    gone(server, &copy);
                    *restored.lock().unwrap() += 1;
                }
                // The proof does the same with a copy, and leaves nothing.
                if is_tried(server) {
                    let proof = pgbk.args(["verify", &ids[0].1, "--level", "restore"]).json();
                    assert_eq!(proof["backups"][0]["proof"]["properties"], serde_json::json!([]), "{proof:#}");
                }
                gone(server, name);
            });
        }
    });
    let restored = restored.into_inner().unwrap();
    assert_eq!(restored, servers().iter().map(|server| ways_of(server).len()).sum::<usize>());
    proof::counted("properties", "ways of restoring all that belongs to a database, on each major", restored, 0);
}

/// A login that may make databases and nothing else.
fn plain_role(server: &Server) -> Pgbk {
    let there = "SELECT count(*) FROM pg_roles WHERE rolname = 'it_plain'";
    if server.cluster.psql("postgres", there) == "0" {
        server.cluster.psql("postgres", &format!("CREATE ROLE it_plain LOGIN CREATEDB PASSWORD '{PASSWORD}'"));
    }
    server.pgbk().set("DB_USER", "it_plain").key()
}

#[test]
fn what_a_role_may_not_set_is_one_error_before_the_first_row_and_can_be_left_out() {
    let some: Vec<_> = servers().iter().filter(|server| proof::whole() || [12, 17].contains(&server.major)).collect();
    for server in &some {
        source(server, "it_rights");
        let (folder, pgbk) = keeping(server);
        let id = pgbk.backup("it_rights", &[]);
        let plain = plain_role(server).directory(folder.path());
        let dump = ["--no-owner", "--no-privileges"];
        let ran = restore(&plain, &id, "it_rights_copy", &[]).expect(1);
        let ran = ran.says("may not hand what it restores to its owners postgres").says("--no-owner");
        assert!(!server.has("it_rights_copy"), "{ran:#?}");
        // What the database itself is to have is left out by nobody unasked.
        let ran = restore(&plain, &id, "it_rights_copy", &["--skip-failed"]).expect(1);
        let ran = ran.says("cannot be given what the source has: owner \"it's \\\"mine\\\"").says("--no-properties");
        assert!(!server.has("it_rights_copy"), "{ran:#?}");
        let ran = restore(&plain, &id, "it_rights_copy", &dump).expect(1).says("of role \"$user\": ");
        ran.says("setting log_min_duration_statement: permission denied");
        assert!(!server.has("it_rights_copy"));
        restore(&plain, &id, "it_rights_copy", &["--no-owner", "--no-privileges", "--no-properties"]).expect(0);
        assert_eq!(server.cluster.psql("it_rights_copy", "SELECT count(*) FROM app.t"), "1");
        let bare = facts(server, "it_rights_copy");
        assert!(bare.contains("\"owner\": \"it_plain\"") && bare.contains("\"settings\": null"), "{bare}");
        gone(server, "it_rights_copy");

        // What is the owner's to set is set. Settings of the application's own are the superuser's.
        let resets = [
            "ALTER ROLE \"PUBLIC\" IN DATABASE it_rights RESET ALL; ALTER ROLE \"$user\" IN DATABASE it_rights RESET ALL",
            "ALTER DATABASE it_rights RESET ALL; ALTER DATABASE it_rights SET search_path = app, 'a, b'",
            "DROP TABLE app.t; CREATE TABLE app.t AS SELECT 1 AS i",
        ];
        resets.iter().for_each(|sql| drop(server.cluster.psql("it_rights", sql)));
        let id = pgbk.backup("it_rights", &[]);
        restore(&plain, &id, "it_rights_copy", &dump).expect(0);
        let (due, found) = (facts(server, "it_rights"), facts(server, "it_rights_copy"));
        let own = |facts: &str| {
            let mut facts: serde_json::Value = serde_json::from_str(facts).unwrap();
            for left_out in ["datacl", "owner"] {
                facts[left_out].take();
            }
            facts
        };
        assert_eq!(own(&due), own(&found), "{}", server.version);
        gone(server, "it_rights_copy");
        gone(server, "it_rights");
    }
    proof::counted("properties", "restores by a role that may not set all of it", some.len() * 2, some.len() * 2);
}

fn server(major: u32) -> &'static Server {
    servers().iter().find(|server| server.major == major).unwrap()
}

#[test]
fn roles_that_the_server_lacks_are_listed_first_and_left_out_with_what_names_them() {
    let (from, to) = (server(13), server(17));
    // The last of these is known to no server since 14.
    let made = [
        "CREATE ROLE it_only",
        "CREATE DATABASE it_lacking OWNER it_only",
        "ALTER ROLE it_only IN DATABASE it_lacking SET work_mem = '9MB'",
        "COMMENT ON DATABASE it_lacking IS 'kept'",
        "ALTER DATABASE it_lacking SET vacuum_cleanup_index_scale_factor = 1",
    ];
    made.iter().for_each(|sql| drop(from.cluster.psql("postgres", sql)));
    let (folder, pgbk) = keeping(from);
    let id = pgbk.backup("it_lacking", &[]);
    let to_pgbk = keeping(to).1.directory(folder.path());
    restore(&to_pgbk, &id, "it_lacking", &[]).expect(1).says("the server lacks what the dump needs: roles it_only");
    assert!(!to.has("it_lacking"));
    let ran = restore(&to_pgbk, &id, "it_lacking", &["--no-owner", "--no-privileges"]).expect(0);
    let ran = ran.says("skipped: setting work_mem of role \"it_only\": the server has no such role");
    ran.says("skipped: setting vacuum_cleanup_index_scale_factor: the server does not know it");
    assert!(facts(to, "it_lacking").contains("\"comment\": \"kept\""));
    gone(to, "it_lacking");
}

#[test]
fn a_label_that_no_provider_takes_stops_the_restore_and_not_the_backup() {
    let server = server(15);
    server.cluster.psql("postgres", "CREATE DATABASE it_label");
    let label = "SET allow_system_table_mods = on; INSERT INTO pg_shseclabel SELECT oid, 1262, 'it_none', 'top' FROM pg_database WHERE datname = 'it_label'";
    server.cluster.psql("postgres", label);
    let (_folder, pgbk) = keeping(server);
    let id = pgbk.backup("it_label", &[]);
    let ran = restore(&pgbk, &id, "it_label_copy", &[]).expect(1).says("label of \"it_none\": security label provider");
    ran.says("hint: ");
    assert!(!server.has("it_label_copy"));
    restore(&pgbk, &id, "it_label_copy", &["--no-properties"]).expect(0);
    gone(server, "it_label_copy");
}

#[test]
fn what_makes_sessions_load_code_needs_a_key_that_vouches_for_it_and_with_a_key_no_value_can_be_read() {
    let server = server(16);
    roles(server);
    server.cluster.psql("postgres", "CREATE DATABASE it_loads");
    let loads = "ALTER ROLE \"PUBLIC\" IN DATABASE it_loads SET session_preload_libraries = 'a b'; ALTER DATABASE it_loads SET app.secret = 'hush, hush'";
    server.cluster.psql("postgres", loads);
    let due = facts(server, "it_loads");
    for key in [true, false] {
        let (folder, pgbk) = keeping(server);
        let pgbk = if key { pgbk } else { pgbk.unset("DB_BACKUP_ENCRYPT_KEY") };
        let id = pgbk.backup("it_loads", &[]);
        let meta = std::fs::read_to_string(folder.path().join("it_loads").join(format!("{id}.meta"))).unwrap();
        assert_eq!(meta.contains("hush, hush"), !key);
        let ran = restore(&pgbk, &id, "it_loads_copy", &[]).expect(0);
        assert_eq!(
            ran.err.contains("session_preload_libraries of role \"PUBLIC\": it decides what all sessions run"),
            !key,
            "{ran:#?}"
        );
        assert_eq!(facts(server, "it_loads_copy") == due, key);
        assert!(facts(server, "it_loads_copy").contains("app.secret=hush, hush"));
        gone(server, "it_loads_copy");
    }
}
