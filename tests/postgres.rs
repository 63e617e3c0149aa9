//! Settings, control connection, tools and dump against a real server.

mod tls;

use pgbk::base::error::{Kind, hints, kind};
use pgbk::base::process::reader::ChildReader;
use pgbk::base::secret::Secret;
use pgbk::format::manifest::Format;
use pgbk::postgres::connect::preamble;
use pgbk::postgres::connect::settings::{ConnectionOverrides, ConnectionSettings};
use pgbk::postgres::session::control::{AdvisoryLock, Control};
use pgbk::postgres::session::privileges::UnreadableReason;
use pgbk::postgres::tools::{self, dump};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};
use support::cluster::{PASSWORD, USER, cluster, free_port};

/// Settings from variables alone; `HOME` is nowhere unless it is given.
fn settings(variables: &[(&str, &str)]) -> ConnectionSettings {
    let found = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    ConnectionSettings::resolve(ConnectionOverrides::default(), &found).unwrap()
}

/// The variables for the cluster by TCP, with more or others.
fn server(more: &[(&str, &str)]) -> ConnectionSettings {
    let port = cluster().port.to_string();
    let mut variables: Vec<(&str, &str)> = more.to_vec();
    variables.extend([("PGHOST", "127.0.0.1"), ("PGPORT", &port), ("PGUSER", USER), ("PGPASSWORD", PASSWORD)]);
    variables.extend([("PGDATABASE", "postgres"), ("PATH", "/usr/bin:/bin")]);
    settings(&variables)
}

