//! The history of the runs on this host: one file for each run, in `STATE_DIR`.
//!
//! The writer of a running record keeps its file locked, which distinguishes living runs from dead
//! ones. Nothing here is needed to restore a backup.

pub(crate) mod removals;
pub(crate) mod share;
pub(crate) mod totals;

use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::base::state_dir::StateDir;
use crate::base::state_dir::file::{StateDocument, StateFile, WriterLife};
use crate::format::run_record::{ErrorInfo, Record, RunState};
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use totals::RunTotals;

/// Number of newest records that are kept. Older ones are removed.
const KEPT: usize = 1000;

#[derive(Debug, Clone)]
pub struct History {
    state: StateDir,
}

/// A run that is recorded as running. Dropped without [`CurrentRun::end`], it counts as failed from then on.
pub struct CurrentRun {
    file: StateFile,
    /// Holds the lock.
    _held: File,
}

/// Records that will not change any more, by run.
#[derive(Debug, Default)]
pub struct RecordCache(BTreeMap<String, Record>);

impl History {
    /// Returns the history in this state directory, which need not exist yet.
    pub fn of(state: StateDir) -> History {
        History { state }
    }

    /// Returns the state directory that it is in.
    pub fn state(&self) -> &StateDir {
        &self.state
    }

    /// Returns the folder of the records, for messages.
    pub fn location(&self) -> String {
        self.state.records().to_string()
    }

    /// Writes the record of a run that begins, and removes what is too old.
    pub fn begin(&self, record: &Record) -> Result<CurrentRun> {
        let file = self.state.record(&record.run);
        let held = file.hold_json(record).map_err(|why| self.unwritable(&why))?;
        self.sweep(record.started);
        Ok(CurrentRun { file, _held: held })
    }

    /// Writes the record of a run that is over already.
    pub fn add(&self, record: &Record) -> Result<()> {
        self.begin(record).map(drop)
    }

    /// Returns all records, newest first. A record that cannot be read is left out, with a warning.
    pub fn records(&self, monitor: &dyn Monitor) -> Result<Vec<Record>> {
        self.renewed(&mut RecordCache::default(), monitor)
    }

    /// Returns the same for a caller that asks again and again: a record that is known to be over is not read once more.
    pub fn renewed(&self, known: &mut RecordCache, monitor: &dyn Monitor) -> Result<Vec<Record>> {
        let mut over = RecordCache::default();
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

    /// Returns the record of one run; `None` if there is none.
    pub fn find(&self, run: &str) -> Result<Option<Record>> {
        if !is_run(run) {
            return Ok(None);
        }
        let file = self.state.record(run);
        let look = || match file.read_json() {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Fault::failed(format!("cannot read the record \"{file}\": {error}"))),
        };
        // One that ended between the look into the file and the look at its lock has a new file by now.
        match look()? {
            Some(StateDocument { life: WriterLife::Gone, .. }) => Ok(look()?.map(judged)),
            found => Ok(found.map(judged)),
        }
    }

    /// Returns the runs whose process is gone and has not ended them, oldest first, and records
    /// that they failed. So each is returned only once.
    pub fn lost(&self) -> Result<Vec<Record>> {
        let mut lost = Vec::new();
        for run in self.runs()?.iter().rev() {
            let file = self.state.record(run);
            let look = || file.read_json().ok().filter(is_lost);
            // Twice, as above.
            let Some(found) = look().and_then(|_| look()) else { continue };
            let record = judged(found);
            file.write_json(&record).map_err(|why| self.unwritable(&why))?;
            lost.push(record);
        }
        Ok(lost)
    }

    /// Returns the names of all runs, newest first.
    fn runs(&self) -> Result<Vec<String>> {
        let mut runs = self.state.records().names().map_err(|error| {
            Fault::failed(format!("cannot read \"{}\": {error}", self.location()))
                .hint("STATE_DIR names the folder above it")
        })?;
        runs.retain(|run| is_run(run));
        runs.sort_by(|a, b| b.cmp(a));
        Ok(runs)
    }

    /// Returns the totals of runs whose records were removed. Call it after [`History::records`]: a run that is removed in between is then
    /// in both, and [`RunTotals::counts`] counts it once. The other way round it would be in neither.
    pub fn past(&self) -> RunTotals {
        self.state.totals().read_json().map(|found| found.value).unwrap_or_default()
    }

