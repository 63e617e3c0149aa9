//! A whole server comes back: by docs/runbook.md from a bucket alone, and what may go wrong with one of its databases.

use rexpect::process::WaitStatus;
use rexpect::reader::Options;
use rexpect::session::spawn_with_options;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use support::cluster::{Cluster, PASSWORD, USER, cluster};
use support::database::small;
use support::pgbk::{Outcome, Pgbk, connected, pgbk};
use support::s3::seaweedfs;
use tempfile::TempDir;

/// Tests that make or look at roles of the two servers run one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The server that takes the place of the lost one.
fn new_server() -> &'static Cluster {
    static NEW: OnceLock<Cluster> = OnceLock::new();
    NEW.get_or_init(Cluster::start)
}

fn address(server: &Cluster) -> String {
    format!("postgresql://{USER}@127.0.0.1:{}/postgres", server.port)
}

/// The runbook's commands, in their order.
fn commands() -> String {
    let text = include_str!("../docs/runbook.md");
    let blocks: Vec<&str> = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 5, "the runbook's steps");
    blocks.concat()
}

#[test]
fn the_runbook_brings_a_server_back_from_the_bucket_alone() {
    let (old, new) = (Cluster::start(), Cluster::start());
    old.psql("postgres", "CREATE ROLE owner NOLOGIN; CREATE ROLE clerk LOGIN PASSWORD 'it''s; a secret' IN ROLE owner");
    old.psql("postgres", "ALTER ROLE clerk SET work_mem = '5MB'; CREATE ROLE \"odd \"\" role\" CONNECTION LIMIT 3");
    old.psql("postgres", "CREATE DATABASE shop OWNER owner CONNECTION LIMIT 7");
    old.psql("postgres", "CREATE DATABASE \"an odd, name\"");
    old.psql("postgres", "ALTER DATABASE shop SET app.tenant = '7'; COMMENT ON DATABASE shop IS 'sells'");
    old.psql(
        "postgres",
        "ALTER ROLE clerk IN DATABASE shop SET work_mem = '6MB'; GRANT CREATE ON DATABASE shop TO clerk",
    );
    old.psql("shop", include_str!("support/features.sql"));
    old.psql("shop", "CREATE TABLE sold (id int PRIMARY KEY, at timestamptz); ALTER TABLE sold OWNER TO owner");
    old.psql("shop", "INSERT INTO sold SELECT i, now() FROM generate_series(1, 5000) i; GRANT SELECT ON sold TO clerk");
    old.psql("an odd, name", "CREATE TABLE t AS SELECT 1 AS a");
    let place = tempfile::tempdir().unwrap();
    let settings = place.path().join("etc");
    fs::create_dir(&settings).unwrap();
    fs::write(settings.join("postgresql.conf"), "work_mem = 5MB\n").unwrap();
    let bucket = seaweedfs().bucket("drill");
    let of = |server: &Cluster, state: &str| {
        let settings = pgbk([]).server(server).s3(seaweedfs(), &bucket).key().set("DB_BACKUP_COMPRESS", "xz");
        settings.set("STATE_DIR", place.path().join(state).display())
    };
    let run = of(&old, "old").set("BACKUP_GLOBALS", "1").set("BACKUP_FILES", settings.display());
    run.args(["backup", "*"]).expect(0);

    let own = of(&new, "new").command();
    let mut bash = Command::new("bash");
    bash.env_clear().envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let here = Path::new(env!("CARGO_BIN_EXE_pgbk")).parent().unwrap().display();
    bash.env("PATH", format!("{here}:{}:{}", new.clients.display(), std::env::var("PATH").unwrap()));
    bash.env("PGPASSWORD", PASSWORD).env("OLD_SERVER", address(&old)).env("NEW_SERVER", address(&new));
    let output = bash.args(["-euo", "pipefail", "-c", &commands()]).current_dir(place.path()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(said.contains("no difference") && said.contains("3 of 3 databases are restored"), "{said}");
    assert!(said.contains("\"postgres\", which pgbk connects as, keeps its password"), "{said}");
    let passwords = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname <> 'postgres' ORDER BY 1";
    assert_eq!(new.psql("postgres", passwords), old.psql("postgres", passwords));
    let restored = place.path().join("restored").join(settings.strip_prefix("/").unwrap());
    assert_eq!(fs::read(restored.join("postgresql.conf")).unwrap(), b"work_mem = 5MB\n");
    // The runbook's last step went on with the series.
    let rows = of(&new, "new").args(["list"]).json();
    let shops = rows.as_array().unwrap().iter().filter(|row| row["database"] == "shop");
    assert_eq!(
        shops.map(|row| row["server"].to_string()).collect::<std::collections::BTreeSet<_>>().len(),
        2,
        "{rows}"
    );
}

/// Two databases of the server that all tests share, with a role of theirs, backed up into a folder.
struct Lost {
    _alone: MutexGuard<'static, ()>,
    store: TempDir,
    names: [String; 2],
    role: String,
}

impl Lost {
    fn new(name: &str) -> Lost {
        let lost = Lost {
            _alone: alone(),
            store: tempfile::tempdir().unwrap(),
            names: ["one", "two"].map(|which| format!("{name}_{which}")),
            role: format!("{name}_owner"),
        };
        lost.made(cluster(), "lost");
        lost.of(cluster()).set("BACKUP_GLOBALS", "1").args(["backup"]).expect(0);
        lost
    }

    /// Makes its databases and role on a server.
    fn made(&self, server: &Cluster, what: &str) {
        server.psql("postgres", &format!("CREATE ROLE {}", self.role));
        for name in &self.names {
            server.psql("postgres", &format!("CREATE DATABASE {name} OWNER {}", self.role));
            server.psql(
                name,
                &format!("CREATE TABLE t AS SELECT '{what}' AS what; ALTER TABLE t OWNER TO {}", self.role),
            );
        }
    }

    fn of(&self, server: &Cluster) -> Pgbk {
        let state = self.store.path().join(format!("state-{}", server.port));
        let run = pgbk([]).server(server).key().directory(&self.store.path().join("store"));
        run.set("STATE_DIR", state.display()).set("DB_NAME", self.names.join(",")).set("TERM", "xterm")
    }

    fn restore(&self, more: &[&str], code: i32) -> Outcome {
        self.of(new_server()).args([&["restore", "--all", "--yes", "--json"], more].concat()).expect(code)
    }

    /// What the new server holds of each database; None where it has none.
    fn there(&self) -> [Option<String>; 2] {
        [0, 1].map(|at| self.content(new_server(), at))
    }

    fn content(&self, server: &Cluster, at: usize) -> Option<String> {
        let exists = format!("SELECT count(*) FROM pg_database WHERE datname = '{}'", self.names[at]);
        (server.psql("postgres", &exists) == "1").then(|| server.psql(&self.names[at], "SELECT what FROM t"))
    }

    fn has_role(&self) -> bool {
        let query = format!("SELECT count(*) FROM pg_roles WHERE rolname = '{}'", self.role);
        new_server().psql("postgres", &query) == "1"
    }

    /// Changes the stored bytes of the backups of one database.
    fn damage(&self, at: usize) {
        for entry in fs::read_dir(self.store.path().join("store").join(&self.names[at])).unwrap() {
            let path = entry.unwrap().path();
            let mut bytes = fs::read(&path).unwrap();
            bytes[40] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
}

impl Drop for Lost {
    fn drop(&mut self) {
        for server in [cluster(), new_server()] {
            for name in &self.names {
                server.try_psql("postgres", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
            }
            server.try_psql("postgres", &format!("DROP ROLE IF EXISTS {}", self.role));
        }
    }
}

fn lost() -> Option<String> {
    Some("lost".to_owned())
}

#[test]
fn the_newest_of_every_database_comes_back_with_its_owner() {
    let lost_server = Lost::new("whole");
    cluster().psql(&lost_server.names[1], "UPDATE t SET what = 'newer'");
    lost_server.of(cluster()).args(["backup", &lost_server.names[1]]).expect(0);
    let ran = lost_server.restore(&[], 0);
    // Whose they are is said once.
    let said = (ran.err.matches("what is restored is of server").count(), ran.err.matches("has no backup of").count());
    assert_eq!(said, (1, 0), "{}", ran.err);
    let report = ran.json();
    assert_eq!(lost_server.there(), [lost(), Some("newer".to_owned())], "{report}");
    assert!(
        report["globals"]["applied"]["roles_created"].as_array().unwrap().contains(&lost_server.role.clone().into())
    );
    let owner = format!("SELECT datdba::regrole FROM pg_database WHERE datname = '{}'", lost_server.names[0]);
    assert_eq!(new_server().psql("postgres", &owner), lost_server.role);
    assert_eq!(report["databases"].as_array().unwrap().iter().filter(|one| one["created"] == true).count(), 2);
}

#[test]
fn one_that_is_damaged_costs_the_others_nothing() {
    for damaged in [0, 1] {
        let server = Lost::new("damaged");
        server.damage(damaged);
        let ran = server.restore(&[], 3);
        let mut due = [lost(), lost()];
        due[damaged] = None;
        assert_eq!(server.there(), due, "{}", ran.err);
        let report = ran.json();
        let failed: Vec<_> =
            report["databases"].as_array().unwrap().iter().filter(|one| !one["error"].is_null()).collect();
        assert_eq!(failed.len(), 1, "{report}");
        assert_eq!(
            (&failed[0]["database"], &failed[0]["error"]["exit_code"]),
            (&server.names[damaged].clone().into(), &3.into())
        );
    }
}

#[test]
fn a_database_that_has_lost_its_documents_is_named() {
    let server = Lost::new("bare");
    let name = &server.names[0];
    let folder = server.store.path().join("store").join(name);
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_some_and(|ending| ending == "meta") {
            fs::remove_file(entry).unwrap();
        }
    }
    let lost_it = format!("no backup of \"{name}\" can be read");
    server.of(cluster()).args(["verify", "--all"]).expect(0).says(&lost_it);
    server.restore(&["--database", "*"], 0).says(&lost_it);
    assert_eq!(server.there(), [None, lost()]);
}

#[test]
fn a_server_that_is_not_empty_is_left_as_it_is_unless_that_is_said_twice() {
    let server = Lost::new("full");
    let name = &server.names[1];
    new_server().psql("postgres", &format!("CREATE DATABASE {name}"));
    new_server().psql(name, "CREATE TABLE t AS SELECT 'kept' AS what");
    for more in [&[][..], &["--clean"]] {
        let ran = server.restore(more, 1).says(&format!("not empty on this server: \"{name}\"; nothing was restored"));
        assert!(ran.err.contains("--clean --over-source"), "{}", ran.err);
        assert_eq!((server.there(), server.has_role()), ([None, Some("kept".to_owned())], false));
    }
    // The other one alone is another matter.
    server.restore(&["--database", &server.names[0]], 0);
    assert_eq!(server.there(), [lost(), Some("kept".to_owned())]);
    server.restore(&["--clean", "--over-source", "--jobs", "2"], 0);
    assert_eq!(server.there(), [lost(), lost()]);
}

#[test]
fn what_the_roles_are_missing_for_is_said_and_they_may_be_left_out() {
    let server = Lost::new("roleless");
    fs::remove_dir_all(server.store.path().join("store/@globals")).unwrap();
    let ran = server.restore(&[], 1).says(&server.role);
    assert_eq!((server.there(), server.has_role()), ([None, None], false), "{}", ran.err);
    server.restore(&["--no-owner", "--no-privileges"], 0);
    assert_eq!((server.there(), server.has_role()), ([lost(), lost()], false));
}

#[test]
fn a_tablespace_that_cannot_be_made_is_named_with_the_way_around_it() {
    let server = Lost::new("spaced");
    let folder = cluster().directory.join("spaced");
    fs::create_dir(&folder).unwrap();
    assert!(Command::new("chown").args(["--reference", &cluster().socket()]).arg(&folder).status().unwrap().success());
    cluster().psql("postgres", &format!("CREATE TABLESPACE spaced LOCATION '{}'", folder.display()));
    cluster().psql(&server.names[0], "ALTER TABLE t SET TABLESPACE spaced");
    server.of(cluster()).set("BACKUP_GLOBALS", "1").args(["backup"]).expect(0);
    // A second server on this host cannot have its tablespace in the same folder.
    let ran = server.restore(&[], 1).says("no database was restored").says("CREATE TABLESPACE spaced");
    assert!(ran.err.contains("hint: --no-tablespaces"), "{}", ran.err);
    assert_eq!(server.there(), [None, None]);
    server.restore(&["--no-tablespaces"], 0);
    assert_eq!(server.there(), [lost(), lost()]);
    cluster().psql(&server.names[0], "ALTER TABLE t SET TABLESPACE pg_default");
    cluster().psql("postgres", "DROP TABLESPACE spaced");
}

#[test]
fn of_several_servers_in_one_folder_one_is_named() {
    let server = Lost::new("several");
    let third = Cluster::start();
    server.made(&third, "staging");
    server.of(&third).args(["backup", "--note", "of another server"]).expect(0);
    let identifier = |server: &Cluster| server.psql("postgres", "SELECT system_identifier FROM pg_control_system()");
    let ran = server.restore(&[], 2).says("--from");
    assert!(ran.err.contains(&identifier(&third)) && ran.err.contains(&identifier(cluster())), "{}", ran.err);
    assert_eq!(server.there(), [None, None]);
    server.restore(&["--from", "7777777777777777777"], 4);
    server.restore(&["--from", &identifier(&third), "--no-owner"], 1).says(&server.role);
    server.restore(&["--from", &identifier(&third), "--no-owner", "--no-privileges"], 0);
    assert_eq!(server.there(), [0, 1].map(|_| Some("staging".to_owned())));
    server.restore(&["--from", &identifier(cluster()), "--clean", "--over-source"], 0);
    assert_eq!(server.there(), [lost(), lost()]);
    // One that has made some of them is not taken for the whole.
    let fourth = Cluster::start();
    fourth.psql("postgres", &format!("CREATE DATABASE {}", server.names[1]));
    server.of(&fourth).args(["backup", &server.names[1], "--note", "x"]).expect(0);
    let some = server.of(&fourth).args(["restore", "--all", "--yes"]).expect(2);
    assert!(some.err.contains("only other servers") && some.err.contains(&server.names[0]), "{}", some.err);
    // A server that has made all of them means its own.
    third.psql(&server.names[0], "DROP TABLE t");
    let own = server.of(&third).args([
        "restore",
        "--all",
        "--yes",
        "--clean",
        "--over-source",
        "--no-owner",
        "--no-privileges",
    ]);
    own.expect(0);
    assert_eq!(server.content(&third, 0), Some("staging".to_owned()));
}

#[test]
fn a_person_is_shown_what_goes_where_and_asked() {
    let server = Lost::new("asked");
    for (typed, code_due, due) in [("no", 1, [None, None]), ("yes", 0, [lost(), lost()])] {
        let command = server.of(new_server()).args(["restore", "--all"]).command();
        let mut session = spawn_with_options(command, Options::new().timeout_ms(Some(60_000))).unwrap();
        let shown = session.exp_string("Type yes to restore all of it").unwrap();
        for name in &server.names {
            assert!(shown.contains(&format!("\"{name}\" will be created")), "{shown}");
        }
        session.send(&format!("{typed}\r")).unwrap();
        session.flush().unwrap();
        let text = session.exp_eof().unwrap();
        assert!(matches!(session.process().wait(), Ok(WaitStatus::Exited(_, code)) if code == code_due), "{text}");
        assert_eq!((server.there(), server.has_role()), (due.clone(), due[0].is_some()), "{text}");
    }
    server.of(new_server()).args(["restore", "--all"]).expect(2).says("--yes");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for wrong in [&["--all", "latest"][..], &["--all", "--to", "x"], &["--all", "--files"], &["--from", "x", "latest"]]
    {
        connected().args([&["restore", "--yes"], wrong].concat()).expect(2).says(wrong[0]);
    }
    let empty = tempfile::tempdir().unwrap();
    small("meant", &["a"]);
    let run = connected().directory(empty.path());
    run.args(["backup", "meant"]).expect(0);
    for wrong in ["@files", "meant,@globals"] {
        run.args(["restore", "--all", "--yes", "--database", wrong]).expect(2).says("not all databases");
    }
    let empty = tempfile::tempdir().unwrap();
    connected().directory(empty.path()).args(["restore", "--all", "--yes"]).expect(4).says("there is no backup in");
}
