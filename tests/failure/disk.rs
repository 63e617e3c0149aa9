//! Disks that are full.

use super::*;

/// The ways to a disk of one's own, by who may go them: root; everybody, where users may have namespaces; and root where `/` is no
/// place that something is mounted on, as in a chroot, where what is mounted has to be taken away again.
const WAYS: [&[&str]; 3] = [&["-m"], &["--map-root-user", "-m"], &["-m", "--propagation", "unchanged"]];

/// Runs with a disk of so many megabytes at this place, seen by this run alone; gives the exit code, what was said, and the files left.
fn on_a_disk_of(megabytes: u32, run: &Pgbk, at: &Path) -> (i32, String, String) {
    let script = format!(
        "mount -t tmpfs -o size={megabytes}m none \"$0\" || exit 99; \"$@\" >/dev/null; code=$?; find \"$0\" -type f; umount \"$0\"; exit $code"
    );
    let before: Vec<&str> = way().iter().copied().chain(["sh", "-c", &script, at.to_str().unwrap()]).collect();
    let output = run.wrapped("unshare", &before);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stderr), text(&output.stdout))
}

fn on_a_full_disk(run: &Pgbk, at: &Path) -> (i32, String, String) {
    on_a_disk_of(1, run, at)
}

/// The first way that can be gone here. A test that cannot make its disk has shown nothing, and must not pass.
pub fn way() -> &'static [&'static str] {
    let place = folder();
    let mut said = String::new();
    let script = "mount -t tmpfs -o size=1m none \"$0\" && umount \"$0\"";
    for way in WAYS {
        let mut command = std::process::Command::new("unshare");
        let output = command.args(way).args(["sh", "-c", script]).arg(place.path()).output().expect("run unshare");
        if output.status.success() {
            return way;
        }
        said.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    panic!("a full disk needs a mount of its own, as root or in a user namespace, and neither may be had here: {said}");
}

#[test]
fn a_full_disk_ends_a_backup_and_leaves_nothing_on_it() {
    let place = folder();
    let (code, said, left) = on_a_full_disk(&backup(&large()).directory(place.path()), place.path());
    assert_eq!((code, left.as_str()), (1, ""), "{said}");
    assert!(said.contains("No space left on device") && said.contains("hint: free some space"), "{said}");
}

/// Full in the first object, and in the second when the first waits for its commit.
#[test]
fn a_disk_that_is_full_after_some_objects_of_a_payload_has_none_of_them_left() {
    for megabytes in [6, 12, 18] {
        let place = folder();
        let run =
            backup(&large()).directory(place.path()).set("MAX_OBJECT_SIZE", "8M").set("DB_BACKUP_COMPRESS", "none");
        let (code, said, left) = on_a_disk_of(megabytes, &run, place.path());
        assert_eq!((code, left.as_str()), (1, ""), "{said}");
        assert!(said.contains("No space left on device"), "{said}");
    }
}

#[test]
fn a_full_disk_ends_a_download_and_leaves_nothing_on_it() {
    let (place, disk) = (folder(), folder());
    backup(&large()).directory(place.path()).expect(0);
    let path = disk.path().join("out.sql").display().to_string();
    for arguments in [vec!["download", "-o", &path], vec!["download", "--raw", "-o", disk.path().to_str().unwrap()]] {
        let run = pgbk(arguments).key().directory(place.path());
        let (code, said, left) = on_a_full_disk(&run, disk.path());
        assert_eq!((code, left.as_str()), (1, ""), "{said}");
        assert!(said.contains("No space left on device"), "{said}");
    }
}

#[test]
fn a_full_disk_ends_an_archives_restore_and_leaves_no_database() {
    let (place, disk, name) = (folder(), folder(), large());
    let run = backup(&name).directory(place.path());
    run.set("DUMP_FORMAT", "custom").expect(0);
    let restore = run.args(["restore", "latest", "--database", &name, "--to", "on_a_full_disk", "--yes"]);
    let (code, said, left) = on_a_full_disk(&restore.set("TMPDIR", disk.path().display()), disk.path());
    assert_eq!((code, left.as_str()), (1, ""), "{said}");
    assert!(said.contains("cannot write a temporary file for the archive: No space left on device"), "{said}");
    assert!(said.contains("hint: TMPDIR names a folder with room for it"), "{said}");
    assert!(!exists("on_a_full_disk"));
}
