//! Throw-away PostgreSQL servers, one per test process and version, and poolers before them.

mod data;
mod upgrade;

use crate::process::{Place, free_ports};
use crate::query;
use data::{copy_of_shared_data, make_data};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub const USER: &str = "postgres";
pub const PASSWORD: &str = "cluster:pass\\word";
pub const PATIENCE: Duration = Duration::from_secs(180);

pub struct Cluster {
    /// Holds `data`, `socket` and, where the server offers TLS, `tls`.
    pub directory: PathBuf,
    /// The server's programs.
    pub bin: PathBuf,
    /// `psql`, `pg_dump` and the like, which not every build of a server has beside it.
    pub clients: PathBuf,
    pub port: u16,
    /// What started the server.
    command: Vec<String>,
    _place: Place,
}

/// The server of this test process; it ends, and its files go, with the process. Its data folder is a copy of the one that all test
/// processes share, and so is the server's identity in it.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start_by(&[], newest_bin(), newest_bin(), encryption, copy_of_shared_data))
}

/// Who may come from where: roles named after the transport that they are let in by.
const HBA: &str = "
local   all all                      scram-sha-256
hostssl all only_certificate all     cert
hostnossl all only_tls       all     reject
hostssl all only_plain       all     reject
host    all all              all     scram-sha-256
";

/// The newest server's programs in a place of their own, which offer extensions of a test's as well.
pub struct Offer {
    pub bin: PathBuf,
    place: Place,
}

impl Offer {
    /// Offers files of these names and texts beside the extensions that the server has.
    pub fn of(files: &[(&str, &str)]) -> Offer {
        let place = Place::new("offer");
        let (lib, version) =
            (newest_bin().parent().unwrap().to_owned(), newest_bin().parent().unwrap().file_name().unwrap().to_owned());
        let (here, shared) =
            (place.path.join("usr/lib/postgresql").join(&version), Path::new("/usr/share/postgresql").join(&version));
        // A program looks for what it needs from where it is.
        let links = |from: &Path, to: &Path, but: &str| {
            fs::create_dir_all(to).unwrap();
            for entry in fs::read_dir(from).unwrap().flatten().filter(|entry| entry.file_name() != but) {
                std::os::unix::fs::symlink(entry.path(), to.join(entry.file_name())).unwrap();
            }
        };
        links(&lib, &here, "bin");
        links(&shared, &place.path.join("usr/share/postgresql").join(&version), "extension");
        let extensions = place.path.join("usr/share/postgresql").join(&version).join("extension");
        links(&shared.join("extension"), &extensions, "");
        for (name, text) in files {
            fs::write(extensions.join(name), text).unwrap();
        }
        let bin = here.join("bin");
        fs::create_dir(&bin).unwrap();
        for entry in fs::read_dir(newest_bin()).unwrap().flatten() {
            fs::copy(entry.path(), bin.join(entry.file_name())).unwrap();
        }
        fs::set_permissions(&place.path, fs::Permissions::from_mode(0o755)).unwrap();
        Offer { bin, place }
    }

    /// Returns the folder that all of it is in.
    pub fn root(&self) -> &Path {
        &self.place.path
    }

    /// Offers a library of the server's under another name, too.
    pub fn library(&self, name: &str, like: &str) {
        let lib = self.bin.parent().unwrap().join("lib");
        let real = fs::canonicalize(&lib).unwrap();
        fs::remove_file(&lib).unwrap();
        fs::create_dir(&lib).unwrap();
        for entry in fs::read_dir(&real).unwrap().flatten() {
            std::os::unix::fs::symlink(entry.path(), lib.join(entry.file_name())).unwrap();
        }
        fs::copy(real.join(format!("{like}.so")), lib.join(format!("{name}.so"))).unwrap();
    }
}

impl Cluster {
    /// Another server than [`cluster`], for tests that stop it.
    pub fn start() -> Cluster {
        Cluster::start_with(newest_bin(), newest_bin(), encryption)
    }

    /// The same with settings of its own.
    pub fn start_set(settings: &[&str]) -> Cluster {
        let more = |directory: &Path| {
            let settings = settings.iter().map(|setting| (*setting).to_owned());
            encryption(directory).into_iter().chain(settings).collect()
        };
        Cluster::start_with(newest_bin(), newest_bin(), more)
    }

    /// Another server, run by this program, such as one that gives it another clock.
    pub fn start_under(program: &[&str]) -> Cluster {
        Cluster::start_by(program, newest_bin(), newest_bin(), |_| Vec::new(), make_data)
    }

    /// A server of the version that these programs have; the user postgres must be able to run them. It offers no TLS, which
    /// not every build can.
    pub fn start_from(bin: &Path, clients: &Path) -> Cluster {
        Cluster::start_with(bin.to_owned(), clients.to_owned(), |_| Vec::new())
    }

