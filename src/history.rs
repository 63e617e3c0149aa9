//! What ran on this host: one file for each run, in `STATE_DIR`.
//!
//! Whoever writes a running one keeps it locked, which tells the living from the dead. Nothing here is needed to restore a backup.

mod past;
mod removals;
pub mod share;

pub use past::{Counts, Past};

use crate::document::{self, Found, Life, PARTIAL};
use crate::error::{Fault, Result};
use crate::monitor::Monitor;
use crate::plain;
use crate::record::{Problem, Record, State};
use jiff::{SignedDuration, Timestamp};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Older records than this many are removed.
pub const KEPT: usize = 1000;

const END: &str = ".json";
/// A file on its way that is older than this was left by a process that was killed.
const STALE: SignedDuration = SignedDuration::from_hours(1);

#[derive(Debug, Clone)]
pub struct History {
    folder: PathBuf,
}

/// A run that is written down as running. Dropped without [`Running::end`], it counts as failed from then on.
pub struct Running {
    path: PathBuf,
    /// Holds the lock.
    _file: File,
}

/// Records that will not change any more, by run.
#[derive(Debug, Default)]
pub struct Known(BTreeMap<String, Record>);

impl History {
    /// The records below this folder, which need not be there yet.
    pub fn of(state_dir: &Path) -> History {
        History { folder: state_dir.join("runs") }
    }

    /// Returns the folder above it, where pgbk remembers things.
    pub fn state_dir(&self) -> &Path {
        self.folder.parent().unwrap_or(&self.folder)
    }

    pub fn location(&self) -> String {
        self.folder.display().to_string()
    }

    /// Writes down that a run has begun, and removes what is too old.
    pub fn begin(&self, record: &Record) -> Result<Running> {
        let path = self.path(&record.run);
        let file = document::write(&path, record).map_err(|why| self.unwritable(&why))?;
        self.sweep(record.started);
        Ok(Running { path, _file: file })
    }

    /// Writes down a run that is over already.
    pub fn add(&self, record: &Record) -> Result<()> {
        self.begin(record).map(drop)
    }

    /// Newest first. One that cannot be read is told and left out.
    pub fn records(&self, monitor: &dyn Monitor) -> Result<Vec<Record>> {
        self.renewed(&mut Known::default(), monitor)
    }

    /// The same for who asks again and again: what is known to be over is not read once more.
    pub fn renewed(&self, known: &mut Known, monitor: &dyn Monitor) -> Result<Vec<Record>> {
        let mut over = Known::default();
        let mut records = Vec::new();
        for run in self.runs()? {
            let found = known.0.remove(&run).map_or_else(|| self.find(&run), |record| Ok(Some(record)));
            match found {
                Ok(Some(record)) => {
                    if record.ended.is_some() {
                        over.0.insert(run, record.clone());
                    }
                    records.push(record);
                }
                // Removed in the meantime.
                Ok(None) => {}
                Err(error) => monitor.warn(&format!("{error:#}")),
            }
        }
        *known = over;
        // The names tell whole seconds only.
        records.sort_by_key(|record| Reverse(record.started));
        Ok(records)
    }

    /// One run; None when there is no record of it.
    pub fn find(&self, run: &str) -> Result<Option<Record>> {
        if !is_run(run) {
            return Ok(None);
        }
        let path = self.path(run);
        let look = || match document::read(&path) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Fault::failed(format!("cannot read the record \"{}\": {error}", path.display()))),
        };
        // One that ended between the look into the file and the look at its lock has a new file by now.
        match look()? {
            Some(Found { life: Life::Gone, .. }) => Ok(look()?.map(judged)),
            found => Ok(found.map(judged)),
        }
    }

    /// Returns the runs whose process is gone and has not ended them, oldest first, and writes down that they failed: nobody is given
    /// them twice.
    pub fn lost(&self) -> Result<Vec<Record>> {
        let mut lost = Vec::new();
        for run in self.runs()?.iter().rev() {
            let path = self.path(run);
            let look = || document::read(&path).ok().filter(is_lost);
            // Twice, as above.
            let Some(found) = look().and_then(|_| look()) else { continue };
            let record = judged(found);
            document::write(&path, &record).map_err(|why| self.unwritable(&why))?;
            lost.push(record);
        }
        Ok(lost)
    }

    /// The names of all runs, newest first.
    fn runs(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(Fault::failed(format!("cannot read \"{}\": {error}", self.location()))
                    .hint("STATE_DIR names the folder above it")
                    .into());
            }
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut runs: Vec<String> =
            names.filter_map(|name| name.strip_suffix(END).filter(|run| is_run(run)).map(str::to_owned)).collect();
        runs.sort_by(|a, b| b.cmp(a));
        Ok(runs)
    }

    fn path(&self, run: &str) -> PathBuf {
        self.folder.join(format!("{run}{END}"))
    }

    /// What is known of the runs whose records were removed. Ask for it after the records: whatever they lack is counted here, and
    /// whatever is counted here [`Past::counts`] of them.
    pub fn past(&self) -> Past {
        document::read(&self.past_path()).map(|found| found.value).unwrap_or_default()
    }

    fn past_path(&self) -> PathBuf {
        self.folder.join("past.json")
    }

    /// Whatever cannot be removed now is removed another time.
    fn sweep(&self, now: Timestamp) {
        if let Some(old) = self.runs().unwrap_or_default().get(KEPT..).filter(|old| !old.is_empty()) {
            self.forget(old);
        }
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let stale = || {
                let written = Timestamp::try_from(entry.metadata().ok()?.modified().ok()?).ok()?;
                Some(now.duration_since(written) > STALE)
            };
            if entry.file_name().to_string_lossy().ends_with(PARTIAL) && stale() == Some(true) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Newest first. Counted first and removed then: who is killed in between has lost nothing and counted nothing twice.
    fn forget(&self, runs: &[String]) {
        let Ok(lock) = plain::lock_file(&self.folder.join(".forgetting")) else { return };
        // Another process is at it.
        if let Err(fs::TryLockError::WouldBlock) = lock.try_lock() {
            return;
        }
        let mut past = self.past();
        let mut going = Vec::new();
        for run in runs.iter().rev() {
            match self.find(run) {
                // It will be counted when it is over, and those after it then too.
                Ok(Some(record)) if record.state == State::Running => break,
                Ok(Some(record)) => past.take(record),
                Ok(None) | Err(_) => {}
            }
            going.push(self.path(run));
        }
        if document::write(&self.past_path(), &past).is_ok() {
            for path in going {
                let _ = fs::remove_file(path);
            }
        }
    }

    fn unwritable(&self, why: &io::Error) -> Fault {
        Fault::failed(format!("cannot write a record in \"{}\": {why}", self.location()))
            .hint("STATE_DIR names a folder that pgbk may write to")
    }
}