fn ask(settings: &ConnectionSettings, query: &str) -> String {
    let mut client = settings.connect("test").unwrap_or_else(|error| panic!("{error:#}"));
    let messages = client.simple_query(query).unwrap();
    let row = messages.iter().find_map(|message| match message {
        postgres::SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    row.unwrap().get(0).unwrap_or_default().to_owned()
}

fn uses_tls(settings: &ConnectionSettings) -> bool {
    ask(settings, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == "t"
}

fn refusal(settings: &ConnectionSettings) -> anyhow::Error {
    settings.connect("test").err().expect("a refusal")
}

fn role(name: &str) {
    let sql = format!(
        "DO $$ BEGIN CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
    );
    cluster().psql("postgres", &sql);
}

#[test]
fn a_wrong_password_is_named_with_the_place_and_the_user() {
    let error = refusal(&server(&[("PGPASSWORD", "wrong")]));
    assert_eq!(error.to_string(), format!("127.0.0.1:{} refused the password of user \"postgres\"", cluster().port));
    assert!(hints(&error)[0].contains("DB_PASSWORD"));
    assert_eq!(kind(&error), Kind::Failed);
}

#[test]
fn a_missing_password_is_asked_for_by_its_variable() {
    let error = refusal(&server(&[("PGPASSWORD", "")]));
    assert!(error.to_string().contains("none is set"), "{error:#}");
    assert!(hints(&error)[0].contains("DB_PASSWORD"));
}

#[test]
fn an_unknown_database_is_not_found() {
    let error = refusal(&server(&[]).for_database("no such=db"));
    assert_eq!(error.to_string(), format!("database \"no such=db\" does not exist on 127.0.0.1:{}", cluster().port));
    assert_eq!((kind(&error), hints(&error)[0].contains("DB_NAME")), (Kind::NotFound, true));
}

#[test]
fn a_refused_port_and_an_unknown_host_are_told_apart() {
    let port = free_port().to_string();
    let error = refusal(&server(&[("PGPORT", &port)]));
    assert!(error.to_string().starts_with(&format!("cannot connect to 127.0.0.1:{port}: ")), "{error:#}");
    assert!(hints(&error)[0].contains("DB_HOST"));
    let error = refusal(&server(&[("PGHOST", "nowhere.invalid")]));
    assert!(error.to_string().starts_with("cannot find host \"nowhere.invalid\""), "{error:#}");
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_given_up() {
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = mute.local_addr().unwrap().port().to_string();
    let begun = Instant::now();
    let error = refusal(&server(&[("PGPORT", &port), ("PGCONNECT_TIMEOUT", "2")]));
    assert!(error.to_string().contains("did not answer within 2 s"), "{error:#}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn the_second_host_of_a_list_is_tried_and_the_connection_is_pinned_to_it() {
    let (dead, live) = (free_port().to_string(), cluster().port.to_string());
    let listed = server(&[("PGHOST", "127.0.0.1,localhost"), ("PGPORT", &format!("{dead},{live}"))]);
    let (_client, pinned) = listed.connect_pinned("test").unwrap();
    assert_eq!(pinned.describe(), format!("localhost:{live} as postgres"));
    let standby = server(&[("PGTARGETSESSIONATTRS", "standby")]);
    assert!(refusal(&standby).to_string().ends_with("is not a standby"));
    assert_eq!(ask(&server(&[("PGTARGETSESSIONATTRS", "prefer-standby")]), "SELECT 1"), "1");
}

#[test]
fn a_password_file_is_read_with_its_escapes_and_not_when_others_may_read_it() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".pgpass");
    let escaped = PASSWORD.replace('\\', "\\\\").replace(':', "\\:");
    let text = format!("# mine\nother:*:*:*:no\n127.0.0.1:{}:*:postgres:{escaped}\n", cluster().port);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let read = server(&[("PGPASSWORD", ""), ("HOME", home.path().to_str().unwrap())]);
    assert_eq!(ask(&read, "SELECT 1"), "1");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let error = refusal(&read);
    assert!(error.to_string().contains("was not used: its group or others may read it"), "{error:#}");
}

#[test]
fn a_service_gives_everything_and_explicit_settings_win_over_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("services");
    let port = cluster().port;
    let text = format!(
        "[shop]\nhost=127.0.0.1\nport={port}\nuser={USER}\npassword={PASSWORD}\ndbname=postgres\nkeepalives_idle=7\n"
    );
    fs::write(&file, text).unwrap();
    let variables = [("PGSERVICE", "shop"), ("PGSERVICEFILE", file.to_str().unwrap()), ("PGPORT", "1")];
    assert_eq!(ask(&settings(&variables), "SELECT current_database()"), "postgres");
    let found = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let given = ConnectionOverrides { password: Some(Secret::new("wrong")), ..ConnectionOverrides::default() };
    let error = refusal(&ConnectionSettings::resolve(given, &found).unwrap());
    assert!(error.to_string().contains("refused the password"), "{error:#}");
}

#[test]
fn a_socket_directory_works_and_ignores_the_tls_mode() {
    let socket = cluster().socket();
    assert!(!uses_tls(&server(&[("PGHOST", &socket), ("PGSSLMODE", "require")])));
    assert!(settings(&[("PGHOST", &socket), ("PGUSER", "u")]).describe().starts_with("socket /"));
}

#[test]
fn settings_that_cannot_be_honoured_are_refused() {
    for (name, value) in
        [("PGREQUIREAUTH", "scram-sha-256"), ("PGGSSENCMODE", "require"), ("PGREQUIREPEER", "postgres")]
    {
        let error = refusal(&server(&[(name, value)]));
        assert_eq!(kind(&error), Kind::Usage);
        assert!(error.to_string().starts_with(name), "{error:#}");
    }
}

#[test]
fn the_control_connection_knows_its_server() {
    let mut control = Control::open(&server(&[])).unwrap();
    let known = control.server().clone();
    assert_eq!(known.major, known.version_num / 10_000);
    assert!(known.version.starts_with(&format!("{}.", known.major)), "{}", known.version);
    assert_eq!((known.encoding.as_str(), known.in_recovery, known.timeline), ("UTF8", false, Some(1)));
    let identifier = cluster().psql("postgres", "SELECT system_identifier FROM pg_control_system()");
    assert_eq!(known.system_identifier, Some(identifier));
    assert!(control.size().unwrap() > 1_000_000);
}

#[test]
fn a_second_lock_is_busy_and_names_the_holder() {
    let here = server(&[]).for_database(&cluster().database("lock"));
    let mut one = Control::open(&here).unwrap();
    let mut two = Control::open(&here).unwrap();
    one.lock(AdvisoryLock::Database).unwrap();
    let error = two.lock(AdvisoryLock::Database).unwrap_err();
    assert_eq!(kind(&error), Kind::Busy);
    let message = error.to_string();
    assert!(
        message.contains("application pgbk, role postgres, since ") && message.ends_with("from 127.0.0.1"),
        "{message}"
    );
    drop(one);
    let begun = Instant::now();
    while two.lock(AdvisoryLock::Database).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the lock outlived its connection");
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut elsewhere = Control::open(&server(&[]).for_database(&cluster().database("lock"))).unwrap();
    elsewhere.lock(AdvisoryLock::Database).unwrap();
}

/// A dump of the control connection's database from its snapshot, with the password file that lives as long.
fn dump(control: &Control, snapshot: &str, format: Format) -> (ChildReader, impl Sized + use<>) {
    let tool = tools::find("pg_dump", control.server().major, None).unwrap();
    let arguments = dump::arguments(format, snapshot, "UTF8", Duration::from_secs(60), &[]).unwrap();
    let environment = control.settings().child_environment().unwrap();
    let stall = Duration::from_secs(60);
    (ChildReader::spawn(&tool.path, &arguments, &environment, stall).unwrap(), environment)
}

#[test]
fn a_snapshot_holds_while_rows_are_added() {
    let database = cluster().database("snapshot");
    cluster().psql(&database, "CREATE TABLE t AS SELECT 'before' AS word");
    let mut control = Control::open(&server(&[]).for_database(&database)).unwrap();
    let snapshot = control.snapshot().unwrap();
    cluster().psql(&database, "INSERT INTO t VALUES ('later')");
    let (mut reader, _environment) = dump(&control, &snapshot.name, Format::Plain);
    let (text, remarks) = reader.through(|dump| Ok(std::io::read_to_string(dump)?)).unwrap();
    assert_eq!(remarks.tell(&pgbk::base::progress::NullMonitor), [""; 0]);
    assert!(text.contains("before") && !text.contains("later"), "{text}");
    control.alive().unwrap();
    assert!(snapshot.lsn.unwrap().contains('/') && snapshot.pg_snapshot.contains(':') && snapshot.timeline == Some(1));
    let age = jiff::Timestamp::now().duration_since(snapshot.taken_at);
    assert!(age.as_secs().abs() < 60, "{age:?}");
}

#[test]
fn a_snapshot_whose_connection_was_ended_is_not_alive() {
    let mut control = Control::open(&server(&[]).for_database(&cluster().database("ended"))).unwrap();
    control.snapshot().unwrap();
    let database = control.settings().database().to_owned();
    let end = format!("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{database}'");
    cluster().psql("postgres", &end);
    let error = control.alive().unwrap_err();
    assert!(error.to_string().contains("snapshot is gone"), "{error:#}");
}

#[test]
fn time_limits_set_on_the_role_do_not_end_the_control_connection() {
    role("hurried");
    let database = cluster().database("hurried");
    let limits =
        ["idle_in_transaction_session_timeout = '150ms'", "statement_timeout = '150ms'", "idle_session_timeout = '1s'"];
    for limit in limits {
        cluster().psql("postgres", &format!("ALTER ROLE hurried SET {limit}"));
    }
    let mut control = Control::open(&server(&[("PGUSER", "hurried")]).for_database(&database)).unwrap();
    // The limits are what is waited for here.
    std::thread::sleep(Duration::from_millis(1500));
    control.snapshot().unwrap();
    std::thread::sleep(Duration::from_millis(400));
    control.alive().unwrap();
}

#[test]
fn every_limit_of_time_that_a_role_may_have_is_lifted_for_pgbk_and_for_its_programs() {
    role("limited");
    let limits = "SELECT name FROM pg_settings WHERE context = 'user' AND name LIKE '%\\_timeout' AND name <> 'wal_sender_timeout'";
    let limits: Vec<String> = cluster().psql("postgres", limits).lines().map(str::to_owned).collect();
    for limit in &limits {
        cluster().psql("postgres", &format!("ALTER ROLE limited SET {limit} = '1h'"));
    }
    let limited = server(&[("PGUSER", "limited")]);
    let major = ask(&limited, "SHOW server_version_num").parse::<u32>().unwrap() / 10_000;
    let lifted = preamble::unhurried(major);
    for limit in &limits {
        assert_eq!(ask(&limited, &format!("SELECT setting FROM pg_settings WHERE name = '{limit}'")), "0", "{limit}");
        // The programs lift this one themselves.
        assert!(limit == "lock_timeout" || lifted.contains_key(limit), "{limit}");
    }
    assert!(limits.len() >= 5, "{limits:?}");
}

#[test]
fn what_a_role_cannot_read_is_listed() {
    role("modest");
    let database = cluster().database("modest");
    let sql = "CREATE TABLE open(a int); GRANT SELECT ON open TO modest; CREATE TABLE closed(a serial);
        CREATE TABLE hidden(a int); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; GRANT SELECT ON hidden TO modest;
        CREATE SCHEMA private; CREATE TABLE private.t(a int); GRANT SELECT ON private.t TO modest;
        SELECT lo_create(4242), lo_create(4243), lo_create(4244), lo_create(4245); GRANT SELECT ON LARGE OBJECT 4243 TO modest;
        GRANT SELECT ON LARGE OBJECT 4244 TO PUBLIC; ALTER LARGE OBJECT 4245 OWNER TO modest; SELECT lo_create(4246)";
    cluster().psql(&database, sql);
    let mut control = Control::open(&server(&[("PGUSER", "modest")]).for_database(&database)).unwrap();
    let mut found: Vec<_> = control.unreadable().unwrap().into_iter().map(|found| (found.name, found.why)).collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [
        ("4242", UnreadableReason::LargeObject(2)),
        ("closed", UnreadableReason::NoSelect),
        ("closed_a_seq", UnreadableReason::NoSelect),
        ("hidden", UnreadableReason::RowSecurity),
        ("t", UnreadableReason::NoUsageOnSchema),
    ];
    assert_eq!(found, expected.map(|(name, why)| (name.to_owned(), why)));
    assert!(Control::open(&server(&[]).for_database(&database)).unwrap().unreadable().unwrap().is_empty());
}

#[test]
fn a_transaction_pool_is_recognised_and_named() {
    let port = cluster().pooler("transaction").to_string();
    let error = Control::open(&server(&[("PGPORT", &port), ("PGSSLMODE", "disable")])).err().unwrap();
    assert_eq!(kind(&error), Kind::Usage, "{error:#}");
    assert!(error.to_string().contains("transaction pooling"), "{error:#}");
    assert!(hints(&error)[0].contains("5432"));
    // Who is lent the same server process next finds its own path.
    let mut config = postgres::Config::new();
    config.host("127.0.0.1").port(port.parse().unwrap()).user(USER).password(PASSWORD).dbname("postgres");
    let path = config.connect(postgres::NoTls).unwrap().simple_query("SHOW search_path").unwrap();
    let path = path.iter().find_map(|message| match message {
        postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    assert_eq!(path.as_deref(), Some("\"$user\", public"));
}

#[test]
fn a_session_pool_works_and_its_own_refusals_are_understood() {
    let port = cluster().pooler("session").to_string();
    let pooled = server(&[("PGPORT", &port), ("PGSSLMODE", "disable")]);
    let mut control = Control::open(&pooled).unwrap();
    control.lock(AdvisoryLock::Database).unwrap();
    control.snapshot().unwrap();
    control.alive().unwrap();
    let error = refusal(&pooled.for_database("absent"));
    assert_eq!(kind(&error), Kind::NotFound, "{error:#}");
    let error = refusal(&server(&[("PGPORT", &port), ("PGSSLMODE", "disable"), ("PGOPTIONS", "-c work_mem=1MB")]));
    assert_eq!(kind(&error), Kind::Usage, "{error:#}");
    assert!(error.to_string().contains("pool"), "{error:#}");
}

#[test]
fn a_tool_older_than_the_server_is_refused_with_both_versions() {
    let directory = tempfile::tempdir().unwrap();
    script(&directory.path().join("pg_dump"), "echo 'pg_dump (PostgreSQL) 9.6.1'");
    let major = Control::open(&server(&[])).unwrap().server().major;
    let error = tools::find("pg_dump", major, Some(directory.path())).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("9.6.1") && message.contains(&major.to_string()), "{message}");
    assert_eq!(kind(&error), Kind::Usage);
    assert!(hints(&error)[0].contains("PG_BIN_DIR") && hints(&error)[0].contains("postgresql-client-"));
    let found = tools::find("pg_dump", major, None).unwrap();
    assert!(found.major >= major && found.path.starts_with("/usr"), "{found:?}");
    assert!(tools::find("pg_dump", 99, None).is_err());
}

/// Written by another process: a file that this one has open for writing, or a child forked meanwhile, cannot be run.
fn script(path: &Path, text: &str) {
    let line = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
    assert!(std::process::Command::new("sh").args(["-c", line]).arg(path).arg(text).status().unwrap().success());
}

#[test]
fn a_running_dump_shows_no_secret() {
    let database = cluster().database("secret");
    cluster().psql(&database, "CREATE TABLE t AS SELECT repeat('x', 1000) AS word FROM generate_series(1, 10000)");
    let mut control = Control::open(&server(&[]).for_database(&database)).unwrap();
    let name = control.snapshot().unwrap().name;
    let (mut reader, _environment) = dump(&control, &name, Format::Plain);
    let process = reader.id();
    let look = |dump: &mut dyn Read| {
        // The dump is bigger than the pipe, so after the first byte pg_dump still runs.
        dump.read_exact(&mut [0]).unwrap();
        Ok(["cmdline", "environ"].map(|file| fs::read(format!("/proc/{process}/{file}")).unwrap()))
    };
    for text in reader.through(look).unwrap().0 {
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains("PGDATABASE") || text.contains("--snapshot"), "{text}");
        assert!(!text.contains(PASSWORD) && !text.contains("PGPASSWORD"), "{text}");
    }
}

#[test]
fn a_dump_whose_server_process_is_ended_is_a_read_error() {
    let database = cluster().database("cut");
    cluster().psql(&database, "CREATE TABLE t AS SELECT repeat('x', 1000) AS word FROM generate_series(1, 20000)");
    let mut control = Control::open(&server(&[]).for_database(&database)).unwrap();
    let name = control.snapshot().unwrap().name;
    let (mut reader, _environment) = dump(&control, &name, Format::Custom);
    let end = format!(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{database}' AND application_name = 'pg_dump'"
    );
    let cut = |dump: &mut dyn Read| {
        dump.read_exact(&mut [0]).unwrap();
        cluster().psql("postgres", &end);
        Ok(())
    };
    let error = reader.through(cut).unwrap_err();
    assert!(error.to_string().starts_with("pg_dump failed with exit status 1: "), "{error}");
}
