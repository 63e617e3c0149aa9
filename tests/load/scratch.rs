//! The test server with what only the restore tests ask of it.

use crate::support::cluster::{self, Cluster, PASSWORD, USER};
use postgres::{Client, NoTls};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

pub struct Scratch(&'static Cluster);

pub fn cluster() -> Scratch {
    Scratch(cluster::cluster())
}

impl Scratch {
    pub fn connect(&self, database: &str) -> Client {
        let mut config = postgres::Config::new();
        config.host("127.0.0.1").port(self.0.port).user(USER).password(PASSWORD).dbname(database);
        config.connect(NoTls).unwrap()
    }

    pub fn database(&self) -> String {
        self.database_in("UTF8")
    }

    pub fn database_in(&self, encoding: &str) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("scratch_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let create =
            format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'");
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
        let mut command = Command::new(self.0.bin.join(name));
        command.args(["-h", "127.0.0.1", "-U", USER, "-d", database]).args(["-p", &self.0.port.to_string()]);
        command.env("PGPASSWORD", PASSWORD).stdin(Stdio::null());
        command
    }
}

fn succeed(command: &mut Command) -> Vec<u8> {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    stdout
}
