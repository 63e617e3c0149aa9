//! A user of the host who owns a folder into which root restores, and swaps names as fast as he can.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};
use support::pgbk::connected;
use support::proof;

/// Renames whatever root makes there, and puts a link, a second name or a folder of his own in its place.
const ATTACK: &str = r"
import os, sys
docs, outside = sys.argv[1:]
turn = 0
print('ready', flush=True)
while True:
    try:
        names = os.listdir(docs)
    except OSError:
        continue
    for name in names + ['newdir', 'newdir/deep', 'file']:
        if name.endswith('.x'):
            continue
        path = os.path.join(docs, name)
        turn += 1
        try:
            os.rename(path, path + '.x')
        except OSError:
            pass
        try:
            if turn % 4 == 0: os.symlink(outside + '/suid', path)
            elif turn % 4 == 1: os.symlink(outside, path)
            elif turn % 4 == 2: os.link(outside + '/suid', path)
            else: os.mkdir(path, 0o777)
        except OSError:
            pass
        if turn % 5 == 0:
            for left in os.listdir(docs):
                if left.endswith('.x') or turn % 3 == 0:
                    try: os.unlink(os.path.join(docs, left))
                    except OSError:
                        try: os.rmdir(os.path.join(docs, left))
                        except OSError: pass
";

fn nobody(folder: &Path) {
    chown(folder, Some(65534), Some(65534)).unwrap();
}

#[test]
fn a_user_who_swaps_names_while_root_restores_gains_nothing() {
    let whole = tempfile::tempdir().unwrap();
    fs::set_permissions(whole.path(), Permissions::from_mode(0o755)).unwrap();
    let (home, outside) = (whole.path().join("home"), whole.path().join("outside"));
    let docs = home.join("docs");
    fs::create_dir_all(docs.join("newdir/deep")).unwrap();
    fs::create_dir(&outside).unwrap();
    for (path, text) in
        [(docs.join("file"), "backup"), (docs.join("newdir/deep/suid"), "backup"), (outside.join("suid"), "theirs")]
    {
        fs::write(path, text).unwrap();
    }
    nobody(&docs);
    fs::set_permissions(docs.join("newdir"), Permissions::from_mode(0o6777)).unwrap();
    fs::set_permissions(docs.join("newdir/deep/suid"), Permissions::from_mode(0o6777)).unwrap();
    fs::set_permissions(outside.join("suid"), Permissions::from_mode(0o755)).unwrap();
    let pgbk = connected().key().directory(&whole.path().join("store")).set("BACKUP_FILES", home.display().to_string());
    pgbk.args(["backup", "@files"]).expect(0);
    fs::remove_dir_all(docs.join("newdir")).unwrap();
    let state = || {
        let seen = |path: &Path| {
            let seen = path.symlink_metadata().unwrap();
            (seen.mode(), seen.uid(), seen.gid(), seen.mtime(), seen.ino())
        };
        let names = fs::read_dir(&outside).unwrap().count();
        (seen(&outside), seen(&outside.join("suid")), names, fs::read_to_string(outside.join("suid")).unwrap())
    };
    let before = state();
    let mut attacker = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "python3", "-c", ATTACK])
        .args([&docs, &outside])
        .env("PATH", "/usr/bin:/bin")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Read::read_exact(attacker.stdout.as_mut().unwrap(), &mut [0; 5]).unwrap();
    let rounds = proof::size(40, 400);
    for round in 0..rounds {
        // Done, or refused because of what stands in the way.
        let code = pgbk.args(["restore", "--files", "latest", "--yes"]).end().code;
        assert!(matches!(code, Some(0 | 1)), "round {round}: {code:?}");
        assert_eq!(state(), before, "round {round}");
    }
    attacker.kill().unwrap();
    attacker.wait().unwrap();
    proof::counted("swaps", "restores of files as root, while a user swaps names", 0, rounds);
}
