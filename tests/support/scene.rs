//! A database and a folder of a bucket for one run after another, and what must hold after each.

use crate::cluster::{PATIENCE, cluster};
use crate::pgbk::{Outcome, Pgbk, connected};
use crate::process::until;
use crate::s3::seaweedfs;
use pgbk::format::backup_id::BackupId;
use pgbk::store::Store;
use pgbk::store::s3::S3;
use pgbk::store::s3::settings::S3Settings;
use std::fs;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How a run ended, both as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Healed,
    Refused,
}

/// Of one run: a folder of its own in a bucket that all share.
pub struct Scene {
    bucket: String,
    folder: String,
    pub store: S3,
}

impl Scene {
    pub fn new() -> Scene {
        static BUCKET: OnceLock<String> = OnceLock::new();
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let bucket = BUCKET.get_or_init(|| seaweedfs().bucket("faults")).clone();
        let folder = format!("run{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let store = S3::open(S3Settings { folder: folder.clone(), ..seaweedfs().settings(&bucket) }).unwrap();
        Scene { bucket, folder, store }
    }

    /// Through the host at this address, which may be in the way. A request is given up soon.
    pub fn through(&self, endpoint: &str, attempts: usize) -> Pgbk {
        let run = connected().key().s3(seaweedfs(), &self.bucket).set("S3_FOLDER", &self.folder);
        run.set("S3_HOST_BASE", endpoint)
            .set("S3_PART_SIZE", "5M")
            .set("S3_ATTEMPTS", attempts)
            .set("S3_TIMEOUT", if attempts == 1 { "3s" } else { "5s" })
    }

    /// Through what loses nothing: however busy this machine is, the time for a request suffices.
    pub fn unhurried(&self, endpoint: &str, attempts: usize) -> Pgbk {
        self.through(endpoint, attempts).set("S3_TIMEOUT", "60s")
    }

    /// With nothing in the way.
    pub fn direct(&self) -> Pgbk {
        connected().key().s3(seaweedfs(), &self.bucket).set("S3_FOLDER", &self.folder)
    }

    pub fn keys(&self) -> Vec<String> {
        self.store.list("").expect("list").into_iter().map(|listed| listed.key).collect()
    }

    pub fn ids(&self) -> Vec<BackupId> {
        self.keys().iter().filter_map(|key| BackupId::of_meta_key(key)).collect()
    }

    /// Of a backup: complete and verified, or a failure that published nothing and left nothing.
    pub fn judge_backup(&self, outcome: &Outcome, database: &str) -> Ended {
        let (keys, unfinished) = (self.keys(), self.store.unfinished("").expect("list the uploads"));
        assert_eq!(unfinished, [], "an upload is left open: {outcome:#?}");
        assert_nobody_works_on(database);
        if outcome.code == Some(0) {
            assert_eq!((keys.len(), self.ids().len()), (2, 1), "{keys:?}: {outcome:#?}");
            self.direct().args(["verify", "--all", "--level", "content"]).expect(0);
            return Ended::Healed;
        }
        assert_is_a_failure(outcome);
        assert_eq!(keys, Vec::<String>::new(), "a failed run has left something: {outcome:#?}");
        Ended::Refused
    }

    /// What could not be cleared up by the run itself is named, counted and removed by the doctor.
    pub fn clear_by_doctor(&self, database: &str) {
        let orphans = self.keys().len() - 2 * self.ids().len();
        let left = orphans + self.store.unfinished("").expect("list the uploads").len();
        let found = self.direct().args(["doctor", database, "--clean", "--older-than", "0s"]).json();
        let detail = |what: &str| {
            let all = found["findings"].as_array().unwrap();
            all.iter().find(|finding| finding["what"] == what).unwrap()["detail"].as_str().unwrap().to_owned()
        };
        let removed = if left == 1 { "1 leftover removed".to_owned() } else { format!("{left} leftovers removed") };
        assert_eq!((detail("clean"), detail("leftovers")), (removed, "none".to_owned()));
    }
}

impl Drop for Scene {
    /// The next runs need the room.
    fn drop(&mut self) {
        for key in self.store.list("").unwrap_or_default() {
            self.store.remove(&key.key, None).ok();
        }
    }
}

/// It ended by itself, with a code of its own, and said why.
pub fn assert_is_a_failure(outcome: &Outcome) {
    assert!(matches!(outcome.code, Some(1..=5)), "{outcome:#?}");
    assert!(outcome.err.contains("error"), "without a word of why: {outcome:#?}");
}

/// Neither a session at the server nor a program that was started for one.
pub fn assert_nobody_works_on(database: &str) {
    let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
    let silent = until(PATIENCE, || cluster().psql("postgres", &sessions) == "0");
    assert!(silent, "a session of a run that has ended lives on");
    let wanted = format!("PGDATABASE={database}\0");
    let of_it = |entry: &fs::DirEntry| {
        let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environ).contains(&wanted)
    };
    let left: Vec<_> = fs::read_dir("/proc").unwrap().flatten().filter(of_it).map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "a program that the run started lives on: {left:?}");
}

/// Bytes of random digits, so that they take as much room as they are told to whatever is done with them.
pub fn database(hint: &str, rows: usize) -> String {
    let name = cluster().database(hint);
    let sql = format!(
        "CREATE TABLE big AS SELECT n AS id, md5(n::text) || md5((-n)::text) || md5((2*n)::text) AS noise
         FROM generate_series(1, {rows}) n"
    );
    cluster().psql(&name, &sql);
    name
}
