//! Databases that have everything that hurts, as far as a major version knows it.

use super::servers::{Server, clients};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

/// A database on one server that holds no more than this major version knows. Nobody connects to it: it is copied.
pub struct Level {
    pub name: String,
    /// What the newest `pg_dump` says of it.
    pub dump: Vec<u8>,
    /// The same without the schema and the server's version.
    pub data: Vec<u8>,
}

/// The script for servers from this major version on: a line `-- since N` begins what older ones than N do not know.
pub fn script(level: u32) -> String {
    let mut since = 0;
    let mut script = String::new();
    for line in include_str!("../support/features.sql").lines().chain(include_str!("everything.sql").lines()) {
        if let Some(major) = line.strip_prefix("-- since ") {
            since = major.parse().expect("a major version");
        } else if since <= level {
            script.extend([line, "\n"]);
        }
    }
    script
}

impl Server {
    pub fn level(&self, level: u32) -> Arc<Level> {
        type Made = BTreeMap<(u32, u32), Arc<Mutex<Option<Arc<Level>>>>>;
        static MADE: LazyLock<Mutex<Made>> = LazyLock::new(Mutex::default);
        let place = Arc::clone(MADE.lock().unwrap().entry((self.major, level)).or_default());
        let mut made = place.lock().unwrap();
        Arc::clone(made.get_or_insert_with(|| {
            let name = format!("level_{level}");
            self.cluster.psql("postgres", &format!("CREATE DATABASE {name}"));
            self.cluster.psql(&name, &script(level));
            let (dump, data) = (self.newest_dump(&name), self.data(&name));
            Arc::new(Level { name, dump, data })
        }))
    }

    pub fn newest_dump(&self, database: &str) -> Vec<u8> {
        self.dump(database, newest_clients(), &[])
    }

    pub fn data(&self, database: &str) -> Vec<u8> {
        let data = self.dump(database, newest_clients(), &["--data-only"]);
        let version = |line: &&[u8]| line.starts_with(b"-- Dumped from database version ");
        data.split_inclusive(|byte| *byte == b'\n').filter(|line| !version(line)).flatten().copied().collect()
    }
}

pub fn newest_clients() -> &'static Path {
    clients().last().expect("clients").1
}
