//! Roles and tablespaces: backed up beside databases, and put back without taking anything away.

use pgbk::base::progress::NullMonitor;
use pgbk::base::subject::Subject;
use pgbk::format::backup_id::BackupId;
use pgbk::format::keys::Key;
use pgbk::format::manifest::Format;
use pgbk::postgres::globals::LARGEST;
use pgbk::repository::Repository;
use pgbk::repository::writer::ManifestDetails;
use pgbk::store::directory::Directory;
use rexpect::process::WaitStatus;
use rexpect::reader::Options;
use rexpect::session::spawn_with_options;
use rustix::process::Signal;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use support::cluster::{Cluster, PATIENCE, cluster};
use support::database::{connect, small};
use support::pgbk::{Pgbk, connected, pgbk};
use support::process::until;
use support::s3::seaweedfs;
use support::scheduler::Place;
use tempfile::TempDir;

/// What the tests' servers have beside what every server has. A tablespace's folder is its server's.
fn roles(server: &Cluster) {
    let folder = server.directory.join("fast");
    fs::create_dir(&folder).unwrap();
    std::process::Command::new("chown").args(["--reference", &server.socket()]).arg(&folder).status().unwrap();
    server.psql("postgres", "CREATE ROLE \"an owner\" NOLOGIN; CREATE ROLE clerk LOGIN PASSWORD 'it''s; a secret'");
    server.psql("postgres", "GRANT \"an owner\" TO clerk; ALTER ROLE clerk SET work_mem = '5MB'");
    server.psql("postgres", &format!("CREATE TABLESPACE fast OWNER \"an owner\" LOCATION '{}'", folder.display()));
}

/// The cluster of this process with those roles.
fn source() -> Pgbk {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        roles(cluster());
        small("shop", &["x"]);
    });
    connected().key().set("BACKUP_GLOBALS", "1")
}

/// One after the other: of the tests that back up a database of the cluster that all share.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn directory() -> (TempDir, Pgbk) {
    let folder = tempfile::tempdir().unwrap();
    let pgbk = source().directory(folder.path()).set("TERM", "xterm");
    (folder, pgbk)
}

fn globals(pgbk: &Pgbk) -> String {
    pgbk.args(["backup", "@globals"]).json()["id"].as_str().expect("an id").to_owned()
}

/// Roles, their passwords and memberships, settings, tablespaces.
fn facts(server: &Cluster) -> String {
    let queries = [
        "SELECT rolname, rolcanlogin, rolsuper, rolpassword FROM pg_authid WHERE rolname IN ('an owner', 'clerk') ORDER BY 1",
        "SELECT roleid::regrole, member::regrole FROM pg_auth_members WHERE member::regrole::text !~ '^pg_' ORDER BY 1, 2",
        "SELECT setrole::regrole, setconfig FROM pg_db_role_setting WHERE setrole <> 0 ORDER BY 1",
        "SELECT spcname FROM pg_tablespace ORDER BY 1",
    ];
    queries.map(|query| server.psql("postgres", query)).join("\n")
}