    /// Removes old records and stale partial files. A file that cannot be removed now is removed another time.
    fn sweep(&self, now: Timestamp) {
        if let Some(old) = self.runs().unwrap_or_default().get(KEPT..).filter(|old| !old.is_empty()) {
            self.forget(old);
        }
        self.state.sweep(now);
    }

    /// Removes the records of these runs, which come newest first. They are added to the totals before that: a process that is killed in
    /// between has lost nothing and counted nothing twice.
    fn forget(&self, runs: &[String]) {
        // Else another process is at it.
        let Ok(Some(_lock)) = self.state.forgetting().try_lock() else { return };
        let mut past = self.past();
        let mut going = Vec::new();
        for run in runs.iter().rev() {
            match self.find(run) {
                // It will be counted when it is over, and those after it then too.
                Ok(Some(record)) if record.state == RunState::Running => break,
                Ok(Some(record)) => past.take(record),
                Ok(None) | Err(_) => {}
            }
            going.push(self.state.record(run));
        }
        if self.state.totals().write_json(&past).is_ok() {
            for file in going {
                let _ = file.remove();
            }
        }
    }

    fn unwritable(&self, why: &io::Error) -> Fault {
        Fault::failed(format!("cannot write a record in \"{}\": {why}", self.location()))
            .hint("STATE_DIR names a folder that pgbk may write to")
    }
}

impl CurrentRun {
    pub fn end(self, record: &Record) -> Result<()> {
        self.file
            .write_json(record)
            .map_err(|why| Fault::failed(format!("cannot write the record \"{}\": {why}", self.file)).into())
    }
}

/// Returns whether a name is that of a run, such as `20261121T064500Z-1a2b3c4d`.
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

fn is_lost(found: &StateDocument<Record>) -> bool {
    found.life == WriterLife::Gone && found.value.state == RunState::Running
}

