//! Databases of the test cluster, and what its own programs say of them.

use crate::cluster::{PASSWORD, USER, cluster};
use crate::query;
use postgres::{Client, Config, NoTls};
use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

/// One of the server's own programs. The database goes in by variable: as an argument, a name may read as connection settings.
pub fn tool(name: &str, database: &str) -> Command {
    let mut command = Command::new(cluster().bin.join(name));
    command.envs([("PGHOST", "127.0.0.1"), ("PGUSER", USER), ("PGPASSWORD", PASSWORD), ("PGDATABASE", database)]);
    command.env("PGPORT", cluster().port.to_string()).stdin(Stdio::null());
    command
}

#[track_caller]
pub fn stdout_of(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    assert!(output.status.success(), "{:?}: {}", command.get_program(), String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// For a test that speaks to the server itself.
pub fn connect(database: &str) -> Client {
    config(database).connect(NoTls).unwrap()
}

fn config(database: &str) -> Config {
    let mut config = Config::new();
    config.host("127.0.0.1").port(cluster().port).user(USER).password(PASSWORD).dbname(database);
    config
}

/// What `psql` prints, unaligned and without headers.
#[track_caller]
pub fn sql(database: &str, text: impl AsRef<OsStr>) -> String {
    let text = text.as_ref();
    if let Some(text) = text.to_str().filter(|text| !query::needs_psql(text)) {
        return query::answers(&config(database), text);
    }
    let output = stdout_of(tool("psql", database).args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-c"]).arg(text));
    String::from_utf8(output).unwrap().trim_end().to_owned()
}

pub fn exists(database: &str) -> bool {
    let literal = format!("'{}'", database.replace('\'', "''"));
    sql("postgres", format!("SELECT count(*) FROM pg_database WHERE datname = {literal}")) == "1"
}

pub fn create(database: &str, how: &str) {
    sql("postgres", format!("CREATE DATABASE \"{}\" {how}", database.replace('"', "\"\"")));
}

/// What `pg_dump` writes, without the lines that differ from run to run.
pub fn dump(database: &str) -> Vec<u8> {
    comparable(&stdout_of(&mut tool("pg_dump", database)))
}

pub fn comparable(dump: &[u8]) -> Vec<u8> {
    let restricts = |line: &&[u8]| line.starts_with(b"\\restrict ") || line.starts_with(b"\\unrestrict ");
    dump.split_inclusive(|byte| *byte == b'\n').filter(|line| !restricts(line)).flatten().copied().collect()
}

#[track_caller]
pub fn assert_same(left: &[u8], right: &[u8]) {
    if left == right {
        return;
    }
    let differs = left.iter().zip(right).position(|(one, other)| one != other).unwrap_or(left.len().min(right.len()));
    let near = |text: &[u8]| {
        let piece = text.get(differs.saturating_sub(200)..(differs + 200).min(text.len()));
        String::from_utf8_lossy(piece.unwrap_or_default()).into_owned()
    };
    panic!("they differ at byte {differs}:\n--- left\n{}\n--- right\n{}", near(left), near(right));
}

/// A database that has one of everything.
pub fn features(name: &str) {
    static MADE: OnceLock<()> = OnceLock::new();
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    MADE.get_or_init(|| {
        create("features", "");
        sql("features", include_str!("features.sql"));
    });
    create(name, "TEMPLATE features");
}

/// A small table with these rows.
pub fn small(database: &str, rows: &[&str]) {
    create(database, "");
    sql(database, "CREATE TABLE t (v text)");
    for row in rows {
        sql(database, format!("INSERT INTO t VALUES ('{row}')"));
    }
}

/// As `pg_dump` ends a script.
pub fn script(body: &str) -> String {
    format!("--\n-- PostgreSQL database dump\n--\n\n{body}\n--\n-- PostgreSQL database dump complete\n--\n\n")
}
