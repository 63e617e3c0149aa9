//! Every system call that a run makes in a directory store, failed by `strace`, one at a time.
//!
//! `strace` counts by thread and call: the nth `fsync` of each thread is failed. What is failed here are those numbers that mean a call
//! within the store and, in whichever thread has as many, none outside of it; that this was so is read in the log of the very run. Which
//! thread makes which call is chance in part, and more so on a busy machine: numbers are failed that mean this in most of several runs.

use pgbk::base::progress::NullMonitor;
use pgbk::base::secret::Secret;
use pgbk::base::subject::Subject;
use pgbk::format::backup_id::BackupId;
use pgbk::format::keys::Key;
use pgbk::format::manifest::Format;
use pgbk::repository::Repository;
use pgbk::repository::writer::ManifestDetails;
use pgbk::store::Store;
use pgbk::store::directory::Directory;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use support::crew::go;
use support::pgbk::{KEY, Pgbk, connected};
use support::proof;
use support::scene::Ended;
use tempfile::TempDir;

const CALLS: [&str; 14] = [
    "openat",
    "mkdir",
    "mkdirat",
    "write",
    "fsync",
    "rename",
    "renameat2",
    "linkat",
    "unlinkat",
    "close",
    "newfstatat",
    "statx",
    "getdents64",
    "pread64",
];
const ERRORS: [&str; 3] = ["EIO", "ENOSPC", "EINTR"];

/// The nth such call of a thread ends like this.
#[derive(Debug, Clone)]
struct Case {
    call: String,
    nth: usize,
    error: &'static str,
}

/// One line of the log, or two that belong together.
struct Call {
    thread: String,
    name: String,
    in_store: bool,
    injected: bool,
}

/// Runs that are looked at before anything is failed, all at a time, as the runs that are failed are.
const LEARNT_RUNS: usize = 6;
const MOST_TRIES: u32 = 40;
/// Of so many cases one may be met by no run.
const MOST_UNMET: usize = 20;

/// A store in a folder, files to back up, and whatever else a run makes.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        fs::create_dir(place.at("files")).unwrap();
        let noise: Vec<u8> = (0..1_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        fs::write(place.at("files/noise"), noise).unwrap();
        place
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn run(&self, arguments: &[&str]) -> Pgbk {
        let run = connected().key().directory(&self.at("store")).set("STATE_DIR", self.at("state").display());
        run.set("BACKUP_FILES", self.at("files").display()).args(arguments.iter().copied())
    }

    fn backup(&self) -> String {
        self.run(&["backup", "@files"]).json()["id"].as_str().unwrap().to_owned()
    }

    /// A backup of nothing, of another time.
    fn backed_up_at(&self, time: &str) {
        let key = Key::raw(&Secret::new(KEY), None).unwrap();
        let store = Arc::new(self.store());
        let repository = Repository {
            store,
            variant: Default::default(),
            key: Some(key),
            encrypt: true,
            verify: true,
            allow_unauthenticated: false,
        };
        let id = BackupId::new(Subject::Files, time.parse().unwrap());
        let mut writer = repository.begin(id.into(), Format::Tar, None, 0).unwrap();
        writer.write_all(&[0; 10_240]).unwrap();
        writer.finish(ManifestDetails::default(), &NullMonitor).unwrap();
    }

    pub fn store(&self) -> Directory {
        Directory::open(self.at("store")).unwrap()
    }

    pub fn keys(&self) -> Vec<String> {
        self.store().list("").unwrap().into_iter().map(|listed| listed.key).collect()
    }

    /// The run, and which calls it made.
    fn traced(&self, run: &Pgbk, case: Option<&Case>) -> (Output, Vec<Call>) {
        let log = self.at("calls");
        let log_name = log.to_str().unwrap();
        let calls = case.map_or(CALLS.join(","), |case| case.call.clone());
        let (trace, mut inject) = (format!("trace={calls}"), Vec::new());
        if let Some(Case { call, nth, error }) = case {
            inject.extend(["-e".to_owned(), format!("inject={call}:error={error}:when={nth}")]);
        }
        // Threads are followed, other programs are not.
        let fixed = ["strace", "-f", "-b", "execve", "-qq", "-y", "-s", "0", "-o", log_name, "-e", &trace];
        let whole: Vec<&str> = fixed.into_iter().chain(inject.iter().map(String::as_str)).collect();
        let output = run.command_by(&whole).output().expect("strace, which scripts/test.sh installs");
        (output, calls_in(&fs::read_to_string(&log).unwrap(), &self.at("store")))
    }
}

