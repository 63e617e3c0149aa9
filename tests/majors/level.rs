//! Databases that have everything that hurts, as far as a major version knows it.

use super::servers::{Server, clients};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

/// A database on one server. Nobody connects to it: it is copied.
pub struct Made {
    pub name: String,
    /// What the newest `pg_dump` says of it.
    pub dump: Vec<u8>,
    /// The same without the schema and the server's version.
    pub data: Vec<u8>,
}

/// What a database holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level {
    /// No more than this major version knows.
    pub major: u32,
    /// Range types of its own. From 14 on every dump names their multiranges, and older servers know no such thing.
    pub ranges: bool,
}

/// What schema `public` was before 15, which is where a backup of such a server takes it.
const OLD_PUBLIC: &str = "ALTER SCHEMA public OWNER TO CURRENT_USER; GRANT CREATE ON SCHEMA public TO PUBLIC;\n";
/// What takes the place of range types where there can be none.
const RANGES: [(&str, &str); 2] = [
    ("TYPE span AS RANGE (subtype = float8)", "DOMAIN span AS numrange"),
    ("TYPE words_between AS RANGE (subtype = text, collation = \"C\")", "DOMAIN words_between AS text"),
];

impl Level {
    /// What both know, and a dump of the one can tell the other.
    pub fn between(from: u32, to: u32) -> Level {
        Level { major: from.min(to), ranges: from < 14 || to >= 14 }
    }

    /// A line `-- since N` begins what servers older than N do not know.
    pub fn script(self) -> String {
        let mut since = 0;
        let mut script = if self.major < 15 { OLD_PUBLIC.to_owned() } else { String::new() };
        for line in include_str!("../support/features.sql").lines().chain(include_str!("everything.sql").lines()) {
            if let Some(major) = line.strip_prefix("-- since ") {
                since = major.parse().expect("a major version");
            } else if since <= self.major {
                script.extend([line, "\n"]);
            }
        }
        for (range, other) in RANGES.iter().filter(|_| !self.ranges) {
            assert!(script.contains(range), "{range}");
            script = script.replace(range, other);
        }
        script
    }
}

impl Server {
    pub fn made(&self, level: Level) -> Arc<Made> {
        type Databases = BTreeMap<(u32, Level), Arc<Mutex<Option<Arc<Made>>>>>;
        static DATABASES: LazyLock<Mutex<Databases>> = LazyLock::new(Mutex::default);
        let place = Arc::clone(DATABASES.lock().unwrap().entry((self.major, level)).or_default());
        let mut made = place.lock().unwrap();
        Arc::clone(made.get_or_insert_with(|| {
            let name = format!("level_{}{}", level.major, if level.ranges { "" } else { "_no_ranges" });
            self.cluster.psql("postgres", &format!("CREATE DATABASE {name}"));
            self.cluster.psql(&name, &level.script());
            let (dump, data) = (self.newest_dump(&name), self.data(&name));
            Arc::new(Made { name, dump, data })
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
