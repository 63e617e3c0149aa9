//! A share that is not mounted today, over the folder that backups go into.

use super::*;

/// A folder in which a share is mounted, or not, by a rename that takes what is there away or brings it back.
struct Mount {
    place: TempDir,
    name: String,
}

impl Mount {
    fn new() -> Mount {
        let place = folder();
        fs::create_dir(place.path().join("nas")).unwrap();
        Mount { place, name: small() }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.place.path().join("nas").join(below)
    }

    fn run(&self, below: &str) -> Pgbk {
        backup(&self.name).directory(&self.path(below)).set("STATE_DIR", self.place.path().join("state").display())
    }

    fn unmount(&self) {
        fs::rename(self.path(""), self.place.path().join("away")).unwrap();
        fs::create_dir(self.path("")).unwrap();
    }

    fn mount(&self) {
        fs::remove_dir_all(self.path("")).unwrap();
        fs::rename(self.place.path().join("away"), self.path("")).unwrap();
    }
}

#[test]
fn a_folder_that_holds_none_of_the_backups_stored_there_before_is_refused_until_it_is_mounted() {
    for below in ["", "backups"] {
        let mount = Mount::new();
        let run = mount.run(below);
        run.expect(0);
        mount.unmount();
        for _ in 0..2 {
            run.expect(1)
                .says("does not hold the backup that was stored there before")
                .says("hint: is the share or disk mounted?");
        }
        let upload = run.args(["upload", "-", "--database", &mount.name]).input(b"SELECT 1;\n");
        upload
            .expect(1)
            .says("does not hold the backup that was stored there before")
            .says("hint: is the share or disk mounted?");
        let doctor = run.args(["doctor", &mount.name]);
        assert!(doctor.expect(1).text().contains("does not hold the backup that was stored there before"));
        let reading: [&[&str]; 6] = [
            &["list"],
            &["restore", "latest", "--yes", "--database", &mount.name, "--to", "copy_of_it"],
            &["download", "latest", "--database", &mount.name, "--output", "-"],
            &["verify", "latest", "--database", &mount.name],
            &["verify", "--all"],
            &["prune", &mount.name, "--keep-last", "1"],
        ];
        for arguments in reading {
            run.args(arguments.iter().copied())
                .expect(1)
                .says("does not hold the backup that was stored there before")
                .says("hint: is the share or disk mounted?");
        }
        assert_empty(&mount.path(""));
        // What lies there of another time is no proof.
        fs::create_dir_all(mount.path(below).join("other")).unwrap();
        fs::write(mount.path(below).join("other/other-20260101T000000Z.meta"), "{}").unwrap();
        run.expect(1);
        mount.mount();
        run.expect(0);
    }
}

#[test]
fn a_new_place_is_one_once_that_is_said() {
    let mount = Mount::new();
    let run = mount.run("backups");
    run.expect(0);
    mount.unmount();
    run.args(["doctor", &mount.name, "--make-store"]).expect(0);
    run.expect(0);
    mount.mount();
    run.expect(0);
}

#[test]
fn of_what_the_folder_is_in_nothing_is_made_unless_it_is_said() {
    let mount = Mount::new();
    let run = mount.run("deep/backups");
    run.expect(1).says("does not exist").says("doctor --make-store");
    assert_empty(&mount.path(""));
    run.args(["doctor", &mount.name]).expect(1);
    assert_empty(&mount.path(""));
    run.args(["doctor", &mount.name, "--make-store"]).expect(0);
    run.expect(0);
}

#[test]
fn who_remembers_nothing_begins_anew() {
    let mount = Mount::new();
    mount.run("backups").expect(0);
    mount.unmount();
    mount.run("backups").set("STATE_DIR", mount.place.path().join("other").display()).expect(0);
}