impl Running {
    pub fn end(self, record: &Record) -> Result<()> {
        document::write(&self.path, record)
            .map(drop)
            .map_err(|why| Fault::failed(format!("cannot write the record \"{}\": {why}", self.path.display())).into())
    }
}

/// `20261121T064500Z-1a2b3c4d`
fn is_run(name: &str) -> bool {
    let sign = |(at, sign): (usize, char)| match at {
        8 => sign == 'T',
        15 => sign == 'Z',
        16 => sign == '-',
        17.. => sign.is_ascii_digit() || ('a'..='f').contains(&sign),
        _ => sign.is_ascii_digit(),
    };
    name.len() == 25 && name.chars().enumerate().all(sign)
}

fn is_lost(found: &Found<Record>) -> bool {
    found.life == Life::Gone && found.value.state == State::Running
}

/// Where the file system knows no locks, a run counts as failed until it has ended.
fn judged(found: Found<Record>) -> Record {
    let Found { value: mut record, life, .. } = found;
    if record.state == State::Running && life != Life::Held {
        record.state = State::Failed;
        record.problem = Some(Problem {
            message: "the process ended without a word".to_owned(),
            hints: vec![
                "it was killed, ran out of memory, or the machine stopped; \"pgbk doctor --clean\" removes what it left \
                 in the store"
                    .to_owned(),
            ],
            exit_code: 1,
        });
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::{Noting, Silent};
    use crate::record::Cause;
    use std::os::unix::fs::PermissionsExt;

    fn record(second: i64) -> Record {
        Record::begun(Cause::Manual, "shop", Timestamp::from_second(1_790_000_000 + second).unwrap()).unwrap()
    }

    #[test]
    fn a_run_that_was_killed_is_found_once_and_no_other_is() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::of(folder.path());
        let ended = record(1);
        history.begin(&ended).unwrap().end(&Record { state: State::Done, ..ended.clone() }).unwrap();
        let going = history.begin(&record(2)).unwrap();
        let killed = [record(3), record(4)];
        killed.iter().for_each(|record| drop(history.begin(record).unwrap()));
        let lost = history.lost().unwrap();
        assert!(lost.iter().map(|record| &record.run).eq(killed.iter().map(|record| &record.run)));
        assert!(lost.iter().all(|record| record.state == State::Failed && record.problem.is_some()));
        assert_eq!(history.lost().unwrap(), []);
        assert_eq!(history.find(&lost[0].run).unwrap().as_ref(), Some(&lost[0]));
        drop(going);
        assert_eq!(history.lost().unwrap().len(), 1);
    }

    #[test]
    fn a_run_is_running_until_it_ends_and_failed_when_its_process_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::of(&folder.path().join("deep/state"));
        assert_eq!(history.records(&Silent).unwrap(), []);
        let (mut first, second) = (record(1), record(2));
        let (one, other) = (history.begin(&first).unwrap(), history.begin(&second).unwrap());
        let states = || history.records(&Silent).unwrap().iter().map(|record| record.state).collect::<Vec<_>>();
        assert_eq!(states(), [State::Running, State::Running]);
        first.state = State::Done;
        one.end(&first).unwrap();
        drop(other);
        assert_eq!(states(), [State::Failed, State::Done]);
        let dead = history.find(&second.run).unwrap().unwrap();
        assert_eq!(dead.problem.unwrap().message, "the process ended without a word");
        assert_eq!(history.find(&first.run).unwrap(), Some(first));
        for unknown in ["20261121T064500Z-00000000", "../deep", ""] {
            assert_eq!(history.find(unknown).unwrap(), None);
        }
    }

    #[test]
    fn only_the_newest_records_are_kept_and_only_the_owner_may_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::of(folder.path());
        history.add(&record(0)).unwrap();
        let text = fs::read(history.path(&history.runs().unwrap()[0])).unwrap();
        for second in 1..=KEPT as i64 {
            fs::write(history.path(&record(second).run), &text).unwrap();
        }
        fs::write(history.folder.join("notes.json"), "mine").unwrap();
        let newest = record(KEPT as i64 + 1);
        history.add(&newest).unwrap();
        let runs = history.runs().unwrap();
        assert_eq!((runs.len(), runs[0].as_str()), (KEPT, newest.run.as_str()));
        assert!(history.folder.join("notes.json").exists());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&history.folder), mode(&history.path(&newest.run))), (0o700, 0o600));
    }

    fn fill(history: &History, from: i64, to: i64) {
        for second in from..=to {
            let mut record = record(second);
            record.run = format!("{}{second:08x}", &record.run[..17]);
            record.state = if second % 10 == 0 { State::Failed } else { State::Done };
            record.ended = Some(record.started);
            document::write(&history.path(&record.run), &record).unwrap();
        }
    }

    #[test]
    fn a_record_that_is_removed_still_counts_and_none_counts_twice() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::of(folder.path());
        let kept = KEPT as i64;
        fill(&history, 1, kept + 100);
        let counts = || {
            let records = history.records(&Silent).unwrap();
            (records.len(), history.past().counts("shop", &records))
        };
        let all = Counts { done: 990, failed: 110, skipped: 0 };
        assert_eq!(counts(), (KEPT + 100, all));
        history.sweep(record(0).started);
        assert_eq!(counts(), (KEPT, all));
        assert_eq!(history.past().success("shop").map(|record| record.started), Some(record(99).started));

        // One who was killed after counting has left the records.
        fill(&history, 51, 60);
        assert_eq!(counts(), (KEPT + 10, all));
        history.sweep(record(0).started);
        assert_eq!(counts(), (KEPT, all));

        // What is still going is counted when it is over, and what is newer than it not before.
        let mut going = record(101);
        going.run = history.runs().unwrap().pop().unwrap();
        let running = history.begin(&going).unwrap();
        fill(&history, kept + 101, kept + 110);
        history.sweep(record(0).started);
        assert!(history.records(&Silent).unwrap().len() > KEPT);
        (going.state, going.ended) = (State::Done, Some(going.started));
        running.end(&going).unwrap();
        history.sweep(record(0).started);
        assert_eq!(counts(), (KEPT, Counts { done: 999, failed: 111, skipped: 0 }));
    }

    #[test]
    fn what_is_over_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::of(folder.path());
        fill(&history, 1, 3);
        let running = history.begin(&record(4)).unwrap();
        let mut known = Known::default();
        let first = history.renewed(&mut known, &Silent).unwrap();
        for one in &first[1..] {
            fs::write(history.path(&one.run), "unreadable").unwrap();
        }
        assert_eq!(history.renewed(&mut known, &Silent).unwrap(), first);
        drop(running);
        assert_eq!(history.renewed(&mut known, &Silent).unwrap()[0].state, State::Failed);
        fs::remove_file(history.path(&first[1].run)).unwrap();
        assert_eq!(history.renewed(&mut known, &Silent).unwrap().len(), 3);
    }

    #[test]
    fn what_a_killed_writer_left_is_removed_after_an_hour() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::of(folder.path());
        history.add(&record(0)).unwrap();
        let left = history.folder.join(".left.partial");
        fs::write(&left, "half").unwrap();
        let written = Timestamp::try_from(fs::metadata(&left).unwrap().modified().unwrap()).unwrap();
        history.sweep(written + SignedDuration::from_mins(59));
        assert!(left.exists());
        history.sweep(written + SignedDuration::from_mins(61));
        assert!(!left.exists());
    }

    #[test]
    fn runs_of_one_second_are_in_the_order_in_which_they_began() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::of(folder.path());
        let times: Vec<Timestamp> =
            (1..10).rev().map(|part| Timestamp::new(1_790_000_000, part * 100_000_000).unwrap()).collect();
        for time in &times {
            history.add(&Record::begun(Cause::Manual, "shop", *time).unwrap()).unwrap();
        }
        let found: Vec<Timestamp> = history.records(&Silent).unwrap().iter().map(|record| record.started).collect();
        assert_eq!(found, times);
    }

    #[test]
    fn a_damaged_record_is_told_and_does_not_hide_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::of(folder.path());
        let mut good = record(1);
        good.state = State::Done;
        history.add(&good).unwrap();
        fs::write(history.path(&record(2).run), "{\"run\":").unwrap();
        let noting = Noting::new(&Silent);
        assert_eq!(history.records(&noting).unwrap(), [good]);
        assert!(noting.warnings()[0].contains("it is damaged"));
    }
}