    /// The same with settings of its own.
    pub fn start_from_set(bin: &Path, clients: &Path, settings: &[&str]) -> Cluster {
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        Cluster::start_with(bin.to_owned(), clients.to_owned(), |_| settings)
    }

    fn start_with(bin: PathBuf, clients: PathBuf, more: impl FnOnce(&Path) -> Vec<String>) -> Cluster {
        Cluster::start_by(&[], bin, clients, more, make_data)
    }

    fn start_by(
        program: &[&str],
        bin: PathBuf,
        clients: PathBuf,
        more: impl FnOnce(&Path) -> Vec<String>,
        data: fn(&Path, &Path),
    ) -> Cluster {
        let place = Place::within(&parent(), "cluster");
        fs::create_dir(place.path.join("socket")).unwrap();
        let more = more(&place.path);
        give_away(&place.path);
        data(&bin, &place.path);
        Cluster::serve(program, (bin, clients), place, more)
    }

    /// A hot standby of this server, which follows it.
    pub fn standby(&self) -> Cluster {
        self.standby_set(&[])
    }

    /// The same with settings of its own.
    pub fn standby_set(&self, settings: &[&str]) -> Cluster {
        let place = Place::within(&parent(), "standby");
        fs::create_dir(place.path.join("socket")).unwrap();
        give_away(&place.path);
        let mut copy = as_postgres(self.bin.join("pg_basebackup"));
        copy.args("-R -X stream -c fast -h 127.0.0.1 -U".split(' ')).arg(USER).args(["-p", &self.port.to_string()]);
        copy.arg("-D").arg(place.path.join("data")).envs([("PGPASSWORD", PASSWORD), ("HOME", "/nonexistent")]);
        succeeded("pg_basebackup", &copy.output().unwrap());
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        Cluster::serve(&[], (self.bin.clone(), self.clients.clone()), place, settings)
    }

    /// Starts the server whose data are in this place.
    fn serve(program: &[&str], (bin, clients): (PathBuf, PathBuf), place: Place, more: Vec<String>) -> Cluster {
        let directory = place.path.clone();
        let data = directory.join("data");
        let port = free_ports(1);
        let settings = [
            format!("port={port}"),
            "listen_addresses=127.0.0.1".into(),
            format!("unix_socket_directories={}", directory.join("socket").display()),
            "fsync=off".into(),
            // It would look at each of many databases every minute.
            "autovacuum=off".into(),
        ];
        let mut command: Vec<String> = program.iter().map(|word| (*word).to_owned()).collect();
        command.extend([bin.join("postgres").display().to_string(), "-D".into(), data.display().to_string()]);
        command.extend(settings.into_iter().chain(more).flat_map(|setting| ["-c".to_owned(), setting]));
        let cluster = Cluster { directory, bin, clients, port, command, _place: place };
        cluster.run();
        cluster
    }

