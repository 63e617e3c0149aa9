//! From a server, by a `pg_dump` that may, into other servers.

use super::level::{Level, newest_clients};
use super::servers::{MAJORS, Server, clients, complete, servers};
use super::{keeping, meta};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use support::database::assert_same;

/// One backup, and the servers that it goes to.
pub struct Trip {
    from: &'static Server,
    client: (u32, &'static Path),
    format: &'static str,
    level: Level,
    pub to: Vec<&'static Server>,
}

fn server(major: u32) -> &'static Server {
    &servers()[(major - MAJORS.start()) as usize]
}

/// Every server by every `pg_dump` that is not older than it, and where it came from, into every newer one, and into every older
/// one as much as that knows. As a script; by the newest programs also as an archive, which no older pg_restore reads.
pub fn all() -> Vec<Trip> {
    let newest = complete().last().unwrap().major;
    let mut trips = Vec::new();
    for from in servers() {
        for client in clients().into_iter().filter(|(client, _)| *client >= from.major) {
            // Whatever is the same for several targets is backed up once for all of them.
            let mut levels: BTreeMap<Level, Vec<&Server>> = BTreeMap::new();
            for to in servers() {
                levels.entry(Level::between(from.major, to.major)).or_default().push(to);
            }
            for (level, to) in levels {
                if client.0 == newest {
                    trips.push(Trip { from, client, format: "custom", level, to: to.clone() });
                }
                trips.push(Trip { from, client, format: "plain", level, to });
            }
        }
    }
    trips
}

/// Up and down, by an older and by the newest programs, to and from the oldest and the newest.
pub fn sample() -> Vec<Trip> {
    let one = |from: u32, client: u32, to: u32, format| {
        let client = clients().into_iter().find(|(major, _)| *major >= client).unwrap();
        Trip { from: server(from), client, format, level: Level::between(from, to), to: vec![server(to)] }
    };
    vec![one(12, 15, 18, "plain"), one(17, 18, 13, "custom")]
}

/// From here on NOT NULL has names, which inherited ones take from elsewhere when they are not made all at once.
const NAMES_NOT_NULL: u32 = 18;

fn without_names_of_not_null(dump: &[u8]) -> Vec<u8> {
    let dump = std::str::from_utf8(dump).expect("UTF-8");
    let line = |line: &str| match (
        line.find(" CONSTRAINT "),
        line.find("_not_null NOT NULL"),
        line.find("_not_null\" NOT NULL"),
    ) {
        (Some(from), Some(to), _) => format!("{}{}", &line[..from], &line[to + "_not_null".len()..]),
        (Some(from), _, Some(to)) => format!("{}{}", &line[..from], &line[to + "_not_null\"".len()..]),
        _ => line.to_owned(),
    };
    dump.split_inclusive('\n').map(line).collect::<String>().into_bytes()
}

/// Name, number of rows and their bytes of each table. With a key the digests are others in each backup.
fn tables(meta: &Value) -> Vec<[String; 3]> {
    let of = |table: &Value| ["name", "rows", "bytes"].map(|member| table[member].to_string());
    let mut tables: Vec<_> = meta["tables"].as_array().unwrap().iter().map(of).collect();
    tables.sort();
    tables
}

impl Trip {
    pub fn name(&self) -> String {
        let to: Vec<u32> = self.to.iter().map(|server| server.major).collect();
        format!("{} by pg_dump {} ({}) into {to:?}", self.from.version, self.client.0, self.format)
    }

    /// Source and destination of all that it does.
    pub fn pairs(&self) -> impl Iterator<Item = (u32, u32)> {
        self.to.iter().map(|to| (self.from.major, to.major))
    }

    pub fn make(&self) {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        // A database is backed up once at a time, and so each trip has a source of its own.
        let source = format!("trip_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let original = self.from.made(self.level);
        self.from.cluster.psql("postgres", &format!("CREATE DATABASE {source} TEMPLATE {}", original.name));
        let (folder, pgbk) = keeping(self.from);
        let pgbk = pgbk.set("PG_BIN_DIR", self.client.1.display());
        let pgbk = pgbk.set("DB_BACKUP_COMPRESS", "zstd");
        let id = pgbk.backup(&source, &["--format", self.format, "--jobs", "3"]);
        if self.format == "plain" {
            let alone = meta(&folder, &pgbk.backup(&source, &["--jobs", "1"]));
            assert!(tables(&meta(&folder, &id)) == tables(&alone), "{}", self.name());
        }
        pgbk.args(["verify", &id, "--level", "content"]).expect(0);
        for to in &self.to {
            let copy = format!("{source}_copy");
            let made = to.made(self.level);
            let restoring = keeping(to).1.directory(folder.path()).set("PG_BIN_DIR", newest_clients().display());
            // By several connections in every other case.
            let is_odd = (self.from.major + self.client.0 + to.major) % 2 == 1;
            let how: &[&str] = match is_odd && self.format == "plain" {
                true => &["--jobs", "3"],
                false => &["--single-transaction"],
            };
            restoring.args(["restore", &id, "--yes", "--to", &copy].iter().chain(how).copied()).expect(0);
            // All rows as they were; and the schema as the server itself makes it of the script that made the source.
            assert_same(&original.data, &to.data(&copy));
            let [due, found] = [&made.dump, &to.newest_dump(&copy)];
            if self.from.major < NAMES_NOT_NULL && to.major >= NAMES_NOT_NULL {
                assert_same(&without_names_of_not_null(due), &without_names_of_not_null(found));
            } else {
                assert_same(due, found);
            }
            to.cluster.psql("postgres", &format!("DROP DATABASE {copy}"));
        }
        self.from.cluster.psql("postgres", &format!("DROP DATABASE {source}"));
    }
}
