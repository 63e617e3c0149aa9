//! The real binary, run with an environment of its own, and what it said.

use super::cluster::{Cluster, PASSWORD};
use super::s3::Server;
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub const KEY: &str = "5ca1ab1e0ddba11c0ffee0f1a5c0ded00dabba5e7ab1e5d15c0b01d0ca5cade5";
pub const OTHER_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
pub const ENC_PASSWORD: &str = "a horse, a battery & a staple";

/// Values that must never be seen, whatever happens.
const SECRETS: &[&str] = &[
    "DB_PASSWORD",
    "S3_SECRET_ACCESS_KEY",
    "S3_SESSION_TOKEN",
    "DB_BACKUP_ENCRYPT_KEY",
    "DB_BACKUP_ENCRYPT_IV",
    "ENC_PASSWORD",
    "PGPASSWORD",
];

/// A run that is longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// One call of pgbk; nothing of the test's own environment reaches it but `PATH`.
#[derive(Clone)]
pub struct Run {
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
}

pub fn pgbk<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Run {
    let arguments = arguments.into_iter().map(str::to_owned).collect();
    Run { arguments, variables: vec![("HOME".into(), "/nonexistent".into())] }
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
    pub took: Duration,
}

impl Run {
    pub fn set(mut self, name: &str, value: impl std::fmt::Display) -> Run {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn unset(mut self, name: &str) -> Run {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    pub fn server(self, cluster: &Cluster) -> Run {
        cluster.env().into_iter().fold(self, |run, (name, value)| run.set(&name, value))
    }

    pub fn key(self) -> Run {
        self.set("DB_BACKUP_ENCRYPT_KEY", KEY)
    }

    pub fn directory(self, path: &Path) -> Run {
        self.set("STORE_DIR", path.display())
    }

    pub fn s3(self, server: &Server, bucket: &str) -> Run {
        self.at(&server.endpoint, bucket, &server.access_key, &server.secret_key)
    }

    pub fn at(self, endpoint: &str, bucket: &str, access: &str, secret: &str) -> Run {
        self.set("S3_HOST_BASE", endpoint)
            .set("S3_BUCKET", bucket)
            .set("S3_ACCESS_KEY_ID", access)
            .set("S3_SECRET_ACCESS_KEY", secret)
            .set("S3_ATTEMPTS", "2")
            .set("S3_TIMEOUT", "20s")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgbk"));
        command.args(&self.arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn start(&self) -> Running {
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("start pgbk");
        Running { child, run: self.clone(), begun: Instant::now() }
    }

    /// Runs to the end.
    pub fn end(&self) -> Outcome {
        self.start().end()
    }

    /// Runs to the end, which must have this exit code.
    pub fn expect(&self, code: i32) -> Outcome {
        let outcome = self.end();
        assert_eq!(outcome.code, Some(code), "pgbk {:?}: {outcome:#?}", self.arguments);
        outcome
    }

    /// As `expect`, and stderr must hold this.
    pub fn says(&self, code: i32, text: &str) -> Outcome {
        let outcome = self.expect(code);
        assert!(outcome.err.contains(text), "pgbk {:?}: no {text:?} in {outcome:#?}", self.arguments);
        outcome
    }

    /// Another program in pgbk's place, which is given pgbk's command line.
    pub fn wrapped(&self, program: &str, before: &[&str]) -> std::process::Output {
        let mut command = self.command_by(&[&[program], before].concat());
        command.stdin(Stdio::null()).output().expect("run the wrapper")
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

    pub fn argument(mut self, argument: &str) -> Run {
        self.arguments.push(argument.to_owned());
        self
    }
}

pub struct Running {
    child: Child,
    run: Run,
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
        let Running { child, run, begun } = self;
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
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(!guard.join().expect("guard"), "pgbk {:?} hangs: {err}", run.arguments);
        run.keeps_its_secrets(&out);
        run.keeps_its_secrets(&err);
        Outcome { code: code(output.status), out, err, took: begun.elapsed() }
    }
}

/// None for an end by a signal that was not caught.
fn code(status: ExitStatus) -> Option<i32> {
    assert_eq!(status.signal().filter(|signal| *signal != 9), None, "pgbk crashed");
    status.code()
}

impl Run {
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

/// The only JSON document on stdout.
pub fn json(outcome: &Outcome) -> serde_json::Value {
    serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error} in {outcome:#?}"))
}

/// Numbers that a printed seed brings back: `PGBK_TEST_SEED=…` repeats a run.
pub struct Random(u64);

impl Random {
    pub fn new(what: &str) -> Random {
        let given = std::env::var("PGBK_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let mut fresh = [0; 8];
        openssl::rand::rand_bytes(&mut fresh).expect("random");
        let seed = given.unwrap_or(u64::from_ne_bytes(fresh)) | 1;
        eprintln!("{what}: PGBK_TEST_SEED={seed}");
        Random(seed)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}