fn calls_in(log: &str, store: &Path) -> Vec<Call> {
    let signs = [format!("<{}", store.display()), format!("\"{}", store.display())];
    let mut calls: Vec<Call> = Vec::new();
    for line in log.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let (rest, injected) = (rest.trim_start(), line.contains("(INJECTED)"));
        if rest.starts_with("<... ") {
            let begun = calls.iter_mut().rev().find(|call| call.thread == thread).expect("a call that was begun");
            begun.injected |= injected;
        } else if let Some((name, _)) = rest.split_once('(').filter(|(name, _)| CALLS.contains(name)) {
            let in_store = signs.iter().any(|sign| rest.contains(sign.as_str()));
            calls.push(Call { thread: thread.to_owned(), name: name.to_owned(), in_store, injected });
        }
    }
    calls
}

/// The numbers that mean the store in a run, each with whether it means nothing else there.
fn numbers(calls: &[Call]) -> BTreeMap<(String, usize), bool> {
    let mut counted: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut meant: BTreeMap<(String, usize), BTreeSet<bool>> = BTreeMap::new();
    for call in calls {
        let nth = counted.entry((&call.thread, &call.name)).or_default();
        *nth += 1;
        meant.entry((call.name.clone(), *nth)).or_default().insert(call.in_store);
    }
    let of_the_store = meant.into_iter().filter(|(_, places)| places.contains(&true));
    of_the_store.map(|(number, places)| (number, places.len() == 1)).collect()
}

/// The numbers that mean the store and nothing else in at least half of the runs, with every error; and how many others mean it in any.
fn cases(runs: &[Vec<Call>]) -> (Vec<Case>, usize) {
    let mut alone: BTreeMap<(String, usize), usize> = BTreeMap::new();
    for (number, is_alone) in runs.iter().flat_map(|calls| numbers(calls)) {
        *alone.entry(number).or_default() += usize::from(is_alone);
    }
    let all = alone.len();
    alone.retain(|_, times| 2 * *times >= runs.len());
    let left_out = all - alone.len();
    let each = |(call, nth): (String, usize)| ERRORS.map(|error| Case { call: call.clone(), nth, error });
    (alone.into_keys().flat_map(each).collect(), left_out)
}

/// The calls of several runs, made at a time.
fn learn(place: fn() -> Place, run: fn(&Place) -> Pgbk, judge: fn(&Place, &Output) -> Ended) -> Vec<Vec<Call>> {
    let learn = || {
        let place = place();
        let (output, calls) = place.traced(&run(&place), None);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(judge(&place, &output), Ended::Healed);
        calls
    };
    thread::scope(|scope| {
        let runs: Vec<_> = (0..LEARNT_RUNS).map(|_| scope.spawn(learn)).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    })
}

