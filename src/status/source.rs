//! Where a status comes from: `STATE_DIR` alone.

use super::{Facts, Status, health};
use crate::error::Result;
use crate::history::{History, Known};
use crate::missed::sights;
use crate::monitor::Monitor;
use crate::roster;
use crate::shelf::Shelf;
use jiff::Timestamp;
use std::path::PathBuf;

pub struct Source {
    state_dir: PathBuf,
    history: History,
    known: Known,
}

impl Source {
    pub fn new(state_dir: PathBuf) -> Source {
        Source { history: History::of(&state_dir), state_dir, known: Known::default() }
    }

    pub fn status(&mut self, now: Timestamp, monitor: &dyn Monitor) -> Result<Status> {
        self.facts(now, monitor).map(Status::of)
    }

    /// Returns that a database's backups are overdue, and since when. None: they are not, or the last run failed, which is another thing.
    pub fn overdue(&mut self, database: &str, now: Timestamp, monitor: &dyn Monitor) -> Result<Option<String>> {
        Ok(health::overdue(database, &self.facts(now, monitor)?))
    }

    fn facts(&mut self, now: Timestamp, monitor: &dyn Monitor) -> Result<Facts> {
        let records = self.history.renewed(&mut self.known, monitor)?;
        let past = self.history.past();
        let seen = roster::look(&self.state_dir)?;
        let (shelf, sights) = (Shelf::read(&self.state_dir), sights(&self.state_dir));
        Ok(Facts { now, seen, records, past, shelf, sights })
    }
}