    /// Starts the server, also after [`stop_immediately`](Cluster::stop_immediately), and waits until it answers.
    pub fn run(&self) {
        run_until_exit(self.command.clone(), "QUIT", &self.directory.join("log"));
        let begun = Instant::now();
        while !self.try_psql("postgres", "SELECT 1").status.success() {
            let log = || fs::read_to_string(self.directory.join("log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "the server did not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn socket(&self) -> String {
        self.directory.join("socket").display().to_string()
    }

    pub fn tls(&self, file: &str) -> String {
        self.directory.join("tls").join(file).display().to_string()
    }

    /// A new, empty database.
    pub fn database(&self, hint: &str) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("{hint}_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("CREATE DATABASE \"{name}\""));
        name
    }

    /// What a query gives: rows on lines, columns between `|`.
    #[track_caller]
    pub fn psql(&self, database: &str, sql: &str) -> String {
        if !query::needs_psql(sql) {
            let mut config = postgres::Config::new();
            config.host(&self.socket()).port(self.port).user(USER).password(PASSWORD).dbname(database);
            return query::answers(&config, sql);
        }
        let output = self.try_psql(database, sql);
        succeeded(sql, &output);
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    pub fn try_psql(&self, database: &str, sql: &str) -> Output {
        Command::new(self.clients.join("psql"))
            .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-h", &self.socket(), "-p", &self.port.to_string()])
            .args(["-U", USER, "-d", database, "-c", sql])
            .env("PGPASSWORD", PASSWORD)
            .output()
            .unwrap()
    }

    /// pgbk's own variables for this server; runs are written down beside it.
    pub fn env(&self) -> Vec<(String, String)> {
        let port = self.port.to_string();
        let pairs = [("DB_HOST", "127.0.0.1"), ("DB_PORT", &port), ("DB_USER", USER), ("DB_PASSWORD", PASSWORD)];
        let state = ("STATE_DIR".to_owned(), self.directory.join("state").display().to_string());
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).chain([state]).collect()
    }

    /// Stops the server as a crash would.
    pub fn stop_immediately(&self) {
        self.stop("immediate");
    }

    fn stop(&self, mode: &str) {
        let mut stop = as_postgres(self.bin.join("pg_ctl"));
        stop.args(["stop", "-m", mode, "-D"]).arg(self.directory.join("data"));
        succeeded("pg_ctl stop", &stop.output().unwrap());
    }

    /// Starts PgBouncer before this server and gives its port.
    pub fn pooler(&self, mode: &str) -> u16 {
        let port = free_port();
        let path = |end: &str| self.directory.join(format!("bouncer-{port}.{end}"));
        fs::write(path("users"), format!("\"{USER}\" \"{PASSWORD}\"\n")).unwrap();
        let text = format!(
            "[databases]\npostgres = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = plain\nauth_file = {}\npool_mode = {mode}\n",
            self.port,
            path("users").display()
        );
        fs::write(path("ini"), text).unwrap();
        give_away(&self.directory);
        let command = vec!["/usr/sbin/pgbouncer".to_owned(), path("ini").display().to_string()];
        run_until_exit(command, "TERM", &path("log"));
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                begun.elapsed() < PATIENCE,
                "no pgbouncer: {}",
                fs::read_to_string(path("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        port
    }
}

/// A port on which nobody listens.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Memory, where there is plenty: tests make and drop databases of hundreds of files each, which costs a disk's file system more
/// than the server.
fn parent() -> PathBuf {
    const PLENTY: u64 = 8 << 30;
    let memory = PathBuf::from("/dev/shm");
    let room = rustix::fs::statvfs(&memory).map_or(0, |about| about.f_bavail * about.f_frsize);
    if room >= PLENTY { memory } else { std::env::temp_dir() }
}

fn newest_bin() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("no PostgreSQL server in /usr/lib/postgresql");
    let numbers = versions.flatten().filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    Path::new("/usr/lib/postgresql").join(numbers.max().expect("no server version").to_string()).join("bin")
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0)
}

/// The server refuses to run as root.
fn as_postgres(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program).current_dir("/");
    command
}

fn give_away(directory: &Path) {
    if is_root() {
        succeeded("chown", &Command::new("chown").args(["-R", "postgres:postgres"]).arg(directory).output().unwrap());
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Runs a server that is ended by `signal` when this process ends, however it ends.
fn run_until_exit(command: Vec<String>, signal: &'static str, log: &Path) {
    let script = format!("trap 'kill -{signal} $server; wait $server' TERM; \"$@\" & server=$!; wait $server");
    let log = fs::File::create(log).unwrap();
    // The kernel sends the signal when the *thread* that started the child ends, so this one stays.
    std::thread::spawn(move || {
        let mut server = Command::new("setpriv");
        if is_root() {
            server.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        }
        server.args(["--pdeathsig", "TERM", "sh", "-c", &script, "sh"]).args(command).current_dir("/");
        server.process_group(0).stdout(log.try_clone().unwrap()).stderr(log);
        let status = server.spawn().unwrap().wait();
        eprintln!("a server of the tests ended: {status:?}");
    });
}

/// Makes what TLS needs, and gives the settings that switch it on.
fn encryption(directory: &Path) -> Vec<String> {
    let tls = directory.join("tls");
    fs::create_dir(&tls).unwrap();
    certificates(&tls);
    let hba = directory.join("pg_hba.conf");
    fs::write(&hba, HBA).unwrap();
    vec![
        format!("hba_file={}", hba.display()),
        "ssl=on".into(),
        format!("ssl_cert_file={}", tls.join("server.crt").display()),
        format!("ssl_key_file={}", tls.join("server.key").display()),
        format!("ssl_ca_file={}", tls.join("ca.crt").display()),
    ]
}

/// An authority, a server certificate for 127.0.0.1 and localhost, a client certificate, and another authority.
fn certificates(directory: &Path) {
    let script = r#"
        set -e
        for ca in ca other; do
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=pgbk test $ca" \
                -addext basicConstraints=critical,CA:TRUE -keyout $ca.key -out $ca.crt
        done
        sign() {
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" -keyout $1.key -out $1.csr
            printf '%s\n' "$3" > $1.ext
            openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile $1.ext -out $1.crt
            chmod 600 $1.key
        }
        sign server localhost subjectAltName=DNS:localhost,IP:127.0.0.1
        sign client only_certificate extendedKeyUsage=clientAuth
        cp client.key open.key; chmod 644 open.key
    "#;
    succeeded("openssl", &Command::new("sh").args(["-c", script]).current_dir(directory).output().unwrap());
}

fn succeeded(what: &str, output: &Output) {
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
}