/// Makes places, learns the calls of a run there, and fails each of them.
fn fail_each(
    what: &str,
    least: &[&str],
    place: fn() -> Place,
    run: fn(&Place) -> Pgbk,
    judge: fn(&Place, &Output) -> Ended,
) {
    let (cases, left_out) = cases(&learn(place, run, judge));
    for call in least {
        assert!(cases.iter().any(|case| case.call == *call), "no {call} is failed");
    }
    eprintln!("{what}: {} cases, {left_out} calls cannot be failed without another", cases.len());
    let unmet = AtomicUsize::new(0);
    let tally = go(
        &cases,
        5,
        |_| (),
        |(), case| {
            // Which of several readers takes which document is chance, and with it the number that a call has in its thread.
            for _ in 0..MOST_TRIES {
                let place = place();
                let (output, calls) = place.traced(&run(&place), Some(case));
                let hit: Vec<&Call> = calls.iter().filter(|call| call.injected).collect();
                if !hit.is_empty() && hit.iter().all(|call| call.in_store) {
                    return judge(&place, &output);
                }
            }
            // On a machine that is busier or idler than when it was learnt, a number can mean something else in every run.
            eprintln!("of {MOST_TRIES} runs none had this call in the store: {case:?}");
            unmet.fetch_add(1, Ordering::Relaxed);
            Ended::Healed
        },
    );
    let unmet = unmet.into_inner();
    let tried = tally.healed + tally.refused;
    assert!(unmet * MOST_UNMET <= tried, "{unmet} of {tried} cases were met by no run");
    proof::counted(
        "faults",
        &format!("the directory store's system calls, one error each: {what}"),
        tally.healed - unmet,
        tally.refused,
    );
}

/// It ended by itself, with a code of its own, and said why.
fn refused(output: &Output) -> Ended {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(1..=5)) && said.contains("error"), "{output:?}");
    Ended::Refused
}

#[test]
fn whichever_call_of_a_backup_fails_it_is_complete_or_leaves_nothing() {
    let judge = |place: &Place, output: &Output| {
        assert_eq!(place.store().unfinished("").unwrap(), [], "{output:?}");
        if output.status.success() {
            assert_eq!(place.keys().len(), 2, "{output:?}");
            place.run(&["verify", "--all", "--level", "content"]).expect(0);
            return Ended::Healed;
        }
        assert_eq!(place.keys(), Vec::<String>::new(), "{output:?}");
        refused(output)
    };
    let least = ["openat", "mkdirat", "write", "fsync", "renameat2", "close"];
    fail_each("a backup", &least, Place::new, |place| place.run(&["backup", "@files"]), judge);
}

#[test]
fn whichever_call_of_a_download_fails_the_file_is_whole_or_is_not_there() {
    let place = || {
        let place = Place::new();
        place.backup();
        place
    };
    let run = |place: &Place| {
        place.run(&["download", "latest", "--database", "@files", "-o", place.at("out.tar").to_str().unwrap()])
    };
    let judge = |place: &Place, output: &Output| {
        place.run(&["verify", "--all", "--level", "content"]).expect(0);
        if output.status.success() {
            let held = fs::read(place.at("out.tar")).unwrap();
            assert!(held.len() > 1_000_000 && held.len().is_multiple_of(512), "{} bytes", held.len());
            return Ended::Healed;
        }
        let names =
            fs::read_dir(place.0.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(names.filter(|name| name.contains("out.tar")).count(), 0, "{output:?}");
        refused(output)
    };
    fail_each("a download", &["openat", "close", "pread64"], place, run, judge);
}

#[test]
fn whichever_call_of_a_prune_fails_what_should_stay_stays_and_the_next_one_does_the_rest() {
    let place = || {
        let place = Place::new();
        place.backed_up_at("2026-01-02T03:04:05Z");
        place.backed_up_at("2026-02-03T04:05:06Z");
        place
    };
    let run = |place: &Place| place.run(&["prune", "@files", "--keep-last", "1", "--server", "all"]);
    let judge = |place: &Place, output: &Output| {
        let metas = place.keys().into_iter().filter(|key| key.ends_with(".meta")).count();
        place.run(&["verify", "--all", "--level", "content"]).expect(0);
        if output.status.success() {
            assert_eq!((metas, place.keys().len()), (1, 2), "{output:?}");
            return Ended::Healed;
        }
        assert!(metas >= 1, "{output:?}");
        place.run(&["prune", "@files", "--keep-last", "1", "--server", "all"]).expect(0);
        // Another run of this test may be at the database, which is a finding.
        place.run(&["doctor", "postgres", "--clean", "--older-than", "0s"]).end();
        assert_eq!(place.keys().len(), 2, "{output:?}");
        refused(output)
    };
    fail_each("a prune", &["openat", "unlinkat", "fsync", "getdents64"], place, run, judge);
}