#[test]
fn a_run_makes_one_backup_of_the_globals_beside_its_databases() {
    let _alone = alone();
    source();
    let folder = tempfile::tempdir().unwrap();
    let bucket = seaweedfs().bucket("globals");
    for pgbk in [source().directory(folder.path()), source().s3(seaweedfs(), &bucket)] {
        let pgbk = pgbk.set("DB_BACKUP_COMPRESS", "xz").set("DB_NAME", "shop");
        let made = pgbk.args(["backup"]).json();
        let of = |at: usize, member: &str| made[at][member].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            (of(0, "database"), of(1, "database"), of(1, "state")),
            ("shop".into(), "@globals".into(), "done".into())
        );
        assert_eq!(of(1, "object"), format!("@globals/{}.sql.xz.enc", of(1, "id")));
        assert_eq!(made[1]["dump"]["arguments"], serde_json::json!(["--globals-only"]));

        // Without a name a backup of the database is meant, whether the settings name it or not.
        for pgbk in [pgbk.clone(), pgbk.unset("DB_NAME")] {
            let checked = pgbk.args(["verify", "latest"]).json();
            assert_eq!(checked["backups"][0]["id"].as_str(), Some(of(0, "id").as_str()));
        }
        for level in ["meta", "stored", "content"] {
            let checked = pgbk.args(["verify", "--all", "--database", "@globals", "--level", level]).json();
            assert_eq!((&checked["checked"], &checked["damaged"]), (&1.into(), &0.into()));
        }
        let script = pgbk.args(["download", &of(1, "id"), "-o", "-"]).expect(0).text();
        assert!(script.contains("CREATE ROLE clerk;") && script.contains("PASSWORD 'SCRAM-SHA-256$"), "{script}");

        // Retention of the one does not count the other.
        pgbk.args(["backup"]).set("KEEP_LAST", "1").expect(0);
        let left = pgbk.args(["list"]).json();
        let names: Vec<&str> = left.as_array().unwrap().iter().map(|row| row["database"].as_str().unwrap()).collect();
        assert_eq!((names.len(), names.contains(&"shop"), names.contains(&"@globals")), (2, true, true), "{names:?}");
        let pruned = pgbk.args(["prune", "@globals", "--keep-last", "1"]).json();
        assert_eq!(pruned[0]["backups"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn another_server_gets_what_it_lacks_and_loses_nothing() {
    let (_folder, pgbk) = directory();
    let id = globals(&pgbk);
    let other = Cluster::start();
    // A second server on this host cannot have its tablespace in the same folder.
    let own = other.directory.join("fast");
    fs::create_dir(&own).unwrap();
    std::process::Command::new("chown").args(["--reference", &other.socket()]).arg(&own).status().unwrap();
    other.psql("postgres", &format!("CREATE TABLESPACE fast LOCATION '{}'", own.display()));
    other.psql("postgres", "CREATE ROLE clerk NOLOGIN CREATEDB; CREATE ROLE stays LOGIN");
    let there = pgbk.server(&other);
    let ran = there.args(["restore", &id, "--yes", "--json"]).expect(0);
    let applied = &ran.json()["applied"];
    let has = |list: &str, name: &str| applied[list].as_array().unwrap().contains(&name.into());
    assert!(has("roles_created", "an owner") && !has("roles_created", "clerk"), "{applied}");
    assert!(has("roles_kept", "clerk") && has("roles_kept", "postgres"), "{applied}");
    assert_eq!(applied["tablespaces_kept"], serde_json::json!(["fast"]));
    let found = facts(&other);
    let own =
        |text: String| text.lines().filter(|line| !line.starts_with("managed|")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(own(found.replace("stays|t|f|\n", "")), own(facts(cluster())));
    // Once more is no different.
    there.args(["restore", "latest", "--database", "@globals", "--yes"]).expect(0);
    assert_eq!(facts(&other), found);
    for wrong in [&["--to", "x"][..], &["--clean"], &["--no-owner"], &["--files"]] {
        there.args([&["restore", &id, "--yes"], wrong].concat()).expect(2).says("leave out");
    }
}

#[test]
fn a_tablespace_that_the_server_cannot_make_is_told_and_the_roles_are_there() {
    let (_folder, pgbk) = directory();
    let id = globals(&pgbk);
    let other = Cluster::start();
    // On the same host that folder belongs to the first server.
    let ran = pgbk.server(&other).args(["restore", &id, "--yes"]).expect(1);
    assert!(ran.err.contains("CREATE TABLESPACE fast") && ran.err.contains("all roles are restored"), "{}", ran.err);
    assert!(ran.err.contains("hint: that folder holds a tablespace of another server"), "{}", ran.err);
    assert_eq!(other.psql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname IN ('clerk', 'an owner')"), "2");
}

#[test]
fn a_role_that_may_not_read_passwords_backs_up_everything_else() {
    // A server of its own: on the others' the lock may be held by a run as another role, which is a failure.
    let ((folder, pgbk), server) = (directory(), Cluster::start());
    roles(&server);
    server.psql("postgres", "CREATE ROLE managed LOGIN PASSWORD 'managed: password'");
    let state = tempfile::tempdir().unwrap();
    let managed = pgbk.server(&server).set("DB_USER", "managed").set("DB_PASSWORD", "managed: password");
    let managed = managed.set("STATE_DIR", state.path().display());
    let ran = managed.args(["backup", "@globals", "--json"]).expect(0).says("without their passwords");
    let made = ran.json();
    let expected = serde_json::json!(["--globals-only", "--no-role-passwords"]);
    assert_eq!(made["dump"]["arguments"], expected);
    let meta =
        fs::read_to_string(folder.path().join("@globals").join(format!("{}.meta", made["id"].as_str().unwrap())));
    assert!(meta.unwrap().contains("--no-role-passwords"));
    let script = managed.args(["download", "latest", "--database", "@globals", "-o", "-"]).expect(0).text();
    assert!(script.contains("CREATE ROLE clerk;") && !script.contains("PASSWORD"), "{script}");
    let history = managed.args(["history", "--limit", "1"]).json();
    assert!(history[0]["warnings"].to_string().contains("passwords"), "{history}");
}

/// What the doctor says about the globals.
fn diagnosis(pgbk: &Pgbk, code: i32) -> (String, String) {
    let found = pgbk.args(["doctor", "postgres", "--json"]).expect(code).json();
    let all = found["findings"].as_array().unwrap();
    let one = all.iter().find(|finding| finding["what"] == "@globals").expect("no word of the globals");
    (one["status"].as_str().unwrap().to_owned(), one["detail"].as_str().unwrap().to_owned())
}

#[test]
fn the_doctor_says_whether_they_can_be_backed_up_and_what_is_left_out() {
    let _alone = alone();
    let (_folder, pgbk) = directory();
    let (status, detail) = diagnosis(&pgbk, 0);
    assert!(
        status == "ok" && detail.contains("pg_dumpall ") && detail.contains("with the roles' passwords"),
        "{detail}"
    );
    cluster().psql("postgres", "CREATE ROLE looked_at LOGIN PASSWORD 'looked: at'");
    let managed = pgbk.set("DB_USER", "looked_at").set("DB_PASSWORD", "looked: at");
    let (status, detail) = diagnosis(&managed, 0);
    assert!(status == "note" && detail.contains("without their passwords"), "{detail}");
    let bin = tempfile::tempdir().unwrap();
    symlink(cluster().bin.join("pg_dump"), bin.path().join("pg_dump")).unwrap();
    let (status, detail) = diagnosis(&pgbk.set("PG_BIN_DIR", bin.path().display()), 1);
    assert!(status == "fail" && detail.contains("no pg_dumpall that runs"), "{detail}");
    let without = pgbk.unset("BACKUP_GLOBALS").args(["doctor", "postgres"]).expect(0).text();
    assert!(!without.contains("@globals"), "{without}");
}

#[test]
fn one_that_fails_does_not_stop_the_others_and_is_named() {
    let _alone = alone();
    let (_folder, pgbk) = directory();
    let bin = tempfile::tempdir().unwrap();
    symlink(cluster().bin.join("pg_dump"), bin.path().join("pg_dump")).unwrap();
    let state = tempfile::tempdir().unwrap();
    let pgbk = pgbk.set("PG_BIN_DIR", bin.path().display()).set("STATE_DIR", state.path().display());
    let gone = bin.path().join("gone");
    let ran = pgbk.args(["backup", "shop", "--json"]).set("BACKUP_FILES", gone.display()).expect(1);
    let made = ran.json();
    let states: Vec<&str> = made.as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["done", "failed", "failed"], "{made}");
    assert!(ran.err.contains("no pg_dumpall that runs") && ran.err.contains("gone"), "{}", ran.err);
    let failed = pgbk.args(["history", "--failed"]).json();
    let names: Vec<&str> = failed.as_array().unwrap().iter().map(|one| one["database"].as_str().unwrap()).collect();
    assert_eq!(names, ["@files", "@globals"]);
}

#[test]
fn a_database_of_such_a_name_is_refused() {
    let server = Cluster::start();
    server.psql("postgres", "CREATE DATABASE \"@globals\"");
    server.psql("postgres", "CREATE DATABASE \"@files\"");
    let folder = tempfile::tempdir().unwrap();
    let pgbk = pgbk(["backup"]).server(&server).directory(folder.path()).set("BACKUP_GLOBALS", "1");
    for arguments in [&["backup", "*"][..], &["backup", "postgres"]] {
        let ran = pgbk.args(arguments.iter().copied()).expect(1).says("rename that database");
        assert!(ran.err.contains("the server has a database \"@globals\""), "{}", ran.err);
    }
    let stored = pgbk.args(["list"]).json();
    assert!(stored.as_array().unwrap().iter().all(|row| row["database"] == "postgres"), "{stored}");
    let (status, detail) = diagnosis(&pgbk, 1);
    assert!(status == "fail" && detail.contains("the server has a database \"@globals\""), "{detail}");
    let told = pgbk.args(["doctor", "postgres"]).expect(1).text();
    assert!(told.contains("rename that database"), "{told}");
    fs::write(folder.path().join("dump.sql"), "SELECT 1;").unwrap();
    let dump = folder.path().join("dump.sql").display().to_string();
    pgbk.args(["upload", &dump, "--database", "@globals"]).expect(2).says("is no database");
}

#[test]
fn a_run_waits_for_another_that_is_at_the_globals() {
    let (_folder, pgbk) = directory();
    let mut holder = connect("postgres");
    holder.batch_execute("SET application_name = 'pgbk'; SELECT pg_advisory_lock(1885823595, 2)").unwrap();
    let mut waits = pgbk.args(["backup", "@globals"]).start();
    let asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbk'
                 AND (query LIKE '%pg_try_advisory_lock(1885823595, 2)%' OR query LIKE '%l.objid = 2%')";
    assert!(until(PATIENCE, || cluster().psql("postgres", asked) != "0"));
    assert!(waits.runs());
    // The database that the connection goes to is another matter.
    pgbk.args(["backup", "postgres"]).set("BACKUP_GLOBALS", "0").expect(0);
    drop(holder);
    assert_eq!(waits.end().code, Some(0));
}

#[test]
fn they_are_scheduled_with_the_databases_and_shown_like_them() {
    let _alone = alone();
    source();
    let place = Place::new();
    let files = tempfile::tempdir().unwrap();
    let run =
        place.schedule("* * * * * *", "shop").set("BACKUP_GLOBALS", "1").set("BACKUP_FILES", files.path().display());
    let next = run.args(["schedule", "--next", "1"]).expect(0).text();
    assert!(next.contains("shop, @globals, @files"), "{next}");
    let (code, said) = place.start(&run.args(["schedule", "--once"])).end();
    assert_eq!((code, place.count("done")), (Some(0), 3), "{said}");
    let status = run.args(["status", "--json"]).end().json();
    let names: Vec<&str> =
        status["databases"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["@files", "@globals", "shop"]);
    // All databases of a server, and what is beside them once.
    let all = run.set("DB_NAME", "*").args(["schedule", "--once"]);
    let (_, said) = place.start(&all).end();
    assert_eq!(said.matches("@globals-").count() - said.matches("backup @globals-").count(), 1, "{said}");
}

/// A sealed backup that holds whatever somebody with the key put into it.
fn sealed(folder: &Path, script: &str) -> String {
    let store = Arc::new(Directory::open(folder).unwrap());
    let key = Key::raw(&pgbk::base::secret::Secret::new(support::pgbk::KEY), None).unwrap();
    let repository = Repository {
        store,
        variant: Default::default(),
        key: Some(key),
        encrypt: true,
        verify: true,
        allow_unauthenticated: false,
    };
    let id = support::id::free(folder, Subject::Globals.name());
    let mut writer = repository.begin(id.into(), Format::Plain, None, 0).unwrap();
    writer.write_all(script.as_bytes()).unwrap();
    let id: BackupId = writer.finish(ManifestDetails::default(), &NullMonitor).unwrap().id;
    id.to_string()
}

#[test]
fn a_script_that_does_anything_else_is_refused_whole() {
    let (folder, pgbk) = directory();
    let mark = folder.path().join("mark");
    for (more, named) in [
        (format!("\\! touch {}", mark.display()), "meta-command \"\\!\""),
        ("DROP ROLE clerk;".to_owned(), "DROP ROLE clerk"),
        ("DO $$BEGIN EXECUTE 'DROP ROLE clerk'; END$$;".to_owned(), "line 2, DO"),
        ("CREATE DATABASE evil;".to_owned(), "CREATE DATABASE evil"),
        ("COPY pg_authid (oid) FROM stdin;\n1\n\\.".to_owned(), "COPY pg_authid"),
    ] {
        let id = sealed(folder.path(), &format!("CREATE ROLE intruder;\n{more}\n"));
        pgbk.args(["restore", &id, "--yes"]).expect(1).says(named);
    }
    // What the server refuses half-way leaves nothing of the half before.
    let id = sealed(folder.path(), "CREATE ROLE intruder;\n\\connect template1\nGRANT intruder TO \"no such role\";\n");
    let ran = pgbk.args(["restore", &id, "--yes"]).expect(1).says("line 3, GRANT intruder TO");
    assert!(ran.err.contains("nothing was changed"), "{}", ran.err);
    assert_eq!(cluster().psql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'intruder'"), "0");
    assert!(!mark.exists());
}

#[test]
fn a_script_too_large_for_any_globals_is_refused_unread() {
    let (folder, pgbk) = directory();
    let id = sealed(folder.path(), &"-".repeat(LARGEST as usize + 1));
    pgbk.args(["restore", &id, "--yes"])
        .expect(1)
        .says(&format!("{id} has {} bytes, which no server's globals have", LARGEST + 1))
        .says("hint: \"pgbk download\" writes it to a file for psql");
}

#[test]
fn a_signal_ends_it_while_another_session_is_at_the_same_role() {
    let (folder, pgbk) = directory();
    let id = sealed(folder.path(), "CREATE ROLE held;\n");
    let mut holder = connect("postgres");
    holder.batch_execute("BEGIN; CREATE ROLE held").unwrap();
    let running = pgbk.args(["restore", &id, "--yes"]).start();
    let waits =
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE ROLE held%' AND wait_event_type = 'Lock'";
    assert!(until(PATIENCE, || cluster().psql("postgres", waits) == "1"));
    running.signal(Signal::TERM);
    let outcome = running.end();
    assert_eq!(outcome.code, Some(143), "{outcome:#?}");
    // The server may yet do it.
    assert!(!outcome.err.contains("nothing was changed"), "{outcome:#?}");
    drop(holder);
    assert_eq!(cluster().psql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'held'"), "0");
}

#[test]
fn a_person_is_shown_what_changes_and_asked() {
    let (folder, pgbk) = directory();
    let id = sealed(folder.path(), "CREATE ROLE asked_for;\nCREATE ROLE clerk;\n");
    for (typed, code_due, count) in [("no", 1, "0"), ("yes", 0, "1")] {
        let command = pgbk.args(["restore", &id]).command();
        let mut session = spawn_with_options(command, Options::new().timeout_ms(Some(60_000))).unwrap();
        let shown = session.exp_string("Type yes to apply them").unwrap();
        assert!(shown.contains("new: asked_for") && shown.contains("what the backup says: clerk"), "{shown}");
        session.send(&format!("{typed}\r")).unwrap();
        session.flush().unwrap();
        let text = session.exp_eof().unwrap();
        assert!(matches!(session.process().wait(), Ok(WaitStatus::Exited(_, code)) if code == code_due), "{text}");
        assert_eq!(cluster().psql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'asked_for'"), count);
    }
    pgbk.args(["restore", &id]).expect(2).says("--yes");
}
