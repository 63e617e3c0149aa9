//! Pipes, devices, sockets, folders and links in the place of each file that pgbk keeps for itself.

use super::*;
use support::obstacle::put;
use support::proof;

const KINDS: [&str; 7] = ["pipe", "socket", "folder", "link to a pipe", "link to a device", "dangling link", "device"];

fn copy(from: &Path, to: &Path) {
    assert!(std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

#[test]
fn no_file_of_the_state_holds_up_a_command_whatever_stands_in_its_place() {
    // Each kind beside the others: a run waits more than it works.
    std::thread::scope(|scope| {
        for (from, kind) in KINDS.into_iter().enumerate() {
            scope.spawn(move || no_file_holds_up(kind, from));
        }
    });
}

/// Outside of a proof, each file meets one kind in six.
fn no_file_holds_up(kind: &str, from: usize) {
    let (place, database) = (folder(), small());
    let (seed, state) = (place.path().join("seed"), place.path().join("state"));
    let at = |state: &Path, arguments: &[&str]| {
        let run = pgbk(arguments.iter().copied()).server(cluster()).key().directory(&place.path().join("store"));
        let run =
            run.set("STATE_DIR", state.display()).set("DB_NAME", &database).set("WEBHOOK_URL", "http://127.0.0.1:9/");
        run.set("CRON_SCHEDULE", "* * * * * *").set("RUN_TIMEOUT", "30s")
    };
    at(&seed, &["schedule", "--once"]).expect(0);
    at(&seed, &["backup", "no_such_database"]).set("DB_NAME", "no_such_database").expect(4);
    let known = files(&seed);
    assert!(known.len() >= 4, "{known:?}");
    for file in proof::sample(&known, 6, from).map(|file| file.strip_prefix(&seed).unwrap()) {
        let _ = fs::remove_dir_all(&state);
        copy(&seed, &state);
        if !put(kind, &state.join(file)) {
            assert_eq!(kind, "device", "which only root can make");
            continue;
        }
        // What holds up one command that reads holds up the next: a pipe is tried with each, the others with the first.
        let commands = [&["backup"][..], &["history"], &["status"]];
        for command in commands.into_iter().take(if kind == "pipe" { 3 } else { 1 }) {
            // What hangs is killed, and that is no exit code of these.
            let outcome = at(&state, command).end();
            assert!(matches!(outcome.code, Some(0 | 1)), "{command:?}, {kind} for {file:?}: {outcome:#?}");
            assert!(command != ["backup"] || outcome.code == Some(0), "{kind} for {file:?}: {outcome:#?}");
            assert!(!outcome.err.contains("panicked"), "{kind} for {file:?}: {outcome:#?}");
        }
    }
}

#[test]
fn nothing_in_the_folder_for_temporary_files_holds_up_a_proof() {
    let (place, database) = (folder(), small());
    // The server of the proof runs as another user, who must get there.
    fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let run = pgbk(["backup", &database]).server(cluster()).key().directory(&place.path().join("store"));
    run.expect(0);
    std::thread::scope(|scope| {
        for (index, kind) in KINDS.into_iter().enumerate() {
            let temporary = place.path().join(format!("tmp{index}"));
            let (run, database) = (&run, &database);
            scope.spawn(move || {
                let scratch = temporary.join("pgbk-scratch-x");
                fs::create_dir_all(&scratch).unwrap();
                fs::set_permissions(&temporary, std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
                put(kind, &scratch.join("owner.lock"));
                let proof = run.args(["verify", "latest", "--database", database, "--level", "restore"]);
                let outcome = proof.set("TMPDIR", temporary.display()).set("VERIFY_SCRATCH", "cluster").end();
                assert_eq!(outcome.code, Some(0), "{kind}: {outcome:#?}");
                assert!(scratch.exists(), "{kind}");
            });
        }
    });
}
