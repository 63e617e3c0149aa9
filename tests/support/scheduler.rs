//! A scheduler with a store and a `STATE_DIR` of its own.

use crate::cluster::{PATIENCE, cluster};
use crate::pgbk::{Pgbk, pgbk};
use crate::process::until;
use jiff::{Timestamp, ToSpan};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use tempfile::TempDir;

/// A store and a place for records, of one test alone.
pub struct Place {
    pub folder: TempDir,
}

/// A scheduler whose words can be read while it runs.
pub struct Scheduler {
    pub child: Child,
    log: PathBuf,
}

impl Place {
    pub fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub fn run(&self, arguments: &[&str]) -> Pgbk {
        let state = self.folder.path().join("state");
        let run = pgbk(arguments.iter().copied()).server(cluster()).directory(&self.store());
        run.set("STATE_DIR", state.display())
    }

    pub fn schedule(&self, schedule: &str, database: &str) -> Pgbk {
        self.run(&["schedule"]).set("CRON_SCHEDULE", schedule).set("DB_NAME", database)
    }

    pub fn start(&self, run: &Pgbk) -> Scheduler {
        self.start_by(run, &[])
    }

    /// Started by another program, such as `unshare`.
    pub fn start_by(&self, run: &Pgbk, wrapper: &[&str]) -> Scheduler {
        let log = self.folder.path().join(format!("log{}", Timestamp::now().as_nanosecond()));
        let file = fs::File::create(&log).unwrap();
        let mut command = run.command_by(wrapper);
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Scheduler { child: command.spawn().unwrap(), log }
    }

    /// The records, newest first.
    pub fn history(&self, more: &[&str]) -> Vec<Value> {
        let documents = self.run(&[&["history", "--json", "--limit", "1000"], more].concat()).expect(0).json();
        documents.as_array().unwrap().clone()
    }

    pub fn count(&self, state: &str) -> usize {
        self.history(&[]).iter().filter(|record| record["state"] == state).count()
    }

    #[track_caller]
    pub fn await_count(&self, state: &str, count: usize) {
        let reached = until(PATIENCE, || self.count(state) >= count);
        assert!(reached, "there are not {count} runs {state}: {:#?}", self.history(&[]));
    }

    pub fn backups(&self) -> usize {
        self.run(&["list", "--json"]).expect(0).json().as_array().unwrap().len()
    }

    /// Everything in the store, what is unfinished included.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.store()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() { folders.push(entry.path()) } else { found.push(entry.path()) }
            }
        }
        found
    }

    /// Makes the runs look as if they had begun so many days ago.
    pub fn put_back(&self, days: i64) {
        let folder = self.folder.path().join("state/runs");
        let started = Timestamp::now() - (24 * days).hours();
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap).collect::<Vec<_>>() {
            let mut record: Value = serde_json::from_slice(&fs::read(entry.path()).unwrap()).unwrap();
            let random = entry.file_name().into_string().unwrap()["20261121T064500Z".len()..].to_owned();
            let name = format!("{}{random}", started.strftime("%Y%m%dT%H%M%SZ"));
            record["started"] = started.to_string().into();
            record["run"] = name.trim_end_matches(".json").into();
            fs::remove_file(entry.path()).unwrap();
            fs::write(folder.join(name), record.to_string()).unwrap();
        }
    }
}

impl Scheduler {
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    #[track_caller]
    pub fn await_words(&self, words: &str) {
        assert!(until(PATIENCE, || self.said().contains(words)), "\"{words}\" is not in: {}", self.said());
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end; the exit code and what was said.
    #[track_caller]
    pub fn end(mut self) -> (Option<i32>, String) {
        let ended = until(PATIENCE, || self.child.try_wait().unwrap().is_some());
        assert!(ended, "the scheduler hangs: {}", self.said());
        (self.child.wait().unwrap().code(), self.said())
    }

    #[track_caller]
    pub fn stop(self) -> String {
        self.signal(Signal::TERM);
        let (code, said) = self.end();
        assert_eq!(code, Some(143), "{said}");
        said
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
