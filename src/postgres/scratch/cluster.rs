//! A server for one restore test: `initdb` and `postgres` in a private folder, reached only by a socket in it.
//!
//! The kernel lets everything that runs there read PostgreSQL's own files, and read and write that folder. It can read no key, no
//! backup and no record, even if it has pgbk's own account. Only pgbk knows the superuser's password, and nothing of a dump runs as
//! the superuser.

use crate::base::cancel;
use crate::base::error::{Fault, Result};
use crate::base::plain_file::{self, AcceptedOwner};
use crate::base::process::daemon::Daemon;
use crate::base::process::environment::{Account, ChildEnvironment};
use crate::base::process::fence::Fence;
use crate::base::progress::Monitor;
use crate::base::secret::Secret;
use crate::format::manifest::ServerNote;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::scratch::loader::password;
use crate::postgres::scratch::preload;
use crate::postgres::tools::{self, Tool};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PREFIX: &str = "pgbk-scratch-";
/// Lock file that is held while the server is needed. A folder whose lock is free is left over from a killed run.
const LOCK: &str = "owner.lock";
/// Account of the server if pgbk is root, as which PostgreSQL does not run.
const ACCOUNT: &str = "postgres";
/// Paths of PostgreSQL's files and libraries. Of `/etc` only the files that they read.
const PROGRAMS: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/var/cache/postgresql",
    "/etc/alternatives",
    "/etc/crypto-policies",
    "/etc/group",
    "/etc/ld.so.cache",
    "/etc/locale.alias",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/pki/tls/openssl.cnf",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
];
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(4);

/// Settings of a server whose data is worthless after the restore test: as little WAL as possible, nothing forced to the disk, and
/// shared memory in files of its folder, which are removed with it even if it is killed. A restore holds some four locks for each
/// table: these settings do for 20,000 tables and cost 60 MB of shared memory.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "port=5432",
    "unix_socket_permissions=0700",
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=1GB",
    "max_connections=20",
    "max_locks_per_transaction=4000",
    "dynamic_shared_memory_type=mmap",
    "logging_collector=off",
    "log_destination=stderr",
];

pub(crate) struct Cluster {
    settings: ConnectionSettings,
    program: Program,
    /// `None` while it does not run.
    server: Option<Daemon>,
    _lock: File,
    _folder: TempDir,
}

/// The command that starts the server, with its environment, account and fence.
struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    environment: ChildEnvironment,
    account: Option<Account>,
    fence: Fence,
}

impl Cluster {
    pub(crate) fn start(
        settings: &ConnectionSettings,
        bin_dir: Option<&Path>,
        hidden: &[PathBuf],
        source: Option<&ServerNote>,
        monitor: &dyn Monitor,
    ) -> Result<Cluster> {
        sweep(monitor);
        let postgres = program(bin_dir, source)?;
        let account = account()?;
        let (folder, lock) = folder(account)?;
        let fence = fence(folder.path(), &postgres, settings, hidden)?;
        let password = password()?;
        let settings = settings.on_socket(folder.path()).as_role(settings.user(), password.clone());
        let secret = handed_over(folder.path(), &password, account)?;
        let environment = environment(&settings);
        let data = folder.path().join("data").display().to_string();
        // What runs in the server could connect to it, too.
        let initdb = [
            "--pgdata",
            &data,
            "--username",
            settings.user(),
            "--auth=scram-sha-256",
            "--pwfile",
            &secret,
            "--no-sync",
        ];
        let initdb = initdb.into_iter().chain(["--encoding=UTF8", "--locale=C.UTF-8"]).map(str::to_owned);
        let program = postgres.path.with_file_name("initdb");
        Daemon::spawn(&program, &initdb.collect::<Vec<_>>(), &environment, account, &fence)?.finish()?;
        fs::remove_file(&secret)?;
        let mut arguments = vec!["-D".to_owned(), data, "-k".to_owned(), folder.path().display().to_string()];
        arguments.extend(SETTINGS.iter().flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()]));
        let program = Program { path: postgres.path, arguments, environment, account, fence };
        let mut cluster = Cluster { settings, program, server: None, _lock: lock, _folder: folder };
        cluster.serve(&[])?;
        monitor.note(&format!("started PostgreSQL {} for the proof", postgres.version));
        Ok(cluster)
    }

    /// Restarts the server if extensions need their libraries loaded at its start. `database` is the one that they will be made in.
    /// If the server does not start with them, it goes on without and a warning is given.
    pub(crate) fn preload(
        &mut self,
        extensions: &BTreeSet<String>,
        database: &str,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let libraries = preload::demanded(&self.settings, extensions)?;
        if libraries.is_empty() {
            return Ok(());
        }
        let names = libraries.join(", ");
        self.stop(Signal::INT);
        let Err(refused) = self.serve(&preload::settings(&libraries, database)) else {
            monitor.note(&format!("it has loaded {names}"));
            return Ok(());
        };
        cancel::check()?;
        monitor.warn(&format!("the scratch server does not start with {names}, and goes on without: {refused:#}"));
        self.stop(Signal::QUIT);
        self.serve(&[])
    }

    /// Starts the server with these additional settings, and waits until it answers.
    fn serve(&mut self, settings: &[String]) -> Result<()> {
        let Program { path, arguments, environment, account, fence } = &self.program;
        let more = settings.iter().flat_map(|setting| ["-c".to_owned(), setting.clone()]);
        let arguments: Vec<String> = arguments.iter().cloned().chain(more).collect();
        self.server = Some(Daemon::spawn(path, &arguments, environment, *account, fence)?);
        self.await_start()
    }

    fn stop(&mut self, signal: Signal) {
        if let Some(server) = self.server.take() {
            server.stop(signal, STOP);
        }
    }

    pub(crate) fn settings(&self) -> &ConnectionSettings {
        &self.settings
    }

    fn await_start(&mut self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let error = match self.settings.for_database("postgres").connect("pgbk verify") {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            cancel::check()?;
            self.server.as_mut().map_or(Ok(()), Daemon::check)?;
            if begun.elapsed() > START {
                return Err(error.context("the scratch server does not answer"));
            }
            cancel::wait(cancel::TICK / 2);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // At once, and without leaving anything in memory.
        self.stop(Signal::QUIT);
    }
}

