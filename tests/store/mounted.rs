//! Real file systems on which names are told apart otherwise: exFAT, which keeps capital letters and does not tell them, and NTFS as some
//! mount it, which makes them small.

use super::objects::{keys, put};
use pgbk::store::Store;
use pgbk::store::directory::Directory;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::cluster::is_root;
use support::pgbk::{Pgbk, pgbk};
use support::proof::counted;
use tempfile::TempDir;

/// A file system in a file, mounted until it is dropped.
struct Mounted {
    place: TempDir,
    device: String,
}

#[track_caller]
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; scripts/test.sh installs it"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Mounted {
    fn new(make: &[&str], mount: &[&str]) -> Mounted {
        let place = tempfile::tempdir().unwrap();
        let (image, folder) = (place.path().join("image"), place.path().join("mounted"));
        std::fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
        std::fs::create_dir(&folder).unwrap();
        let image = image.to_str().unwrap();
        run(make[0], &[&make[1..], &[image]].concat());
        let device = run("losetup", &["--find", "--show", image]);
        run(mount[0], &[&mount[1..], &[&device, folder.to_str().unwrap()]].concat());
        Mounted { place, device }
    }

    fn folder(&self) -> PathBuf {
        self.place.path().join("mounted")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        for (program, argument) in [("umount", self.folder().display().to_string()), ("losetup", "-d".to_owned())] {
            let more = if program == "losetup" { Some(self.device.as_str()) } else { None };
            Command::new(program).arg(argument).args(more).output().ok();
        }
    }
}

/// Only root may mount, and not in every container.
fn can_mount() -> bool {
    let can = is_root() && Path::new("/dev/fuse").exists() && Path::new("/dev/loop-control").exists();
    if !can {
        eprintln!("left out: nothing can be mounted here");
    }
    can
}

const SCRIPT: &[u8] = b"SELECT 1;\n--\n-- PostgreSQL database dump complete\n--\n";

fn upload(store: &Path, state: &Path, database: &str) -> Pgbk {
    let run = pgbk(["upload", "-", "--database", database]).input(SCRIPT).directory(store).key();
    run.set("STATE_DIR", state.display())
}

#[test]
fn databases_that_case_alone_tells_apart_are_kept_apart_on_a_real_file_system_that_does_not_tell_it() {
    if !can_mount() {
        return;
    }
    let mounted = Mounted::new(&["mkfs.exfat"], &["mount.exfat-fuse"]);
    let (store, state) = (mounted.folder().join("store"), mounted.place.path().join("state"));
    std::fs::create_dir(mounted.folder().join("Probe")).unwrap();
    assert!(mounted.folder().join("pROBE").exists(), "it tells case");
    let names = ["Shop", "shop", "SHOP", "sHoP", "other", "Ünï", "ünï"];
    for name in names {
        upload(&store, &state, name).expect(0);
    }
    let run = pgbk([]).directory(&store).key().set("STATE_DIR", state.display());
    let listed = run.args(["list"]).json();
    let mut found: Vec<&str> = listed.as_array().unwrap().iter().map(|row| row["database"].as_str().unwrap()).collect();
    found.sort_unstable();
    let mut expected = names.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
    for name in names {
        let own = run.args(["list", "--database", name]).json();
        assert_eq!((own.as_array().unwrap().len(), own[0]["database"].as_str()), (1, Some(name)), "{own}");
        run.args(["verify", "--all", "--database", name]).expect(0);
        let id = own[0]["id"].as_str().unwrap();
        run.args(["pin", id]).expect(0);
        assert_eq!(run.args(["list", "--database", name]).json()[0]["pinned"], true);
    }
    assert_eq!(run.args(["verify", "--all"]).json()["checked"], names.len());
    // Of one of them everything goes, of the others nothing.
    let directory = Directory::open(&store).unwrap();
    let before = keys(&directory, "").len();
    for key in keys(&directory, "shop/") {
        directory.remove(&key, None).unwrap();
    }
    assert_eq!((keys(&directory, "shop/").len(), keys(&directory, "").len()), (0, before - 3));
    counted("odd", "databases told apart by case alone, on exFAT", names.len(), 0);
}

#[test]
fn a_file_system_that_changes_names_is_refused_before_anything_is_stored() {
    if !can_mount() {
        return;
    }
    let mounted = Mounted::new(&["mkntfs", "-q", "-F", "-Q"], &["lowntfs-3g", "-o", "ignore_case,permissions"]);
    let (store, state) = (mounted.folder().join("store"), mounted.place.path().join("state"));
    for name in ["shop", "Shop", "a_B"] {
        let refused = upload(&store, &state, name).expect(1).says("its file system changes names, and shows ");
        assert!(refused.err.contains("keeps capital letters"), "{refused:#?}");
    }
    let directory = Directory::open(&store).unwrap();
    assert_eq!(keys(&directory, ""), [""; 0]);
    // Small letters stay as they are.
    put(&directory, "small/x", b"x").unwrap();
    counted("odd", "names that a file system changes", 0, 3);
}
