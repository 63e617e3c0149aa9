//! The real binary, run with an environment of its own, and what it said.

use crate::cluster::{Cluster, PASSWORD, cluster};
use crate::process::{binary, root};
use crate::s3::Server;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fmt;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

pub const KEY: &str = "5ca1ab1e0ddba11c0ffee0f1a5c0ded00dabba5e7ab1e5d15c0b01d0ca5cade5";
pub const OTHER_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
pub const IV: &str = "f0e0d0c0b0a090807060504030201000";
pub const ENC_PASSWORD: &str = "correct horse: battery\\staple %41";

/// Values that must never be seen, whatever happens. An IV is none: every `.meta` has it.
const SECRETS: &[&str] = &[
    "DB_PASSWORD",
    "S3_SECRET_ACCESS_KEY",
    "S3_SESSION_TOKEN",
    "DB_BACKUP_ENCRYPT_KEY",
    "ENC_PASSWORD",
    "ANON_ENCRYPT_KEY",
    "ANON_ENC_PASSWORD",
    "PGPASSWORD",
    "ANONYMISE_SECRET",
];

/// A run that takes longer than this hangs. On a busy machine a restore test of thousands of tables has taken two minutes.
const PATIENCE: Duration = Duration::from_secs(600);

/// A call of pgbk. Nothing of the test's own environment reaches it but `PATH` and where to note which lines ran; every method gives another call.
#[derive(Clone)]
pub struct Pgbk {
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    input: Vec<u8>,
}

pub fn pgbk<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Pgbk {
    let variables = vec![("HOME".to_owned(), "/nonexistent".to_owned())];
    Pgbk { arguments: Vec::new(), variables, input: Vec::new() }.args(arguments)
}

/// The settings of the test cluster's server, and nothing to do yet.
pub fn connected() -> Pgbk {
    pgbk([]).server(cluster())
}

impl Pgbk {
    /// The same settings with these arguments and no other.
    pub fn args<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Pgbk {
        Pgbk { arguments: arguments.into_iter().map(str::to_owned).collect(), ..self.clone() }
    }

    pub fn set(&self, name: &str, value: impl fmt::Display) -> Pgbk {
        let mut other = self.unset(name);
        other.variables.push((name.to_owned(), value.to_string()));
        other
    }

    pub fn unset(&self, name: &str) -> Pgbk {
        let mut other = self.clone();
        other.variables.retain(|(known, _)| known != name);
        other
    }

    /// With this on its standard input, which else is empty.
    pub fn input(&self, bytes: &[u8]) -> Pgbk {
        Pgbk { input: bytes.to_vec(), ..self.clone() }
    }

    pub fn server(&self, cluster: &Cluster) -> Pgbk {
        cluster.env().into_iter().fold(self.clone(), |pgbk, (name, value)| pgbk.set(&name, value))
    }

    pub fn key(&self) -> Pgbk {
        self.set("DB_BACKUP_ENCRYPT_KEY", KEY)
    }

    pub fn directory(&self, path: &Path) -> Pgbk {
        self.set("STORE_DIR", path.display())
    }

    pub fn s3(&self, server: &Server, bucket: &str) -> Pgbk {
        self.bucket(&server.endpoint, bucket, &server.access_key, &server.secret_key)
    }

    /// A host that may not answer, or with keys that it may not know: it is not asked for long.
    pub fn at(&self, endpoint: &str, bucket: &str, access: &str, secret: &str) -> Pgbk {
        self.bucket(endpoint, bucket, access, secret).set("S3_ATTEMPTS", "2").set("S3_TIMEOUT", "20s")
    }

    fn bucket(&self, endpoint: &str, bucket: &str, access: &str, secret: &str) -> Pgbk {
        self.set("S3_HOST_BASE", endpoint)
            .set("S3_BUCKET", bucket)
            .set("S3_ACCESS_KEY_ID", access)
            .set("S3_SECRET_ACCESS_KEY", secret)
    }