/// Returns the server program of the backup's major version, else of the next newer one; the newest if the version is not known.
fn program(bin_dir: Option<&Path>, source: Option<&ServerNote>) -> Result<Tool> {
    let least = source.map_or(0, ServerNote::major);
    let mut found = tools::all("postgres", bin_dir);
    found.retain(|tool| tool.major >= least && tool.path.with_file_name("initdb").exists());
    let newest = found.first().cloned();
    let nearest = found.into_iter().min_by_key(|tool| tool.major);
    // Where nobody knows what it was, the newest takes most.
    if least == 0 { newest } else { nearest }.ok_or_else(|| {
        let message = match least {
            0 => "no PostgreSQL server program was found for a scratch server".to_owned(),
            _ => format!(
                "no PostgreSQL server program was found for a scratch server: it must have version {least} at least"
            ),
        };
        let package = if least == 0 { "postgresql".to_owned() } else { format!("postgresql-{least}") };
        Fault::usage(message)
            .hint(format!("install the package {package}, or name the folder of postgres and initdb in PG_BIN_DIR"))
            .into()
    })
}

/// Returns the account that the server runs as; `None` if it is pgbk's own, which is not root then.
fn account() -> Result<Option<Account>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    match nix::unistd::User::from_name(ACCOUNT).ok().flatten() {
        Some(user) => Ok(Some(Account { user: user.uid.as_raw(), group: user.gid.as_raw() })),
        None => Err(Fault::usage(format!("no PostgreSQL server runs as root, and there is no account \"{ACCOUNT}\""))
            .hint("run pgbk as another user, or prove on a server: VERIFY_SCRATCH=server")
            .into()),
    }
}

fn folder(account: Option<Account>) -> Result<(TempDir, File)> {
    let made = || {
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
        let lock = File::create(folder.path().join(LOCK))?;
        lock.try_lock()?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700))?;
        if let Some(Account { user, group }) = account {
            chown(folder.path(), Some(user), Some(group))?;
        }
        Ok((folder, lock))
    };
    made().map_err(|error: std::io::Error| {
        Fault::failed(format!("cannot make a folder for the scratch server: {error}"))
            .hint("TMPDIR names a folder with room for it")
            .into()
    })
}

/// Returns the fence of a server in this folder. It is an error if a hidden path lies where the server may read.
fn fence(folder: &Path, postgres: &Tool, settings: &ConnectionSettings, hidden: &[PathBuf]) -> Result<Fence> {
    let mut read: Vec<PathBuf> = PROGRAMS.iter().map(PathBuf::from).collect();
    let program = fs::canonicalize(&postgres.path)?;
    if let Some(prefix) = program.parent().and_then(Path::parent) {
        read.extend(["bin", "lib", "lib64", "share"].map(|part| prefix.join(part)));
    }
    let libraries = settings.inherited().iter().find(|(name, _)| name == "LD_LIBRARY_PATH");
    read.extend(libraries.iter().flat_map(|(_, folders)| std::env::split_paths(folders)));
    let seen = |path: &Path| {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let shown = |place: &PathBuf| fs::canonicalize(place).is_ok_and(|place| path.starts_with(place));
        read.iter().any(shown) || path.starts_with(folder)
    };
    if let Some(path) = hidden.iter().find(|path| seen(path)) {
        return Err(Fault::usage(format!(
            "the scratch server could read \"{}\", which lies among its programs",
            path.display()
        ))
        .hint("keep keys, backups and records elsewhere; or prove on a server that holds nothing else: VERIFY_DB_HOST")
        .into());
    }
    Fence::around(&read, &[folder.to_owned(), PathBuf::from("/dev/null")])
}

/// Writes the superuser's password where only the server's account reads it, and returns the path.
fn handed_over(folder: &Path, password: &Secret, account: Option<Account>) -> Result<String> {
    let path = folder.join("password");
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(password.reveal().as_bytes())?;
    if let Some(Account { user, group }) = account {
        chown(&path, Some(user), Some(group))?;
    }
    Ok(path.display().to_string())
}

/// Removes the folders of killed runs. Their servers ended with them.
fn sweep(monitor: &dyn Monitor) {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        // One without a lock is being made, or is somebody else's.
        let Ok(lock) = plain_file::open(&entry.path().join(LOCK), AcceptedOwner::Ours, u64::MAX) else { continue };
        if lock.try_lock().is_ok() && fs::remove_dir_all(entry.path()).is_ok() {
            monitor.info(&format!("removed \"{}\", which a run that was killed had left", entry.path().display()));
        }
    }
}

/// Returns the server's environment. Its messages are quoted, so that they are all to be in one language.
fn environment(settings: &ConnectionSettings) -> ChildEnvironment {
    let mut variables = settings.inherited().to_vec();
    variables.retain(|(name, _)| !name.starts_with("LC_") && name != "LANG" && name != "HOME");
    let mut environment = ChildEnvironment::of(variables);
    environment.set("LC_ALL", "C");
    environment
}
