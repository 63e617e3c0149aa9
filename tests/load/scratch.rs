//! One throw-away server per test process.

use postgres::{Client, NoTls};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const BIN: &str = "/usr/lib/postgresql/15/bin";

pub struct Cluster {
    pub port: u16,
}

pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(start)
}

/// A shell of the same user owns the server and its directory, and removes both when this process ends and its pipe closes.
const KEEPER: &str = r#"
dir=$(mktemp -d) && trap 'kill -QUIT $server; wait; rm -rf "$dir"' EXIT
"$BIN/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$dir/log" 2>&1
"$BIN/postgres" -D "$dir/data" -p "$PORT" -k "$dir" -c listen_addresses=127.0.0.1 -c fsync=off -c max_wal_size=4GB \
    -c full_page_writes=off -c wal_level=minimal -c max_wal_senders=0 >>"$dir/log" 2>&1 &
server=$!
cat >/dev/null
"#;

fn start() -> Cluster {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let root = std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    let mut command = Command::new(if root { "runuser" } else { "env" });
    if root {
        command.args(["-u", "postgres", "--", "env"]);
    }
    command.args([format!("BIN={BIN}"), format!("PORT={port}"), "sh".into(), "-c".into(), KEEPER.into()]);
    let keeper = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The pipe has to stay open as long as this process lives.
    std::mem::forget(keeper);
    let cluster = Cluster { port };
    for _ in 0..600 {
        if Client::connect(&cluster.url("postgres"), NoTls).is_ok() {
            return cluster;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the server does not start");
}

impl Cluster {
    pub fn url(&self, database: &str) -> String {
        format!("host=127.0.0.1 port={} user=postgres dbname={database}", self.port)
    }

    pub fn connect(&self, database: &str) -> Client {
        Client::connect(&self.url(database), NoTls).unwrap()
    }

    pub fn database(&self) -> String {
        self.database_in("UTF8")
    }

    pub fn database_in(&self, encoding: &str) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("scratch_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let create = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'");
        self.connect("postgres").batch_execute(&create).unwrap();
        name
    }

    /// What `psql` prints, unaligned and without headers.
    pub fn psql(&self, database: &str, sql: &str) -> Vec<u8> {
        let mut command = self.tool("psql", database);
        succeed(command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]))
    }

    pub fn dump(&self, database: &str, arguments: &[&str]) -> Vec<u8> {
        succeed(self.tool("pg_dump", database).args(arguments))
    }

    pub fn tool(&self, name: &str, database: &str) -> Command {
        let mut command = Command::new(PathBuf::from(BIN).join(name));
        command.args(["-h", "127.0.0.1", "-U", "postgres", "-d", database]).args(["-p", &self.port.to_string()]);
        command.stdin(Stdio::null());
        command
    }
}

fn succeed(command: &mut Command) -> Vec<u8> {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    stdout
}