    /// For a test that starts it in a way of its own.
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command.args(&self.arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(std::env::var_os("LLVM_PROFILE_FILE").map(|path| ("LLVM_PROFILE_FILE", path)));
        // In place of the system's authorities: no test is about them, and to read them takes longer than the rest of a short run.
        let authority = root().join("tests/fixtures/authority.pem");
        command.env("SSL_CERT_FILE", authority).env("SSL_CERT_DIR", "/dev/null");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn start(&self) -> Running {
        let mut command = self.command();
        command.stdin(if self.input.is_empty() { Stdio::null() } else { Stdio::piped() });
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start pgbk");
        if let Some(mut stdin) = child.stdin.take() {
            let input = self.input.clone();
            // A program that refuses its input closes it unread.
            std::thread::spawn(move || stdin.write_all(&input).ok());
        }
        Running { child, pgbk: self.clone(), begun: Instant::now() }
    }

    /// Runs to the end.
    pub fn end(&self) -> Outcome {
        self.start().end()
    }

    /// Runs to the end, which must have this exit code.
    #[track_caller]
    pub fn expect(&self, code: i32) -> Outcome {
        let outcome = self.end();
        assert_eq!(outcome.code, Some(code), "pgbk {:?}: {outcome:#?}", self.arguments);
        outcome
    }

    /// Runs well to the end, and gives the document that it was asked for.
    #[track_caller]
    pub fn json(&self) -> Value {
        let mut asked = self.clone();
        asked.arguments.push("--json".to_owned());
        asked.expect(0).json()
    }

    /// Backs up one database and gives the backup's id.
    #[track_caller]
    pub fn backup(&self, database: &str, more: &[&str]) -> String {
        let document = self.args(["backup"].iter().chain(more).copied()).set("DB_NAME", quoted(database)).json();
        document["id"].as_str().expect("an id").to_owned()
    }

    /// Another program in pgbk's place, which is given pgbk's command line.
    pub fn wrapped(&self, program: &str, before: &[&str]) -> Output {
        self.command_by(&[&[program], before].concat()).stdin(Stdio::null()).output().expect("run the wrapper")
    }

    /// pgbk's own command line, behind that of another program where there is one.
    pub fn command_by(&self, wrapper: &[&str]) -> Command {
        let own = self.command();
        let Some((program, before)) = wrapper.split_first() else { return own };
        let mut command = Command::new(program);
        command.args(before).arg(own.get_program()).args(own.get_args()).env_clear();
        command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    fn keeps_its_secrets(&self, text: &str) {
        for (name, value) in &self.variables {
            if SECRETS.contains(&name.as_str()) {
                assert!(!text.contains(value.as_str()), "{name} is shown in: {text}");
                // A piece of a key is a secret too.
                let part = value.get(..value.len().min(12)).unwrap_or(value);
                assert!(part.len() < 12 || !text.contains(part), "a part of {name} is shown in: {text}");
            }
        }
        assert!(!text.contains(PASSWORD), "the server's password is shown in: {text}");
    }
}

/// As `DB_NAME` takes any name.
pub fn quoted(database: &str) -> String {
    format!("\"{}\"", database.replace('"', "\"\""))
}

pub struct Running {
    child: Child,
    pgbk: Pgbk,
    begun: Instant,
}

impl Running {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("send a signal to pgbk");
    }

    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("look at pgbk").is_none()
    }

    /// Waits for the end; kills what hangs, and fails.
    pub fn end(self) -> Outcome {
        let Running { child, pgbk, begun } = self;
        let (over, hangs) = std::sync::mpsc::channel::<()>();
        let pid = Pid::from_child(&child);
        let guard = std::thread::spawn(move || {
            let late = hangs.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
            if late {
                kill_process(pid, Signal::KILL).ok();
            }
            late
        });
        let output = child.wait_with_output().expect("wait for pgbk");
        drop(over);
        let late = guard.join().expect("guard");
        let outcome = Outcome::of(output, begun.elapsed());
        assert!(!late, "pgbk {:?} hangs: {}", pgbk.arguments, outcome.err);
        pgbk.keeps_its_secrets(&outcome.text());
        pgbk.keeps_its_secrets(&outcome.err);
        outcome
    }
}

/// What a run came to.
pub struct Outcome {
    /// None for an end by `kill -9`.
    pub code: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
    pub took: Duration,
}

impl Outcome {
    pub fn of(output: Output, took: Duration) -> Outcome {
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        Outcome { code: code(output.status, &err), out: output.stdout, err, took }
    }

    /// What stderr must say.
    #[track_caller]
    pub fn says(self, text: &str) -> Outcome {
        assert!(self.err.contains(text), "no {text:?} in {self:#?}");
        self
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// The only JSON document on stdout.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { code, err, took, .. } = self;
        let (out, err) = (self.text(), err);
        f.debug_struct("Outcome").field("code", code).field("out", &out).field("err", err).field("took", took).finish()
    }
}

fn code(status: ExitStatus, err: &str) -> Option<i32> {
    assert_eq!(status.signal().filter(|signal| *signal != 9), None, "pgbk crashed: {err}");
    status.code()
}
