//! The real binary in a clean environment, against the real servers of this test process.

use super::cluster::{PASSWORD, USER, cluster};
use super::s3::Server;
use serde_json::Value;
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, OnceLock};

pub const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
pub const IV: &str = "f0e0d0c0b0a090807060504030201000";
pub const ENC_PASSWORD: &str = "correct horse: battery\\staple %41";

/// Settings for runs of the binary. Nothing of the caller's environment comes through but `PATH`.
#[derive(Clone)]
pub struct Pgbk {
    variables: Vec<(String, String)>,
}

/// How one run ended.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// The test cluster's server, and no store yet.
pub fn pgbk() -> Pgbk {
    let path = std::env::var("PATH").unwrap_or_default();
    let variables = [("PATH".to_owned(), path), ("HOME".to_owned(), "/nonexistent".to_owned())];
    Pgbk { variables: variables.into_iter().chain(cluster().env()).collect() }
}

impl Pgbk {
    /// The same with one more variable.
    pub fn env(&self, name: &str, value: impl AsRef<Path>) -> Pgbk {
        let mut variables = self.variables.clone();
        variables.retain(|(old, _)| old != name);
        variables.push((name.to_owned(), value.as_ref().to_str().unwrap().to_owned()));
        Pgbk { variables }
    }

    pub fn directory(&self, folder: &Path) -> Pgbk {
        self.env("STORE_DIR", folder)
    }

    pub fn s3(&self, server: &Server, bucket: &str, folder: &str) -> Pgbk {
        self.env("S3_HOST_BASE", &server.endpoint)
            .env("S3_BUCKET", bucket)
            .env("S3_FOLDER", folder)
            .env("S3_ACCESS_KEY_ID", &server.access_key)
            .env("S3_SECRET_ACCESS_KEY", &server.secret_key)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgbk"));
        command.args(arguments).env_clear().envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, b"")
    }

    /// A run with this on its standard input.
    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let ran = std::thread::scope(|scope| {
            // A program that refuses its input closes it unread.
            scope.spawn(move || stdin.write_all(input).ok());
            Ran::from(child.wait_with_output().unwrap())
        });
        eprintln!("pgbk {arguments:?}: {:?}\n{}", ran.code, ran.stderr);
        ran
    }

    /// A run that has to succeed, and its JSON document.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--json"]].concat());
        ran.succeeded();
        ran.document()
    }

    /// Backs up one database and gives the backup's id.
    pub fn backup(&self, database: &str, more: &[&str]) -> String {
        let document = self.env("DB_NAME", database).json(&[&["backup"], more].concat());
        document["id"].as_str().unwrap().to_owned()
    }
}

impl Ran {
    #[track_caller]
    pub fn succeeded(&self) -> &Ran {
        self.ended(0)
    }

    #[track_caller]
    pub fn ended(&self, code: i32) -> &Ran {
        assert_eq!(self.code, Some(code), "stderr: {}\nstdout: {}", self.stderr, self.text());
        self
    }

    /// What stderr must say.
    #[track_caller]
    pub fn says(&self, what: &str) -> &Ran {
        assert!(self.stderr.contains(what), "\"{what}\" is not in: {}", self.stderr);
        self
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn document(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Ran { code: output.status.code(), stdout: output.stdout, stderr }
    }
}

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

/// What `psql` prints, unaligned and without headers.
#[track_caller]
pub fn sql(database: &str, text: impl AsRef<OsStr>) -> String {
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

/// A copy of a database that has one of everything, plus what only a second copy would not allow.
pub fn features(name: &str) {
    static MADE: OnceLock<()> = OnceLock::new();
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    MADE.get_or_init(|| {
        create("features", "");
        let script = include_str!("../load/features.sql");
        let more = include_str!("features.sql");
        stdout_of(tool("psql", "features").args(["-XqAt1", "-v", "ON_ERROR_STOP=1", "-c"]).arg(script));
        stdout_of(tool("psql", "features").args(["-XqAt1", "-v", "ON_ERROR_STOP=1", "-c"]).arg(more));
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
