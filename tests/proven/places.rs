//! The three places for a scratch database.

use crate::proven::{SCRATCH, of, prove, tables};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use support::cluster::{Cluster, PASSWORD, PATIENCE, USER, cluster, is_root};
use support::database::{features, small};
use support::pgbk::Pgbk;
use support::process::until;
use support::scheduler::Place;

#[test]
fn another_server_is_used_with_settings_of_its_own() {
    let place = Place::new();
    small("proven_elsewhere", &["a", "b"]);
    let run = of(&place, "proven_elsewhere");
    run.args(["backup"]).expect(0);
    let other = Cluster::start();
    let run = run.set("VERIFY_DB_HOST", "127.0.0.1").set("VERIFY_DB_PORT", other.port);
    // The password of the one is not shown to the other.
    run.args(["verify", "--level", "restore"]).expect(1).says("asks for the password");
    let run = run.set("VERIFY_DB_PASSWORD", PASSWORD).set("VERIFY_DB_USER", USER);
    let (_, finding) = prove(&run, 0);
    let scratch = finding["proof"]["scratch"].as_str().unwrap();
    assert!(scratch.contains(&format!("127.0.0.1:{}", other.port)), "{scratch}");
    assert_eq!(other.psql("postgres", SCRATCH), "");
    // With the server that was backed up gone, its backups are proven all the same.
    let run = run.set("DB_PORT", "1");
    assert_eq!(tables(&prove(&run, 0).1).len(), 1);
    run.set("VERIFY_SCRATCH", "cluster").args(["verify", "--level", "restore"]).expect(2).says("unset one of them");
}

/// Folders of servers that pgbk has started.
pub fn folders(temporary: &Path) -> Vec<String> {
    let names = fs::read_dir(temporary).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("pgbk-scratch-")).collect()
}

/// A folder for temporary files of one test, which every account may use.
pub fn temporary() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    folder
}

#[test]
fn a_server_of_its_own_is_started_and_gone_again() {
    let place = Place::new();
    features("proven_cluster");
    let temporary = temporary();
    let run = of(&place, "proven_cluster").set("VERIFY_SCRATCH", "cluster").set("TMPDIR", temporary.path().display());
    run.args(["backup"]).expect(0);
    // Neither the server nor its settings are asked for.
    let alone = run.set("DB_PORT", "1").set("PGSSLMODE", "verify-full").set("PGOPTIONS", "-c nonsense=1");
    let (_, finding) = prove(&alone, 0);
    assert!(tables(&finding).len() > 5 && finding["proof"]["scratch"].as_str().unwrap().contains("server of its own"));
    assert_eq!(folders(temporary.path()), Vec::<String>::new());
    // An archive tells only pg_restore which roles it needs.
    run.set("DUMP_FORMAT", "custom").args(["backup"]).expect(0);
    prove(&alone, 0);
}

#[test]
fn a_server_of_its_own_ends_with_a_signal_and_with_a_kill() {
    let place = Place::new();
    let temporary = temporary();
    let run = of(&place, "proven_stopped").set("VERIFY_SCRATCH", "cluster").set("TMPDIR", temporary.path().display());
    let file = place.folder.path().join("endless.sql");
    fs::write(&file, crate::proven::script("SELECT pg_sleep(3600);\n")).unwrap();
    run.args(["upload", file.to_str().unwrap()]).expect(0);
    for (signal, code) in [(Signal::TERM, Some(143)), (Signal::KILL, None)] {
        let proof = run.args(["verify", "--level", "restore"]).start();
        assert!(until(PATIENCE, || servers(temporary.path()) == 1), "no server was started");
        proof.signal(signal);
        assert_eq!(proof.end().code, code);
        assert!(until(PATIENCE, || servers(temporary.path()) == 0), "the server lives on");
    }
    assert_eq!(folders(temporary.path()).len(), 1, "nobody but the next one can remove it");
    small("proven_stopped", &["x"]);
    run.args(["backup"]).expect(0);
    prove(&run, 0);
    assert_eq!(folders(temporary.path()), Vec::<String>::new());
}

/// Servers whose data is below this folder, and that have told so by their socket.
fn servers(temporary: &Path) -> usize {
    let below = temporary.display().to_string();
    let mut found = 0;
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        let mut words = line.split('\0');
        let server = words.next().is_some_and(|program| program.ends_with("/postgres"));
        found += usize::from(server && words.any(|word| word.starts_with(&below)));
    }
    found
}

/// A proof by restore for an account that is nobody's, which may read the backups of this database.
pub fn as_nobody(place: &Place, database: &str, run: &Pgbk, temporary: &Path) -> Output {
    for path in [place.folder.path(), &place.store(), &place.store().join(database)] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for entry in fs::read_dir(place.store().join(database)).unwrap() {
        fs::set_permissions(entry.unwrap().path(), fs::Permissions::from_mode(0o644)).unwrap();
    }
    let program = temporary.join("pgbk");
    fs::copy(env!("CARGO_BIN_EXE_pgbk"), &program).unwrap();
    let state = temporary.join("state");
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]).arg(&program);
    command.args(["verify", "--level", "restore"]).env_clear().current_dir("/");
    command.envs(
        run.set("STATE_DIR", state.display()).command().get_envs().filter_map(|(name, value)| Some((name, value?))),
    );
    command.output().unwrap()
}

#[test]
fn who_is_not_root_runs_the_server_as_himself() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    small("proven_himself", &["x"]);
    let temporary = temporary();
    let run = of(&place, "proven_himself").set("VERIFY_SCRATCH", "cluster").set("TMPDIR", temporary.path().display());
    run.args(["backup"]).expect(0);
    let output = as_nobody(&place, "proven_himself", &run, temporary.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 of 1 table is the same"), "{said}");
    assert_eq!(folders(temporary.path()), Vec::<String>::new());
    assert_eq!(cluster().psql("postgres", "SELECT count(*) FROM pg_database WHERE datname = 'proven_himself'"), "1");
}

#[test]
fn a_pipe_that_somebody_left_in_the_temporary_folder_holds_nobody_up() {
    let place = Place::new();
    small("proven_pipe", &["x"]);
    let temporary = temporary();
    let squatted = temporary.path().join("pgbk-scratch-x");
    fs::create_dir(&squatted).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, squatted.join("owner.lock"), rustix::fs::FileType::Fifo, 0o666.into(), 0)
        .unwrap();
    let run = of(&place, "proven_pipe").set("VERIFY_SCRATCH", "cluster").set("TMPDIR", temporary.path().display());
    run.args(["backup"]).expect(0);
    prove(&run, 0);
    assert_eq!(folders(temporary.path()), ["pgbk-scratch-x"]);
}

#[test]
fn what_lies_among_the_programs_of_a_server_of_its_own_is_refused_as_a_place_for_keys_and_backups() {
    let place = Place::new();
    small("proven_among", &["x"]);
    let run = of(&place, "proven_among").set("VERIFY_SCRATCH", "cluster");
    run.args(["backup"]).expect(0);
    let run = run.set("PGPASSFILE", "/usr/share/keys/pgpass");
    run.args(["verify", "--level", "restore"]).expect(2).says("could read \"/usr/share/keys/pgpass\"");
}
