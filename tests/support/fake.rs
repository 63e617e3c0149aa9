//! A `pg_dump` that does what a test wants.

use crate::cluster::{Cluster, PATIENCE, cluster};
use crate::process::until;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A `pg_dump` of our own, which knows the real one as `$REAL` and a folder for notes as `$NOTES`.
pub struct Fake {
    folder: tempfile::TempDir,
}

impl Fake {
    pub fn new(body: &str) -> Fake {
        Self::of(cluster(), "exec \"$REAL\" --version", body)
    }

    /// Another program than `pg_dump`.
    pub fn of_program(name: &str, body: &str) -> Fake {
        Self::made(cluster(), name, "exec \"$REAL\" --version", body)
    }

    pub fn of(server: &Cluster, version: &str, body: &str) -> Fake {
        Self::made(server, "pg_dump", version, body)
    }

    fn made(server: &Cluster, name: &str, version: &str, body: &str) -> Fake {
        let folder = tempfile::tempdir().unwrap();
        let notes = folder.path().join("notes");
        fs::create_dir(&notes).unwrap();
        let script = format!(
            "#!/bin/bash\nset -o pipefail\nREAL={}\nNOTES={}\nif [ \"$1\" = --version ]; then {version}; exit; fi\necho $$ > $NOTES/pid\n{body}\n",
            server.bin.join(name).display(),
            notes.display()
        );
        let path = folder.path().join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Fake { folder }
    }

    /// Gives the first 11 MB of a real dump, then waits for the gate to open before the rest.
    pub fn gated(server: &Cluster) -> Fake {
        let body = "\"$REAL\" \"$@\" | { head -c 11000000; touch $NOTES/half; while [ ! -e $NOTES/gate ]; do [ -d $NOTES ] || exit 1; sleep 0.02; done; cat; }";
        Self::of(server, "exec \"$REAL\" --version", body)
    }

    pub fn bin(&self) -> &Path {
        self.folder.path()
    }

    pub fn note(&self, name: &str) -> PathBuf {
        self.folder.path().join("notes").join(name)
    }

    pub fn await_half(&self) {
        assert!(until(PATIENCE, || self.note("half").exists()), "the dump did not come to its half");
    }

    pub fn open_gate(&self) {
        fs::write(self.note("gate"), "").unwrap();
    }

    /// Whether it is still going. A zombie that its parent has not reaped yet does not run.
    pub fn runs(&self) -> bool {
        let process = fs::read_to_string(self.note("pid")).unwrap();
        fs::read_to_string(format!("/proc/{}/stat", process.trim())).is_ok_and(|stat| !stat.contains(") Z "))
    }
}
