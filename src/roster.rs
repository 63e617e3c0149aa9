//! What a scheduler leaves of itself in `STATE_DIR`: what is scheduled, when it comes next, and that the scheduler lives.

use crate::cron::Schedule;
use crate::databases::Databases;
use crate::document::{self, Life};
use crate::error::{Fault, Kind, Result};
use crate::record::Task;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// How often it shows that it still looks at the clock.
const PULSE: SignedDuration = SignedDuration::from_secs(10);
/// Looks at a file that is replaced all the time, until one finds its writer.
const LOOKS: usize = 3;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Roster {
    pub version: String,
    /// As it is called in its container.
    pub process: u32,
    pub started: Timestamp,
    /// How much later than it is due a backup may be done.
    pub grace: SignedDuration,
    pub entries: Vec<Entry>,
}

/// One schedule and what it is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    #[serde(default)]
    pub task: Task,
    pub schedule: Schedule,
    pub databases: Databases,
    /// Where all are meant: which there were the last time.
    pub found: Vec<String>,
    /// When its next run or try begins, as far as that is decided.
    pub next: Option<Timestamp>,
    /// Since when it is at work.
    pub working: Option<Timestamp>,
}

/// The name of whatever is about every database.
pub const EVERY: &str = "*";

impl Entry {
    pub fn new(schedule: Schedule, databases: Databases) -> Entry {
        Entry { task: Task::Backup, schedule, databases, found: Vec::new(), next: None, working: None }
    }

    /// The databases that it is for; where all are meant, also [`EVERY`].
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (names, every) = match &self.databases {
            Databases::Named(names) => (names, None),
            Databases::All => (&self.found, Some(EVERY)),
        };
        every.into_iter().chain(names.iter().map(String::as_str))
    }

    /// When it begins after now. What is not decided yet is told by the schedule.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        self.next.filter(|next| *next > now).or_else(|| self.schedule.next_after(now))
    }
}

/// A roster as it was found.
#[derive(Debug, Clone)]
pub struct Seen {
    pub roster: Roster,
    pub life: Life,
    /// When its scheduler last looked at the clock.
    pub pulse: Timestamp,
}

/// None where no scheduler ever was.
pub fn look(state_dir: &Path) -> Result<Option<Seen>> {
    let path = path(state_dir);
    let mut seen = None;
    for _ in 0..LOOKS {
        match document::read(&path) {
            Ok(found) => {
                let alive = found.life != Life::Gone;
                seen = Some(Seen { roster: found.value, life: found.life, pulse: found.modified });
                // Else it may have been replaced between the look into the file and the look at its lock.
                if alive {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::failed(format!("cannot read \"{}\": {error}", path.display())).into()),
        }
    }
    Ok(seen)
}

/// Takes the place of the only scheduler with this `STATE_DIR`, for as long as the file is kept. Another one would write over the word that
/// the first leaves of itself. None: there are no locks there.
pub fn take_place(state_dir: &Path) -> Result<Option<File>> {
    document::lock(&state_dir.join("schedule.lock")).map_err(|document::Taken| {
        let seen = look(state_dir).ok().flatten().filter(|seen| seen.life != Life::Gone);
        let which = seen.map_or_else(String::new, |seen| {
            format!(" (process {}, since {:.0})", seen.roster.process, seen.roster.started)
        });
        let message = format!("another scheduler{which} is at work with this STATE_DIR, \"{}\"", state_dir.display());
        Fault::new(Kind::Busy, message).hint("give each scheduler a STATE_DIR of its own, or end the other one").into()
    })
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("schedule.json")
}

/// The scheduler's own side of it.
pub struct Post {
    path: PathBuf,
    roster: Roster,
    /// Holds the lock. None where the roster could not be written as it is.
    file: Option<File>,
    pulse: Timestamp,
}

impl Post {
    /// Writes nothing yet. Which databases there were is taken over from the scheduler before this one.
    pub fn new(state_dir: &Path, mut roster: Roster, before: Option<&Roster>) -> Post {
        let found = before.into_iter().flat_map(|roster| &roster.entries).find(|entry| !entry.found.is_empty());
        for entry in &mut roster.entries {
            if let (Databases::All, Some(before)) = (&entry.databases, found) {
                entry.found.clone_from(&before.found);
            }
        }
        let pulse = roster.started;
        Post { path: path(state_dir), roster, file: None, pulse }
    }

    /// Writes what has changed, and shows that the scheduler lives.
    pub fn update(&mut self, now: Timestamp, change: impl FnOnce(&mut Roster)) -> Result<()> {
        let before = self.roster.clone();
        change(&mut self.roster);
        let changed = self.roster != before;
        let due = now.duration_since(self.pulse).abs() >= PULSE;
        if !changed && !due && self.file.is_some() {
            return Ok(());
        }
        self.pulse = now;
        let shown = match &self.file {
            Some(file) if !changed => file.set_modified(now.into()),
            _ => document::write(&self.path, &self.roster).map(|file| self.file = Some(file)),
        };
        shown.map_err(|why| {
            // Whatever stands there is not what it should be.
            self.file = None;
            self.unwritable(&why).into()
        })
    }

    fn unwritable(&self, why: &io::Error) -> Fault {
        Fault::failed(format!("cannot write \"{}\": {why}", self.path.display()))
            .hint("STATE_DIR names a folder that pgbk may write to")
    }
}