/// Returns the record, as failed if its process is gone. On a file system without locks, a run counts as failed until it has ended.
fn judged(found: StateDocument<Record>) -> Record {
    let StateDocument { value: mut record, life, .. } = found;
    if record.state == RunState::Running && life != WriterLife::Held {
        record.state = RunState::Failed;
        record.problem = Some(ErrorInfo {
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
    use crate::base::progress::{NullMonitor, RecordingMonitor};
    use crate::format::run_record::Trigger;
    use crate::runs::history::totals::Counts;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn record(second: i64) -> Record {
        Record::begun(Trigger::Manual, &"shop".into(), Timestamp::from_second(1_790_000_000 + second).unwrap()).unwrap()
    }

    fn path(history: &History, run: &str) -> String {
        history.state.record(run).to_string()
    }

    #[test]
    fn a_run_that_was_killed_is_found_once_and_no_other_is() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::of(StateDir::at(folder.path()));
        let ended = record(1);
        history.begin(&ended).unwrap().end(&Record { state: RunState::Done, ..ended.clone() }).unwrap();
        let going = history.begin(&record(2)).unwrap();
        let killed = [record(3), record(4)];
        killed.iter().for_each(|record| drop(history.begin(record).unwrap()));
        let lost = history.lost().unwrap();
        assert!(lost.iter().map(|record| &record.run).eq(killed.iter().map(|record| &record.run)));
        assert!(lost.iter().all(|record| record.state == RunState::Failed && record.problem.is_some()));
        assert_eq!(history.lost().unwrap(), []);
        assert_eq!(history.find(&lost[0].run).unwrap().as_ref(), Some(&lost[0]));
        drop(going);
        assert_eq!(history.lost().unwrap().len(), 1);
    }

    #[test]
    fn a_run_is_running_until_it_ends_and_failed_when_its_process_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::of(StateDir::at(folder.path().join("deep/state")));
        assert_eq!(history.records(&NullMonitor).unwrap(), []);
        let (mut first, second) = (record(1), record(2));
        let (one, other) = (history.begin(&first).unwrap(), history.begin(&second).unwrap());
        let states = || history.records(&NullMonitor).unwrap().iter().map(|record| record.state).collect::<Vec<_>>();
        assert_eq!(states(), [RunState::Running, RunState::Running]);
        first.state = RunState::Done;
        one.end(&first).unwrap();
        drop(other);
        assert_eq!(states(), [RunState::Failed, RunState::Done]);
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
        let history = History::of(StateDir::at(folder.path()));
        history.add(&record(0)).unwrap();
        let text = history.state.record(&history.runs().unwrap()[0]).read().unwrap();
        for second in 1..=KEPT as i64 {
            fs::write(path(&history, &record(second).run), &text).unwrap();
        }
        fs::write(path(&history, "notes"), "mine").unwrap();
        let newest = record(KEPT as i64 + 1);
        history.add(&newest).unwrap();
        let runs = history.runs().unwrap();
        assert_eq!((runs.len(), runs[0].as_str()), (KEPT, newest.run.as_str()));
        assert!(history.state.record("notes").exists().unwrap());
        let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&history.location()), mode(&path(&history, &newest.run))), (0o700, 0o600));
    }

    fn fill(history: &History, from: i64, to: i64) {
        for second in from..=to {
            let mut record = record(second);
            record.run = format!("{}{second:08x}", &record.run[..17]);
            record.state = if second % 10 == 0 { RunState::Failed } else { RunState::Done };
            record.ended = Some(record.started);
            history.state.record(&record.run).write_json(&record).unwrap();
        }
    }

    #[test]
    fn a_record_that_is_removed_still_counts_and_none_counts_twice() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::of(StateDir::at(folder.path()));
        let kept = KEPT as i64;
        fill(&history, 1, kept + 100);
        let counts = || {
            let records = history.records(&NullMonitor).unwrap();
            (records.len(), history.past().counts(&"shop".into(), &records))
        };
        let all = Counts { done: 990, failed: 110, skipped: 0 };
        assert_eq!(counts(), (KEPT + 100, all));
        history.sweep(record(0).started);
        assert_eq!(counts(), (KEPT, all));
        assert_eq!(history.past().success(&"shop".into()).map(|record| record.started), Some(record(99).started));

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
        assert!(history.records(&NullMonitor).unwrap().len() > KEPT);
        (going.state, going.ended) = (RunState::Done, Some(going.started));
        running.end(&going).unwrap();
        history.sweep(record(0).started);
        assert_eq!(counts(), (KEPT, Counts { done: 999, failed: 111, skipped: 0 }));
    }

    #[test]
    fn what_is_over_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::of(StateDir::at(folder.path()));
        fill(&history, 1, 3);
        let running = history.begin(&record(4)).unwrap();
        let mut known = RecordCache::default();
        let first = history.renewed(&mut known, &NullMonitor).unwrap();
        for one in &first[1..] {
            fs::write(path(&history, &one.run), "unreadable").unwrap();
        }
        assert_eq!(history.renewed(&mut known, &NullMonitor).unwrap(), first);
        drop(running);
        assert_eq!(history.renewed(&mut known, &NullMonitor).unwrap()[0].state, RunState::Failed);
        history.state.record(&first[1].run).remove().unwrap();
        assert_eq!(history.renewed(&mut known, &NullMonitor).unwrap().len(), 3);
    }

    #[test]
    fn runs_of_one_second_are_in_the_order_in_which_they_began() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::of(StateDir::at(folder.path()));
        let times: Vec<Timestamp> =
            (1..10).rev().map(|part| Timestamp::new(1_790_000_000, part * 100_000_000).unwrap()).collect();
        for time in &times {
            history.add(&Record::begun(Trigger::Manual, &"shop".into(), *time).unwrap()).unwrap();
        }
        let found: Vec<Timestamp> =
            history.records(&NullMonitor).unwrap().iter().map(|record| record.started).collect();
        assert_eq!(found, times);
    }

    #[test]
    fn a_damaged_record_is_told_and_does_not_hide_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::of(StateDir::at(folder.path()));
        let mut good = record(1);
        good.state = RunState::Done;
        history.add(&good).unwrap();
        fs::write(path(&history, &record(2).run), "{\"run\":").unwrap();
        let recording = RecordingMonitor::new(&NullMonitor);
        assert_eq!(history.records(&recording).unwrap(), [good]);
        assert!(recording.warnings()[0].contains("it is damaged"));
    }
}
