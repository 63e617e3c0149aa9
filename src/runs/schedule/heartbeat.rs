//! The scheduler's heartbeat, `STATE_DIR/schedule.json`: its jobs, their next start, and proof that the process is alive.

use crate::base::databases::{Databases, Selection};
use crate::base::error::{Fault, Kind, Result};
use crate::base::state_dir::StateDir;
use crate::base::state_dir::file::{StateFile, WriterLife};
use crate::base::subject::Subject;
use crate::base::variant::Variant;
use crate::format::run_record::Task;
use crate::runs::schedule::cron::Schedule;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;

/// Interval at which the scheduler shows that it still checks the clock.
const PULSE: SignedDuration = SignedDuration::from_secs(10);
/// Most reads of a file that is replaced all the time, until one finds its writer alive.
const LOOKS: usize = 3;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SchedulerState {
    pub version: String,
    /// Process id, as it is in its container.
    pub process: u32,
    pub started: Timestamp,
    /// Longest time by which a backup may be done later than it is due.
    pub grace: SignedDuration,
    pub entries: Vec<HeartbeatEntry>,
}

/// One schedule and what it is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeartbeatEntry {
    #[serde(default)]
    pub task: Task,
    pub schedule: Schedule,
    pub databases: Databases,
    /// Variants that are made of each database, or proven, beside the plain one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Variant>,
    /// Databases that were found the last time, if the schedule is for all.
    pub found: Vec<Subject>,
    /// Time at which its next run or try begins; `None` if that is not decided.
    pub next: Option<Timestamp>,
    /// Time since which it is at work; `None` if it is not.
    #[serde(rename = "working")]
    pub running_since: Option<Timestamp>,
}

impl HeartbeatEntry {
    pub fn new(schedule: Schedule, databases: Databases) -> HeartbeatEntry {
        HeartbeatEntry {
            task: Task::Backup,
            schedule,
            databases,
            outputs: Vec::new(),
            found: Vec::new(),
            next: None,
            running_since: None,
        }
    }

    /// Returns what it is for, each output of a database by itself: if all databases are meant, those that were found, and every one
    /// together.
    pub fn selections(&self) -> Vec<Selection> {
        let mut selections = self.databases.selections();
        if self.databases == Databases::All {
            selections.extend(self.found.iter().cloned().map(Selection::One));
        }
        let copies = selections.iter().flat_map(|one| one.in_variants(&self.outputs)).collect::<Vec<_>>();
        selections.extend(copies);
        selections
    }

    /// Returns when it begins after now, by its schedule if nothing is decided yet; `None` if it never does.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        self.next.filter(|next| *next > now).or_else(|| self.schedule.next_after(now))
    }
}

/// The heartbeat as it was found.
#[derive(Debug, Clone)]
pub struct LastHeartbeat {
    pub scheduler_state: SchedulerState,
    pub life: WriterLife,
    /// Time at which its scheduler last checked the clock.
    pub pulse: Timestamp,
}

/// Reads the heartbeat; `None` if no scheduler ever ran with this `STATE_DIR`.
pub fn look(state: &StateDir) -> Result<Option<LastHeartbeat>> {
    let file = state.heartbeat();
    let mut seen = None;
    for _ in 0..LOOKS {
        match file.read_json() {
            Ok(found) => {
                let alive = found.life != WriterLife::Gone;
                seen = Some(LastHeartbeat { scheduler_state: found.value, life: found.life, pulse: found.modified });
                // Else it may have been replaced between the look into the file and the look at its lock.
                if alive {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::failed(format!("cannot read \"{file}\": {error}")).into()),
        }
    }
    Ok(seen)
}

/// Makes this process the only scheduler with this `STATE_DIR`, for as long as the returned file is kept. A second one would overwrite the
/// heartbeat of the first, and gets [`Kind::Busy`]. `None`: nothing can be written there.
pub fn take_place(state: &StateDir) -> Result<Option<File>> {
    match state.scheduler_lock().try_lock() {
        Ok(Some(lock)) => Ok(Some(lock)),
        Ok(None) => Err(busy(state).into()),
        Err(_) => Ok(None),
    }
}

fn busy(state: &StateDir) -> Fault {
    let seen = look(state).ok().flatten().filter(|seen| seen.life != WriterLife::Gone);
    let which = seen.map_or_else(String::new, |seen| {
        format!(" (process {}, since {:.0})", seen.scheduler_state.process, seen.scheduler_state.started)
    });
    Fault::new(Kind::Busy, format!("another scheduler{which} is at work with this STATE_DIR, \"{state}\""))
        .hint("give each scheduler a STATE_DIR of its own, or end the other one")
}

/// Writes the scheduler's heartbeat.
pub struct Heartbeat {
    file: StateFile,
    scheduler_state: SchedulerState,
    /// Holds the lock. `None` before the first write, or after one that failed.
    held: Option<File>,
    pulse: Timestamp,
}

impl Heartbeat {
    /// Prepares the heartbeat and writes nothing yet. Takes over from `before` which databases were found.
    pub fn new(state: &StateDir, mut scheduler_state: SchedulerState, before: Option<&SchedulerState>) -> Heartbeat {
        let found = before
            .into_iter()
            .flat_map(|scheduler_state| &scheduler_state.entries)
            .find(|entry| !entry.found.is_empty());
        for entry in &mut scheduler_state.entries {
            if let (Databases::All, Some(before)) = (&entry.databases, found) {
                entry.found.clone_from(&before.found);
            }
        }
        let pulse = scheduler_state.started;
        Heartbeat { file: state.heartbeat(), scheduler_state, held: None, pulse }
    }

    /// Writes what has changed, and shows that the scheduler is alive.
    pub fn update(&mut self, now: Timestamp, change: impl FnOnce(&mut SchedulerState)) -> Result<()> {
        let before = self.scheduler_state.clone();
        change(&mut self.scheduler_state);
        let changed = self.scheduler_state != before;
        let due = now.duration_since(self.pulse).abs() >= PULSE;
        if !changed && !due && self.held.is_some() {
            return Ok(());
        }
        self.pulse = now;
        let shown = match &self.held {
            Some(file) if !changed => file.set_modified(now.into()),
            _ => self.file.hold_json(&self.scheduler_state).map(|file| self.held = Some(file)),
        };
        shown.map_err(|why| {
            // Whatever stands there is not what it should be.
            self.held = None;
            self.unwritable(&why).into()
        })
    }

    fn unwritable(&self, why: &io::Error) -> Fault {
        Fault::failed(format!("cannot write \"{}\": {why}", self.file))
            .hint("STATE_DIR names a folder that pgbk may write to")
    }
}
