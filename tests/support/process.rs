//! Servers that live as long as the test process and not a moment longer.

use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A folder for one server and its processes. When the test process ends, however it does, the processes are killed and the
/// folder is removed: a shell waits at the other end of a pipe that only this process holds open.
pub struct Place {
    pub path: PathBuf,
    janitor: Child,
    started: Mutex<Vec<(String, Child)>>,
}

/// The pids are those of processes that this place started; none of them is reaped by anyone else before the janitor comes.
const JANITOR: &str = r#"
trap '' INT TERM HUP
read -r nothing
for pid in "$1"/pids/*; do kill -9 "${pid##*/}" 2>/dev/null; done
postgres=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$postgres" 2>/dev/null
for again in 1 2 3 4 5; do rm -rf "$1" 2>/dev/null && exit; sleep 0.2; done
"#;

impl Place {
    pub fn new(name: &str) -> Place {
        Place::within(&std::env::temp_dir(), name)
    }

    pub fn within(parent: &Path, name: &str) -> Place {
        let prefix = format!("pgbk-{name}-");
        let path = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent).expect("temp dir").keep();
        fs::create_dir(path.join("pids")).expect("create pids");
        let janitor = Command::new("sh")
            .args(["-c", JANITOR, "janitor"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start sh");
        Place { path, janitor, started: Mutex::default() }
    }

    /// Starts a server that stays in the foreground; its output goes to `<name>.out`.
    pub fn start(&self, name: &str, command: &mut Command) {
        let output = File::create(self.path.join(format!("{name}.out"))).expect("create the output file");
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("clone"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {:?}: {error}", command.get_program()));
        fs::write(self.path.join("pids").join(child.id().to_string()), name).expect("note the pid");
        self.started.lock().unwrap().push((name.to_owned(), child));
    }

    /// Runs a command to its end.
    pub fn run(&self, command: &mut Command) -> Result<String, String> {
        let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
    }

    /// The servers that have ended, which none should.
    pub fn ended(&self) -> Option<String> {
        let mut started = self.started.lock().unwrap();
        started.iter_mut().find_map(|(name, child)| {
            let status = child.try_wait().ok()??;
            Some(format!("{name} ended with {status}"))
        })
    }

    /// The end of what the servers said.
    pub fn output(&self) -> String {
        let mut text = String::new();
        for (name, _) in self.started.lock().unwrap().iter() {
            let mut said = String::new();
            if let Ok(mut file) = File::open(self.path.join(format!("{name}.out"))) {
                file.read_to_string(&mut said).ok();
            }
            let from = said.char_indices().rev().nth(1500).map_or(0, |(at, _)| at);
            text.push_str(&format!("--- {name}:\n{}\n", &said[from..]));
        }
        text
    }
}

impl Drop for Place {
    /// For a start that failed, or a server of one test; those of a whole run are statics, which are never dropped.
    fn drop(&mut self) {
        for (_, child) in self.started.lock().unwrap().iter_mut() {
            child.kill().ok();
            child.wait().ok();
        }
        fs::remove_dir_all(self.path.join("pids")).ok();
        drop(self.janitor.stdin.take());
        self.janitor.wait().ok();
    }
}

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The pgbk that is tested. Cargo names it; it lies one folder above a program of tests that somebody starts by hand.
pub fn binary() -> PathBuf {
    let named = std::env::var_os("CARGO_BIN_EXE_pgbk").map(PathBuf::from);
    named.unwrap_or_else(|| std::env::current_exe().expect("this program").parent().unwrap().with_file_name("pgbk"))
}

/// A tool of the test environment, which `PGBK_TEST_TOOLS` may place elsewhere.
pub fn tool(name: &str) -> PathBuf {
    let place = std::env::var_os("PGBK_TEST_TOOLS").map(PathBuf::from);
    let place = place.unwrap_or_else(|| root().join(".test/venv/bin"));
    let path = place.join(name);
    assert!(path.exists(), "{} is missing: these tests need it (PGBK_TEST_TOOLS names its folder)", path.display());
    path
}

/// A server that scripts/prove.sh builds.
pub fn built(name: &str) -> PathBuf {
    let path = root().join(".test/go/bin").join(name);
    assert!(path.exists(), "{} is missing: scripts/prove.sh builds it", path.display());
    path
}

/// The first of so many consecutive ports that are free on loopback. They lie below those that the system gives to clients,
/// so that only another server can take one before ours does.
pub fn free_ports(count: u16) -> u16 {
    for _ in 0..200 {
        let mut random = [0; 2];
        openssl::rand::rand_bytes(&mut random).expect("random");
        let first = 16_000 + u16::from_ne_bytes(random) % 16_000;
        let held: Vec<_> = (first..first + count).map(|port| TcpListener::bind(("127.0.0.1", port))).collect();
        if held.iter().all(Result::is_ok) {
            return first;
        }
    }
    panic!("no {count} free ports in a row");
}

/// Asks again and again until the answer is yes; false when it is not in time.
pub fn until(limit: Duration, mut ask: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if ask() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}
